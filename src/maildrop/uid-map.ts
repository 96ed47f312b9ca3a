/**
 * The UID map of one mailbox in one maildrop: for every message its UID, its unique-id, its sizes and arrival, kept across
 * sessions. Values, in segments of at most 1,024 messages (by UID); a change makes new segments only where something changed,
 * so that the store writes just those. Typed arrays: 100,000 messages take 4 MiB.
 */
import { InvariantError } from '../errors.ts';
import { asUid, type Uid, type UidValidity } from './numbers.ts';
import { uidInId, uniqueIdsOf, type UniqueIdFormula } from './unique-id.ts';

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

/** A listing as `reconcile` needs it: every UID there is, and rows for those the map didn't know. */
export interface ListedMessages {
  readonly uidValidity: UidValidity;
  readonly uidNext: number;
  readonly uids: readonly Uid[];
  readonly added: { readonly uids: readonly Uid[]; readonly octets: readonly number[]; readonly arrivals: readonly number[] };
}

/** How messages that were never shown get their unique-ids. */
export interface NewIds {
  readonly formula: UniqueIdFormula;
  /** Taken, with 2, 3 and so on, where the formula would give an id that another message has or had. */
  readonly fallback: (attempt: number) => UniqueIdFormula;
  /** Ids of messages that went; never to be given again. */
  readonly taken: ReadonlySet<string>;
  /** The highest UID ever listed under this UIDVALIDITY: a new message with no higher one may have the UID, and the id, of another. */
  readonly highestUid: number;
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

/** The unique-ids of the messages in the map; for another one it throws InvariantError. */
export function uniqueIdsIn(map: UidMap): (uid: Uid) => string {
  const compiled = new Map<UniqueIdFormula, (uid: number) => string>();
  return (uid) => {
    const source = idSource(map, uid);
    if (source === undefined) throw new InvariantError(`no unique-id for UID ${uid}`);
    let idOf = compiled.get(source.formula);
    if (idOf === undefined) compiled.set(source.formula, (idOf = uniqueIdsOf(source.formula)));
    return idOf(source.idUid);
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

/**
 * The map after a listing: what vanished is dropped, what is new is added, all else stays as it was. Under another UIDVALIDITY
 * nothing known counts but `adopted`: where messages take over the unique-id of one known before. Segments without a change are
 * the very same objects as before, and so is an unchanged map.
 */
export function reconcile(
  stored: UidMap | undefined,
  listed: ListedMessages,
  ids: NewIds,
  adopted: ReadonlyMap<Uid, IdSource> = new Map(),
): UidMap {
  const before = stored?.uidValidity === listed.uidValidity ? stored : emptyMap(listed.uidValidity);
  const addedIndex = new Map(listed.added.uids.map((uid, index) => [uid, index]));
  const others = new OtherIds(before, adopted, ids.formula);
  const segments = new Map<number, Segment>();
  for (const [number, uids] of bySegment(listed.uids)) {
    const old = before.segments.get(number);
    const unchanged = old !== undefined && isSameList(old.uids, uids);
    segments.set(number, unchanged ? old : build(uids, old, { ids, adopted, others, added: listed.added, addedIndex }));
  }
  const { uidValidity, uidNext } = listed;
  return stored !== undefined && stored.uidNext === uidNext && isSame(stored, before, segments)
    ? stored
    : { uidValidity, uidNext, segments };
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

/** Which ids other messages have. Most mailboxes have but one formula, and each message's own UID in its id: then that is quickly told. */
class OtherIds {
  readonly #map: UidMap;
  readonly #current: UniqueIdFormula;
  readonly #adopted: ReadonlySet<string>;
  readonly #otherFormulas: ReadonlySet<UniqueIdFormula>;
  /** UIDs in ids under the current formula that are another's own UID. */
  readonly #displaced = new Set<number>();
  #verbatim: ReadonlySet<string> | undefined;

  constructor(map: UidMap, adopted: ReadonlyMap<Uid, IdSource>, current: UniqueIdFormula) {
    this.#map = map;
    this.#current = current;
    this.#adopted = new Set([...adopted.values()].map(sourceKey));
    const formulas = new Set([...adopted.values()].map(({ formula }) => formula));
    for (const segment of map.segments.values()) {
      for (const formula of segment.formulas) formulas.add(formula);
      const place = segment.formulas.indexOf(current);
      segment.idUids.forEach((idUid, index) => {
        if (segment.formulaOf[index] === place && idUid !== segment.uids[index]) this.#displaced.add(idUid);
      });
    }
    formulas.delete(current);
    this.#otherFormulas = formulas;
  }

  has(source: IdSource): boolean {
    const uniqueId = uniqueIdsOf(source.formula)(source.idUid);
    return this.#isUsed(source) || [...this.#otherFormulas].some((formula) => this.#gives(formula, uniqueId));
  }

  #isUsed(source: IdSource): boolean {
    if (this.#adopted.has(sourceKey(source))) return true;
    return source.formula === this.#current ? this.#displaced.has(source.idUid) : isIdUsed(this.#map, source);
  }

  #gives(formula: UniqueIdFormula, uniqueId: string): boolean {
    const idUid = uidInId(formula, uniqueId);
    return idUid === undefined ? this.#hasVerbatim(uniqueId) : this.#isUsed({ formula, idUid });
  }

  #hasVerbatim(uniqueId: string): boolean {
    this.#verbatim ??= new Set(
      [...this.#otherFormulas].filter((formula) => formula.startsWith('=')).map((one) => one.slice(1).toLowerCase()),
    );
    return this.#verbatim.has(uniqueId.toLowerCase());
  }
}

interface BuildParts {
  readonly ids: NewIds;
  readonly adopted: ReadonlyMap<Uid, IdSource>;
  readonly others: OtherIds;
  readonly added: ListedMessages['added'];
  readonly addedIndex: ReadonlyMap<Uid, number>;
}

function build(uids: readonly Uid[], old: Segment | undefined, { ids, adopted, others, added, addedIndex }: BuildParts): Segment {
  const formulas: UniqueIdFormula[] = [];
  const segment = {
    uids: Uint32Array.from(uids),
    declaredOctets: new Float64Array(uids.length),
    trueOctets: new Float64Array(uids.length).fill(UNKNOWN_OCTETS),
    arrivals: new Float64Array(uids.length),
    formulaOf: new Uint16Array(uids.length),
    idUids: new Uint32Array(uids.length),
  };
  uids.forEach((uid, index) => {
    const at = old === undefined ? -1 : indexOf(old.uids, uid);
    const row = addedIndex.get(uid) ?? -1;
    // What is known stays as it is, even where the server sent the row again: a learned size must not be lost.
    const isKnown = old !== undefined && at >= 0;
    segment.declaredOctets[index] = (isKnown ? old.declaredOctets[at] : added.octets[row]) ?? 0;
    segment.trueOctets[index] = isKnown ? (old.trueOctets[at] ?? UNKNOWN_OCTETS) : UNKNOWN_OCTETS;
    segment.arrivals[index] = (isKnown ? old.arrivals[at] : added.arrivals[row]) ?? 0;
    const { formula, idUid } = isKnown ? sourceAt(old, at) : (adopted.get(uid) ?? newSource(uid, ids, others));
    segment.formulaOf[index] = placeOf(formulas, formula);
    segment.idUids[index] = idUid;
  });
  return { ...segment, formulas };
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

function newSource(uid: Uid, { formula, fallback, taken, highestUid }: NewIds, others: OtherIds): IdSource {
  let source: IdSource = { formula, idUid: uid };
  let isTaken = uid <= highestUid;
  for (let attempt = 2; isTaken || taken.has(sourceKey(source)) || others.has(source); attempt += 1) {
    source = { formula: fallback(attempt), idUid: uid };
    isTaken = false;
  }
  return source;
}

function sourceAt(segment: Segment, index: number): IdSource {
  return { formula: segment.formulas[segment.formulaOf[index] ?? 0] ?? '', idUid: segment.idUids[index] ?? 0 };
}

function placeOf(formulas: UniqueIdFormula[], formula: UniqueIdFormula): number {
  const place = formulas.lastIndexOf(formula);
  return place >= 0 ? place : formulas.push(formula) - 1;
}

function isSame(stored: UidMap, before: UidMap, segments: ReadonlyMap<number, Segment>): boolean {
  if (stored !== before || stored.segments.size !== segments.size) return false;
  return [...segments].every(([number, segment]) => stored.segments.get(number) === segment);
}

function isSameList(one: Uint32Array, other: readonly number[]): boolean {
  return one.length === other.length && one.every((uid, index) => uid === other[index]);
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

function locate(map: UidMap, uid: Uid): { readonly segment: Segment; readonly index: number } | undefined {
  const segment = map.segments.get(segmentNumber(uid));
  const index = segment === undefined ? -1 : indexOf(segment.uids, uid);
  return segment === undefined || index < 0 ? undefined : { segment, index };
}

/** Binary search in ascending UIDs; -1 when absent. */
function indexOf(uids: Uint32Array, uid: Uid): number {
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
