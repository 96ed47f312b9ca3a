/** The UID map after a listing: which messages are known, which are new, and the unique-ids of these. Pure. */
import type { Uid, UidValidity } from './numbers.ts';
import {
  emptyMap,
  indexOf,
  isIdUsed,
  segmentNumber,
  sourceAt,
  sourceKey,
  UNKNOWN_OCTETS,
  type IdSource,
  type Segment,
  type UidMap,
} from './uid-map.ts';
import { uidInId, uniqueIdsOf, type UniqueIdFormula } from './unique-id.ts';

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

  /** True where no id can be another's but by the same formula and UID. */
  get isEmpty(): boolean {
    return this.#adopted.size + this.#otherFormulas.size + this.#displaced.size === 0;
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

function newSource(uid: Uid, { formula, fallback, taken, highestUid }: NewIds, others: OtherIds): IdSource {
  let source: IdSource = { formula, idUid: uid };
  if (uid > highestUid && taken.size === 0 && others.isEmpty) return source;
  let isTaken = uid <= highestUid;
  for (let attempt = 2; isTaken || taken.has(sourceKey(source)) || others.has(source); attempt += 1) {
    source = { formula: fallback(attempt), idUid: uid };
    isTaken = false;
  }
  return source;
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
