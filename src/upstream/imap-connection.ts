/**
 * One connection to an IMAP server, logged in: imapflow for what is rare and delicate, the pipeline for what is much. Both take turns:
 * whatever reads in the selected mailbox runs side by side, all else alone.
 */
import type { Cancel, Clock } from '../clock.ts';
import { UpstreamError } from '../errors.ts';
import { isUid, isUidValidity, type UidValidity } from '../maildrop/numbers.ts';
import { unlessAborted, withDeadline, type Deadline } from './deadline.ts';
import type { GatedSocket } from './gated-socket.ts';
import { Holding, type Holder } from './holding.ts';
import { ImapflowClient, type UpstreamEndpoint } from './imapflow-client.ts';
import { commandFailure, loginFailure } from './imapflow-failure.ts';
import type { ListingAheadRequest } from './listing-ahead.ts';
import { learnNamespaces, tellId } from './introduction.ts';
import { Pipeline, type Collector } from './pipeline.ts';
import { Turnstile, type Leave } from './turnstile.ts';
import type { UpstreamLogin } from './upstream.ts';

/** What SELECT told of a mailbox. */
export interface SelectedMailbox {
  readonly path: string;
  readonly uidValidity: UidValidity;
  /** 0 where the server told none. */
  readonly uidNext: number;
  readonly exists: number;
  readonly isReadOnly: boolean;
  /** The news of the connection when it was selected: with more of them it is no longer what it was. */
  readonly news: number;
}

export interface Patience {
  /** It may wait for a client that reads slowly: nobody has to give up what he read ahead. */
  readonly isPatient?: boolean;
  /** Who waits, where it may be one that holds the server up himself. */
  readonly behalf?: Holder;
}

export type Limit = Pick<Deadline, 'ms' | 'progress'>;

/** However long the login took, SELECT gets this long. */
const MIN_SELECT_MS = 1_000;

export class ImapConnection {
  readonly client: ImapflowClient;
  readonly pipeline: Pipeline;
  readonly holding: Holding;
  /** `host:port`. */
  readonly server: string;
  readonly timeoutMs: number;
  readonly #endpoint: UpstreamEndpoint;
  readonly #clock: Clock;
  readonly #loginEndsAt: number;
  readonly #turnstile = new Turnstile();
  readonly #gate: GatedSocket;
  #selected: SelectedMailbox | undefined;
  /** The server has one selected. */
  #hasMailbox = false;
  #hasSelected = false;
  #selecting: Promise<void> | undefined;
  #greeted: Promise<void> | undefined;
  #namespaces: Promise<void> | undefined;

  private constructor(client: ImapflowClient, endpoint: UpstreamEndpoint, clock: Clock, loginEndsAt: number) {
    this.client = client;
    this.server = `${endpoint.host.toLowerCase()}:${endpoint.port}`;
    this.timeoutMs = endpoint.commandTimeoutMs;
    this.#endpoint = endpoint;
    this.#clock = clock;
    this.#loginEndsAt = loginEndsAt;
    this.pipeline = new Pipeline({ clock, timeoutMs: this.timeoutMs, destroy: () => this.destroy() });
    this.holding = new Holding(clock, this.pipeline);
    this.#gate = client.transport.keep(this.pipeline);
    this.pipeline.attach(this.#gate);
  }

  /** Connects, secures and authenticates, in all within the command timeout. Rejects with UpstreamError, or CredentialsError. */
  static async open(endpoint: UpstreamEndpoint, login: UpstreamLogin, clock: Clock, signal: AbortSignal): Promise<ImapConnection> {
    const client = new ImapflowClient(endpoint, login);
    const loginEndsAt = clock.monotonic() + endpoint.commandTimeoutMs;
    const deadline = { clock, ms: endpoint.commandTimeoutMs, signal, onExpire: () => client.destroy() };
    try {
      await withDeadline(deadline, () => client.connect(clock));
    } catch (error) {
      client.destroy();
      throw throttled(client, error) ?? loginFailure(error, login, client.transport.shownCertificate);
    }
    client.forgetPassword();
    if (client.wasPreauthenticated) {
      // We would be served somebody's mail, and nobody proved whose.
      client.destroy();
      throw new UpstreamError('refused', 'the server greeted with PREAUTH, so the password was never checked');
    }
    return new ImapConnection(client, endpoint, clock, loginEndsAt);
  }

  get isUsable(): boolean {
    return this.client.isUsable;
  }

  has(capability: string): boolean {
    return this.client.flow.capabilities.has(capability);
  }

  /**
   * Whether the server tells at once what others do in a selected mailbox, and shows others at once what is done there. With CONDSTORE
   * (RFC 7162) each change has a number in the mailbox itself. Others may keep a view of their own for as long as the mailbox is selected:
   * GNU imap4d writes it over what came meanwhile, UW's server keeps flags in it.
   */
  get isLive(): boolean {
    return this.has('CONDSTORE');
  }

  /** One that is not live must have no mailbox selected while nobody uses it. */
  get canRest(): boolean {
    return this.isLive || !this.#hasMailbox || this.has('UNSELECT');
  }

  /** Lets go of a mailbox that is not live. False where the connection is of no use any more. Never rejects. */
  async rest(): Promise<boolean> {
    const { signal } = new AbortController();
    const done = this.#letGo(signal);
    // Who comes now waits for that, and selects afresh.
    if (!this.isLive) this.#selected = undefined;
    return done.then(
      () => this.isUsable,
      () => false,
    );
  }

  /** Makes others see what was done in the mailbox. Rejects with UpstreamError. */
  async settle(mailbox: SelectedMailbox, signal: AbortSignal): Promise<void> {
    if (this.isLive) return;
    const told = this.has('UNSELECT') ? this.#letGo(signal) : this.command(mailbox, 'CHECK', signal);
    await told.catch(unlessRefused);
  }

  /** The mailbox if it is selected, and the server told nothing new of it since. */
  kept(path: string): SelectedMailbox | undefined {
    const selected = this.isLive ? this.#selected : undefined;
    return selected?.path === path && selected.news === this.pipeline.news && this.#isSelected(selected) ? selected : undefined;
  }

  /** Sends a command of our own in a mailbox. Rejects with UpstreamError as the answer is classified, and when the signal aborts. */
  async command(mailbox: SelectedMailbox, text: string, signal: AbortSignal, collector?: Collector, how?: Patience): Promise<void> {
    const leave = await this.reading(mailbox, signal, how);
    // What is under way is waited for all the same: the connection is good for others.
    const done = this.pipeline.command(text, collector).then(leave, (error: unknown) => {
      leave();
      throw error;
    });
    await unlessAborted(done, signal, 'cancelled');
  }

  /** Runs an operation of imapflow when nothing else runs. Rejects with UpstreamError. */
  async control<T>(signal: AbortSignal, operation: () => Promise<T>, limit: Limit = { ms: this.timeoutMs }): Promise<T> {
    const answered = this.holding.wait();
    try {
      const leave = await this.#enter({}, signal);
      return await this.#guard(signal, operation, limit).finally(leave);
    } finally {
      answered();
    }
  }

  /** The same within a mailbox, which is selected again where another one was meanwhile. */
  async controlWithin<T>(mailbox: SelectedMailbox, signal: AbortSignal, operation: () => Promise<T>, limit?: Limit): Promise<T> {
    const within = async (): Promise<T> => {
      await this.#need(mailbox);
      return operation();
    };
    return this.control(signal, within, limit);
  }

  /** Enters a mailbox to read in it, side by side with others who do; what this gives leaves it. */
  async reading(mailbox: SelectedMailbox, signal: AbortSignal, how: Patience = {}): Promise<Leave> {
    const answered = how.isPatient === true ? () => {} : this.holding.wait(how.behalf);
    try {
      // Who reads in one mailbox shares a lane.
      const leave = await this.#enter(`${mailbox.uidValidity} ${mailbox.path}`, signal);
      await this.#selectWithin(mailbox, signal).catch((error: unknown) => {
        leave();
        throw error;
      });
      return () => {
        leave();
        answered();
      };
    } catch (error) {
      answered();
      throw error;
    }
  }

  /** For who is in a mailbox's lane: the first selects it, where another one is selected, and the others wait for that. */
  async #selectWithin(mailbox: SelectedMailbox, signal: AbortSignal): Promise<void> {
    if (this.#isSelected(mailbox)) return;
    this.#selecting ??= this.#guard(signal, () => this.#need(mailbox), { ms: this.timeoutMs }).finally(() => {
      this.#selecting = undefined;
    });
    await this.#selecting;
  }

  /** True while somebody waits for the connection that whoever reads keeps from it. */
  get isWanted(): boolean {
    return this.#turnstile.isWantedByOthers;
  }

  /** Selects a mailbox, also one that is selected already. What is asked for together with that ends before anything else begins. */
  async select(path: string, signal: AbortSignal, ahead?: ListingAheadRequest): Promise<SelectedMailbox> {
    // SELECT is the last part of a login, which has to end within the command timeout in all.
    const left = this.#loginEndsAt - this.#clock.monotonic();
    const ms = this.#hasSelected ? this.timeoutMs : Math.max(MIN_SELECT_MS, left);
    const answered = this.holding.wait();
    try {
      // Selected again as it is, it might be the same old view.
      if (this.has('UNSELECT')) await this.#letGo(signal).catch(unlessRefused);
      const leave = await this.#enter({}, signal);
      if (ahead !== undefined) this.#gate.behindSelect(() => ahead.send());
      try {
        return await this.#guard(signal, () => this.#open(path), { ms });
      } finally {
        this.#gate.behindSelect(undefined);
        void (ahead?.answer() ?? Promise.resolve()).catch(() => {}).finally(leave);
      }
    } finally {
      answered();
    }
  }

  /** Makes sure that the namespaces are known, of which imapflow makes paths. */
  namespaces(signal: AbortSignal): Promise<void> {
    return this.control(signal, () => this.#learnNamespaces());
  }

  async logout(): Promise<void> {
    try {
      if (this.isUsable) await this.control(new AbortController().signal, () => this.client.flow.logout());
    } catch {
      // The server may close before its answer; either way the connection is gone.
    }
    this.destroy();
  }

  destroy(): void {
    this.client.destroy();
  }

  /** Ends the connection after that time, unless what this gives is called before. */
  destroyAfter(ms: number): Cancel {
    return this.#clock.after(Math.min(ms, this.timeoutMs), () => this.destroy());
  }

  /** UNSELECT (RFC 3691), where a mailbox is selected that is not live; who needs it selects it again. Never CLOSE, which expunges. */
  async #letGo(signal: AbortSignal): Promise<void> {
    if (this.isLive || !this.#hasMailbox) return;
    await this.control(signal, async () => {
      if (!this.#hasMailbox) return;
      this.#hasMailbox = false;
      this.#selected = undefined;
      await this.pipeline.command('UNSELECT');
    });
  }

  async #enter(lane: unknown, signal: AbortSignal): Promise<Leave> {
    const leave = await this.#turnstile.enter(lane);
    if (this.isUsable && !signal.aborted) return leave;
    leave();
    throw new UpstreamError('unreachable', signal.aborted ? 'cancelled' : 'the connection to the upstream was lost');
  }

  async #guard<T>(signal: AbortSignal, operation: () => Promise<T>, limit: Limit): Promise<T> {
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

  #isSelected({ path, uidValidity }: SelectedMailbox): boolean {
    return this.#selected?.path === path && this.#selected.uidValidity === uidValidity && this.client.flow.mailbox !== false;
  }

  async #need(mailbox: SelectedMailbox): Promise<void> {
    if (this.#isSelected(mailbox)) return;
    const { uidValidity } = await this.#open(mailbox.path);
    if (uidValidity !== mailbox.uidValidity) {
      throw new UpstreamError('protocol', `UIDVALIDITY of ${mailbox.path} changed during the session`);
    }
  }

  async #open(path: string): Promise<SelectedMailbox> {
    const { flow } = this.client;
    this.#selected = undefined;
    this.#hasMailbox = false;
    const greeted = this.#greet();
    if (path !== 'INBOX') await this.#learnNamespaces();
    this.client.skipListing(path);
    const selected = await flow.mailboxOpen(path);
    this.#hasMailbox = true;
    await greeted;
    const uidValidity = Number(selected.uidValidity);
    if (!isUidValidity(uidValidity)) throw new UpstreamError('protocol', `${path} has no valid UIDVALIDITY`);
    const uidNext = isUid(selected.uidNext) ? selected.uidNext : 0;
    this.#hasSelected = true;
    const { exists, news } = this.pipeline;
    this.#selected = { path: selected.path, uidValidity, uidNext, exists, isReadOnly: selected.readOnly === true, news };
    return this.#selected;
  }

  /** Tells who we are (RFC 2971), together with the first SELECT: some servers refuse it else. They may refuse ID as well. */
  #greet(): Promise<void> {
    const { sendsId, clientInfo } = this.#endpoint;
    this.#greeted ??= sendsId && this.has('ID') ? tellId(this.pipeline, clientInfo) : Promise.resolve();
    this.#greeted.catch(() => {});
    return this.#greeted;
  }

  #learnNamespaces(): Promise<void> {
    this.#namespaces ??= learnNamespaces(this).catch((error: unknown) => {
      this.#namespaces = undefined;
      throw error;
    });
    return this.#namespaces;
  }
}

/** A server that will not do more has done what it can. */
function unlessRefused(error: unknown): void {
  if (!(error instanceof UpstreamError) || error.kind !== 'refused') throw error;
}

function throttled({ throttledForMs }: ImapflowClient, cause: unknown): UpstreamError | undefined {
  if (throttledForMs === undefined) return undefined;
  return new UpstreamError('throttled', 'the upstream throttles', { cause, retryAfterMs: throttledForMs });
}
