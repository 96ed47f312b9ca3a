/** Rows and searches of a selected mailbox, by commands of our own: as many at a time as the server takes, each row checked. */
import type { BodySection, FetchRow } from '../imap/fetch-row.ts';
import type { BodySink } from '../imap/response-parser.ts';
import { MESSAGES_PER_COMMAND, uidBatches } from '../imap/uid-set.ts';
import { messageIdIn, TELLING_FIELDS } from '../maildrop/message-id.ts';
import { isUid, type Uid } from '../maildrop/numbers.ts';
import { IDENTITY_KINDS } from '../maildrop/rematch.ts';
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

export function noRows(): ListingRows {
  return { uids: [], octets: [], arrivals: [], identities: [], messageIds: new Map() };
}

/** Rows of every message of a mailbox that is said to hold `count`, ascending by UID; fewer where they did not come. */
export async function rowsOfAll(runner: MailboxRunner, count: number, signal: AbortSignal): Promise<ListingRows> {
  const gathered = new RowGatherer(runner.connection, undefined, () => count);
  let answered = 0;
  function* ranges(): Generator<readonly [from: number, to: number]> {
    // Once it has fallen short it is of no use, and a server can claim more messages than there is memory.
    for (let from = 1; from <= count && gathered.size >= answered; from += MESSAGES_PER_COMMAND) {
      yield [from, Math.min(count, from + MESSAGES_PER_COMMAND - 1)];
    }
  }
  await inOrder(ranges(), async ([from, to]) => {
    await runner.command(`FETCH ${from}:${to} ${gathered.items}`, signal, gathered);
    answered += to - from + 1;
  });
  return gathered.rows();
}

/** Rows of those that are still there, ascending by UID. */
export async function rowsOf(
  runner: MailboxRunner,
  uids: readonly Uid[],
  withMessageIds: boolean,
  signal: AbortSignal,
): Promise<ListingRows> {
  const gathered = new RowGatherer(runner.connection, new Set(uids), () => uids.length);
  const headers = new HeaderGatherer(uids.length);
  const items = withMessageIds ? gathered.items.replace(')', ` ${headers.item})`) : gathered.items;
  const collector: Collector = withMessageIds
    ? { body: headers.body, row: (row) => [headers.row(row), gathered.row(row)].includes(true) }
    : gathered;
  await inOrder(uidBatches(uids, MESSAGES_PER_COMMAND), ({ set }) => runner.command(`UID FETCH ${set} ${items}`, signal, collector));
  return { ...gathered.rows(), messageIds: headers.messageIds };
}

/** The Message-IDs, or what stands in for them (see messageIdIn), of those that have any. */
export async function messageIdsOf(runner: MailboxRunner, uids: readonly Uid[], signal: AbortSignal): Promise<ReadonlyMap<Uid, string>> {
  const headers = new HeaderGatherer(uids.length);
  for (const { set } of uidBatches(uids, MESSAGES_PER_COMMAND)) {
    await runner.command(`UID FETCH ${set} (UID ${headers.item})`, signal, headers);
  }
  return headers.messageIds;
}

/** What the server announces. */
export interface Abilities {
  has(capability: string): boolean;
}

/** UIDs found by a search key such as `UNSEEN`, ascending, each once, and none that no message has. */
export async function search(runner: MailboxRunner, key: string, signal: AbortSignal): Promise<Uid[]> {
  const [short, whole] = [asSearch(`UID SEARCH RETURN (ALL COUNT) ${key}`), asSearch(`UID SEARCH ${key}`)];
  if (runner.connection.has('ESEARCH')) {
    await runner.command(short.text, signal, short.collector);
    if (short.isExact()) return short.uids();
  }
  await runner.command(whole.text, signal, whole.collector);
  return whole.uids();
}

export async function searchDeleted(runner: MailboxRunner, signal: AbortSignal): Promise<ReadonlySet<Uid>> {
  return new Set(await search(runner, 'DELETED', signal));
}

/**
 * The same in a mailbox that was selected a while ago. One round trip, where no flags have changed: Dovecot searches what it
 * told last, and looks again only when all that was asked at once is done.
 */
export async function deletedNow(runner: MailboxRunner, signal: AbortSignal): Promise<ReadonlySet<Uid>> {
  let hasNews = false;
  const row = (): boolean => {
    hasNews = true;
    return false;
  };
  const { text, collector, uids } = searchFor(runner.connection, 'DELETED');
  await Promise.all([runner.command('NOOP', signal, { row }), runner.command(text, signal, { ...collector, row })]);
  return hasNews ? searchDeleted(runner, signal) : new Set(uids());
}

/** A search that is sent on its own: the command, who takes its result, and the result once it is answered. */
interface Search {
  readonly text: string;
  readonly collector: Collector;
  readonly uids: () => Uid[];
  readonly isExact: () => boolean;
}

/** Where UIDs that no message has do no harm among those that are found. */
export function searchFor(abilities: Abilities, key: string): Search {
  return asSearch(`${abilities.has('ESEARCH') ? 'UID SEARCH RETURN (ALL)' : 'UID SEARCH'} ${key}`);
}

function asSearch(text: string): Search {
  const parts: Uid[][] = [];
  let areExact = true;
  const uids = (): Uid[] => {
    const [only = []] = parts;
    return parts.length < 2 ? only : [...new Set(parts.flat())].sort((one, other) => one - other);
  };
  const found = (some: Uid[], isExact: boolean): void => {
    parts.push(some);
    areExact &&= isExact;
  };
  return { text, collector: { found }, uids, isExact: () => parts.length > 0 && areExact };
}

/** Runs work for each, several at a time, begun in that order. The first failure ends it. */
async function inOrder<T>(all: Iterable<T>, work: (one: T) => Promise<void>): Promise<void> {
  const running: Promise<void>[] = [];
  for (const one of all) {
    if (running.length >= COMMANDS_AT_A_TIME) await running.shift();
    const done = work(one);
    done.catch(() => {});
    running.push(done);
  }
  await Promise.all(running);
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

  readonly row = ({ uid, octets, arrival, emailId, gmailId }: FetchRow): boolean => {
    // News of flags may come in between.
    if (octets === undefined && arrival === undefined) return false;
    if (!isUid(uid) || this.#wanted?.has(uid) === false) return false;
    if (this.#uids.length >= MAX_REPEATS * this.#expected() + SPARE_ROWS) return false;
    this.#isAscending &&= uid > (this.#uids.at(-1) ?? 0);
    const identity = emailId ?? gmailId ?? '';
    this.#uids.push(uid);
    this.#octets.push(octets ?? 0);
    this.#arrivals.push(arrival ?? 0);
    this.#identities.push(identity === '' ? undefined : this.#kind + identity);
    return true;
  };

  /** Ascending by UID; of a row that came twice the last. */
  rows(): ListingRows {
    const columns = { uids: this.#uids, octets: this.#octets, arrivals: this.#arrivals, identities: this.#identities };
    if (this.#isAscending) return { ...columns, messageIds: new Map() };
    const places = new Map(this.#uids.map((uid, place) => [uid, place]));
    const order = [...places.values()].sort((one, other) => (this.#uids[one] ?? 0) - (this.#uids[other] ?? 0));
    const pick = <T>(column: readonly T[]): T[] => order.flatMap((place) => column.slice(place, place + 1));
    return {
      uids: pick(this.#uids),
      octets: pick(this.#octets),
      arrivals: pick(this.#arrivals),
      identities: pick(this.#identities),
      messageIds: new Map(),
    };
  }
}

class HeaderGatherer {
  readonly item = `BODY.PEEK[HEADER.FIELDS (${TELLING_FIELDS.join(' ').toUpperCase()})]`;
  readonly messageIds = new Map<Uid, string>();
  readonly #expected: number;
  #fields: Buffer[] | undefined;

  constructor(expected: number) {
    this.#expected = expected;
  }

  readonly body = (_row: FetchRow, { name }: BodySection): BodySink | undefined => {
    if (name !== 'HEADER.FIELDS') return undefined;
    const chunks: Buffer[] = [];
    let octets = 0;
    this.#fields = chunks;
    return {
      write: (chunk) => {
        if (octets < MAX_FIELDS_OCTETS) chunks.push(chunk);
        octets += chunk.length;
      },
    };
  };

  readonly row = ({ uid }: FetchRow): boolean => {
    const fields = this.#fields;
    this.#fields = undefined;
    if (fields === undefined || !isUid(uid) || this.messageIds.size >= this.#expected + SPARE_ROWS) return false;
    this.messageIds.set(uid, messageIdIn(Buffer.concat(fields)) ?? '');
    return true;
  };
}
