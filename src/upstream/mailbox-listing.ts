/** Rows of a selected mailbox, by commands of our own: as many at a time as the server takes, each row checked against what was asked. */
import { isRefusal } from '../errors.ts';
import type { BodySection, FetchRow } from '../imap/fetch-row.ts';
import type { BodySink } from '../imap/response-parser.ts';
import { MESSAGES_PER_COMMAND, uidBatches } from '../imap/uid-set.ts';
import { messageIdIn, TELLING_FIELDS } from '../maildrop/message-id.ts';
import { isUid, MAX_UID, type Uid } from '../maildrop/numbers.ts';
import { IDENTITY_KINDS } from '../maildrop/rematch.ts';
import { outsideUidSpace } from '../imap/uid-space.ts';
import type { Abilities } from './finding.ts';
import type { MailboxRunner } from './imap-session.ts';
import type { Collector } from './pipeline.ts';
import type { ListingRows } from './upstream.ts';

/** Commands that the server is given before it has answered the first of them. */
const COMMANDS_AT_A_TIME = 8;
/** A message may be told of more than once, and a mailbox may grow meanwhile. */
const MAX_REPEATS = 3;
const SPARE_ROWS = 10_000;
/** Of the header fields that are asked for; what is longer is cut. */
const MAX_FIELDS_OCTETS = 64 * 1024;
const MAX_BEGINNING_OCTETS = 64 * 1024;

export function noRows(): ListingRows {
  return { uids: [], octets: [], arrivals: [], identities: [], messageIds: new Map() };
}

/** Rows of those that are still there, ascending by UID. */
export async function rowsOf(
  runner: MailboxRunner,
  uids: readonly Uid[],
  withMessageIds: boolean,
  signal: AbortSignal,
): Promise<ListingRows> {
  const wanted = new Set(uids);
  const gathered = new RowGatherer(runner.connection, wanted, () => uids.length);
  const headers = new HeaderGatherer(wanted, { takesNil: false });
  const items = withMessageIds ? gathered.items.replace(')', ` ${headers.item})`) : gathered.items;
  const collector: Collector = withMessageIds
    ? { body: headers.body, row: (row) => [headers.row(row), gathered.row(row)].includes(true) }
    : gathered;
  await inOrder(uidBatches(uids, MESSAGES_PER_COMMAND), ({ set }) => runner.command(`UID FETCH ${set} ${items}`, signal, collector));
  return { ...gathered.rows(), messageIds: headers.messageIds };
}

/** Gathers the rows of these messages. Rejects with the first refusal, when all that was asked is answered. */
export function gatherRows(runner: MailboxRunner, uids: readonly Uid[], gathered: RowGatherer, signal: AbortSignal): Promise<void> {
  const batches = uidBatches(uids, MESSAGES_PER_COMMAND);
  return inOrder(batches, ({ set }) => runner.command(`UID FETCH ${set} ${gathered.items}`, signal, gathered));
}

/** The Message-IDs, or what stands in for them (see messageIdIn), of those that have any. */
export async function messageIdsOf(runner: MailboxRunner, uids: readonly Uid[], signal: AbortSignal): Promise<ReadonlyMap<Uid, string>> {
  const headers = new HeaderGatherer(new Set(uids), { takesNil: true });
  for (const { set } of uidBatches(uids, MESSAGES_PER_COMMAND)) {
    await runner.command(`UID FETCH ${set} (UID ${headers.item})`, signal, headers);
  }
  return headers.messageIds;
}

/** The first octets of a message; undefined where the server refuses them or gives none. */
export async function beginningOf(runner: MailboxRunner, uid: Uid, signal: AbortSignal): Promise<Uint8Array | undefined> {
  const read: { chunks: Buffer[] | undefined; whole: Buffer | undefined } = { chunks: undefined, whole: undefined };
  const collector: Collector = {
    body: (_row, { name, origin = 0 }, octets) => {
      read.chunks = undefined;
      if (name !== '' || origin !== 0 || octets === undefined) return undefined;
      const chunks: Buffer[] = [];
      read.chunks = chunks;
      return { write: cutAt(MAX_BEGINNING_OCTETS, chunks) };
    },
    row: (row) => {
      if (read.chunks === undefined || row.uid !== uid) return false;
      read.whole = Buffer.concat(read.chunks);
      return true;
    },
  };
  try {
    await runner.command(`UID FETCH ${uid} (UID BODY.PEEK[]<0.${MAX_BEGINNING_OCTETS}>)`, signal, collector);
  } catch (error) {
    if (!isRefusal(error)) throw error;
  }
  return read.whole !== undefined && read.whole.length > 0 ? read.whole : undefined;
}

/** Keeps so many octets, cut at that very octet however the chunks fall: the same octets must always be read in the same way. */
function cutAt(most: number, chunks: Buffer[]): (chunk: Buffer) => void {
  let octets = 0;
  return (chunk) => {
    if (octets < most) chunks.push(chunk.subarray(0, most - octets));
    octets += chunk.length;
  };
}

/** Runs work for each, several at a time, begun in that order. After the first failure nothing more is begun; what runs is waited for. */
async function inOrder<T>(all: Iterable<T>, work: (one: T) => Promise<void>): Promise<void> {
  const running: Promise<void>[] = [];
  try {
    for (const one of all) {
      if (running.length >= COMMANDS_AT_A_TIME) await running.shift();
      const done = work(one);
      done.catch(() => {});
      running.push(done);
    }
    await Promise.all(running);
  } finally {
    await Promise.allSettled(running);
  }
}

/** Gathers rows for a listing. */
export class RowGatherer implements Collector {
  readonly items: string;
  readonly #wanted: ReadonlySet<number> | undefined;
  readonly #expected: () => number;
  readonly #kind: string;
  readonly #uids: Uid[] = [];
  readonly #octets: number[] = [];
  readonly #arrivals: number[] = [];
  readonly #identities: (string | undefined)[] = [];
  readonly #untold: Uid[] = [];
  #isAscending = true;

  /** `wanted`: only these UIDs. `expected`: so many rows; a server may repeat some, but not for ever. */
  constructor(abilities: Abilities, wanted: ReadonlySet<number> | undefined, expected: () => number) {
    this.#wanted = wanted;
    this.#expected = expected;
    const hasEmailId = abilities.has('OBJECTID');
    const identity = hasEmailId ? ' EMAILID' : abilities.has('X-GM-EXT-1') ? ' X-GM-MSGID' : '';
    this.#kind = hasEmailId ? IDENTITY_KINDS.emailId : IDENTITY_KINDS.gmailId;
    this.items = `(UID RFC822.SIZE INTERNALDATE${identity})`;
  }

  get size(): number {
    return this.#uids.length;
  }

  /** Those of the messages that no row came of. */
  missing(uids: readonly Uid[]): Uid[] {
    const gathered = new Set(this.#uids);
    return uids.filter((uid) => !gathered.has(uid));
  }

  /** A message that is there though the server gives no row of it. */
  addUntold(uid: Uid): void {
    this.#untold.push(uid);
    this.#add(uid, 0, 0, undefined);
  }

  readonly row = ({ uid, octets, arrival, emailId, gmailId }: FetchRow): boolean => {
    // News of flags may come in between.
    if (octets === undefined && arrival === undefined) return false;
    if (uid > MAX_UID) throw outsideUidSpace('a UID', uid);
    if (!isUid(uid) || this.#wanted?.has(uid) === false) return false;
    if (this.#uids.length >= MAX_REPEATS * this.#expected() + SPARE_ROWS) return false;
    const identity = emailId ?? gmailId ?? '';
    if (uid === this.#uids.at(-1)) return this.#fill(octets, arrival);
    this.#add(uid, octets ?? 0, arrival ?? 0, identity === '' ? undefined : this.#kind + identity);
    return true;
  };

  /** A server may tell of one message in several rows. */
  #fill(octets: number | undefined, arrival: number | undefined): true {
    const last = this.#uids.length - 1;
    if (octets !== undefined) this.#octets[last] = octets;
    if (arrival !== undefined) this.#arrivals[last] = arrival;
    return true;
  }

  #add(uid: Uid, octets: number, arrival: number, identity: string | undefined): void {
    this.#isAscending &&= uid > (this.#uids.at(-1) ?? 0);
    this.#uids.push(uid);
    this.#octets.push(octets);
    this.#arrivals.push(arrival);
    this.#identities.push(identity);
  }

  /** Ascending by UID; of a row that came twice the last. */
  rows(): ListingRows {
    const columns = { uids: this.#uids, octets: this.#octets, arrivals: this.#arrivals, identities: this.#identities };
    const rest = { messageIds: new Map<Uid, string>(), untold: this.#untold };
    if (this.#isAscending) return { ...columns, ...rest };
    const places = new Map(this.#uids.map((uid, place) => [uid, place]));
    const order = [...places.values()].sort((one, other) => (this.#uids[one] ?? 0) - (this.#uids[other] ?? 0));
    const pick = <T>(column: readonly T[]): T[] => order.flatMap((place) => column.slice(place, place + 1));
    return {
      uids: pick(this.#uids),
      octets: pick(this.#octets),
      arrivals: pick(this.#arrivals),
      identities: pick(this.#identities),
      ...rest,
    };
  }
}

class HeaderGatherer {
  readonly item = `BODY.PEEK[HEADER.FIELDS (${TELLING_FIELDS.join(' ').toUpperCase()})]`;
  readonly messageIds = new Map<Uid, string>();
  readonly #wanted: ReadonlySet<number>;
  readonly #takesNil: boolean;
  #fields: Buffer[] | undefined;

  /** `takesNil`: a server that gives NIL for the fields has told that there are none; else it has told nothing. */
  constructor(wanted: ReadonlySet<number>, { takesNil }: { readonly takesNil: boolean }) {
    this.#wanted = wanted;
    this.#takesNil = takesNil;
  }

  readonly body = (_row: FetchRow, { name }: BodySection, octets: number | undefined): BodySink | undefined => {
    if (name !== 'HEADER.FIELDS') return undefined;
    if (octets === undefined && !this.#takesNil) return undefined;
    const chunks: Buffer[] = [];
    this.#fields = chunks;
    return { write: cutAt(MAX_FIELDS_OCTETS, chunks) };
  };

  readonly row = ({ uid }: FetchRow): boolean => {
    const fields = this.#fields;
    this.#fields = undefined;
    if (fields === undefined || !isUid(uid) || !this.#wanted.has(uid)) return false;
    this.messageIds.set(uid, messageIdIn(Buffer.concat(fields)) ?? '');
    return true;
  };
}
