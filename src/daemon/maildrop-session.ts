/**
 * A maildrop that is open: the lock, the upstream connection and the UID map behind one POP3 session. Reconnects once, silently,
 * where the upstream was lost between commands and UIDVALIDITY is the same.
 */
import type { LRUCache } from 'lru-cache';
import type { Cancel, Clock } from '../clock.ts';
import { InvariantError, UpstreamError, toBridgeError, type BridgeError } from '../errors.ts';
import type { MaildropEntry } from '../maildrop/maildrop.ts';
import type { Uid } from '../maildrop/numbers.ts';
import type { UpdateOutcome, UpdatePlan } from '../maildrop/update-plan.ts';
import { knownMessage, withoutMessages, withTrueOctets, type UidMap } from '../maildrop/uid-map.ts';
import type { MailboxKey, Store } from '../store/store.ts';
import type { DeletePolicy, MessagePart, RemovalResult, UpstreamMailbox, UpstreamSession } from '../upstream/upstream.ts';

export type MarkSeen = 'on-retrieve' | 'on-quit' | 'never';

/** What a session does for the operator to see; every event goes to the log. */
export interface SessionEvents {
  deleteFailed(fields: Readonly<Record<string, unknown>>): void;
  seenFailed(error: BridgeError): void;
  /** What was learned in the session is not on disk; no mail and no unique-id depends on it. */
  saveFailed(error: BridgeError): void;
  onlyFlagged(count: number): void;
  /** UIDVALIDITY changed, and messages were matched with those known before. */
  mapRematched(counts: Readonly<Record<'messages' | 'kept' | 'ambiguous' | 'lost', number>>): void;
  /** The UID map on disk made no sense and was made anew. */
  mapRebuilt(error: BridgeError): void;
}

export interface OpenConnection {
  readonly session: UpstreamSession;
  readonly mailbox: UpstreamMailbox;
}

export interface MaildropSessionParts {
  readonly key: MailboxKey;
  readonly store: Store;
  readonly clock: Clock;
  readonly policy: DeletePolicy;
  readonly markSeen: MarkSeen;
  readonly learnsSizes: boolean;
  readonly connection: OpenConnection;
  readonly map: UidMap;
  /** Logs in and selects again. */
  readonly reconnect: (signal: AbortSignal) => Promise<OpenConnection>;
  /** Throws UpstreamError `throttled` while the upstream wants a pause. */
  readonly checkPause: () => void;
  /** Learns of a failure that may be the wish for a pause. */
  readonly notePause: (error: unknown) => void;
  readonly events: SessionEvents;
  /** Messages that broke off lately because the server dropped the connection: the next time they are read in one piece. */
  readonly cutMessages: LRUCache<string, true>;
  /** Gives back the lock and whatever else the login took. */
  readonly release: () => void;
  /** Takes over the connection when the session is done with it. */
  readonly leave: (connection: OpenConnection, map: UidMap) => void;
}

/** \Seen is stored this long after the last octet, with all that was retrieved meanwhile: not one round trip a message. */
const SEEN_DELAY_MS = 250;

export class MaildropSession {
  readonly #parts: MaildropSessionParts;
  readonly #savedMap: UidMap;
  #connection: OpenConnection;
  #map: UidMap;
  #earlierOperations = 0;
  #unseen = new Set<Uid>();
  #flushed: Promise<void> = Promise.resolve();
  #reconnecting: Promise<OpenConnection> | undefined;
  #cancelSeen: Cancel = () => {};
  #closed: Promise<void> | undefined;

  constructor(parts: MaildropSessionParts) {
    this.#parts = parts;
    this.#connection = parts.connection;
    this.#map = parts.map;
    this.#savedMap = parts.map;
  }

  /** IMAP operations of this session, for the log. */
  get operations(): number {
    return this.#earlierOperations + this.#connection.session.operations;
  }

  /** The octets of a message as the server has them; see UpstreamMailbox.fetch. Begun anew once where the connection breaks before the first. */
  async *fetch(entry: MaildropEntry, part: MessagePart, signal: AbortSignal): AsyncGenerator<Uint8Array, void, void> {
    for (let attempt = 1; ; attempt += 1) {
      const { session, mailbox } = await this.#alive();
      const { cutMessages, key } = this.#parts;
      const name = JSON.stringify([key, mailbox.uidValidity, entry.uid]);
      // Not what LIST tells: that may be the learned size, and the server counts otherwise.
      const octets = knownMessage(this.#map, entry.uid)?.declaredOctets ?? entry.octets;
      let begun = false;
      try {
        for await (const chunk of mailbox.fetch({ uid: entry.uid, octets, part, inOnePiece: cutMessages.has(name) }, signal)) {
          begun = true;
          yield chunk;
        }
        return;
      } catch (error) {
        this.#parts.notePause(error);
        if (signal.aborted || !isLost(error, session)) throw error;
        if (begun) cutMessages.set(name, true);
        if (begun || attempt > 1) throw error;
      }
    }
  }

  /** The whole message was sent: `octets` is its true size. */
  retrieved(entry: MaildropEntry, octets: number): void {
    if (this.#parts.learnsSizes) this.#map = withTrueOctets(this.#map, entry.uid, octets);
    if (this.#parts.markSeen !== 'on-retrieve' || this.#connection.mailbox.isReadOnly) return;
    if (this.#unseen.size === 0) this.#cancelSeen = this.#parts.clock.after(SEEN_DELAY_MS, () => void this.#flushSeen());
    this.#unseen.add(entry.uid);
  }

  /** UPDATE: does what the plan says; what happens to the client meanwhile does not matter. */
  async commit(plan: UpdatePlan): Promise<UpdateOutcome> {
    if (this.#parts.markSeen === 'on-quit') for (const uid of plan.seen) this.#unseen.add(uid);
    for (const uid of plan.remove) this.#unseen.delete(uid);
    const outcome = plan.remove.length === 0 ? ({ result: 'done' } as const) : await this.#remove(plan.remove);
    await this.#flushSeen();
    return outcome;
  }

  /** Ends the session: learned sizes are kept, the lock is given back, the upstream is left in the background. Never rejects. */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    try {
      await this.#flushSeen();
      await this.#parts.store.saveMap(this.#parts.key, this.#savedMap, this.#map);
    } catch (error) {
      this.#parts.events.saveFailed(toBridgeError(error));
    } finally {
      this.#parts.release();
      this.#parts.leave(this.#connection, this.#map);
    }
  }

  /** Journal first, then the server, then the journal again; only then does the client hear anything. */
  async #remove(uids: readonly Uid[]): Promise<UpdateOutcome> {
    const { store, key, policy, events } = this.#parts;
    const signal = new AbortController().signal;
    const mailbox = await this.#answering(uids, signal).catch((error: unknown) => toBridgeError(error));
    if (mailbox instanceof Error) return this.#nothingRemoved(uids.length, mailbox);
    const entry = { path: key.path, uidValidity: mailbox.uidValidity, uids, ...policy, stage: 'planned' };
    const id = await store.addEntry(key.maildrop, entry).catch((error: unknown) => toBridgeError(error));
    if (id instanceof Error) return this.#nothingRemoved(uids.length, id);
    try {
      const result = await mailbox.remove({ uids, policy, stage: 'planned', onStage: (stage) => store.setStage(id, stage) }, signal);
      await store.removeEntry(id);
      const remaining = new Set(result.remaining);
      // What was deleted on purpose is no message that went missing; flagged ones are still there.
      if (policy.action !== 'flag' && !result.onlyFlagged)
        this.#map = withoutMessages(
          this.#map,
          uids.filter((uid) => !remaining.has(uid)),
        );
      return this.#told(uids.length, result);
    } catch (error) {
      this.#parts.notePause(error);
      events.deleteFailed({ total: uids.length, outcome: 'unknown', error: toBridgeError(error) });
      return { result: 'unknown', total: uids.length };
    }
  }

  #told(total: number, result: RemovalResult): UpdateOutcome {
    if (result.onlyFlagged) this.#parts.events.onlyFlagged(total - result.remaining.length);
    if (result.remaining.length === 0) return { result: 'done' };
    this.#parts.notePause(result.problem);
    const problem = result.problem ?? new UpstreamError('refused', 'the server agreed, yet they are still there');
    this.#parts.events.deleteFailed({ failed: result.remaining.length, total, error: problem });
    const temporary = !(problem instanceof UpstreamError) || problem.temporary;
    return { result: 'partial', failed: result.remaining.length, total, temporary };
  }

  #nothingRemoved(total: number, error: BridgeError): UpdateOutcome {
    this.#parts.notePause(error);
    this.#parts.events.deleteFailed({ failed: total, total, error });
    return { result: 'partial', failed: total, total, temporary: error.temporary };
  }

  /** A mailbox on a connection that has just answered: found dead only now, a server would leave us with an unknown outcome. */
  async #answering(uids: readonly Uid[], signal: AbortSignal): Promise<UpstreamMailbox> {
    const { session, mailbox } = await this.#alive();
    try {
      await mailbox.existing(uids, false, signal);
      return mailbox;
    } catch (error) {
      if (!isLost(error, session)) throw error;
      return (await this.#alive()).mailbox;
    }
  }

  /** The connection, a fresh one where the old was lost. Whoever needs one meanwhile shares it. */
  async #alive(): Promise<OpenConnection> {
    this.#parts.checkPause();
    if (this.#connection.session.isUsable) return this.#connection;
    this.#reconnecting ??= this.#reconnect().finally(() => {
      this.#reconnecting = undefined;
    });
    return this.#reconnecting;
  }

  async #reconnect(): Promise<OpenConnection> {
    const before = this.#connection;
    const fresh = await this.#parts.reconnect(new AbortController().signal).catch((error: unknown) => {
      this.#parts.notePause(error);
      throw error;
    });
    if (fresh.mailbox.uidValidity !== before.mailbox.uidValidity) {
      void fresh.session.logout();
      throw new UpstreamError('protocol', 'UIDVALIDITY changed during the session');
    }
    this.#earlierOperations += before.session.operations;
    this.#connection = fresh;
    return fresh;
  }

  /** Stores \Seen for all that wait for it, after what is under way. A failure is only logged: the mail itself is safe (TRAPS 3.17). */
  #flushSeen(): Promise<void> {
    this.#cancelSeen();
    this.#flushed = this.#flushed.then(() => this.#storeSeen());
    return this.#flushed;
  }

  async #storeSeen(): Promise<void> {
    if (this.#unseen.size === 0) return;
    const uids = [...this.#unseen].sort((one, other) => one - other);
    this.#unseen = new Set();
    try {
      if (this.#connection.mailbox.isReadOnly) throw new InvariantError('\\Seen on a read-only mailbox');
      const { mailbox } = await this.#alive();
      await mailbox.addSeen(uids, new AbortController().signal);
    } catch (error) {
      this.#parts.notePause(error);
      this.#parts.events.seenFailed(toBridgeError(error));
    }
  }
}

/** True when the connection broke, which may be noticed before the connection itself says so. Not after a timeout: the client has waited long enough. */
function isLost(error: unknown, session: UpstreamSession): boolean {
  if (!(error instanceof UpstreamError) || error.kind !== 'unreachable') return false;
  session.destroy();
  return true;
}
