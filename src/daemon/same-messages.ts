/**
 * Asks the server whether messages that are to be removed are still those that were listed. One command tells for nearly all of them. What it
 * leaves in doubt is asked for by other means: once more, by SEARCH, and by the beginning of the message itself.
 */
import { type BridgeError, isRefusal, toBridgeError, UpstreamError } from '../errors.ts';
import type { Uid } from '../maildrop/numbers.ts';
import { isDoubtfulByHeader, isSameMessage, verdictOn, type Found, type Recorded, type Verdict } from '../maildrop/verification.ts';
import type { RowsRequest, UpstreamMailbox } from '../upstream/upstream.ts';
import { HeaderTap } from './header-tap.ts';
import { identityKey, messageIdKey } from './recognise.ts';

export interface ComparisonRequest {
  readonly mailbox: Pick<UpstreamMailbox, 'rows' | 'existing' | 'beginning'>;
  /** Ascending. */
  readonly uids: readonly Uid[];
  /** Undefined where nothing is known of it: then it is not one that was listed. */
  readonly recordedOf: (uid: Uid) => Recorded | undefined;
  /** The server told of it in this very session. */
  readonly isListedNow: (uid: Uid) => boolean;
}

/** What is in none of these lists is gone. */
export interface Comparison {
  readonly same: readonly Uid[];
  /** Other messages by now. */
  readonly strangers: readonly Uid[];
  /** Still there, but the server does not tell enough to be sure. */
  readonly unread: readonly Uid[];
  /** Why, where there are any. */
  readonly problem: BridgeError | undefined;
}

/** What the server answered to one question. */
interface Answer {
  readonly found: Map<Uid, Found>;
  readonly refused: Map<Uid, UpstreamError>;
}

type Doubtful = Omit<ComparisonRequest, 'uids'> & { readonly first: Answer; readonly second: Answer; readonly there: ReadonlySet<Uid> };

/** With more messages that it refuses to tell of, the server is in trouble as a whole. */
const MAX_REFUSED = 20;

/** Rejects with UpstreamError where the server doesn't answer. */
export async function compareMessages(request: ComparisonRequest, signal: AbortSignal): Promise<Comparison> {
  const { mailbox, uids, recordedOf } = request;
  const withMessageIds = uids.some((uid) => Boolean(recordedOf(uid)?.identity.messageId));
  const first = await ask(mailbox, uids, { withMessageIds }, signal);
  const isSame = (uid: Uid): boolean => {
    const [recorded, found] = [recordedOf(uid), first.found.get(uid)];
    return recorded !== undefined && found !== undefined && isSameMessage(recorded, found);
  };
  const doubtful = uids.filter((uid) => !isSame(uid));
  const verdicts = doubtful.length === 0 ? new Map<Uid, Verdict>() : await lookAgain(request, doubtful, first, signal);
  const isDoubtful = new Set(doubtful);
  const unread = doubtful.filter((uid) => verdicts.get(uid) === 'unsure');
  return {
    same: uids.filter((uid) => !isDoubtful.has(uid) || verdicts.get(uid) === 'same'),
    strangers: doubtful.filter((uid) => verdicts.get(uid) === 'other'),
    unread,
    problem: unread.length === 0 ? undefined : problemWith(unread, first),
  };
}

/** A message without a verdict is gone. */
async function lookAgain(
  request: ComparisonRequest,
  doubtful: readonly Uid[],
  first: Answer,
  signal: AbortSignal,
): Promise<Map<Uid, Verdict>> {
  const { mailbox } = request;
  const untold = doubtful.filter((uid) => !first.found.has(uid));
  const there = new Set(untold.length === 0 ? [] : await stillThere(mailbox, untold, signal));
  // One that was refused and is nowhere to be found is not asked for any more, nor one that would be refused again.
  const asked = doubtful.filter((uid) => !first.refused.has(uid));
  const second = asked.length === 0 ? NO_ANSWER : await ask(mailbox, asked, { withMessageIds: true }, signal);
  const verdicts = new Map<Uid, Verdict>();
  for (const uid of doubtful) {
    const verdict = await verdictFor({ ...request, first, second, there }, uid, signal);
    if (verdict !== undefined) verdicts.set(uid, verdict);
  }
  return verdicts;
}

/** Undefined where the message is gone: neither FETCH nor SEARCH knows it. */
async function verdictFor(doubtful: Doubtful, uid: Uid, signal: AbortSignal): Promise<Verdict | undefined> {
  const { mailbox, recordedOf, isListedNow, first, second, there } = doubtful;
  const recorded = recordedOf(uid);
  const last = second.found.get(uid) ?? first.found.get(uid);
  if (last === undefined && !there.has(uid)) return undefined;
  if (recorded === undefined) return 'other';
  const answers = last === undefined ? undefined : ([first.found.get(uid) ?? last, last] as const);
  const isDecidedByHeader = answers === undefined ? Boolean(recorded.identity.messageId) : isDoubtfulByHeader(recorded, answers);
  if (isDecidedByHeader) return verdictByHeader(recorded, await mailbox.beginning(uid, signal));
  return answers === undefined ? 'unsure' : verdictOn(recorded, answers, isListedNow(uid));
}

/** The header is read as it is when a message is sent to a client, and as it ever was: like is compared with like. */
function verdictByHeader({ identity }: Recorded, beginning: Uint8Array | undefined): Verdict {
  const tap = new HeaderTap();
  if (beginning !== undefined) tap.take(beginning);
  const readings = tap.everyMessageId().map(messageIdKey);
  if (readings.includes(identity.messageId ?? '')) return 'same';
  return readings.length === 0 ? 'unsure' : 'other';
}

function problemWith(unread: readonly Uid[], { refused }: Answer): BridgeError {
  const refusal = unread.map((uid) => refused.get(uid)).find((error) => error !== undefined);
  return toBridgeError(
    refusal ??
      new UpstreamError('incomplete', 'the server does not tell enough of them to be sure that they are the messages that were listed'),
  );
}

const NO_ANSWER: Answer = { found: new Map(), refused: new Map() };

/** One message that the server can't read must not keep all others from being removed: it is found by halving. */
async function ask(
  mailbox: ComparisonRequest['mailbox'],
  uids: readonly Uid[],
  request: RowsRequest,
  signal: AbortSignal,
): Promise<Answer> {
  const answer: Answer = { found: new Map(), refused: new Map() };
  const waiting: (readonly Uid[])[] = [uids];
  let isNarrowed = false;
  for (let part = waiting.pop(); part !== undefined; part = waiting.pop()) {
    try {
      await askFor(mailbox, part, request, answer.found, signal);
    } catch (error) {
      if (!isRefusal(error)) throw error;
      const [only] = part;
      if (only !== undefined && part.length === 1) {
        if (answer.refused.set(only, error).size > MAX_REFUSED) throw error;
        continue;
      }
      // Some servers refuse the whole command for one message that is gone.
      const there = isNarrowed ? part : await stillThere(mailbox, part, signal);
      isNarrowed = true;
      const half = Math.ceil(there.length / 2);
      if (there.length < part.length) waiting.push(there);
      else waiting.push(there.slice(half), there.slice(0, half));
    }
  }
  return answer;
}

/** By SEARCH; what was not asked about does not count. */
async function stillThere(mailbox: ComparisonRequest['mailbox'], uids: readonly Uid[], signal: AbortSignal): Promise<Uid[]> {
  const there = new Set(await mailbox.existing(uids, false, signal));
  return uids.filter((uid) => there.has(uid));
}

async function askFor(
  mailbox: ComparisonRequest['mailbox'],
  uids: readonly Uid[],
  request: RowsRequest,
  found: Map<Uid, Found>,
  signal: AbortSignal,
): Promise<void> {
  if (uids.length === 0) return;
  const rows = await mailbox.rows(uids, request, signal);
  const messageIdOf = (uid: Uid): string | undefined =>
    request.withMessageIds && rows.messageIds.has(uid) ? messageIdKey(rows.messageIds.get(uid)) : undefined;
  // A header that came without anything else tells something too.
  for (const uid of rows.messageIds.keys()) found.set(uid, { octets: 0, arrival: 0, identity: { given: '', messageId: messageIdOf(uid) } });
  for (const [index, uid] of rows.uids.entries()) {
    const given = rows.identities[index];
    const identity = { given: given === undefined ? '' : identityKey(given), messageId: messageIdOf(uid) };
    found.set(uid, { octets: rows.octets[index] ?? 0, arrival: rows.arrivals[index] ?? 0, identity });
  }
}
