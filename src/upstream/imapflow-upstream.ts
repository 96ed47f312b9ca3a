/** Logs in to an IMAP server, and keeps the connections. */
import type { Clock } from '../clock.ts';
import type { BodyCache } from './body-cache.ts';
import { ConnectionPool } from './connection-pool.ts';
import type { UpstreamEndpoint } from './imapflow-client.ts';
import { ImapConnection } from './imap-connection.ts';
import { ImapSession } from './imap-session.ts';
import type { ReadAheadBudget } from './read-ahead.ts';
import type { Upstream, UpstreamLogin, UpstreamSession } from './upstream.ts';

export interface UpstreamOptions {
  readonly budget: ReadAheadBudget;
  readonly bodies: BodyCache;
  /** How long a connection stays after its session; by default not at all. */
  readonly lingerMs?: number;
  readonly connectionsPerAccount?: number;
  /** Bodies through imapflow alone, as a measure of what is right. */
  readonly isPlain?: boolean;
}

export class ImapflowUpstream implements Upstream {
  readonly #pool: ConnectionPool;
  readonly #options: UpstreamOptions;

  constructor(endpoint: UpstreamEndpoint, clock: Clock, options: UpstreamOptions) {
    const { lingerMs = 0, connectionsPerAccount = 1 } = options;
    this.#options = options;
    this.#pool = new ConnectionPool({
      clock,
      lingerMs,
      connectionsPerAccount,
      open: (login, signal) => ImapConnection.open(endpoint, login, clock, signal),
    });
  }

  async login(login: UpstreamLogin, signal: AbortSignal): Promise<UpstreamSession> {
    const lease = await this.#pool.take(login, signal);
    const { budget, bodies, isPlain = false } = this.#options;
    return new ImapSession({ lease, user: login.user, budget, bodies, isPlain });
  }

  retire(): Promise<void> {
    return this.#pool.retire();
  }
}
