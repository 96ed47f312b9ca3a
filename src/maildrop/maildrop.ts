/**
 * The maildrop of one session: a snapshot of its mailboxes taken at login, and the deletion marks set since. Values, never
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

export class Maildrop {
  readonly #snapshot: Snapshot;
  /** Of each mailbox, how many messages stand before its own. */
  readonly #starts: readonly number[];
  /** One octet a message: DELETED, RETRIEVED. In pages, of which a change copies one: marking all of 200,000 messages is no square of work. */
  readonly #marks: readonly Uint8Array[];
  readonly dropListing: DropListing;

  private constructor(snapshot: Snapshot, marks: readonly Uint8Array[], dropListing: DropListing) {
    this.#snapshot = snapshot;
    this.#starts = startsOf(snapshot);
    this.#marks = marks;
    this.dropListing = dropListing;
  }

  /** A maildrop without marks. */
  static of(snapshot: Snapshot): Maildrop {
    const count = snapshot.reduce((sum, { uids }) => sum + uids.length, 0);
    const octets = snapshot.reduce((sum, mailbox) => mailbox.octets.reduce((its, one) => its + one, sum), 0);
    const pages = Array.from({ length: Math.ceil(count / PAGE) }, () => new Uint8Array(PAGE));
    return new Maildrop(snapshot, pages, { count, octets });
  }

  /** True when the message's mailbox can't be changed. */
  isReadOnly({ mailbox }: MaildropEntry): boolean {
    return this.#snapshot[mailbox]?.isReadOnly ?? true;
  }

  /** The message with that number, or undefined when there is none or it is marked deleted. */
  lookup(number: number): MaildropEntry | undefined {
    if (!isMessageNumber(number, this.#count) || this.#isMarked(number - 1, DELETED)) return undefined;
    return this.#entry(number - 1);
  }

  /** The messages not marked deleted, in order of their numbers (LIST, UIDL). */
  *scanListing(): Generator<MaildropEntry> {
    for (let index = 0; index < this.#count; index += 1) {
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
    const removeOctets = this.#snapshot.flatMap(({ octets }, mailbox) =>
      [...octets].filter((_, index) => this.#isMarked(this.#start(mailbox) + index, DELETED)),
    );
    const mailboxes = this.#snapshot.map(({ uids }, mailbox) => {
      const start = this.#start(mailbox);
      return {
        mailbox,
        remove: uids.filter((_, index) => this.#isMarked(start + index, DELETED)),
        seen: uids.filter((_, index) => this.#marksOf(start + index) === RETRIEVED),
      };
    });
    return {
      mailboxes: mailboxes.filter(({ remove, seen }) => remove.length + seen.length > 0),
      removeCount: removeOctets.length,
      removeOctets: removeOctets.reduce((sum, one) => sum + one, 0),
    };
  }

  get #count(): number {
    return this.#starts.at(-1) ?? 0;
  }

  #start(mailbox: number): number {
    return this.#starts[mailbox] ?? 0;
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
    const mailbox = this.#starts.findIndex((start) => start > index) - 1;
    const its = this.#snapshot[mailbox];
    const place = index - this.#start(mailbox);
    const uid = its?.uids[place];
    if (its === undefined || uid === undefined) return undefined;
    return { number: messageNumberAt(index), mailbox, uid, octets: its.octets[place] ?? 0, uniqueId: its.uniqueId(uid) };
  }
}

/** One more than there are mailboxes: the last is the number of all messages. */
function startsOf(snapshot: Snapshot): number[] {
  const starts = [0];
  for (const { uids } of snapshot) starts.push((starts.at(-1) ?? 0) + uids.length);
  return starts;
}
