/** Everything a run of the bench stands on: the IMAP server with its mailboxes, the proxy process, the targets. */
import { Dovecot } from '../support/peers/dovecot.ts';
import { type MailboxKind, MailSpool } from './mail-spool.ts';
import type { BenchOptions } from './options.ts';
import { PASSWORD } from './pop-work.ts';
import { ProxyHandle } from './proxy/proxy-handle.ts';
import { rawWork } from './raw-work.ts';
import type { Target } from './target.ts';
import { startTargets } from './targets.ts';

/**
 * Users come into being when they are first needed. IMAP processes are used again, as those of a large provider are: starting one costs more than
 * all that a poll asks of it, and would hide what is measured.
 */
const SERVER_CONFIG = `passdb {
  driver = static
  args = password=${PASSWORD}
}
service imap {
  service_count = 1000
}`;

/** Has to be disposed of. */
export class Site implements AsyncDisposable {
  readonly targets: readonly Target[];
  readonly #stack: AsyncDisposableStack;
  readonly #dovecot: Dovecot;
  readonly #spool: MailSpool;
  readonly #proxy: ProxyHandle;
  readonly #octets = new Map<string, number>();
  #fresh = 0;

  private constructor(stack: AsyncDisposableStack, dovecot: Dovecot, spool: MailSpool, proxy: ProxyHandle, targets: readonly Target[]) {
    this.#stack = stack;
    this.#dovecot = dovecot;
    this.#spool = spool;
    this.#proxy = proxy;
    this.targets = targets;
  }

  static async start(options: BenchOptions): Promise<Site> {
    await using stack = new AsyncDisposableStack();
    const dovecot = stack.use(await Dovecot.start({ users: {}, extra: SERVER_CONFIG }));
    const proxy = stack.use(new ProxyHandle());
    const targets = await startTargets(stack, dovecot, proxy, options);
    return new Site(stack.move(), dovecot, await MailSpool.open(dovecot.folder), proxy, targets);
  }

  /** How far away the IMAP server is from now on. */
  async delay(rttMs: number): Promise<void> {
    await this.#proxy.delay(rttMs);
  }

  /** What has passed through the proxy for a target. */
  async traffic({ link }: Target): ReturnType<ProxyHandle['traffic']> {
    if (link === undefined) throw new Error('no link to look at');
    return this.#proxy.traffic(link);
  }

  /** A user with such a mailbox, always the same for the same number; the server has read it before. */
  async user(mailbox: MailboxKind, number: number | string = 0): Promise<string> {
    const user = `${mailbox.kind}-${mailbox.messages}-${number}`;
    if (!this.#octets.has(user)) {
      this.#octets.set(user, this.#spool.fill(user, mailbox));
      await rawWork(this.#dovecot.ports.imap, false, { do: 'poll', user, messages: mailbox.messages });
    }
    return user;
  }

  /** A user with such a mailbox whom nobody knows yet. */
  async freshUser(mailbox: MailboxKind): Promise<string> {
    this.#fresh += 1;
    return this.user(mailbox, `fresh-${this.#fresh}`);
  }

  /** Of all the messages of a user. */
  octets(user: string): number {
    return this.#octets.get(user) ?? 0;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }
}
