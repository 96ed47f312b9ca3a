/**
 * Finds messages of a selected mailbox by a property, in whatever way the server has. What it names is a claim: messages that nobody asked
 * about are never taken, and what is to be hidden because of its flags is confirmed by its FLAGS.
 */
import { isRefusal, UpstreamError } from '../errors.ts';
import { hasFlag, type FetchRow } from '../imap/fetch-row.ts';
import { MESSAGES_PER_COMMAND, uidBatches } from '../imap/uid-set.ts';
import { UidRanges } from '../imap/uid-ranges.ts';
import { asUid, isUid, type Uid } from '../maildrop/numbers.ts';
import type { MailboxMemory } from './account-memory.ts';
import type { MailboxRunner } from './imap-session.ts';
import type { Collector } from './pipeline.ts';
import type { ServerHabits } from './server-habits.ts';
import type { KnownEnd } from './upstream.ts';

/** A property that both SEARCH and FLAGS tell. */
export type Key = 'ALL' | 'DELETED' | 'UNDELETED' | 'SEEN' | 'UNSEEN';

/** So many UIDs make an answer of 8 KiB at most. */
export const COMPARED_MESSAGES = 1_000;
/** The joined search makes a server look at every message. In a larger mailbox that takes longer than two searches that it can answer from an index. */
const MOST_JOINED = 2_000;

/** What a server announces and does. */
export interface Abilities {
  readonly habits: ServerHabits;
  has(capability: string): boolean;
}

/** A search that is sent on its own: the command, who takes its result, and the result once it is answered. */
export interface Search {
  readonly text: string;
  readonly collector: Collector;
  readonly found: () => UidRanges;
  /** No message is named that was not found. */
  readonly isExact: () => boolean;
  /** The server gave a result, as it has to where nothing was found too (RFC 3501 section 6.4.4, RFC 4731 section 3.1). */
  readonly isAnswered: () => boolean;
}

/** Messages that have the property, of the whole mailbox. Never more than the mailbox may hold. */
export async function find(runner: MailboxRunner, key: Key, signal: AbortSignal): Promise<UidRanges> {
  return (await searchFor(runner, key, signal)) ?? findByFlags(runner, key, '1:*', signal);
}

/** Gives the UID from which known messages are compared with the server's one by one. Those below it are only counted. */
export function firstCompared(known: KnownEnd): number {
  return known.lastUids(COMPARED_MESSAGES)[0] ?? 1;
}

/** Finds the messages from that UID on. If there are none, the server names the last message instead (RFC 3501 section 6.4.8). */
export async function findFrom(runner: MailboxRunner, from: number, signal: AbortSignal): Promise<Since> {
  const found = (await searchFor(runner, `UID ${from}:*`, signal)) ?? (await findByFlags(runner, 'ALL', `${from}:*`, signal));
  return { from, found };
}

/** Those of ascending UIDs that have the property. Throws UpstreamError `protocol` where the server names any other. */
export async function findAmong(runner: MailboxRunner, uids: readonly Uid[], key: Key, signal: AbortSignal): Promise<Uid[]> {
  let found: Uid[] = [];
  for (const { set, uids: asked } of uidBatches(uids, MESSAGES_PER_COMMAND)) {
    const criterion = key === 'ALL' ? `UID ${set}` : `UID ${set} ${key}`;
    const named = await searchFor(runner, criterion, signal);
    const known = (named ?? (await findByFlags(runner, key, set, signal))).among(asked);
    // Rows of others may come at any time, but nobody searched for them.
    if (named !== undefined && known.length < named.count) throw stranger(asked, named);
    found = found.concat(known);
  }
  return found;
}

/** Those of the messages whose FLAGS tell that they have the property. */
export async function confirmed(runner: MailboxRunner, uids: readonly Uid[], key: Key, signal: AbortSignal): Promise<Uid[]> {
  let found: Uid[] = [];
  for (const { set, uids: asked } of uidBatches(uids, MESSAGES_PER_COMMAND)) {
    found = found.concat((await findByFlags(runner, key, set, signal)).among(asked));
  }
  return found;
}

/** Of every message, by a way of asking that has nothing to do with SEARCH. */
export function findByFetch(runner: MailboxRunner, signal: AbortSignal): Promise<UidRanges> {
  return findByFlags(runner, 'ALL', '1:*', signal);
}

/** The messages of a mailbox from one UID on. */
export interface Since {
  /** The search began at this UID; there need not be a message that has it. */
  readonly from: number;
  readonly found: UidRanges;
}

/** What is heard of a mailbox that was selected a while ago; undefined where it has to be asked about again. */
export interface Heard {
  /** Messages called \Deleted. */
  readonly deleted: UidRanges | undefined;
  /** What is there from the last known message on. */
  readonly since: Since | undefined;
}

/** What is known of such a mailbox; nothing where it is not to be listed. */
export interface KnownBefore {
  readonly known: Pick<KnownEnd, 'count' | 'lastUid'> | undefined;
  readonly memory: Pick<MailboxMemory, 'deleted' | 'wasFlagged'>;
}

/**
 * Asks about a mailbox that was selected a while ago. This takes one round trip unless flags have changed: Dovecot searches what it told last, and
 * looks again only when all that was asked at once is done. A server that says nothing new to NOOP makes a claim too, so the last known message and
 * newer ones are searched for. In a mailbox of ordinary size where nothing was \Deleted, one search does all of this. It names every message that is
 * \Deleted now, every newer message, and the last known message unless that is \Deleted.
 */
export async function heardOf(runner: MailboxRunner, { known, memory }: KnownBefore, signal: AbortSignal): Promise<Heard> {
  const { habits } = runner.connection;
  let hasNews = false;
  const row = (): boolean => {
    hasNews = true;
    return false;
  };
  const asked = async (criterion: string): Promise<UidRanges | undefined> => {
    const search = shortSearch(runner.connection, criterion);
    const isDone = await unlessRefused(runner.command(search.text, signal, { ...search.collector, row }));
    return isDone && search.isAnswered() ? search.found() : undefined;
  };
  const from = known?.lastUid ?? 1;
  const apart = async (): Promise<Heard> => {
    const [deleted, found] = await Promise.all([asked('DELETED'), known && asked(`UID ${from}:*`)]);
    return { deleted: hasNews ? undefined : deleted, since: found && { from, found } };
  };
  const news = runner.command('NOOP', signal, { row });
  const isNoneFlagged = memory.deleted.size === 0 && !memory.wasFlagged;
  const areJoined = known?.lastUid !== undefined && known.count <= MOST_JOINED && isNoneFlagged && !habits.misreadsOr;
  if (!areJoined) return (await Promise.all([news, apart()]))[1];
  const [, found] = await Promise.all([news, asked(`OR (DELETED NOT UID ${from}) (UNDELETED UID ${from}:*)`)]);
  if (found?.has(from) !== true) {
    // It has to name the last known message, unless that is gone or \Deleted.
    const { deleted, since } = await apart();
    if (since?.found.has(from) === true && deleted?.has(from) === false) habits.misreadsOr = true;
    return { deleted, since };
  }
  const since = found.beyond(from - 1);
  // Of what is new it does not tell whether it is \Deleted.
  return { deleted: hasNews || since.count > 1 ? undefined : found.upTo(from - 1), since: { from, found: since } };
}

/** For commands that are sent together with others. Where the answer names too many, the caller asks again, alone. */
export function shortSearch(abilities: Abilities, criterion: string): Search {
  return asSearch(`${returns(abilities) ? 'UID SEARCH RETURN (ALL)' : 'UID SEARCH'} ${criterion}`);
}

/** Undefined where the server refuses to search so, or gives no result that can be read. */
async function searchFor(runner: MailboxRunner, criterion: string, signal: AbortSignal): Promise<UidRanges | undefined> {
  const { connection } = runner;
  let isShortRefused = false;
  if (returns(connection)) {
    const short = asSearch(`UID SEARCH RETURN (ALL COUNT) ${criterion}`);
    isShortRefused = !(await unlessRefused(runner.command(short.text, signal, short.collector))) || !short.isAnswered();
    if (!isShortRefused && short.isExact()) return short.found();
  }
  const whole = asSearch(`UID SEARCH ${criterion}`);
  if (!(await unlessRefused(runner.command(whole.text, signal, whole.collector))) || !whole.isAnswered()) return undefined;
  if (isShortRefused) connection.habits.refusesSearchReturn = true;
  return whole.found();
}

async function findByFlags(runner: MailboxRunner, key: Key, set: string, signal: AbortSignal): Promise<UidRanges> {
  const found = new Set<number>();
  const { limits } = runner.connection;
  const row = ({ uid, flags }: FetchRow): boolean => {
    if (!isUid(uid) || found.size > limits.messages) return false;
    if (key !== 'ALL' && flags === undefined) return false;
    if (matches(key, flags ?? '')) found.add(uid);
    return true;
  };
  await runner.command(`UID FETCH ${set} (UID${key === 'ALL' ? '' : ' FLAGS'})`, signal, { row });
  return UidRanges.ofUids([...found].sort((one, other) => one - other).map(asUid));
}

function matches(key: Key, flags: string): boolean {
  switch (key) {
    case 'ALL':
      return true;
    case 'DELETED':
      return hasFlag(flags, '\\Deleted');
    case 'UNDELETED':
      return !hasFlag(flags, '\\Deleted');
    case 'SEEN':
      return hasFlag(flags, '\\Seen');
    case 'UNSEEN':
      return !hasFlag(flags, '\\Seen');
  }
}

function returns(abilities: Abilities): boolean {
  return abilities.has('ESEARCH') && !abilities.habits.refusesSearchReturn;
}

/** False where the server refuses the command, which it may have announced. */
async function unlessRefused(command: Promise<unknown>): Promise<boolean> {
  try {
    await command;
    return true;
  } catch (error) {
    if (isRefusal(error)) return false;
    throw error;
  }
}

function asSearch(text: string): Search {
  const parts: UidRanges[] = [];
  let areExact = true;
  const found = (some: UidRanges, isExact: boolean): void => {
    parts.push(some);
    areExact &&= isExact;
  };
  return {
    text,
    collector: { found },
    found: () => UidRanges.union(parts),
    isExact: () => parts.length > 0 && areExact,
    isAnswered: () => parts.length > 0,
  };
}

function stranger(asked: readonly Uid[], named: UidRanges): UpstreamError {
  return new UpstreamError('protocol', `asked about ${asked.length} messages, the server names ${named.count}, others among them`);
}
