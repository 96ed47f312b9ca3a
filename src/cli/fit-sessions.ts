/** As many sessions as there are descriptors for: a client beyond is to be told so, where the system would only hang up. Pure. */
import type { BridgeConfig } from '../config/schema.ts';

/** Of a session: its client's, and that of its connection to the server. */
const DESCRIPTORS_A_SESSION = 2;
/** Files, addresses that are listened on, the log, clients that are being refused. */
const SPARE_DESCRIPTORS = 100;

/** Gives the configuration with `limits.sessions` no higher than that; `descriptors` may be open at a time, undefined: nobody knows. */
export function fitSessions(config: BridgeConfig, descriptors: number | undefined): BridgeConfig {
  const { limits } = config.process;
  const most = Math.max(1, Math.floor(((descriptors ?? Infinity) - SPARE_DESCRIPTORS) / DESCRIPTORS_A_SESSION));
  return limits.sessions <= most ? config : { ...config, process: { ...config.process, limits: { ...limits, sessions: most } } };
}
