/**
 * The UID map of one mailbox in one maildrop: for every message its UID, its unique-id, its sizes and arrival, and what clients
 * did to it, kept across sessions. How it changes is in map-changes.ts. Values, in segments of at most 1,024 messages (by UID); a change makes new segments only where something changed,
 * so that the store writes just those. Typed arrays: 100,000 messages take 4 MiB.
 */
import { InvariantError } from '../errors.ts';
import { asUid, type Uid, type UidValidity } from './numbers.ts';
import { uniqueIdsOf, verbatimFormula, type UniqueIdFormula } from './unique-id.ts';

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
  /** What clients did to its messages; undefined while they did nothing. */
  readonly states: SegmentStates | undefined;
}

/** In seconds since 1970, for each message of a segment; 0 for never. */
export interface SegmentStates {
  /** First sent whole to a client. */
  readonly retrievedAt: Uint32Array;
  /** Deleted by a client: it stays hidden, though it is still upstream. */
  readonly deletedAt: Uint32Array;
  /** To be removed upstream, if deleted; NEVER_DUE where it is only hidden. */
  readonly dueAt: Uint32Array;
}

export interface UidMap {
  readonly uidValidity: UidValidity;
  /** UIDNEXT at the last listing; 0 where the server told none. */
  readonly uidNext: number;
  /** On which server it was listed, as `host:port`; '' where that is not known. */
  readonly server: string;
  readonly segments: ReadonlyMap<number, Segment>;
}

/** What is known of one message. */
export interface KnownMessage {
  readonly uid: Uid;
  readonly declaredOctets: number;
  readonly trueOctets: number | undefined;
  /** INTERNALDATE, seconds since 1970. */
  readonly arrival: number;
  readonly state: MessageState;
}

/** What clients did to one message; see SegmentStates. */
export interface MessageState {
  readonly retrievedAt: number;
  readonly deletedAt: number;
  readonly dueAt: number;
}

export const UNTOUCHED: MessageState = { retrievedAt: 0, deletedAt: 0, dueAt: 0 };

/** Where a message's unique-id comes from. */
export interface IdSource {
  readonly formula: UniqueIdFormula;
  readonly idUid: number;
}

/** The source of an id that follows from no formula. */
export function verbatimSource(uniqueId: string): IdSource {
  return { formula: verbatimFormula(uniqueId), idUid: 1 };
}

/** The unique-id from there. */
export function idFrom(source: IdSource): string {
  return idsFrom()(source);
}

/** The unique-ids from many sources: each formula is taken apart once. */
export function idsFrom(): (source: IdSource) => string {
  const compiled = new Map<UniqueIdFormula, (uid: number) => string>();
  return ({ formula, idUid }) => {
    const idOf = compiled.get(formula) ?? uniqueIdsOf(formula);
    compiled.set(formula, idOf);
    return idOf(idUid);
  };
}

/** An id's source as text, to be kept in sets. */
export function sourceKey({ formula, idUid }: IdSource): string {
  return `${idUid} ${formula}`;
}

const SEGMENT_UIDS = 1024;
export const UNKNOWN_OCTETS = -1;
export const NEVER_DUE = 0xffff_ffff;
const ALL_FIRST = new Uint16Array(SEGMENT_UIDS);

/** Places in `formulas` where there is but one: the same octets for every such segment. */
export function allFirst(count: number): Uint16Array {
  return ALL_FIRST.subarray(0, count);
}

export function segmentNumber(uid: number): number {
  return Math.floor(uid / SEGMENT_UIDS);
}

export function emptyMap(uidValidity: UidValidity): UidMap {
  return { uidValidity, uidNext: 0, server: '', segments: new Map() };
}

/** How many messages the map holds. */
export function countIn(map: UidMap): number {
  let count = 0;
  for (const segment of map.segments.values()) count += segment.uids.length;
  return count;
}

/** The highest UID in the map. */
export function lastUidIn(map: UidMap): Uid | undefined {
  let highest = -1;
  for (const number of map.segments.keys()) highest = Math.max(highest, number);
  const last = map.segments.get(highest)?.uids.at(-1);
  return last === undefined ? undefined : asUid(last);
}

/** Gives the highest UIDs in the map, at most that many, in ascending order. */
export function lastUidsIn(map: UidMap, most: number): Uid[] {
  const numbers = [...map.segments.keys()].sort((one, other) => other - one);
  let last: Uid[] = [];
  for (const number of numbers) {
    last = uidsOf(map.segments.get(number)).concat(last);
    if (last.length >= most) break;
  }
  return last.slice(Math.max(0, last.length - most));
}

/** Looks a message up. */
export function knownMessage(map: UidMap, uid: Uid): KnownMessage | undefined {
  const found = locate(map, uid);
  return found && messageAt(found.segment, found.index);
}

export function messageAt(segment: Segment, index: number): KnownMessage {
  const trueOctets = segment.trueOctets[index] ?? UNKNOWN_OCTETS;
  return {
    uid: asUid(segment.uids[index] ?? 0),
    declaredOctets: segment.declaredOctets[index] ?? 0,
    trueOctets: trueOctets === UNKNOWN_OCTETS ? undefined : trueOctets,
    arrival: segment.arrivals[index] ?? 0,
    state: stateAt(segment, index),
  };
}

export function stateAt({ states }: Segment, index: number): MessageState {
  if (states === undefined) return UNTOUCHED;
  return {
    retrievedAt: states.retrievedAt[index] ?? 0,
    deletedAt: states.deletedAt[index] ?? 0,
    dueAt: states.dueAt[index] ?? 0,
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
  for (const [number, segment] of map.segments) {
    const place = segment.formulas.indexOf(formula);
    if (place < 0) continue;
    // Where each message's own UID stands in its id, only one segment can have it.
    if (segment.idUids === segment.uids) {
      if (segmentNumber(idUid) === number && segment.uids.includes(idUid)) return true;
    } else if (segment.idUids.some((one, index) => one === idUid && segment.formulaOf[index] === place)) return true;
  }
  return false;
}

/** Every message of the map, ascending by UID: its segment and its place there. */
export function* messagesIn(map: UidMap): Generator<{ readonly segment: Segment; readonly index: number; readonly uid: Uid }> {
  for (const number of [...map.segments.keys()].sort((one, other) => one - other)) {
    const segment = map.segments.get(number);
    if (segment === undefined) continue;
    for (const [index, uid] of segment.uids.entries()) yield { segment, index, uid: asUid(uid) };
  }
}

/** Every UID in the map, ascending. */
export function uidsIn(map: UidMap): Uid[] {
  const numbers = [...map.segments.keys()].sort((one, other) => one - other);
  return numbers.flatMap((number) => uidsOf(map.segments.get(number)));
}

/** Messages that a client deleted, though they are still upstream, ascending by UID. */
export function deletedIn(map: UidMap): KnownMessage[] {
  const deleted: KnownMessage[] = [];
  for (const segment of map.segments.values()) {
    segment.states?.deletedAt.forEach((at, index) => {
      if (at > 0) deleted.push(messageAt(segment, index));
    });
  }
  return deleted.sort((one, other) => one.uid - other.uid);
}

/** The earliest time at which something is to be removed upstream, in seconds since 1970; undefined for never. */
export function firstDue(map: UidMap): number | undefined {
  let first = NEVER_DUE;
  for (const { states } of map.segments.values()) {
    for (const at of states?.dueAt ?? []) if (at > 0 && at < first) first = at;
  }
  return first === NEVER_DUE ? undefined : first;
}

export function uidsOf(segment: Segment | undefined): Uid[] {
  return Array.from(segment?.uids ?? [], asUid);
}

export function sourceAt(segment: Segment, index: number): IdSource {
  return { formula: segment.formulas[segment.formulaOf[index] ?? 0] ?? '', idUid: segment.idUids[index] ?? 0 };
}

export function locate(map: UidMap, uid: Uid): { readonly segment: Segment; readonly index: number } | undefined {
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
