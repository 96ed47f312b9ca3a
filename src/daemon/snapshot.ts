/** Which messages of its mailboxes a maildrop shows (CONTRACT section 4: show, since, newest; 5.10), and what LIST tells of them. Pure. */
import type { DeletionConfig, MaildropConfig } from '../config/schema.ts';
import type { Snapshot } from '../maildrop/maildrop.ts';
import type { Uid } from '../maildrop/numbers.ts';
import { atOnce, stepwise, type Steps } from '../maildrop/steps.ts';
import { messagesIn, uniqueIdsIn, UNKNOWN_OCTETS, type UidMap } from '../maildrop/uid-map.ts';

/** A mailbox and what is not shown of it. */
export interface Showing {
  readonly map: UidMap;
  readonly mailbox: { readonly isReadOnly: boolean };
  /** Flagged \Deleted, or about to be removed. */
  readonly hidden: ReadonlySet<Uid>;
  /** Those that nobody read; undefined where that does not matter. */
  readonly unseen: ReadonlySet<Uid> | undefined;
}

export interface SnapshotRequest {
  readonly maildrop: MaildropConfig;
  readonly action: DeletionConfig['action'];
  readonly isRecent: boolean;
  /** Seconds since 1970. */
  readonly now: number;
}

/** The user-name prefix `recent:` shows so much, as Gmail's does. */
const RECENT_SECONDS = 30 * 24 * 60 * 60;

/** The shown messages of one mailbox, in parallel arrays. */
interface Shown {
  readonly uids: Uid[];
  readonly octets: number[];
  readonly arrivals: number[];
}

export function snapshotOf(mailboxes: readonly Showing[], request: SnapshotRequest): Snapshot {
  return atOnce(snapshotSteps(mailboxes, request));
}

/** The same in steps. */
export function* snapshotSteps(mailboxes: readonly Showing[], request: SnapshotRequest): Steps<Snapshot> {
  const all: Shown[] = [];
  for (const showing of mailboxes) all.push(yield* shownOf(showing, request));
  const limit = request.isRecent ? 0 : request.maildrop.newest;
  const shown = limit === 0 ? all : newest(all, limit);
  return mailboxes.map(({ map, mailbox }, place) => ({
    uids: shown[place]?.uids ?? [],
    octets: Float64Array.from(shown[place]?.octets ?? []),
    uniqueId: uniqueIdsIn(map),
    // Hiding changes nothing upstream.
    isReadOnly: mailbox.isReadOnly && request.action !== 'hide',
  }));
}

function* shownOf({ map, hidden, unseen }: Showing, { maildrop, isRecent, now }: SnapshotRequest): Steps<Shown> {
  const shown: Shown = { uids: [], octets: [], arrivals: [] };
  const seconds = isRecent ? RECENT_SECONDS : maildrop.sinceSeconds;
  const oldest = seconds > 0 ? now - seconds : 0;
  yield* stepwise(messagesIn(map), ({ segment, index, uid }) => {
    if (hidden.has(uid) || unseen?.has(uid) === false) return;
    if (!isRecent && (segment.states?.deletedAt[index] ?? 0) > 0) return;
    const arrival = segment.arrivals[index] ?? 0;
    // Of unknown arrival it may be new.
    if (arrival > 0 && arrival < oldest) return;
    const learned = maildrop.sizes === 'trust' ? UNKNOWN_OCTETS : (segment.trueOctets[index] ?? UNKNOWN_OCTETS);
    shown.uids.push(uid);
    shown.octets.push(learned === UNKNOWN_OCTETS ? (segment.declaredOctets[index] ?? 0) : learned);
    shown.arrivals.push(arrival);
  });
  return shown;
}

/** The latest of all mailboxes by arrival; of those that arrived together the last ones. */
function newest(all: readonly Shown[], limit: number): Shown[] {
  const places = all.flatMap(({ arrivals }, mailbox) => arrivals.map((arrival, index) => ({ mailbox, index, arrival })));
  places.sort((one, other) => other.arrival - one.arrival || other.mailbox - one.mailbox || other.index - one.index);
  const kept = Map.groupBy(places.slice(0, limit), ({ mailbox }) => mailbox);
  return all.map((shown, mailbox) => {
    const indices = (kept.get(mailbox) ?? []).map(({ index }) => index).sort((one, other) => one - other);
    const pick = <T>(from: readonly T[]): T[] => indices.flatMap((index) => from.slice(index, index + 1));
    return { uids: pick(shown.uids), octets: pick(shown.octets), arrivals: pick(shown.arrivals) };
  });
}
