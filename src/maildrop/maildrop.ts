/**
 * The maildrop of one session: a snapshot of the mailbox taken at login, and the deletion marks set since. Values, never
 * changed in place: what a command answers can't be altered by a later one. Messages that appear or vanish upstream
 * meanwhile do not change it (RFC 1939 section 4: message-numbers hold for the session).
 */
import { isMessageNumber, messageNumberAt, type MessageNumber, type Uid } from './numbers.ts';
import type { UniqueIdOf } from './unique-id.ts';
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
  readonly uniqueId: UniqueIdOf;
  /** The mailbox can't be changed: DELE is refused. */
  readonly isReadOnly: boolean;
}

const DELETED = 1;
const RETRIEVED = 2;

export class Maildrop {
  readonly #snapshot: Snapshot;
  /** One octet a message: DELETED, RETRIEVED. Copied on every change: a few microseconds for 100,000 messages. */
  readonly #marks: Uint8Array;
  readonly dropListing: DropListing;

  private constructor(snapshot: Snapshot, marks: Uint8Array, dropListing: DropListing) {
    this.#snapshot = snapshot;
    this.#marks = marks;
    this.dropListing = dropListing;
  }

  /** A maildrop without marks. */
  static of(snapshot: Snapshot): Maildrop {
    const octets = snapshot.octets.reduce((sum, one) => sum + one, 0);
    return new Maildrop(snapshot, new Uint8Array(snapshot.uids.length), { count: snapshot.uids.length, octets });
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
      seen: this.#snapshot.uids.filter((_, index) => this.#marks[index] === RETRIEVED),
    };
  }

  #isMarked(index: number, mark: number): boolean {
    return ((this.#marks[index] ?? 0) & mark) !== 0;
  }

  #marked(entry: MaildropEntry, mark: number): Uint8Array {
    const marks = Uint8Array.from(this.#marks);
    marks[entry.number - 1] = (marks[entry.number - 1] ?? 0) | mark;
    return marks;
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
