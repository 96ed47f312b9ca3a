/**
 * The UID map of one mailbox in one maildrop: for every message its UID, sizes and arrival, kept across sessions. Values,
 * in segments of at most 1,024 messages (by UID); a change makes new segments only where something changed, so that the
 * store writes just those.
 */
import type { Uid, UidValidity } from './numbers.ts';
import { UNIQUE_ID_FORMULA } from './unique-id.ts';

/** Messages of one segment in parallel arrays, ascending by UID. */
export interface Segment {
  /** The formula under which their unique-ids were first shown; it never changes for them. */
  readonly formula: string;
  readonly uids: readonly Uid[];
  /** RFC822.SIZE. */
  readonly declaredOctets: readonly number[];
  /** What RETR really sent; -1 while unknown. */
  readonly trueOctets: readonly number[];
  /** INTERNALDATE, seconds since 1970. */
  readonly arrivals: readonly number[];
}

export interface UidMap {
  readonly uidValidity: UidValidity;
  readonly segments: ReadonlyMap<number, Segment>;
}

/** What is known of one message. */
export interface KnownMessage {
  readonly uid: Uid;
  readonly declaredOctets: number;
  readonly trueOctets: number | undefined;
}

/** A listing as `reconcile` needs it: every UID there is, and rows for those the map didn't know. */
export interface ListedMessages {
  readonly uidValidity: UidValidity;
  readonly uids: readonly Uid[];
  readonly added: { readonly uids: readonly Uid[]; readonly octets: readonly number[]; readonly arrivals: readonly number[] };
}

const UNKNOWN_OCTETS = -1;

export function segmentNumber(uid: Uid): number {
  return Math.floor(uid / 1024);
}

export function emptyMap(uidValidity: UidValidity): UidMap {
  return { uidValidity, segments: new Map() };
}

/** Looks a message up. */
export function knownMessage(map: UidMap, uid: Uid): KnownMessage | undefined {
  const segment = map.segments.get(segmentNumber(uid));
  const index = segment === undefined ? -1 : indexOf(segment.uids, uid);
  if (segment === undefined || index < 0) return undefined;
  const trueOctets = segment.trueOctets[index] ?? UNKNOWN_OCTETS;
  return { uid, declaredOctets: segment.declaredOctets[index] ?? 0, trueOctets: trueOctets === UNKNOWN_OCTETS ? undefined : trueOctets };
}

/**
 * The map after a listing: what vanished is dropped, what is new is added, all else stays as it was. Under another
 * UIDVALIDITY nothing known counts. Segments without a change are the very same objects as before, and so is an unchanged map.
 */
export function reconcile(stored: UidMap | undefined, listed: ListedMessages): UidMap {
  const before = stored?.uidValidity === listed.uidValidity ? stored : emptyMap(listed.uidValidity);
  const addedIndex = new Map(listed.added.uids.map((uid, index) => [uid, index]));
  const segments = new Map<number, Segment>();
  for (const [number, uids] of bySegment(listed.uids)) {
    const old = before.segments.get(number);
    const unchanged = old !== undefined && old.uids.length === uids.length && old.uids.every((uid, index) => uid === uids[index]);
    segments.set(
      number,
      unchanged ? old : { formula: old?.formula ?? UNIQUE_ID_FORMULA, ...build(uids, before, listed.added, addedIndex) },
    );
  }
  return stored !== undefined && isSame(stored, before, segments) ? stored : { uidValidity: listed.uidValidity, segments };
}

function isSame(stored: UidMap, before: UidMap, segments: ReadonlyMap<number, Segment>): boolean {
  if (stored !== before || stored.segments.size !== segments.size) return false;
  return [...segments].every(([number, segment]) => stored.segments.get(number) === segment);
}

/** The map with the true size of a message noted; the same map when it was known or the message is not in it. */
export function withTrueOctets(map: UidMap, uid: Uid, octets: number): UidMap {
  const number = segmentNumber(uid);
  const segment = map.segments.get(number);
  const index = segment === undefined ? -1 : indexOf(segment.uids, uid);
  if (segment === undefined || index < 0 || segment.trueOctets[index] === octets) return map;
  const changed: Segment = { ...segment, trueOctets: segment.trueOctets.with(index, octets) };
  return { ...map, segments: new Map(map.segments).set(number, changed) };
}

function bySegment(uids: readonly Uid[]): Map<number, Uid[]> {
  const groups = new Map<number, Uid[]>();
  for (const uid of uids) {
    const number = segmentNumber(uid);
    const group = groups.get(number);
    if (group === undefined) groups.set(number, [uid]);
    else group.push(uid);
  }
  return groups;
}

function build(
  uids: readonly Uid[],
  before: UidMap,
  added: ListedMessages['added'],
  addedIndex: ReadonlyMap<Uid, number>,
): Omit<Segment, 'formula'> {
  const declaredOctets: number[] = [];
  const trueOctets: number[] = [];
  const arrivals: number[] = [];
  for (const uid of uids) {
    // What is known stays as it is, even where the server sent the row again: a learned size must not be lost.
    const old = before.segments.get(segmentNumber(uid));
    const at = old === undefined ? -1 : indexOf(old.uids, uid);
    const index = at < 0 ? addedIndex.get(uid) : undefined;
    declaredOctets.push((index === undefined ? old?.declaredOctets[at] : added.octets[index]) ?? 0);
    trueOctets.push(old?.trueOctets[at] ?? UNKNOWN_OCTETS);
    arrivals.push((index === undefined ? old?.arrivals[at] : added.arrivals[index]) ?? 0);
  }
  return { uids, declaredOctets, trueOctets, arrivals };
}

/** Binary search in ascending UIDs; -1 when absent. */
function indexOf(uids: readonly Uid[], uid: Uid): number {
  let low = 0;
  let high = uids.length - 1;
  while (low <= high) {
    const middle = (low + high) >>> 1;
    const found = uids[middle] ?? 0;
    if (found === uid) return middle;
    if (found < uid) low = middle + 1;
    else high = middle - 1;
  }
  return -1;
}
