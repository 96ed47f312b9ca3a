/** How commands reach UID maps and accounts: through the daemon that runs on the state directory, else directly under its lock. */
import { statSync } from 'node:fs';
import type { BridgeConfig } from '../config/schema.ts';
import { askDaemon } from '../daemon/control-client.ts';
import type { Progress } from '../daemon/control-socket.ts';
import {
  BusyError,
  ConfigError,
  CredentialsError,
  InvariantError,
  StoreError,
  UPSTREAM_FAILURE_KINDS,
  UpstreamError,
  type UpstreamFailureKind,
} from '../errors.ts';
import type { CliEnvironment } from './environment.ts';

export interface StateAccess {
  readonly environment: CliEnvironment;
  readonly stateDirectory: string;
  /** Only read where no daemon runs. */
  readonly loadConfig: () => BridgeConfig;
  readonly progress: Progress;
}

/** Asks, and gives what is answered; failures are thrown as they were there. */
export async function askState(access: StateAccess, request: string, params: unknown): Promise<unknown> {
  const { stateDirectory, progress } = access;
  if (statSync(stateDirectory, { throwIfNoEntry: false }) === undefined) {
    throw new StoreError('STORE_FAILED', `there is no state directory ${stateDirectory}; name the one of the daemon with --state`);
  }
  access.environment.becomeOwnerOf(stateDirectory);
  const answer = await askDaemon(stateDirectory, request, params, progress);
  if (answer === undefined) {
    // All that a daemon has; where one runs, nobody need wait for it.
    const { askDirectly } = await import('./direct-state.ts');
    return askDirectly(access, request, params);
  }
  if ('error' in answer) throw rebuilt(answer.error);
  return answer.result;
}

interface RemoteError {
  readonly kind?: string | undefined;
  readonly code: string;
  readonly message: string;
}

/** An error of the daemon's as its own class: the exit code follows from that. */
function rebuilt({ kind, code, message }: RemoteError): Error {
  if (kind === 'BusyError') return new BusyError('MAILDROP_IN_USE', message);
  if (kind === 'CredentialsError') return new CredentialsError('AUTH_REFUSED', message);
  if (kind === 'UpstreamError') return new UpstreamError(upstreamKind(code), message);
  if (kind === 'StoreError') return new StoreError('STORE_FAILED', message);
  if (kind === 'ConfigError') return new ConfigError([{ file: '', key: '', problem: message }]);
  return new InvariantError(message);
}

function upstreamKind(code: string): UpstreamFailureKind {
  const name = code
    .replace(/^UPSTREAM_/, '')
    .toLowerCase()
    .replaceAll('_', '-');
  return UPSTREAM_FAILURE_KINDS.find((kind) => kind === name) ?? 'refused';
}
