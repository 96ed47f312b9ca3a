/** Logs in to an IMAP server through imapflow and opens mailboxes there. */
import type { Clock } from '../clock.ts';
import { UpstreamError } from '../errors.ts';
import { isUidValidity, type UidValidity } from '../maildrop/numbers.ts';
import { withDeadline, type Deadline } from './deadline.ts';
import { ImapflowClient, type UpstreamEndpoint } from './imapflow-client.ts';
import { commandFailure, loginFailure } from './imapflow-failure.ts';
import { listFolders } from './imapflow-folders.ts';
import { ImapflowMailbox } from './imapflow-mailbox.ts';
import type { FolderList, Upstream, UpstreamAbilities, UpstreamLogin, UpstreamMailbox, UpstreamSession } from './upstream.ts';

export class ImapflowUpstream implements Upstream {
  readonly #endpoint: UpstreamEndpoint;
  readonly #clock: Clock;

  constructor(endpoint: UpstreamEndpoint, clock: Clock) {
    this.#endpoint = endpoint;
    this.#clock = clock;
  }

  /** Connects, secures and authenticates, in all within the command timeout. */
  async login(login: UpstreamLogin, signal: AbortSignal): Promise<UpstreamSession> {
    const client = new ImapflowClient(this.#endpoint, login);
    const loginEndsAt = this.#clock.monotonic() + this.#endpoint.commandTimeoutMs;
    const deadline = { clock: this.#clock, ms: this.#endpoint.commandTimeoutMs, signal, onExpire: () => client.destroy() };
    try {
      await withDeadline(deadline, () => client.flow.connect());
    } catch (error) {
      client.destroy();
      throw throttled(client, error) ?? loginFailure(error, login);
    }
    if (client.wasPreauthenticated) {
      // We would be served somebody's mail, and nobody proved whose.
      client.destroy();
      throw new UpstreamError('refused', 'the server greeted with PREAUTH, so the password was never checked');
    }
    return new ImapflowSession(client, this.#endpoint, this.#clock, loginEndsAt);
  }
}

/** Runs one upstream operation under the deadline; shared by a session and its mailboxes. */
export interface OperationRunner {
  readonly client: ImapflowClient;
  /** The operation must end within the command timeout. */
  run<T>(signal: AbortSignal, operation: () => Promise<T>): Promise<T>;
  /** Octets received count as progress: for operations that bring much. */
  runLong<T>(signal: AbortSignal, operation: () => Promise<T>): Promise<T>;
}

type Limit = Pick<Deadline, 'ms' | 'progress'>;

/** A mailbox that operations need to find selected. */
interface Selectable {
  readonly path: string;
  readonly uidValidity: UidValidity;
}

/** However long the login took, SELECT gets this long. */
const MIN_SELECT_MS = 1_000;

class ImapflowSession implements UpstreamSession, OperationRunner {
  readonly client: ImapflowClient;
  readonly server: string;
  readonly #timeoutMs: number;
  readonly #clock: Clock;
  readonly #loginEndsAt: number;
  #operations = 1;
  #last: Promise<unknown> = Promise.resolve();
  #unlock: () => void = () => {};

  constructor(client: ImapflowClient, endpoint: UpstreamEndpoint, clock: Clock, loginEndsAt: number) {
    this.#loginEndsAt = loginEndsAt;
    this.client = client;
    this.server = `${endpoint.host.toLowerCase()}:${endpoint.port}`;
    this.#timeoutMs = endpoint.commandTimeoutMs;
    this.#clock = clock;
  }

  get abilities(): UpstreamAbilities {
    const capabilities = [...this.client.flow.capabilities.keys()];
    return { capabilities, move: capabilities.includes('MOVE'), uidPlus: capabilities.includes('UIDPLUS') };
  }

  get isUsable(): boolean {
    return this.client.isUsable;
  }

  get operations(): number {
    return this.#operations;
  }

  async select(path: string, signal: AbortSignal): Promise<UpstreamMailbox> {
    // SELECT is the last part of a login, which has to end within the command timeout in all.
    const left = Math.max(MIN_SELECT_MS, this.#loginEndsAt - this.#clock.monotonic());
    const selected = await this.#guard(signal, () => this.#open(path), { ms: left });
    return new ImapflowMailbox(this.#runnerFor(selected), selected);
  }

  folders(signal: AbortSignal): Promise<FolderList> {
    return listFolders(this, signal);
  }

  run<T>(signal: AbortSignal, operation: () => Promise<T>): Promise<T> {
    return this.#guard(signal, operation, { ms: this.#timeoutMs });
  }

  runLong<T>(signal: AbortSignal, operation: () => Promise<T>): Promise<T> {
    return this.#guard(signal, operation, { ms: this.#timeoutMs, progress: () => this.client.transport.octetsReceived });
  }

  async logout(): Promise<void> {
    try {
      if (this.isUsable) await this.run(new AbortController().signal, () => this.client.flow.logout());
    } catch {
      // The server may close before its answer; either way the connection is gone.
    }
    this.client.destroy();
  }

  destroy(): void {
    this.client.destroy();
  }

  /** Runs operations on that mailbox, which it selects again where another one was selected meanwhile. */
  #runnerFor(mailbox: Selectable): OperationRunner {
    return {
      client: this.client,
      run: (signal, operation) => this.run(signal, () => this.#within(mailbox, operation)),
      runLong: (signal, operation) => this.runLong(signal, () => this.#within(mailbox, operation)),
    };
  }

  async #within<T>(mailbox: Selectable, operation: () => Promise<T>): Promise<T> {
    const { mailbox: selected } = this.client.flow;
    if (selected !== false && selected.path === mailbox.path) return operation();
    this.#operations += 1;
    const { uidValidity } = await this.#open(mailbox.path);
    if (uidValidity !== mailbox.uidValidity)
      throw new UpstreamError('protocol', `UIDVALIDITY of ${mailbox.path} changed during the session`);
    return operation();
  }

  async #open(path: string): Promise<Selectable & { readonly isReadOnly: boolean }> {
    const { flow } = this.client;
    this.#unlock();
    this.#unlock = () => {};
    // The lock is held as long as the mailbox is open: only then does imapflow keep a quiet connection alive.
    const lock = await flow.getMailboxLock(path);
    this.#unlock = () => lock.release();
    const selected = flow.mailbox;
    if (selected === false) throw new UpstreamError('protocol', `${path} was opened, yet is not selected`);
    const uidValidity = Number(selected.uidValidity);
    if (!isUidValidity(uidValidity)) throw new UpstreamError('protocol', `${path} has no valid UIDVALIDITY`);
    return { path: selected.path, uidValidity, isReadOnly: selected.readOnly === true };
  }

  /** One operation at a time, as imapflow works: a deadline must not run while the operation only waits for its turn. */
  #guard<T>(signal: AbortSignal, operation: () => Promise<T>, limit: Limit): Promise<T> {
    const turn = this.#last.then(() => this.#runNow(signal, operation, limit));
    this.#last = turn.catch(() => {});
    return turn;
  }

  async #runNow<T>(signal: AbortSignal, operation: () => Promise<T>, limit: Limit): Promise<T> {
    if (!this.isUsable) throw new UpstreamError('unreachable', 'the connection to the upstream was lost');
    this.#operations += 1;
    this.client.takeRefusal();
    const { client } = this;
    const deadline = { clock: this.#clock, signal, onExpire: () => client.destroy(), ...limit };
    const result = await withDeadline(deadline, operation).catch((error: unknown) => {
      throw throttled(client, error) ?? commandFailure(error);
    });
    // Where imapflow says no more than `false`.
    const failure = throttled(client, undefined);
    if (failure !== undefined) throw failure;
    return result;
  }
}

function throttled({ throttledForMs }: ImapflowClient, cause: unknown): UpstreamError | undefined {
  if (throttledForMs === undefined) return undefined;
  return new UpstreamError('throttled', 'the upstream throttles', { cause, retryAfterMs: throttledForMs });
}
