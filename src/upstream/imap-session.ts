/** One user of a connection: a POP3 session, or work between sessions. Several may share a connection; each counts what it does. */
import { UpstreamError } from '../errors.ts';
import type { BodyCache } from './body-cache.ts';
import type { Lease } from './connection-pool.ts';
import type { ImapConnection, Limit, Patience, SelectedMailbox } from './imap-connection.ts';
import type { ImapflowClient } from './imapflow-client.ts';
import { listFolders } from './imapflow-folders.ts';
import { ImapflowMailbox } from './imapflow-mailbox.ts';
import { ListingAheadRequest, type ListingAhead } from './listing-ahead.ts';
import { deletedNow } from './mailbox-listing.ts';
import type { Collector } from './pipeline.ts';
import type { ReadAheadBudget } from './read-ahead.ts';
import type { FolderList, Purpose, UpstreamAbilities, UpstreamMailbox, UpstreamSession } from './upstream.ts';

/** Runs upstream operations under a deadline; shared by a session and its mailboxes. */
export interface OperationRunner {
  readonly client: ImapflowClient;
  /** An operation of imapflow, which must end within the command timeout. */
  run<T>(signal: AbortSignal, operation: () => Promise<T>): Promise<T>;
  /** Octets received count as progress: for operations that bring much. */
  runLong<T>(signal: AbortSignal, operation: () => Promise<T>): Promise<T>;
  /** Makes sure that imapflow knows the namespaces, of which it makes paths. */
  namespaces(signal: AbortSignal): Promise<void>;
}

/** The same within one mailbox, and commands of our own there. */
export interface MailboxRunner extends OperationRunner {
  readonly connection: ImapConnection;
  /** Sends a command in the mailbox; rejects with UpstreamError as the answer is classified. */
  command(text: string, signal: AbortSignal, collector?: Collector, how?: Patience): Promise<void>;
  /** What the command counts for. */
  count(): void;
}

export interface ImapSessionParts {
  readonly lease: Lease;
  readonly user: string;
  readonly budget: ReadAheadBudget;
  readonly bodies: BodyCache;
  /** Bodies through imapflow alone: slow, and the measure of what is right. */
  readonly isPlain: boolean;
}

/** A connection that was kept and does not answer within this time is dead. */
const PROBE_MS = 5_000;

export class ImapSession implements UpstreamSession, OperationRunner {
  readonly #parts: ImapSessionParts;
  readonly #mailboxes = new Set<ImapflowMailbox>();
  #operations: number;
  readonly #onEnd: (() => void)[] = [];
  #hasLeft = false;

  constructor(parts: ImapSessionParts) {
    this.#parts = parts;
    this.#operations = parts.lease.isKept ? 0 : 1;
  }

  get client(): ImapflowClient {
    return this.#connection.client;
  }

  get server(): string {
    return this.#connection.server;
  }

  get abilities(): UpstreamAbilities {
    const capabilities = [...this.client.flow.capabilities.keys()];
    return {
      capabilities,
      move: capabilities.includes('MOVE'),
      uidPlus: capabilities.includes('UIDPLUS'),
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
  async select(path: string, signal: AbortSignal, purpose: Purpose = 'other'): Promise<UpstreamMailbox> {
    this.#checkUsable();
    const kept = this.#connection.kept(path);
    if (kept !== undefined) {
      const runner = this.#runnerFor(kept);
      const giveUp = this.#connection.destroyAfter(PROBE_MS);
      try {
        const deleted = await deletedNow(runner, signal);
        if (this.#connection.kept(path) === kept)
          return this.#mailbox(kept, Promise.resolve({ news: kept.news, deleted, rows: undefined }));
      } finally {
        giveUp();
      }
    }
    this.#operations += 1;
    if (purpose === 'other') return this.#mailbox(await this.#connection.select(path, signal));
    const ahead = new ListingAheadRequest(this.#connection.pipeline, this.#connection, purpose === 'first-listing');
    const selected = await this.#connection.select(path, signal, ahead);
    this.#operations += ahead.commands;
    return this.#mailbox(selected, ahead.answer());
  }

  folders(signal: AbortSignal): Promise<FolderList> {
    return listFolders(this, signal);
  }

  run<T>(signal: AbortSignal, operation: () => Promise<T>): Promise<T> {
    return this.#control(signal, operation, undefined);
  }

  runLong<T>(signal: AbortSignal, operation: () => Promise<T>): Promise<T> {
    return this.#control(signal, operation, this.#long);
  }

  namespaces(signal: AbortSignal): Promise<void> {
    return this.#connection.namespaces(signal);
  }

  async logout(): Promise<void> {
    if (this.#hasLeft) return;
    this.#hasLeft = true;
    for (const mailbox of this.#mailboxes) mailbox.close();
    await this.#parts.lease.leave();
    this.#end();
  }

  destroy(): void {
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

  get #long(): Limit {
    return { ms: this.#connection.timeoutMs, progress: () => this.client.transport.octetsReceived };
  }

  #mailbox(selected: SelectedMailbox, ahead?: Promise<ListingAhead | undefined>): ImapflowMailbox {
    const { budget, isPlain, bodies, user } = this.#parts;
    const kept = bodies.of([this.server, user, selected.path, selected.uidValidity]);
    const mailbox = new ImapflowMailbox(this.#runnerFor(selected), selected, { budget, isPlain, ahead, bodies: kept });
    this.#mailboxes.add(mailbox);
    return mailbox;
  }

  #runnerFor(mailbox: SelectedMailbox): MailboxRunner {
    const within = <T>(signal: AbortSignal, operation: () => Promise<T>, limit?: Limit): Promise<T> => {
      this.#checkUsable();
      this.#operations += 1;
      return this.#connection.controlWithin(mailbox, signal, operation, limit);
    };
    return {
      client: this.client,
      connection: this.#connection,
      run: (signal, operation) => within(signal, operation),
      namespaces: (signal) => this.namespaces(signal),
      runLong: (signal, operation) => within(signal, operation, this.#long),
      command: (text, signal, collector, how) => {
        this.#checkUsable();
        this.#operations += 1;
        return this.#connection.command(mailbox, text, signal, collector, how);
      },
      count: () => {
        this.#operations += 1;
      },
    };
  }

  #control<T>(signal: AbortSignal, operation: () => Promise<T>, limit: Limit | undefined): Promise<T> {
    this.#checkUsable();
    this.#operations += 1;
    return this.#connection.control(signal, operation, limit);
  }

  #checkUsable(): void {
    if (!this.isUsable) throw new UpstreamError('unreachable', 'the connection to the upstream was lost');
  }
}
