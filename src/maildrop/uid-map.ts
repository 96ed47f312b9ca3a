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
  /** Taken where the formula would give an id that another message has. */
  readonly fallback: UniqueIdFormula;
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
  return { uid, declaredOctets: segment.declaredOctets[index] ?? 0, trueOctets: trueOctets === UNKNOWN_OCTETS ? undefined : trueOctets };
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

/** Every UID in the map, ascending. */
export function uidsIn(map: UidMap): Uid[] {
  const numbers = [...map.segments.keys()].sort((one, other) => one - other);
  return numbers.flatMap((number) => Array.from(map.segments.get(number)?.uids ?? [], asUid));
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

/** The map with the true size of a message noted; the same map when it was known or the message is not in it. */
export function withTrueOctets(map: UidMap, uid: Uid, octets: number): UidMap {
  const found = locate(map, uid);
  if (found === undefined || found.segment.trueOctets[found.index] === octets) return map;
  const changed: Segment = { ...found.segment, trueOctets: found.segment.trueOctets.with(found.index, octets) };
  return { ...map, segments: new Map(map.segments).set(segmentNumber(uid), changed) };
}

/** Where else an id might be in use: under the formulas of messages that got theirs otherwise. Most mailboxes have none. */
class OtherIds {
  readonly #map: UidMap;
  readonly #adopted: ReadonlyMap<Uid, IdSource>;
  readonly #formulas: ReadonlySet<UniqueIdFormula>;
  #verbatim: ReadonlySet<string> | undefined;

  constructor(map: UidMap, adopted: ReadonlyMap<Uid, IdSource>, current: UniqueIdFormula) {
    this.#map = map;
    this.#adopted = adopted;
    const formulas = new Set([...map.segments.values()].flatMap((segment) => segment.formulas));
    for (const { formula } of adopted.values()) formulas.add(formula);
    formulas.delete(current);
    this.#formulas = formulas;
  }

  has(uniqueId: string): boolean {
    return [...this.#formulas].some((formula) => {
      const idUid = uidInId(formula, uniqueId);
      return idUid === undefined ? this.#hasVerbatim(uniqueId) : this.#isUsed(formula, idUid);
    });
  }

  #hasVerbatim(uniqueId: string): boolean {
    this.#verbatim ??= new Set([...this.#formulas].filter((formula) => formula.startsWith('=')).map((one) => one.slice(1).toLowerCase()));
    return this.#verbatim.has(uniqueId.toLowerCase());
  }

  #isUsed(formula: UniqueIdFormula, idUid: number): boolean {
    for (const source of this.#adopted.values()) if (source.formula === formula && source.idUid === idUid) return true;
    for (const segment of this.#map.segments.values()) {
      const place = segment.formulas.indexOf(formula);
      if (place >= 0 && segment.idUids.some((one, index) => one === idUid && segment.formulaOf[index] === place)) return true;
    }
    return false;
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

function newSource(uid: Uid, { formula, fallback }: NewIds, others: OtherIds): IdSource {
  return { formula: others.has(uniqueIdsOf(formula)(uid)) ? fallback : formula, idUid: uid };
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
