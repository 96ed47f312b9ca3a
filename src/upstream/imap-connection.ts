/**
 * One connection to an IMAP server. imapflow greets, secures and logs in; all else are commands of our own, in the pipeline. They take turns:
 * whatever reads in the selected mailbox runs side by side, all else alone.
 */
import type { Cancel, Clock } from '../clock.ts';
import { isRefusal, UpstreamError } from '../errors.ts';
import { SelectAnswer } from '../imap/select-answer.ts';
import type { AccountMemory } from './account-memory.ts';
import { unlessAborted, withDeadline } from './deadline.ts';
import { FolderCommands } from './folder-commands.ts';
import { Holding, type Holder } from './holding.ts';
import { logIn, type LoginParts } from './imap-login.ts';
import type { ImapflowClient, UpstreamEndpoint } from './imapflow-client.ts';
import { tellId } from './introduction.ts';
import type { ListingAheadRequest } from './listing-ahead.ts';
import { Pipeline, type Collector } from './pipeline.ts';
import { selectedMailbox, type SelectedMailbox, type UpstreamLimits } from './selected-mailbox.ts';
import type { ServerHabits } from './server-habits.ts';
import { Turnstile, type Leave } from './turnstile.ts';
import type { UpstreamLogin } from './upstream.ts';

/** What a connection is made of. */
export interface ConnectionParts extends LoginParts {
  readonly limits: UpstreamLimits;
  /** Of the account that logs in. */
  readonly memory: AccountMemory;
}

export interface Patience {
  /** It may wait for a client that reads slowly: nobody has to give up what he read ahead. */
  readonly isPatient?: boolean;
  /** Who waits, where it may be one that holds the server up himself. */
  readonly behalf?: Holder;
}

/** However long the login took, SELECT gets this long. */
const MIN_SELECT_MS = 1_000;
/** After so many connections that ended when a folder was opened, another one is of no use. */
const MAX_CUTS = 2;

export class ImapConnection {
  readonly client: ImapflowClient;
  readonly pipeline: Pipeline;
  readonly holding: Holding;
  readonly folders: FolderCommands;
  readonly memory: AccountMemory;
  readonly habits: ServerHabits;
  readonly limits: UpstreamLimits;
  /** `host:port`. */
  readonly server: string;
  readonly timeoutMs: number;
  /** Sessions that use it, as the pool counts them: while there are several, none of them ends it. */
  sessions = 1;
  readonly #endpoint: UpstreamEndpoint;
  readonly #clock: Clock;
  readonly #loginEndsAt: number;
  readonly #turnstile = new Turnstile();
  #selected: SelectedMailbox | undefined;
  /** The server has one selected. */
  #hasMailbox = false;
  #hasSelected = false;
  #selecting: Promise<void> | undefined;
  #greeted: Promise<void> | undefined;

  private constructor(client: ImapflowClient, parts: ConnectionParts, loginEndsAt: number) {
    const { endpoint, clock, memory } = parts;
    this.client = client;
    this.memory = memory;
    this.habits = parts.habits;
    this.limits = parts.limits;
    this.server = `${endpoint.host.toLowerCase()}:${endpoint.port}`;
    this.timeoutMs = endpoint.commandTimeoutMs;
    this.#endpoint = endpoint;
    this.#clock = clock;
    this.#loginEndsAt = loginEndsAt;
    this.pipeline = new Pipeline({
      clock,
      timeoutMs: this.timeoutMs,
      habits: this.habits,
      maxMessages: this.limits.messages,
      destroy: () => this.destroy(),
    });
    this.holding = new Holding(clock, this.pipeline);
    this.folders = new FolderCommands(this.pipeline, this, memory);
    this.pipeline.attach(client.transport.keep(this.pipeline));
  }

  /** Connects, secures and authenticates, in all within the command timeout. Rejects with UpstreamError, or CredentialsError. */
  static async open(parts: ConnectionParts, login: UpstreamLogin, signal: AbortSignal): Promise<ImapConnection> {
    const { endpoint, clock } = parts;
    const loginEndsAt = clock.monotonic() + endpoint.commandTimeoutMs;
    const client = await logIn(parts, login, loginEndsAt, signal);
    return new ImapConnection(client, parts, loginEndsAt);
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
    const found = this.memory.foundAt(path) ?? path;
    return selected?.path === found && selected.news === this.pipeline.news && this.#isSelected(selected) ? selected : undefined;
  }

  /** Sends a command in a mailbox. Rejects with UpstreamError as the answer is classified, and when the signal aborts. */
  async command(mailbox: SelectedMailbox, text: string, signal: AbortSignal, collector?: Collector, how?: Patience): Promise<void> {
    const leave = await this.reading(mailbox, signal, how);
    // What is under way is waited for all the same: the connection is good for others.
    const done = this.pipeline.command(text, collector).then(leave, (error: unknown) => {
      leave();
      throw error;
    });
    await unlessAborted(done, signal, 'cancelled');
  }

  /**
   * Runs commands when nothing else runs, within the command timeout in all. Rejects with UpstreamError, also when the signal aborts; then the
   * commands go on, for the connection is good for others.
   */
  async alone<T>(signal: AbortSignal, operation: () => Promise<T>, ms = this.timeoutMs): Promise<T> {
    const answered = this.holding.wait();
    try {
      const leave = await this.#enter({}, signal);
      return await unlessAborted(this.#timed(ms, operation).finally(leave), signal, 'cancelled');
    } finally {
      answered();
    }
  }

  /** The same within a mailbox, which is selected again where another one was meanwhile. */
  async aloneIn<T>(mailbox: SelectedMailbox, signal: AbortSignal, operation: () => Promise<T>): Promise<T> {
    return this.alone(signal, async () => {
      await this.#need(mailbox);
      return operation();
    });
  }

  /** Enters a mailbox to read in it, side by side with others who do; what this gives leaves it. */
  async reading(mailbox: SelectedMailbox, signal: AbortSignal, how: Patience = {}): Promise<Leave> {
    const answered = how.isPatient === true ? () => {} : this.holding.wait(how.behalf);
    try {
      // Who reads in one mailbox shares a lane.
      const leave = await this.#enter(`${mailbox.uidValidity} ${mailbox.path}`, signal);
      await this.#selectWithin(mailbox).catch((error: unknown) => {
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
  async #selectWithin(mailbox: SelectedMailbox): Promise<void> {
    if (this.#isSelected(mailbox)) return;
    this.#selecting ??= this.#timed(this.timeoutMs, () => this.#need(mailbox)).finally(() => {
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
      const opened = this.#timed(ms, () => this.#openNoting(path, ahead, signal)).finally(() => {
        void (ahead?.answer() ?? Promise.resolve()).catch(() => {}).finally(leave);
      });
      return await unlessAborted(opened, signal, 'cancelled');
    } finally {
      answered();
    }
  }

  async logout(): Promise<void> {
    try {
      if (this.isUsable) await this.alone(new AbortController().signal, () => this.pipeline.ask('LOGOUT', {}));
    } catch {
      // The server may close before its answer; either way the connection is gone.
    }
    this.destroy();
  }

  destroy(): void {
    this.client.destroy();
  }

  /** Ends the connection after that time, unless what this gives is called before. For a connection that nobody else uses. */
  destroyAfter(ms: number): Cancel {
    return this.#clock.after(Math.min(ms, this.timeoutMs), () => this.destroy());
  }

  /** UNSELECT (RFC 3691), where a mailbox is selected that is not live; who needs it selects it again. Never CLOSE, which expunges. */
  async #letGo(signal: AbortSignal): Promise<void> {
    if (this.isLive || !this.#hasMailbox) return;
    await this.alone(signal, async () => {
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

  /** The time counts from when the commands are sent: a connection that waits for another session's client is in good order. */
  #timed<T>(ms: number, operation: () => Promise<T>): Promise<T> {
    const { signal } = new AbortController();
    return withDeadline(
      { clock: this.#clock, ms, signal, isPaused: () => this.pipeline.isHeld, onExpire: () => this.destroy() },
      operation,
    );
  }

  #isSelected({ path, uidValidity }: SelectedMailbox): boolean {
    return this.#selected?.path === path && this.#selected.uidValidity === uidValidity;
  }

  async #need(mailbox: SelectedMailbox): Promise<void> {
    if (this.#isSelected(mailbox)) return;
    const { uidValidity } = await this.#open(mailbox.path);
    if (uidValidity !== mailbox.uidValidity) {
      throw new UpstreamError('protocol', `UIDVALIDITY of ${mailbox.path} changed during the session`);
    }
  }

  /** Remembers whether the folder is there at all. */
  async #openNoting(path: string, ahead: ListingAheadRequest | undefined, signal: AbortSignal): Promise<SelectedMailbox> {
    try {
      const mailbox = await this.#open(path, ahead);
      this.memory.noteMissing(path, false);
      return mailbox;
    } catch (error) {
      if (error instanceof UpstreamError && error.kind === 'missing') this.memory.noteMissing(path, true);
      if (!(error instanceof UpstreamError) || error.kind !== 'unreachable' || signal.aborted) throw error;
      this.memory.noteCut(path);
      if (this.memory.cuts(path) > MAX_CUTS) throw error;
      throw new UpstreamError('cut-while-listing', `the server ended the connection when ${path} was opened`, { cause: error });
    }
  }

  /** Under its path as given, else under the one where the folders of the user are. */
  async #open(path: string, ahead?: ListingAheadRequest): Promise<SelectedMailbox> {
    const known = this.memory.foundAt(path);
    if (known !== undefined) return this.#openAt(known, ahead);
    try {
      return await this.#openAt(path, ahead);
    } catch (error) {
      const other = await this.folders.elsewhere(path, error);
      if (other === undefined) throw error;
      const found = await this.#openAt(other, ahead);
      this.memory.noteFound(path, other);
      return found;
    }
  }

  async #openAt(path: string, ahead: ListingAheadRequest | undefined): Promise<SelectedMailbox> {
    this.#selected = undefined;
    this.#hasMailbox = false;
    const greeted = this.#greet();
    this.pipeline.forgetMailbox();
    const answer = new SelectAnswer();
    const done = this.folders.select(path, answer);
    ahead?.send();
    const text = await done;
    this.#hasMailbox = true;
    this.#hasSelected = true;
    await greeted;
    // The server may have told more by now: how many messages there are and the news that say so have to be of one moment.
    const { exists, news } = this.pipeline;
    const now = { exists: answer.exists === undefined ? undefined : exists, news };
    this.#selected = selectedMailbox(path, answer, answer.isReadOnly(text), now, this.limits);
    this.pipeline.noteUidValidity(this.#selected.uidValidity);
    return this.#selected;
  }

  /** Tells who we are (RFC 2971), together with the first SELECT: some servers refuse it else. They may refuse ID as well. */
  #greet(): Promise<void> {
    const { sendsId, clientInfo } = this.#endpoint;
    this.#greeted ??= sendsId && this.has('ID') ? tellId(this.pipeline, clientInfo) : Promise.resolve();
    this.#greeted.catch(() => {});
    return this.#greeted;
  }
}

/** A server that will not do more has done what it can. */
function unlessRefused(error: unknown): void {
  if (!isRefusal(error)) throw error;
}
