/**
 * The maildrop of one session: a snapshot of the mailbox taken at login, and the deletion marks set since. Values, never
 * changed in place: what a command answers can't be altered by a later one. Messages that appear or vanish upstream
 * meanwhile do not change it (RFC 1939 section 4: message-numbers hold for the session).
 */
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
  readonly uid: Uid;
  readonly octets: number;
  readonly uniqueId: string;
}

/** The messages of a snapshot, oldest first, in parallel arrays: 100,000 messages must not be 100,000 objects. */
export interface Snapshot {
  readonly uids: readonly Uid[];
  readonly octets: Float64Array;
  readonly uniqueId: (uid: Uid) => string;
  /** The mailbox can't be changed: DELE is refused. */
  readonly isReadOnly: boolean;
}

const DELETED = 1;
const RETRIEVED = 2;

/** Messages a page of marks. */
const PAGE = 1024;

export class Maildrop {
  readonly #snapshot: Snapshot;
  /** One octet a message: DELETED, RETRIEVED. In pages, of which a change copies one: marking all of 200,000 messages is no square of work. */
  readonly #marks: readonly Uint8Array[];
  readonly dropListing: DropListing;

  private constructor(snapshot: Snapshot, marks: readonly Uint8Array[], dropListing: DropListing) {
    this.#snapshot = snapshot;
    this.#marks = marks;
    this.dropListing = dropListing;
  }

  /** A maildrop without marks. */
  static of(snapshot: Snapshot): Maildrop {
    const octets = snapshot.octets.reduce((sum, one) => sum + one, 0);
    const pages = Array.from({ length: Math.ceil(snapshot.uids.length / PAGE) }, () => new Uint8Array(PAGE));
    return new Maildrop(snapshot, pages, { count: snapshot.uids.length, octets });
  }

  get isReadOnly(): boolean {
    return this.#snapshot.isReadOnly;
  }

  /** The message with that number, or undefined when there is none or it is marked deleted. */
  lookup(number: number): MaildropEntry | undefined {
    if (!isMessageNumber(number, this.#snapshot.uids.length) || this.#isMarked(number - 1, DELETED)) return undefined;
    return this.#entry(number - 1);
  }

  /** The messages not marked deleted, in order of their numbers (LIST, UIDL). */
  *scanListing(): Generator<MaildropEntry> {
    for (let index = 0; index < this.#snapshot.uids.length; index += 1) {
      const entry = this.#isMarked(index, DELETED) ? undefined : this.#entry(index);
      if (entry !== undefined) yield entry;
    }
  }

  /** The maildrop with one more message marked. */
  withDeleted(entry: MaildropEntry): Maildrop {
    const { count, octets } = this.dropListing;
    return new Maildrop(this.#snapshot, this.#marked(entry, DELETED), { count: count - 1, octets: octets - entry.octets });
  }

  /** The maildrop in which that message was sent whole to the client. */
  withRetrieved(entry: MaildropEntry): Maildrop {
    return new Maildrop(this.#snapshot, this.#marked(entry, RETRIEVED), this.dropListing);
  }

  /** The maildrop as it was at login (RSET). */
  withoutMarks(): Maildrop {
    return Maildrop.of(this.#snapshot);
  }

  /** What UPDATE has to do: remove what is marked deleted; what was retrieved and is kept has been seen. */
  updatePlan(): UpdatePlan {
    return {
      remove: this.#snapshot.uids.filter((_, index) => this.#isMarked(index, DELETED)),
      removeOctets: this.#snapshot.octets.reduce((sum, octets, index) => (this.#isMarked(index, DELETED) ? sum + octets : sum), 0),
      seen: this.#snapshot.uids.filter((_, index) => this.#marksOf(index) === RETRIEVED),
    };
  }

  #isMarked(index: number, mark: number): boolean {
    return (this.#marksOf(index) & mark) !== 0;
  }

  #marksOf(index: number): number {
    return this.#marks[Math.floor(index / PAGE)]?.[index % PAGE] ?? 0;
  }

  #marked(entry: MaildropEntry, mark: number): readonly Uint8Array[] {
    const index = entry.number - 1;
    const number = Math.floor(index / PAGE);
    const page = Uint8Array.from(this.#marks[number] ?? []);
    page[index % PAGE] = this.#marksOf(index) | mark;
    return this.#marks.with(number, page);
  }

  #entry(index: number): MaildropEntry | undefined {
    const uid = this.#snapshot.uids[index];
    if (uid === undefined) return undefined;
    return {
      number: messageNumberAt(index),
      uid,
      octets: this.#snapshot.octets[index] ?? 0,
      uniqueId: this.#snapshot.uniqueId(uid),
    };
  }
}
