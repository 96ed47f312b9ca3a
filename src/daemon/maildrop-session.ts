/** A maildrop that is open: the lock, the upstream connection and the UID maps behind one POP3 session. */
import type { LRUCache } from 'lru-cache';
import type { Cancel, Clock } from '../clock.ts';
import type { ViewConfig } from '../config/schema.ts';
import { toBridgeError, type BridgeError } from '../errors.ts';
import type { Maildrop, MaildropEntry } from '../maildrop/maildrop.ts';
import type { Uid } from '../maildrop/numbers.ts';
import type { UpdateOutcome, UpdatePlan } from '../maildrop/update-plan.ts';
import { knownMessage } from '../maildrop/uid-map.ts';
import type { MaildropKey, Store } from '../store/store.ts';
import type { MessagePart, UpcomingMessage, UpstreamSession } from '../upstream/upstream.ts';
import { HeaderTap } from './header-tap.ts';
import type { ListingEvents } from './list-mailboxes.ts';
import { OpenMaps } from './open-maps.ts';
import type { OpenMailbox } from './open-maildrop.ts';
import { carryOutDeletions } from './update.ts';
import { upcoming, type MessageFacts } from './upcoming.ts';
import type { UpstreamLink } from './upstream-link.ts';

/** What a session does for the operator to see; every event goes to the log. */
export interface SessionEvents extends ListingEvents {
  deleteFailed(fields: Readonly<Record<string, unknown>>): void;
  seenFailed(error: BridgeError): void;
  /** What was learned is not on disk; no mail and no unique-id depends on it. */
  saveFailed(error: BridgeError): void;
  onlyFlagged(count: number): void;
  /** UIDVALIDITY changed, and messages were matched with those known before. */
  mapRematched(counts: Readonly<Record<'messages' | 'kept' | 'ambiguous' | 'lost', number>> & { readonly folder: string }): void;
}

export interface MaildropSessionParts {
  readonly key: MaildropKey;
  readonly store: Store;
  readonly clock: Clock;
  readonly view: ViewConfig;
  readonly views: ReadonlyMap<string, ViewConfig>;
  /** As it was opened. */
  readonly maildrop: Maildrop;
  readonly link: UpstreamLink;
  readonly mailboxes: readonly OpenMailbox[];
  readonly events: SessionEvents;
  /** Messages that broke off lately because the server dropped the connection: the next time they are read in windows. */
  readonly cutMessages: LRUCache<string, true>;
  /** Runs an UPDATE when no other of the account is running. */
  readonly inTurn: <T>(work: () => Promise<T>) => Promise<T>;
  /** Others may have the maildrop open too. */
  readonly isShared: boolean;
  /** Runs work when nobody else changes the maildrop. */
  readonly locked: <T>(work: () => Promise<T>) => Promise<T>;
  /** Gives back the lock and whatever else the login took. */
  readonly release: () => void;
  /** Takes over the connection when the session is done with it. */
  readonly leave: (session: UpstreamSession, mailboxes: readonly OpenMailbox[]) => void;
}

/** \Seen is stored this long after the last octet, with all that was retrieved meanwhile: not one round trip a message. */
const SEEN_DELAY_MS = 250;

export class MaildropSession {
  readonly #parts: MaildropSessionParts;
  readonly #maps: OpenMaps;
  /** By place of the mailbox. */
  #unseen = new Map<number, Set<Uid>>();
  #flushed: Promise<void> = Promise.resolve();
  #cancelSeen: Cancel = () => {};
  #closed: Promise<void> | undefined;

  constructor(parts: MaildropSessionParts) {
    this.#parts = parts;
    this.#maps = new OpenMaps(parts.store, parts.mailboxes, parts.view.maildrop);
  }

  /** IMAP operations of this session, for the log. */
  get operations(): number {
    return this.#parts.link.operations;
  }

  /** The octets of a message as the server has them; see UpstreamMailbox.fetch. Begun anew once where the connection breaks before the first. */
  async *fetch(entry: MaildropEntry, part: MessagePart, signal: AbortSignal): AsyncGenerator<Uint8Array, void, void> {
    const { link, cutMessages, key } = this.#parts;
    for (let attempt = 1; ; attempt += 1) {
      const mailbox = await link.mailbox(entry.mailbox);
      const name = (): string => JSON.stringify([key, mailbox.path, mailbox.uidValidity, entry.uid]);
      const { declaredOctets: octets } = this.#factsOf(entry);
      const inWindows = cutMessages.size > 0 && cutMessages.has(name());
      // What is asked for alone can't fail because of another message.
      const ahead = attempt === 1 ? { ahead: () => this.#upcoming(entry) } : {};
      let begun = false;
      const tap = this.#maps.knowsHeader(entry) ? undefined : new HeaderTap();
      try {
        for await (const chunk of mailbox.fetch({ uid: entry.uid, octets, part, inWindows, ...ahead }, signal)) {
          begun = true;
          tap?.take(chunk);
          yield chunk;
        }
        if (!begun) await link.confirmEmpty(entry.mailbox, entry.uid);
        return;
      } catch (error) {
        link.notePause(error);
        if (signal.aborted || !link.isLost(error)) throw error;
        if (begun && inWindows) cutMessages.delete(name());
        else if (begun) cutMessages.set(name(), true);
        if (begun || attempt > 1) throw error;
      } finally {
        // TOP has often seen enough before the end.
        this.#maps.noteMessageId(entry, tap?.messageId());
      }
    }
  }

  /** The whole message was sent: `octets` is its true size. */
  retrieved(entry: MaildropEntry, octets: number): void {
    this.#maps.noteRetrieved(entry, octets, this.#now());
    if (this.#parts.view.retrieve.markSeen !== 'on-retrieve' || this.#parts.link.isReadOnly(entry.mailbox)) return;
    if (this.#unseen.size === 0) this.#cancelSeen = this.#parts.clock.after(SEEN_DELAY_MS, () => void this.#flushSeen());
    this.#noteSeen(entry.mailbox, [entry.uid]);
  }

  /** UPDATE: does what the plan says; what happens to the client meanwhile does not matter. */
  async commit(plan: UpdatePlan): Promise<UpdateOutcome> {
    const { view, inTurn } = this.#parts;
    this.#parts.link.endReading();
    for (const { mailbox, seen, remove } of plan.mailboxes) {
      if (view.retrieve.markSeen === 'on-quit' && !this.#parts.link.isReadOnly(mailbox)) this.#noteSeen(mailbox, seen);
      for (const uid of remove) this.#unseen.get(mailbox)?.delete(uid);
    }
    // Which messages were read is stored when the client has its answer: nothing that was promised depends on it.
    if (plan.removeCount === 0) return { result: 'done' };
    return this.#alone(() => inTurn(() => carryOutDeletions({ ...this.#parts, maps: this.#maps, now: this.#now() }, plan)));
  }

  /** Ends the session: what was learned is kept, the lock is given back, the upstream is left in the background. Never rejects. */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    this.#parts.link.endReading();
    try {
      await this.#flushSeen();
      await this.#alone(() => this.#maps.save(this.#now()));
    } catch (error) {
      this.#parts.events.saveFailed(toBridgeError(error));
    } finally {
      this.#parts.release();
      this.#parts.leave(this.#parts.link.session, this.#maps.open);
    }
  }

  #alone<T>(work: () => Promise<T>): Promise<T> {
    return this.#parts.locked(async () => {
      if (this.#parts.isShared) await this.#maps.refresh();
      return work();
    });
  }

  #upcoming(entry: MaildropEntry): Iterator<UpcomingMessage> {
    return upcoming(this.#parts.maildrop, entry, !this.#factsOf(entry).isRetrieved, (next) => this.#factsOf(next));
  }

  #factsOf(entry: MaildropEntry): MessageFacts {
    const known = knownMessage(this.#maps.at(entry.mailbox), entry.uid);
    // Not what LIST tells: that may be the learned size, and the server counts otherwise.
    return { isRetrieved: (known?.state.retrievedAt ?? 0) > 0, declaredOctets: known?.declaredOctets ?? entry.octets };
  }

  #now(): number {
    return Math.floor(this.#parts.clock.now() / 1000);
  }

  #noteSeen(place: number, uids: readonly Uid[]): void {
    if (uids.length === 0) return;
    const unseen = this.#unseen.get(place) ?? new Set();
    for (const uid of uids) unseen.add(uid);
    this.#unseen.set(place, unseen);
  }

  /** Stores \Seen for all that wait for it, after what is under way. A failure is only logged: the mail itself is safe (TRAPS 3.17). */
  #flushSeen(): Promise<void> {
    this.#cancelSeen();
    this.#flushed = this.#flushed.then(() => this.#storeSeen());
    return this.#flushed;
  }

  async #storeSeen(): Promise<void> {
    const { link, events } = this.#parts;
    const waiting = this.#unseen;
    this.#unseen = new Map();
    for (const [place, unseen] of waiting) {
      if (unseen.size === 0) continue;
      try {
        const mailbox = await link.mailbox(place);
        const uids = [...unseen].sort((one, other) => one - other);
        await mailbox.addSeen(uids, new AbortController().signal);
      } catch (error) {
        link.notePause(error);
        events.seenFailed(toBridgeError(error));
      }
    }
  }
}
