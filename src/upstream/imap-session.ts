/** One user of a connection: a POP3 session, or work between sessions. Several may share a connection; each counts what it does. */
import { UpstreamError } from '../errors.ts';
import type { BodyCache } from './body-cache.ts';
import type { Lease } from './connection-pool.ts';
import { heardOf } from './finding.ts';
import type { ImapConnection, Patience } from './imap-connection.ts';
import { ImapMailbox } from './imap-mailbox.ts';
import { ListingAheadRequest, type ListingAhead } from './listing-ahead.ts';
import type { Collector } from './pipeline.ts';
import type { ReadAheadBudget } from './read-ahead.ts';
import type { SelectedMailbox } from './selected-mailbox.ts';
import {
  NOTHING_KNOWN,
  type FolderList,
  type Purpose,
  type UpstreamAbilities,
  type UpstreamMailbox,
  type UpstreamSession,
} from './upstream.ts';

/** Runs commands in one mailbox, and counts them. */
export interface MailboxRunner {
  readonly connection: ImapConnection;
  /** Sends a command in the mailbox; rejects with UpstreamError as the answer is classified. */
  command(text: string, signal: AbortSignal, collector?: Collector, how?: Patience): Promise<void>;
  /** Runs commands while nothing else runs on the connection, within the command timeout. */
  alone<T>(signal: AbortSignal, operation: (connection: ImapConnection) => Promise<T>): Promise<T>;
  /** The same in the mailbox. */
  aloneIn<T>(signal: AbortSignal, operation: (connection: ImapConnection) => Promise<T>): Promise<T>;
  /** What the command counts for. */
  count(): void;
}

export interface ImapSessionParts {
  readonly lease: Lease;
  readonly user: string;
  readonly budget: ReadAheadBudget;
  readonly bodies: BodyCache;
}

/** A connection that was kept and does not answer within this time is dead. */
const PROBE_MS = 5_000;
/** Any connection may be lost once. */
const FATAL_CUTS = 2;

export class ImapSession implements UpstreamSession {
  readonly #parts: ImapSessionParts;
  readonly #mailboxes = new Set<ImapMailbox>();
  #operations: number;
  readonly #onEnd: (() => void)[] = [];
  #hasLeft = false;

  constructor(parts: ImapSessionParts) {
    this.#parts = parts;
    this.#operations = parts.lease.isKept ? 0 : 1;
  }

  get server(): string {
    return this.#connection.server;
  }

  get abilities(): UpstreamAbilities {
    const { habits, client } = this.#connection;
    const capabilities = [...client.flow.capabilities.keys()];
    return {
      capabilities,
      move: capabilities.includes('MOVE') && !habits.refusesMove,
      uidPlus: capabilities.includes('UIDPLUS') && !habits.refusesUidExpunge,
      condstore: capabilities.includes('CONDSTORE'),
    };
  }

  get isUsable(): boolean {
    return !this.#hasLeft && this.#connection.isUsable;
  }

  get isKept(): boolean {
    return this.#parts.lease.isKept;
  }

  get operations(): number {
    return this.#operations;
  }

  /** A mailbox that is still selected, and of which the server has no news, need not be selected again. */
  async select(path: string, signal: AbortSignal, purpose: Purpose = { for: 'other' }): Promise<UpstreamMailbox> {
    this.#checkUsable();
    const kept = this.#connection.kept(path);
    if (kept !== undefined) {
      const known = purpose.for === 'listing' ? purpose.known : undefined;
      const memory = this.#connection.memory.mailbox(kept.path, kept.uidValidity);
      const heard = await this.#probe(() => heardOf(this.#runnerFor(kept), { known, memory }, signal));
      const isSame = this.#connection.kept(path) === kept;
      // SELECT told its HIGHESTMODSEQ a while ago.
      const mailbox = { ...kept, modSeq: undefined };
      if (isSame) return this.#mailbox(mailbox, Promise.resolve({ news: kept.news, rows: undefined, ...heard }));
    }
    this.#operations += 1;
    if (purpose.for === 'other') return this.#mailbox(await this.#connection.select(path, signal));
    // One that the server hangs up over is asked about step by step.
    const isCareful = this.#connection.memory.cuts(path) > 0;
    const ahead = new ListingAheadRequest(
      this.#connection.pipeline,
      this.#connection,
      isCareful && purpose.for === 'first-listing' ? { for: 'listing', known: NOTHING_KNOWN } : purpose,
    );
    const selected = await this.#connection.select(path, signal, ahead);
    this.#operations += ahead.commands;
    return this.#mailbox(selected, ahead.answer());
  }

  folders(signal: AbortSignal): Promise<FolderList> {
    this.#checkUsable();
    this.#operations += 1;
    return this.#connection.alone(signal, () => this.#connection.folders.list());
  }

  isFatal(path: string): boolean {
    return this.#connection.memory.cuts(path) >= FATAL_CUTS;
  }

  wasMissing(path: string): boolean {
    return this.#connection.memory.wasMissing(path);
  }

  /** Nobody else uses an idle connection: one that is dead is found out soon. One that others use has its own deadlines. */
  async #probe<T>(ask: () => Promise<T>): Promise<T> {
    const giveUp = this.#connection.sessions > 1 ? (): void => {} : this.#connection.destroyAfter(PROBE_MS);
    try {
      return await ask();
    } finally {
      giveUp();
    }
  }

  async logout(): Promise<void> {
    if (this.#hasLeft) return;
    this.#hasLeft = true;
    for (const mailbox of this.#mailboxes) mailbox.close();
    await this.#parts.lease.leave();
    this.#end();
  }

  destroy(): void {
    this.#hasLeft = true;
    this.#parts.lease.destroy();
    this.#end();
  }

  onEnd(run: () => void): void {
    this.#onEnd.push(run);
  }

  #end(): void {
    for (const run of this.#onEnd.splice(0)) run();
  }

  get #connection(): ImapConnection {
    return this.#parts.lease.connection;
  }

  #mailbox(selected: SelectedMailbox, ahead?: Promise<ListingAhead | undefined>): ImapMailbox {
    const { budget, bodies, user } = this.#parts;
    const kept = bodies.of([this.server, user, selected.path, selected.uidValidity]);
    const memory = this.#connection.memory.mailbox(selected.path, selected.uidValidity);
    const mailbox = new ImapMailbox(this.#runnerFor(selected), selected, { budget, ahead, memory, bodies: kept });
    this.#mailboxes.add(mailbox);
    return mailbox;
  }

  #runnerFor(mailbox: SelectedMailbox): MailboxRunner {
    const connection = this.#connection;
    const count = (): void => {
      this.#checkUsable();
      this.#operations += 1;
    };
    return {
      connection,
      command: async (text, signal, collector, how) => {
        count();
        return connection.command(mailbox, text, signal, collector, how);
      },
      alone: async (signal, operation) => {
        count();
        return connection.alone(signal, () => operation(connection));
      },
      aloneIn: async (signal, operation) => {
        count();
        return connection.aloneIn(mailbox, signal, () => operation(connection));
      },
      count: () => {
        this.#operations += 1;
      },
    };
  }

  #checkUsable(): void {
    if (!this.isUsable) throw new UpstreamError('unreachable', 'the connection to the upstream was lost');
  }
}
