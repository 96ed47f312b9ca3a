/**
 * The upstream connection behind one POP3 session and the mailboxes opened on it. Reconnects once, silently, where it was lost between
 * commands and UIDVALIDITY is the same.
 */
import { UpstreamError } from '../errors.ts';
import type { Uid } from '../maildrop/numbers.ts';
import type { UpstreamMailbox, UpstreamSession } from '../upstream/upstream.ts';

export interface UpstreamLinkParts {
  readonly session: UpstreamSession;
  /** In the order of the snapshot. */
  readonly mailboxes: readonly UpstreamMailbox[];
  /** Logs in again. */
  readonly reconnect: (signal: AbortSignal) => Promise<UpstreamSession>;
  /** Logs in once more, on a connection that nobody else uses. */
  readonly connectApart: (signal: AbortSignal) => Promise<UpstreamSession>;
  /** Throws UpstreamError `throttled` while the upstream wants a pause. */
  readonly checkPause: () => void;
  /** Learns of a failure that may be the wish for a pause. */
  readonly notePause: (error: unknown) => void;
}

interface Connection {
  readonly session: UpstreamSession;
  /** By place; selected when first used. */
  readonly mailboxes: Map<number, Promise<UpstreamMailbox>>;
}

export class UpstreamLink {
  readonly #parts: UpstreamLinkParts;
  #connection: Connection;
  #earlierOperations = 0;
  #reconnecting: Promise<Connection> | undefined;

  constructor(parts: UpstreamLinkParts) {
    this.#parts = parts;
    const mailboxes = new Map(parts.mailboxes.map((mailbox, place) => [place, Promise.resolve(mailbox)]));
    this.#connection = { session: parts.session, mailboxes };
  }

  /** IMAP operations of the POP3 session, for the log. */
  get operations(): number {
    return this.#earlierOperations + this.#connection.session.operations;
  }

  get session(): UpstreamSession {
    return this.#connection.session;
  }

  /** Said of the mailbox when it was opened. */
  isReadOnly(place: number): boolean {
    return this.#parts.mailboxes[place]?.isReadOnly ?? true;
  }

  /** The mailbox, on a fresh connection where the old was lost. Whoever needs one meanwhile shares it. */
  async mailbox(place: number): Promise<UpstreamMailbox> {
    this.#parts.checkPause();
    const connection = await this.#alive();
    const open = connection.mailboxes.get(place) ?? this.#select(connection.session, place);
    connection.mailboxes.set(place, open);
    open.catch(() => connection.mailboxes.delete(place));
    return open;
  }

  /**
   * The server gave a message without octets. That is a message only where another connection gives the same, and size, body and header agree;
   * otherwise it rejects with UpstreamError `message-unreadable`: a client would delete what it believes to have.
   */
  async confirmEmpty(place: number, uid: Uid): Promise<void> {
    const { signal } = new AbortController();
    const apart = await this.#parts.connectApart(signal);
    try {
      const mailbox = await this.#select(apart, place);
      if (await mailbox.isEmptyMessage(uid, signal)) return;
    } finally {
      void apart.logout();
    }
    throw new UpstreamError(
      'message-unreadable',
      `the server gave no octets for the message with UID ${uid}, and another connection denies that`,
    );
  }

  /** No message will be fetched any more. */
  endReading(): void {
    for (const open of this.#connection.mailboxes.values()) {
      open.then(
        (mailbox) => mailbox.close(),
        () => {},
      );
    }
  }

  /** A server that wants a pause is left alone at once, without a goodbye. */
  notePause(error: unknown): void {
    if (error instanceof UpstreamError && error.kind === 'throttled') this.#connection.session.destroy();
    this.#parts.notePause(error);
  }

  /** True when the connection broke, which may be noticed before the connection itself says so. Not after a timeout: the client has waited long enough. */
  isLost(error: unknown): boolean {
    if (!(error instanceof UpstreamError) || error.kind !== 'unreachable') return false;
    this.#connection.session.destroy();
    return true;
  }

  async #alive(): Promise<Connection> {
    if (this.#connection.session.isUsable) return this.#connection;
    this.#reconnecting ??= this.#reconnect().finally(() => {
      this.#reconnecting = undefined;
    });
    return this.#reconnecting;
  }

  async #reconnect(): Promise<Connection> {
    const session = await this.#parts.reconnect(new AbortController().signal).catch((error: unknown) => {
      this.#parts.notePause(error);
      throw error;
    });
    this.#earlierOperations += this.#connection.session.operations;
    this.#connection = { session, mailboxes: new Map() };
    return this.#connection;
  }

  async #select(session: UpstreamSession, place: number): Promise<UpstreamMailbox> {
    const before = this.#parts.mailboxes[place];
    if (before === undefined) throw new TypeError(`no mailbox at place ${place}`);
    const fresh = await session.select(before.path, new AbortController().signal).catch((error: unknown) => {
      this.#parts.notePause(error);
      session.destroy();
      throw error;
    });
    if (fresh.uidValidity === before.uidValidity) return fresh;
    throw new UpstreamError('protocol', `UIDVALIDITY of ${before.path} changed during the session`);
  }
}
