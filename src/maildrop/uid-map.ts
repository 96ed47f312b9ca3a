/**
 * The UID map of one mailbox in one maildrop: for every message its UID, its unique-id, its sizes and arrival, kept across
 * sessions. Values, in segments of at most 1,024 messages (by UID); a change makes new segments only where something changed,
 * so that the store writes just those. Typed arrays: 100,000 messages take 4 MiB.
 */
import { InvariantError } from '../errors.ts';
import { asUid, type Uid, type UidValidity } from './numbers.ts';
import { uniqueIdsOf, type UniqueIdFormula } from './unique-id.ts';

/** Messages of one segment in parallel arrays, ascending by UID. */
export interface Segment {
  readonly uids: Uint32Array;
  /** RFC822.SIZE. */
  readonly declaredOctets: Float64Array;
  /** What RETR really sent; UNKNOWN_OCTETS while unknown. */
  readonly trueOctets: Float64Array;
  /** INTERNALDATE, seconds since 1970. */
  readonly arrivals: Float64Array;
  /** Those under which the segment's messages got their unique-ids. */
  readonly formulas: readonly UniqueIdFormula[];
  /** For each message its place in `formulas`. */
  readonly formulaOf: Uint16Array;
  /** For each message the UID that stands in its unique-id: another than its own where the mailbox was made anew. */
  readonly idUids: Uint32Array;
}

export interface UidMap {
  readonly uidValidity: UidValidity;
  /** UIDNEXT at the last listing; 0 where the server told none. */
  readonly uidNext: number;
  readonly segments: ReadonlyMap<number, Segment>;
}

/** What is known of one message. */
export interface KnownMessage {
  readonly uid: Uid;
  readonly declaredOctets: number;
  readonly trueOctets: number | undefined;
  /** INTERNALDATE, seconds since 1970. */
  readonly arrival: number;
}

/** Where a message's unique-id comes from. */
export interface IdSource {
  readonly formula: UniqueIdFormula;
  readonly idUid: number;
}

/** An id's source as text, to be kept in sets. */
export function sourceKey({ formula, idUid }: IdSource): string {
  return `${idUid} ${formula}`;
}

const SEGMENT_UIDS = 1024;
export const UNKNOWN_OCTETS = -1;

export function segmentNumber(uid: number): number {
  return Math.floor(uid / SEGMENT_UIDS);
}

export function emptyMap(uidValidity: UidValidity): UidMap {
  return { uidValidity, uidNext: 0, segments: new Map() };
}

/** How many messages the map holds. */
export function countIn(map: UidMap): number {
  let count = 0;
  for (const segment of map.segments.values()) count += segment.uids.length;
  return count;
}

/** Looks a message up. */
export function knownMessage(map: UidMap, uid: Uid): KnownMessage | undefined {
  const found = locate(map, uid);
  if (found === undefined) return undefined;
  const { segment, index } = found;
  const trueOctets = segment.trueOctets[index] ?? UNKNOWN_OCTETS;
  return {
    uid,
    declaredOctets: segment.declaredOctets[index] ?? 0,
    trueOctets: trueOctets === UNKNOWN_OCTETS ? undefined : trueOctets,
    arrival: segment.arrivals[index] ?? 0,
  };
}

/** The unique-ids of the messages in the map; for another one it throws InvariantError. Quick for ascending UIDs. */
export function uniqueIdsIn(map: UidMap): (uid: Uid) => string {
  const compiled = new Map<UniqueIdFormula, (uid: number) => string>();
  const idsUnder = (formula: UniqueIdFormula): ((uid: number) => string) => {
    const idOf = compiled.get(formula) ?? uniqueIdsOf(formula);
    compiled.set(formula, idOf);
    return idOf;
  };
  let segment: Segment | undefined;
  let idsOf: ((uid: number) => string)[] = [];
  return (uid) => {
    const its = map.segments.get(segmentNumber(uid));
    if (its !== segment) {
      segment = its;
      idsOf = (its?.formulas ?? []).map(idsUnder);
    }
    const index = its === undefined ? -1 : indexOf(its.uids, uid);
    const idOf = idsOf[its?.formulaOf[index] ?? -1];
    if (its === undefined || idOf === undefined) throw new InvariantError(`no unique-id for UID ${uid}`);
    return idOf(its.idUids[index] ?? 0);
  };
}

export function idSource(map: UidMap, uid: Uid): IdSource | undefined {
  const found = locate(map, uid);
  return found && sourceAt(found.segment, found.index);
}

/** True when a message of the map has the unique-id from there. */
export function isIdUsed(map: UidMap, { formula, idUid }: IdSource): boolean {
  for (const segment of map.segments.values()) {
    const place = segment.formulas.indexOf(formula);
    if (place >= 0 && segment.idUids.some((one, index) => one === idUid && segment.formulaOf[index] === place)) return true;
  }
  return false;
}

/** Every UID in the map, ascending. */
export function uidsIn(map: UidMap): Uid[] {
  const numbers = [...map.segments.keys()].sort((one, other) => one - other);
  return numbers.flatMap((number) => uidsOf(map.segments.get(number)));
}

export function uidsOf(segment: Segment | undefined): Uid[] {
  return Array.from(segment?.uids ?? [], asUid);
}

/** The map without messages that were removed upstream. */
export function withoutMessages(map: UidMap, removed: readonly Uid[]): UidMap {
  const gone = new Set<number>(removed);
  const segments = new Map(map.segments);
  for (const number of new Set(removed.map(segmentNumber))) {
    const segment = segments.get(number);
    const left =
      segment === undefined ? [] : Array.from(segment.uids, (uid, index) => [uid, index] as const).filter(([uid]) => !gone.has(uid));
    if (segment === undefined || left.length === 0) segments.delete(number);
    else
      segments.set(
        number,
        picked(
          segment,
          left.map(([, index]) => index),
        ),
      );
  }
  return { ...map, segments };
}

/** The map with the true size of a message noted; the same map when it was known or the message is not in it. */
export function withTrueOctets(map: UidMap, uid: Uid, octets: number): UidMap {
  const found = locate(map, uid);
  if (found === undefined || found.segment.trueOctets[found.index] === octets) return map;
  const changed: Segment = { ...found.segment, trueOctets: found.segment.trueOctets.with(found.index, octets) };
  return { ...map, segments: new Map(map.segments).set(segmentNumber(uid), changed) };
}

function picked(segment: Segment, indices: readonly number[]): Segment {
  const pick = (from: ArrayLike<number>): number[] => indices.map((index) => from[index] ?? 0);
  return {
    uids: Uint32Array.from(pick(segment.uids)),
    declaredOctets: Float64Array.from(pick(segment.declaredOctets)),
    trueOctets: Float64Array.from(pick(segment.trueOctets)),
    arrivals: Float64Array.from(pick(segment.arrivals)),
    formulas: segment.formulas,
    formulaOf: Uint16Array.from(pick(segment.formulaOf)),
    idUids: Uint32Array.from(pick(segment.idUids)),
  };
}

export function sourceAt(segment: Segment, index: number): IdSource {
  return { formula: segment.formulas[segment.formulaOf[index] ?? 0] ?? '', idUid: segment.idUids[index] ?? 0 };
}

function locate(map: UidMap, uid: Uid): { readonly segment: Segment; readonly index: number } | undefined {
  const segment = map.segments.get(segmentNumber(uid));
  const index = segment === undefined ? -1 : indexOf(segment.uids, uid);
  return segment === undefined || index < 0 ? undefined : { segment, index };
}

/** The place of a UID among ascending ones; -1 when absent. */
export function indexOf(uids: Uint32Array, uid: Uid): number {
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
