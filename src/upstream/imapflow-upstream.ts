/** Logs in to an IMAP server, and keeps the connections. */
import type { Clock } from '../clock.ts';
import type { BodyCache } from './body-cache.ts';
import { ConnectionPool } from './connection-pool.ts';
import { AccountMemories } from './account-memory.ts';
import type { UpstreamEndpoint } from './imapflow-client.ts';
import { ImapConnection } from './imap-connection.ts';
import { ImapSession } from './imap-session.ts';
import type { ReadAheadBudget } from './read-ahead.ts';
import { ServerHabits } from './server-habits.ts';
import type { LoginHow, Upstream, UpstreamLogin, UpstreamSession } from './upstream.ts';

export interface UpstreamOptions {
  readonly budget: ReadAheadBudget;
  readonly bodies: BodyCache;
  /** How long a connection stays after its session; by default not at all. */
  readonly lingerMs?: number;
  readonly connectionsPerAccount?: number;
  /** The most messages that are believed of one folder. */
  readonly maxMessages?: number;
}

/** As `limits.messages` has it by default. */
const MAX_MESSAGES = 2_000_000;

export class ImapflowUpstream implements Upstream {
  readonly #pool: ConnectionPool;
  readonly #options: UpstreamOptions;

  constructor(endpoint: UpstreamEndpoint, clock: Clock, options: UpstreamOptions) {
    const { lingerMs = 0, connectionsPerAccount = 1, maxMessages = MAX_MESSAGES } = options;
    this.#options = options;
    const memories = new AccountMemories();
    const parts = { endpoint, clock, habits: new ServerHabits(), limits: { messages: maxMessages } };
    this.#pool = new ConnectionPool({
      clock,
      lingerMs,
      connectionsPerAccount,
      open: (login, signal) => ImapConnection.open({ ...parts, memory: memories.of(login.user) }, login, signal),
    });
  }

  async login(login: UpstreamLogin, signal: AbortSignal, { isApart = false }: LoginHow = {}): Promise<UpstreamSession> {
    const lease = await (isApart ? this.#pool.takeApart(login, signal) : this.#pool.take(login, signal));
    const { budget, bodies } = this.#options;
    return new ImapSession({ lease, user: login.user, budget, bodies });
  }

  retire(): Promise<void> {
    return this.#pool.retire();
  }
}
