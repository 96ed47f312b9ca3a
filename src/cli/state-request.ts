/** Asks something of the state as a command's options name it. */
import { z } from 'zod';
import { configFromUpstreamUrl, defaultConfigPath, defaultStateDirectory, loadConfig } from '../config/load.ts';
import type { BridgeConfig } from '../config/schema.ts';
import type { CliEnvironment, GlobalOptions } from './environment.ts';
import { progressBar } from './progress-bar.ts';
import { askState } from './state-access.ts';

/** Options of commands that look into the state. */
export interface StateOptions extends GlobalOptions {
  readonly state: string | undefined;
  /** Id of an upstream, or its URL where serve runs without a file. */
  readonly upstream: string | undefined;
  readonly json: boolean;
}

/** The answer; each request has its one kind. Failures are thrown as they were in the daemon. */
export async function asked<Answer>(environment: CliEnvironment, options: StateOptions, request: string, params: unknown): Promise<Answer> {
  const access = {
    environment,
    stateDirectory: stateDirectory(environment, options),
    loadConfig: () => configOf(environment, options),
    progress: progressBar(environment.writeProgress).progress,
  };
  return z.custom<Answer>().parse(await askState(access, request, params));
}

export function stateDirectory(environment: CliEnvironment, { state }: Pick<StateOptions, 'state'>): string {
  return state ?? defaultStateDirectory({ uid: environment.uid, env: environment.variables });
}

/** As `serve` would read it. Throws ConfigError. */
export function configOf(environment: CliEnvironment, { config, upstream }: Pick<StateOptions, 'config' | 'upstream'>): BridgeConfig {
  if (upstream?.includes('://') === true) return configFromUpstreamUrl(upstream);
  return loadConfig({ paths: config.length > 0 ? config : [defaultConfigPath({ uid: environment.uid, env: environment.variables })] });
}

/** JSON for programs, lines for people. */
export function print(environment: CliEnvironment, { json }: Pick<StateOptions, 'json'>, value: unknown, lines: readonly string[]): void {
  if (json) environment.write(`${JSON.stringify(value)}\n`);
  else for (const line of lines) environment.write(`${line}\n`);
}
