/** What a provider is known to want is said where it refuses somebody. */
import type { BridgeConfig } from '../config/schema.ts';
import { presetNamed } from '../config/presets/presets.ts';
import { CredentialsError, UpstreamError, type UpstreamFailureKind } from '../errors.ts';
import type { CliEnvironment } from './environment.ts';

const REFUSALS: ReadonlySet<UpstreamFailureKind> = new Set(['forbidden', 'provider-refused']);

/** Runs work that logs in upstream; the hints of its preset go to standard error where it is refused. */
export async function withHints<T>(
  environment: CliEnvironment,
  config: () => BridgeConfig,
  upstream: () => Promise<string>,
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const isRefusal = error instanceof CredentialsError || (error instanceof UpstreamError && REFUSALS.has(error.kind));
    const id = isRefusal ? await upstream() : undefined;
    const file = id === undefined ? undefined : config().upstreams.find((one) => one.upstream.id === id);
    const preset = presetNamed(file?.upstream.preset ?? '');
    for (const hint of preset?.hints ?? []) environment.writeQuestion(`${preset?.title}: ${hint}\n`);
    throw error;
  }
}
