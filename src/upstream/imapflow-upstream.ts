/** Logs in to an IMAP server, and keeps the connections. */
import type { Clock } from '../clock.ts';
import type { UpstreamEndpoint } from './imapflow-client.ts';
import { ImapConnection } from './imap-connection.ts';
import { ImapSession } from './imap-session.ts';
import type { ReadAheadBudget } from './read-ahead.ts';
import type { Upstream, UpstreamLogin, UpstreamSession } from './upstream.ts';

export interface UpstreamOptions {
  readonly budget: ReadAheadBudget;
  /** Bodies through imapflow alone, as a measure of what is right. */
  readonly isPlain?: boolean;
}

export class ImapflowUpstream implements Upstream {
  readonly #endpoint: UpstreamEndpoint;
  readonly #clock: Clock;
  readonly #options: UpstreamOptions;

  constructor(endpoint: UpstreamEndpoint, clock: Clock, options: UpstreamOptions) {
    this.#endpoint = endpoint;
    this.#clock = clock;
    this.#options = options;
  }

  async login(login: UpstreamLogin, signal: AbortSignal): Promise<UpstreamSession> {
    const connection = await ImapConnection.open(this.#endpoint, login, this.#clock, signal);
    const { budget, isPlain = false } = this.#options;
    return new ImapSession({ connection, budget, isPlain, leave: () => connection.logout() });
  }
}
