/**
 * The maildrop of one session: a snapshot of its mailboxes taken at login, and the deletion marks set since. Values, never
 * changed in place: what a command answers can't be altered by a later one. Messages that appear or vanish upstream
 * meanwhile do not change it (RFC 1939 section 4: message-numbers hold for the session).
 */
import { InvariantError } from '../errors.ts';
import { isMessageNumber, messageNumberAt, type MessageNumber, type Uid } from './numbers.ts';
import type { UpdatePlan } from './update-plan.ts';

/** What STAT tells: messages not marked deleted, and their octets. */
export interface DropListing {
  readonly count: number;
  readonly octets: number;
}

/** One message of the snapshot. `octets` is what LIST tells. */
export interface MaildropEntry {
  readonly number: MessageNumber;
  /** The place of its mailbox in the snapshot. */
  readonly mailbox: number;
  readonly uid: Uid;
  readonly octets: number;
  readonly uniqueId: string;
}

/** The messages of one mailbox that the client sees, oldest first, in parallel arrays: 100,000 messages must not be 100,000 objects. */
export interface SnapshotMailbox {
  readonly uids: readonly Uid[];
  readonly octets: Float64Array;
  readonly uniqueId: (uid: Uid) => string;
  /** It can't be changed: DELE is refused. */
  readonly isReadOnly: boolean;
}

/** The mailboxes of a maildrop, in the order in which their messages are numbered. */
export type Snapshot = readonly SnapshotMailbox[];

const DELETED = 1;
const RETRIEVED = 2;

/** Messages a page of marks. */
const PAGE = 1024;

/** A page without a mark, shared by all. */
const UNMARKED = new Uint8Array(PAGE);

export class Maildrop {
  readonly #snapshot: Snapshot;
  /** Of each mailbox, how many messages stand before its own. */
  readonly #starts: readonly number[];
  /** One octet a message: DELETED, RETRIEVED. In pages, of which a change copies one: marking all of 200,000 messages is no square of work. */
  readonly #marks: readonly Uint8Array[];
  /** The same without marks. */
  readonly #origin: Maildrop;
  /** What was worked out once of the maildrop without marks. */
  readonly #kept = new Map<string, readonly Uint8Array[]>();
  readonly dropListing: DropListing;

  private constructor(snapshot: Snapshot, starts: readonly number[], marks: readonly Uint8Array[], drop: DropListing, origin?: Maildrop) {
    this.#snapshot = snapshot;
    this.#starts = starts;
    this.#marks = marks;
    this.dropListing = drop;
    this.#origin = origin ?? this;
  }

  /** A maildrop without marks. */
  static of(snapshot: Snapshot): Maildrop {
    const starts = startsOf(snapshot);
    const count = starts.at(-1) ?? 0;
    let octets = 0;
    for (const mailbox of snapshot) for (const one of mailbox.octets) octets += one;
    const pages = Array.from({ length: Math.ceil(count / PAGE) }, () => UNMARKED);
    return new Maildrop(snapshot, starts, pages, { count, octets });
  }

  /** True when the message's mailbox can't be changed. */
  isReadOnly({ mailbox }: MaildropEntry): boolean {
    return this.#snapshot[mailbox]?.isReadOnly ?? true;
  }

  /** The message with that number, or undefined when there is none or it is marked deleted. */
  lookup(number: number): MaildropEntry | undefined {
    if (!isMessageNumber(number, this.#count) || this.#isMarked(number - 1, DELETED)) return undefined;
    const index = number - 1;
    const mailbox = this.#starts.findLastIndex((start) => start <= index);
    return this.#entry(mailbox, index - this.#start(mailbox));
  }

  /** The messages not marked deleted, in order of their numbers (LIST, UIDL). */
  *scanListing(): Generator<MaildropEntry> {
    for (const [mailbox, { uids }] of this.#snapshot.entries()) {
      const start = this.#start(mailbox);
      for (let place = 0; place < uids.length; place += 1) {
        const entry = this.#isMarked(start + place, DELETED) ? undefined : this.#entry(mailbox, place);
        if (entry !== undefined) yield entry;
      }
    }
  }

  /**
   * What `work` makes of the scan listing, kept under that name as long as no message is marked deleted: sessions that see the same
   * snapshot share it.
   */
  rendered(name: string, work: () => readonly Uint8Array[]): readonly Uint8Array[] {
    if (this.dropListing.count !== this.#count) return work();
    const kept = this.#origin.#kept.get(name) ?? work();
    this.#origin.#kept.set(name, kept);
    return kept;
  }

  /** The maildrop with one more message marked. */
  withDeleted(entry: MaildropEntry): Maildrop {
    const { count, octets } = this.dropListing;
    return this.#with(this.#marked(entry, DELETED), { count: count - 1, octets: octets - entry.octets });
  }

  /** The maildrop in which that message was sent whole to the client. */
  withRetrieved(entry: MaildropEntry): Maildrop {
    return this.#with(this.#marked(entry, RETRIEVED), this.dropListing);
  }

  /** The maildrop as it was at login (RSET). */
  withoutMarks(): Maildrop {
    return this.#origin;
  }

  /** What UPDATE has to do: remove what is marked deleted; what was retrieved and is kept has been seen. */
  updatePlan(): UpdatePlan {
    const plans = this.#snapshot.map(({ uids }, mailbox) => ({ uids, mailbox, remove: [] as Uid[], seen: [] as Uid[] }));
    let removeOctets = 0;
    for (const [number, page] of this.#marks.entries()) {
      if (page === UNMARKED) continue;
      for (const [place, mark] of page.entries()) {
        if (mark === 0) continue;
        const { mailbox, uid, octets } = this.#entryAt(number * PAGE + place);
        if ((mark & DELETED) !== 0) removeOctets += octets;
        plans[mailbox]?.[(mark & DELETED) === 0 ? 'seen' : 'remove'].push(uid);
      }
    }
    const mailboxes = plans.map(({ mailbox, remove, seen }) => ({ mailbox, remove, seen }));
    return {
      mailboxes: mailboxes.filter(({ remove, seen }) => remove.length + seen.length > 0),
      removeCount: mailboxes.reduce((sum, { remove }) => sum + remove.length, 0),
      removeOctets,
    };
  }

  get #count(): number {
    return this.#starts.at(-1) ?? 0;
  }

  #start(mailbox: number): number {
    return this.#starts[mailbox] ?? 0;
  }

  #isMarked(index: number, mark: number): boolean {
    return ((this.#marks[Math.floor(index / PAGE)]?.[index % PAGE] ?? 0) & mark) !== 0;
  }

  #with(marks: readonly Uint8Array[], drop: DropListing): Maildrop {
    return new Maildrop(this.#snapshot, this.#starts, marks, drop, this.#origin);
  }

  #marked(entry: MaildropEntry, mark: number): readonly Uint8Array[] {
    const index = entry.number - 1;
    const number = Math.floor(index / PAGE);
    const page = Uint8Array.from(this.#marks[number] ?? []);
    page[index % PAGE] = (page[index % PAGE] ?? 0) | mark;
    return this.#marks.with(number, page);
  }

  /** Whatever its marks are. */
  #entryAt(index: number): MaildropEntry {
    const mailbox = this.#starts.findLastIndex((start) => start <= index);
    const entry = this.#entry(mailbox, index - this.#start(mailbox));
    if (entry === undefined) throw new InvariantError(`no message at ${index}`);
    return entry;
  }

  #entry(mailbox: number, place: number): MaildropEntry | undefined {
    const its = this.#snapshot[mailbox];
    const uid = its?.uids[place];
    if (its === undefined || uid === undefined) return undefined;
    const number = messageNumberAt(this.#start(mailbox) + place);
    return { number, mailbox, uid, octets: its.octets[place] ?? 0, uniqueId: its.uniqueId(uid) };
  }
}

/** One more than there are mailboxes: the last is the number of all messages. */
function startsOf(snapshot: Snapshot): number[] {
  const starts = [0];
  for (const { uids } of snapshot) starts.push((starts.at(-1) ?? 0) + uids.length);
  return starts;
}
