/**
 * Lists a mailbox, whole. Each thing that a server says is a claim: that messages are there takes one, that one is to be hidden takes its
 * FLAGS, and that all are gone takes a second way of asking. What does not add up is no listing.
 */
import type { UidRanges } from '../imap/uid-ranges.ts';
import type { Uid } from '../maildrop/numbers.ts';
import { hasAnotherDate } from '../maildrop/verification.ts';
import type { MailboxMemory } from './account-memory.ts';
import { COMPARED_MESSAGES, confirmed, find, findByFetch, findFrom, firstCompared } from './finding.ts';
import type { SelectedMailbox } from './selected-mailbox.ts';
import type { MailboxRunner } from './imap-session.ts';
import type { ListingAhead } from './listing-ahead.ts';
import { noRows, rowsOf } from './mailbox-listing.ts';
import { rowsOfEach } from './row-by-row.ts';
import type { KnownMailbox, Listing, ListingRows } from './upstream.ts';

/** A mailbox that was just selected. */
export interface ListingParts {
  readonly runner: MailboxRunner;
  readonly selected: SelectedMailbox;
  readonly memory: MailboxMemory;
}

/** What is listed in one way or another. */
type Part = Pick<Listing, 'uids' | 'added'>;

const AS_LISTED = { isUnchanged: false, isOther: false };

/**
 * A whole listing; undefined when its parts don't agree, `others` when the messages known are not what they were. With `isLast` nobody asks
 * again: what two of EXISTS, SEARCH and FETCH agree on is believed.
 */
export async function tryListing(
  parts: ListingParts,
  known: KnownMailbox,
  { ahead, isLast }: { readonly ahead: ListingAhead | undefined; readonly isLast: boolean },
  signal: AbortSignal,
): Promise<Listing | 'others' | undefined> {
  const { uidValidity, uidNext, modSeq } = parts.selected;
  // It never goes back (RFC 3501 section 2.3.1.1), but where the mailbox does: then UIDs are given away a second time.
  if (uidNext > 0 && uidNext < known.uidNext) return 'others';
  const now = stillTrue(parts, ahead);
  const exists = parts.selected.exists ?? (await findByFetch(parts.runner, signal)).count;
  if (exists === 0) {
    const isEmpty = await isReallyEmpty(parts, known, now, signal);
    if (isEmpty) return { uidValidity, uidNext, modSeq, uids: [], deleted: new Set(), added: noRows(), ...AS_LISTED };
    if (!isLast) return undefined;
  }
  const deleted = deletedIn(parts, now, signal);
  const [since, claimed] = await Promise.all([changesSince(parts, known, exists, now, signal), deleted]);
  const rest = since ?? (await changesOf(parts, known, { exists, isLast }, now, signal));
  if (rest === undefined || rest === 'others') return rest;
  if (rest === 'unchanged')
    return unchanged(known, { uidValidity, uidNext, modSeq, deleted: await truly(parts, claimed, () => known.uids(), signal) });
  return { uidValidity, uidNext, modSeq, ...rest, deleted: await truly(parts, claimed, () => rest.uids, signal), ...AS_LISTED };
}

/** What was asked for ahead, where it tells of the mailbox as it is since it was selected. */
function stillTrue({ runner, selected }: ListingParts, ahead: ListingAhead | undefined): ListingAhead | undefined {
  return ahead?.news === selected.news && isUnchangedSince(runner, selected) ? ahead : undefined;
}

/** The server told of nothing since it was selected. */
function isUnchangedSince({ connection }: MailboxRunner, { news }: SelectedMailbox): boolean {
  return connection.pipeline.news === news;
}

/**
 * SELECT says that there is nothing. Where nothing was known either, the listing that was asked for together with it says so too; else two
 * other ways of asking have to agree.
 */
async function isReallyEmpty(
  { runner }: ListingParts,
  known: KnownMailbox,
  ahead: ListingAhead | undefined,
  signal: AbortSignal,
): Promise<boolean> {
  const foundNone = ahead?.since?.from === 1 && ahead.since.found.count === 0;
  if (known.count === 0 && (foundNone || ahead?.rows?.uids.length === 0)) return true;
  const [searched, fetched] = await Promise.all([find(runner, 'ALL', signal), findByFetch(runner, signal)]);
  return searched.count + fetched.count === 0;
}

function deletedIn({ runner }: ListingParts, ahead: ListingAhead | undefined, signal: AbortSignal): Promise<UidRanges> {
  return ahead?.deleted === undefined ? find(runner, 'DELETED', signal) : Promise.resolve(ahead.deleted);
}

/**
 * Of the listed messages that SEARCH calls \Deleted, those that are. What their FLAGS said before holds as long as SEARCH agrees, which says
 * nothing where it names every message, or named others before.
 */
async function truly(
  { runner, memory }: ListingParts,
  claimed: UidRanges,
  listed: () => readonly Uid[],
  signal: AbortSignal,
): Promise<ReadonlySet<Uid>> {
  const all = claimed.count === 0 ? [] : listed();
  const named = claimed.among(all);
  const { habits } = runner.connection;
  if (habits.searchesAnyhow || named.length === all.length) memory.deleted = new Set();
  const doubtful = named.filter((uid) => !memory.deleted.has(uid));
  const proven = new Set(await confirmed(runner, doubtful, 'DELETED', signal));
  if (proven.size < doubtful.length) habits.searchesAnyhow = true;
  memory.deleted = new Set(named.filter((uid) => memory.deleted.has(uid) || proven.has(uid)));
  memory.wasFlagged = false;
  return memory.deleted;
}

/**
 * Where none of the known messages went, only what came behind them is looked at. New UIDs are above all others (RFC 3501 section 2.3.1.1), so
 * the messages from one of the last known ones on, and the number of all messages, show this. Gives undefined if they do not.
 */
async function changesSince(
  parts: ListingParts,
  known: KnownMailbox,
  exists: number,
  ahead: ListingAhead | undefined,
  signal: AbortSignal,
): Promise<Part | 'others' | 'unchanged' | undefined> {
  const { runner, selected } = parts;
  const last = known.lastUid;
  if (last === undefined || known.count > exists) return undefined;
  const { from, found } = ahead?.since ?? (await findFrom(runner, firstCompared(known), signal));
  // The search was made for the listing of another map.
  if (from > last) return undefined;
  const compared = known.lastUids(COMPARED_MESSAGES).filter((uid) => uid >= from);
  const newer = found.beyond(last);
  // What lies below was not asked about: then the search is good for nothing.
  const areThere = found.count === compared.length + newer.count && found.among(compared).length === compared.length;
  if (!areThere || known.count + newer.count !== exists || !isUnchangedSince(runner, selected)) return undefined;
  const isSure = compared.length === known.count || hasSameModSeq(parts, known);
  const [added, all] = await Promise.all([
    newer.count === 0 ? noRows() : rowsAfter(parts, known, last, newer.toUids(exists), signal),
    isSure ? undefined : find(runner, 'ALL', signal),
  ]);
  if (added === 'others') return added;
  if (all !== undefined && all.among(known.uids()).length < known.count) return undefined;
  if (newer.count === 0) return 'unchanged';
  // What came meanwhile could make up for what went.
  const isWhole = known.count + added.uids.length === exists && isUnchangedSince(runner, selected);
  return isWhole ? { uids: known.uids().concat(added.uids), added } : undefined;
}

/** How many messages there are said to be. */
interface Said {
  readonly exists: number;
  readonly isLast: boolean;
}

/** Gives true as well if the server tells no such number now, or told none at the listing before: then the count has to do. */
function hasSameModSeq({ selected }: ListingParts, known: KnownMailbox): boolean {
  return selected.modSeq === undefined || known.modSeq === undefined || selected.modSeq === known.modSeq;
}

async function changesOf(
  parts: ListingParts,
  known: KnownMailbox,
  said: Said,
  ahead: ListingAhead | undefined,
  signal: AbortSignal,
): Promise<Part | 'others' | undefined> {
  const all = known.count > 0 || parts.memory.isolation.isCareful ? undefined : ahead?.rows;
  return all?.uids.length === said.exists ? { uids: all.uids, added: all } : allOf(parts, known, said, signal);
}

/** By the live UIDs. */
async function allOf(parts: ListingParts, known: KnownMailbox, said: Said, signal: AbortSignal): Promise<Part | 'others' | undefined> {
  const live = await liveIn(parts, said, signal);
  if (live === undefined) return undefined;
  const uids = live.toUids(live.count);
  const unknown = uids.filter((uid) => known.arrivalOf(uid) === undefined);
  const last = uids.findLast((uid) => known.arrivalOf(uid) !== undefined);
  const added = await rowsAfter(parts, known, last, unknown, signal);
  if (added === 'others') return added;
  return added.uids.length === unknown.length ? { uids, added } : undefined;
}

/**
 * What SEARCH names, where there are as many as EXISTS says, or what two of three ways to tell agree on; undefined where none do. That there is
 * nothing takes all three, which are asked elsewhere.
 */
async function liveIn({ runner }: ListingParts, { exists, isLast }: Said, signal: AbortSignal): Promise<UidRanges | undefined> {
  const searched = await find(runner, 'ALL', signal);
  if (searched.count === exists && exists > 0) return searched;
  if (!isLast) return undefined;
  const fetched = await findByFetch(runner, signal);
  const areAgreed = fetched.count === exists || fetched.count === searched.count;
  return areAgreed && fetched.count > 0 ? fetched : undefined;
}

/**
 * Rows of unknown messages, and with them of the last known one: where a mailbox was set back in time its UIDs are given away a second
 * time, to other messages, and the last is among them.
 */
async function rowsAfter(
  { runner, memory }: ListingParts,
  known: KnownMailbox,
  last: Uid | undefined,
  unknown: readonly Uid[],
  signal: AbortSignal,
): Promise<ListingRows | 'others'> {
  const asked = last === undefined || unknown.length === 0 ? unknown : [...unknown, last].sort((one, other) => one - other);
  const rows = await rowsOfEach(runner, asked, memory.isolation, signal);
  const place = last === undefined ? -1 : rows.uids.indexOf(last);
  if (last === undefined || place < 0) return rows;
  const isOther = await isAnotherByNow(runner, last, [known.arrivalOf(last) ?? 0, rows.arrivals[place] ?? 0], signal);
  for (const column of [rows.uids, rows.octets, rows.arrivals, rows.identities]) column.splice(place, 1);
  return isOther ? 'others' : rows;
}

/** Some servers tell another date each time, so a date that differs is asked for once more. */
async function isAnotherByNow(
  runner: MailboxRunner,
  uid: Uid,
  [before, told]: readonly [number, number],
  signal: AbortSignal,
): Promise<boolean> {
  if (!hasAnotherDate(before, [told, told])) return false;
  const again = await rowsOf(runner, [uid], false, signal);
  return hasAnotherDate(before, [told, again.arrivals[0] ?? 0]);
}

/** Of 100,000 messages that nobody may ask for no list is made. */
function unchanged(known: KnownMailbox, told: Pick<Listing, 'uidValidity' | 'uidNext' | 'modSeq' | 'deleted'>): Listing {
  return {
    ...told,
    get uids() {
      return known.uids();
    },
    added: noRows(),
    isUnchanged: true,
    isOther: false,
  };
}
