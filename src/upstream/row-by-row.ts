/**
 * Rows of messages some of which the server may not be able to list: each of these is isolated by asking again, in halves, and keeps its place
 * in the listing with a size and a date that nobody told.
 */
import { isRefusal, UpstreamError } from '../errors.ts';
import type { Uid } from '../maildrop/numbers.ts';
import { findAmong } from './finding.ts';
import type { MailboxRunner } from './imap-session.ts';
import { halves, type Isolation } from './isolation.ts';
import { gatherRows, RowGatherer } from './mailbox-listing.ts';
import type { ListingRows } from './upstream.ts';

/** A server that gives not one row of so many messages is not in trouble with single ones. */
const MAX_AT_FIRST = 50;
/** Each takes some commands to be found. */
const MAX_UNLISTABLE = 1_000;

/** Rows of all those of ascending UIDs that are still there. Rejects with UpstreamError `incomplete` where too many have none. */
export async function rowsOfEach(
  runner: MailboxRunner,
  uids: readonly Uid[],
  isolation: Isolation,
  signal: AbortSignal,
): Promise<ListingRows> {
  const gathered = new RowGatherer(runner.connection, new Set(uids), () => uids.length);
  const unlistable = uids.filter((uid) => isolation.isUnlistable(uid));
  let refused: unknown;
  const noteRefused = (error: unknown): void => {
    if (!isRefusal(error)) throw error;
    refused = error;
  };
  const isHopeless = (most: number): boolean =>
    unlistable.length > MAX_UNLISTABLE || (uids.length > 1 && gathered.size === 0 && unlistable.length >= most);
  const ask = async (part: readonly Uid[]): Promise<void> => {
    if (isHopeless(MAX_AT_FIRST)) throw tooMany(isolation, unlistable.length, refused);
    isolation.asks(part);
    await gatherRows(runner, part, gathered, signal).catch(noteRefused);
    isolation.answered();
    const missing = gathered.missing(part);
    const [first] = missing;
    if (first === undefined) return;
    if (part.length === 1) unlistable.push(first);
    else if (missing.length < part.length) await ask(missing);
    else for (const half of halves(missing)) await ask(half);
  };
  for (const part of isolation.partsOf(uids)) await ask(part);
  const left = await findAmong(runner, unlistable.sort(ascending), 'ALL', signal);
  if (isHopeless(uids.length)) throw tooMany(isolation, unlistable.length, refused);
  for (const uid of left) gathered.addUntold(uid);
  return gathered.rows();
}

function ascending(one: number, other: number): number {
  return one - other;
}

function tooMany(isolation: Isolation, count: number, cause: unknown): UpstreamError {
  isolation.forget();
  return new UpstreamError('incomplete', `the server gives no rows for ${count} messages or more`, { cause });
}
