/** What a provider is known to want is said where it refuses somebody. */
import type { BridgeConfig } from '../config/schema.ts';
import { presetNamed } from '../config/presets/presets.ts';
import { CredentialsError, UpstreamError } from '../errors.ts';
import type { CliEnvironment } from './environment.ts';

/** Runs work that logs in upstream; the hints of its preset go to standard error where it is refused. */
export async function withHints<T>(
  environment: CliEnvironment,
  config: () => BridgeConfig,
  upstream: string,
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const isRefusal = error instanceof CredentialsError || (error instanceof UpstreamError && error.kind === 'forbidden');
    const file = isRefusal ? config().upstreams.find((one) => one.upstream.id === upstream) : undefined;
    const preset = presetNamed(file?.upstream.preset ?? '');
    for (const hint of preset?.hints ?? []) environment.writeQuestion(`${preset?.title}: ${hint}\n`);
    throw error;
  }
}
