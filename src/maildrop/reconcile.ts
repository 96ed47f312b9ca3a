/** The UID map after a listing: which messages are known, which are new, and the unique-ids of these. Pure. */
import type { Uid, UidValidity } from './numbers.ts';
import { atOnce, stepwise, type Steps } from './steps.ts';
import { placeOf, setState, untouchedStates } from './map-changes.ts';
import {
  allFirst,
  countIn,
  emptyMap,
  idsFrom,
  indexOf,
  isIdUsed,
  lastUidIn,
  messageAt,
  segmentNumber,
  sourceAt,
  uidsOf,
  UNKNOWN_OCTETS,
  UNTOUCHED,
  verbatimSource,
  type IdSource,
  type KnownMessage,
  type MessageState,
  type Segment,
  type SegmentStates,
  type UidMap,
} from './uid-map.ts';
import { isVerbatim, mayGiveTheSame, uidInId, type UniqueIdFormula } from './unique-id.ts';

/** A listing as `reconcile` needs it: every UID there is, and rows for those the map didn't know. */
export interface ListedMessages {
  readonly uidValidity: UidValidity;
  readonly uidNext: number;
  /** As in UidMap. */
  readonly server: string;
  readonly uids: readonly Uid[];
  readonly added: { readonly uids: readonly Uid[]; readonly octets: readonly number[]; readonly arrivals: readonly number[] };
}

/** How messages that were never shown get their unique-ids. */
export interface NewIds {
  /** The formula of the configured template. */
  readonly formula: UniqueIdFormula;
  /** Ids that the server itself gives; undefined where a message has none. */
  readonly given?: ((uid: Uid) => string | undefined) | undefined;
  /** Taken, with 2, 3 and so on, where the formula would give an id that another message has or had. */
  readonly fallback: (attempt: number) => UniqueIdFormula;
  /** Ids of messages that went, in lower case; never to be given again. */
  readonly taken: ReadonlySet<string>;
  /** Ids that mailboxes of the maildrop ever gave away: a new message never gets one of them. */
  readonly used: readonly UsedFormula[];
  /** The maps of the maildrop's other mailboxes. */
  readonly elsewhere: readonly UidMap[];
}

/** Of a formula every id up to that UID may have been given away. */
export interface UsedFormula {
  readonly formula: UniqueIdFormula;
  readonly highestUid: number;
}

/** What a message takes over from one known before. */
export interface Inherited extends IdSource {
  /** Undefined where it was never known, or the server measures otherwise now. */
  readonly trueOctets: number | undefined;
  readonly state: MessageState;
}

/**
 * The map after a listing: what vanished is dropped, what is new is added, all else stays as it was. Under another UIDVALIDITY
 * (`isNewEpoch`) nothing known counts but `inherited`: what messages take over from one known before. Segments without a change are the very same
 * objects as before, and so is an unchanged map.
 */
export function reconcile(
  stored: UidMap | undefined,
  listed: ListedMessages,
  ids: NewIds,
  inherited: ReadonlyMap<Uid, Inherited> = new Map(),
  isNewEpoch = stored?.uidValidity !== listed.uidValidity,
): UidMap {
  return atOnce(reconcileSteps(stored, listed, ids, inherited, isNewEpoch));
}

/** The same in steps. */
export function* reconcileSteps(
  stored: UidMap | undefined,
  listed: ListedMessages,
  ids: NewIds,
  inherited: ReadonlyMap<Uid, Inherited>,
  isNewEpoch: boolean,
): Steps<UidMap> {
  const before = stored === undefined || isNewEpoch ? emptyMap(listed.uidValidity) : stored;
  const rowIndex = yield* placesOf(listed.added.uids);
  const isOnlyMore = hasOnlyMore(before, listed);
  const segments = new Map<number, Segment>(isOnlyMore ? before.segments : []);
  let parts: BuildParts | undefined;
  for (const [number, uids] of isOnlyMore ? yield* touchedSegments(before, listed.added.uids) : yield* bySegment(listed.uids)) {
    const old = before.segments.get(number);
    const unchanged = old !== undefined && isSameList(old.uids, uids);
    if (unchanged) {
      segments.set(number, old);
      continue;
    }
    parts ??= { ids, inherited, others: yield* OtherIds.of(before, ids, inherited), added: listed.added, rowIndex };
    segments.set(number, build(uids, old, parts));
    yield;
  }
  const { uidValidity, uidNext, server } = listed;
  const isUnchanged = stored?.uidNext === uidNext && stored.server === server && isSame(stored, before, segments);
  return isUnchanged ? stored : { uidValidity, uidNext, server, segments };
}

/** True when the new messages came behind all known ones and none of these went: a few of them must not cost a look at all others. */
function hasOnlyMore(before: UidMap, { uids, added }: ListedMessages): boolean {
  const [first] = added.uids;
  const last = lastUidIn(before) ?? 0;
  return (
    first !== undefined && first > last && countIn(before) + added.uids.length === uids.length && uids.at(-added.uids.length) === first
  );
}

/** The UIDs of the segments to which new ones are added. */
function* touchedSegments(before: UidMap, added: readonly Uid[]): Steps<Map<number, Uid[]>> {
  return new Map([...(yield* bySegment(added))].map(([number, uids]) => [number, uidsOf(before.segments.get(number)).concat(uids)]));
}

/** Which ids other messages have. Most mailboxes have but one formula, and each message's own UID in its id: then that is quickly told. */
class OtherIds {
  readonly #maps: readonly UidMap[];
  readonly #current: UniqueIdFormula;
  /** In lower case: of messages that went, of those that take over an id, and ids that follow from no formula. */
  readonly #texts: Set<string>;
  readonly #otherFormulas = new Set<UniqueIdFormula>();
  readonly #idOf = idsFrom();
  /** UIDs in ids under the current formula that are another's own UID. */
  readonly #displaced = new Set<number>();
  readonly #used: readonly UsedFormula[];
  /** By formula, those of the used ones that could give the same id. */
  #freeFrom: number | undefined;
  readonly #usedLike = new Map<UniqueIdFormula, readonly UsedFormula[]>();

  private constructor(map: UidMap, { formula: current, taken, elsewhere, used }: NewIds) {
    this.#maps = [map, ...elsewhere];
    this.#current = current;
    this.#texts = new Set(taken);
    this.#used = used;
  }

  static *of(map: UidMap, ids: NewIds, inherited: ReadonlyMap<Uid, IdSource>): Steps<OtherIds> {
    const others = new OtherIds(map, ids);
    yield* stepwise(inherited.values(), (source) => others.add(source));
    for (const each of others.#maps) {
      for (const segment of each.segments.values()) {
        others.#learn(segment, each === map);
        yield;
      }
    }
    others.#otherFormulas.delete(ids.formula);
    return others;
  }

  /** From this UID on, every id under the current formula is free. Infinity if each id has to be looked at. */
  get freeFrom(): number {
    if (this.#texts.size + this.#otherFormulas.size + this.#displaced.size > 0) return Number.POSITIVE_INFINITY;
    this.#freeFrom ??= this.#like(this.#current).reduce(
      (from, used) => (used.formula === this.#current ? Math.max(from, used.highestUid + 1) : Number.POSITIVE_INFINITY),
      0,
    );
    return this.#freeFrom;
  }

  /** True where the id was given away before, whether a message has it still or not. */
  isUsed({ formula, idUid }: IdSource): boolean {
    return this.#like(formula).some((used) => {
      if (used.formula === formula) return idUid <= used.highestUid;
      const uid = uidInId(used.formula, this.#idOf({ formula, idUid }));
      return uid !== undefined && uid <= used.highestUid;
    });
  }

  has(source: IdSource): boolean {
    const uniqueId = this.#idOf(source).toLowerCase();
    if (this.#texts.has(uniqueId)) return true;
    // Of the current formula there may be ids yet to come.
    if (source.formula === this.#current ? this.#displaced.has(source.idUid) : uidInId(this.#current, uniqueId) !== undefined) return true;
    return [...this.#otherFormulas].some((formula) => this.#gives(formula, uniqueId));
  }

  add(source: IdSource): void {
    this.#texts.add(this.#idOf(source).toLowerCase());
  }

  #like(formula: UniqueIdFormula): readonly UsedFormula[] {
    const like = this.#usedLike.get(formula) ?? this.#used.filter((used) => mayGiveTheSame(used.formula, formula));
    // Of the others there may be as many as messages.
    if (!isVerbatim(formula)) this.#usedLike.set(formula, like);
    return like;
  }

  #learn({ formulas, formulaOf, idUids, uids }: Segment, isOwn: boolean): void {
    for (const formula of formulas) {
      if (isVerbatim(formula)) this.add({ formula, idUid: 0 });
      else this.#otherFormulas.add(formula);
    }
    // In another mailbox no id under this formula is that of the mailbox's own UID.
    const place = isOwn && idUids === uids ? -1 : formulas.indexOf(this.#current);
    if (place < 0) return;
    idUids.forEach((idUid, index) => {
      if (formulaOf[index] === place && !(isOwn && idUid === uids[index])) this.#displaced.add(idUid);
    });
  }

  #gives(formula: UniqueIdFormula, uniqueId: string): boolean {
    const idUid = uidInId(formula, uniqueId);
    return idUid !== undefined && this.#maps.some((map) => isIdUsed(map, { formula, idUid }));
  }
}

/** Finds UIDs: quickly where they ascend, and are asked for in that order. */
function* placesOf(uids: readonly Uid[]): Steps<(uid: Uid) => number> {
  if (uids.some((uid, index) => index > 0 && uid <= (uids[index - 1] ?? 0))) {
    const places = new Map<Uid, number>();
    yield* stepwise(uids.entries(), ([index, uid]) => places.set(uid, index));
    return (uid) => places.get(uid) ?? -1;
  }
  let at = 0;
  let last = 0;
  return (uid) => {
    if (uid < last) at = 0;
    last = uid;
    while (at < uids.length && (uids[at] ?? 0) < uid) at += 1;
    return uids[at] === uid ? at : -1;
  };
}

interface BuildParts {
  readonly ids: NewIds;
  readonly inherited: ReadonlyMap<Uid, Inherited>;
  readonly others: OtherIds;
  readonly added: ListedMessages['added'];
  /** The place of a message among those added; -1 where it is none of them. */
  readonly rowIndex: (uid: Uid) => number;
}

function build(uids: readonly Uid[], old: Segment | undefined, parts: BuildParts): Segment {
  const formulas: UniqueIdFormula[] = [];
  const segment = {
    uids: Uint32Array.from(uids),
    declaredOctets: new Float64Array(uids.length),
    trueOctets: new Float64Array(uids.length).fill(UNKNOWN_OCTETS),
    arrivals: new Float64Array(uids.length),
    formulaOf: new Uint16Array(uids.length),
    idUids: new Uint32Array(uids.length),
  };
  let states: SegmentStates | undefined;
  uids.forEach((uid, index) => {
    const message = rowOf(uid, old, parts);
    segment.declaredOctets[index] = message.declaredOctets;
    segment.trueOctets[index] = message.trueOctets ?? UNKNOWN_OCTETS;
    segment.arrivals[index] = message.arrival;
    segment.formulaOf[index] = placeOf(formulas, message.source.formula);
    segment.idUids[index] = message.source.idUid;
    if (message.state === UNTOUCHED) return;
    states ??= untouchedStates(uids.length);
    setState(states, index, message.state);
  });
  const isPlain = formulas.length < 2 && isSameList(segment.idUids, uids);
  const shared = isPlain ? { formulaOf: allFirst(uids.length), idUids: segment.uids } : {};
  return { ...segment, ...shared, formulas, states };
}

/** What is known stays as it is, even where the server sent the row again: a learned size must not be lost. */
function rowOf(uid: Uid, old: Segment | undefined, { ids, inherited, others, added, rowIndex }: BuildParts): Row {
  const at = old === undefined ? -1 : indexOf(old.uids, uid);
  if (old !== undefined && at >= 0) return { ...messageAt(old, at), source: sourceAt(old, at) };
  const row = rowIndex(uid);
  const declared = { declaredOctets: added.octets[row] ?? 0, arrival: added.arrivals[row] ?? 0 };
  const from = inherited.get(uid);
  if (from !== undefined) return { ...declared, trueOctets: from.trueOctets, state: from.state, source: from };
  return { ...declared, trueOctets: undefined, state: UNTOUCHED, source: newSource(uid, ids, others) };
}

type Row = Omit<KnownMessage, 'uid'> & { readonly source: IdSource };

function newSource(uid: Uid, { formula, given, fallback }: NewIds, others: OtherIds): IdSource {
  const id = given?.(uid);
  let source: IdSource = id === undefined ? { formula, idUid: uid } : verbatimSource(id);
  if (id === undefined && uid >= others.freeFrom) return source;
  let isTaken = others.isUsed(source);
  for (let attempt = 2; isTaken || others.has(source); attempt += 1) {
    source = { formula: fallback(attempt), idUid: uid };
    // The template itself may look like that.
    isTaken = source.formula === formula || others.isUsed(source);
  }
  // Of a formula each UID gives another id; only these may come twice.
  if (id !== undefined) others.add(source);
  return source;
}

function isSame(stored: UidMap, before: UidMap, segments: ReadonlyMap<number, Segment>): boolean {
  if (stored !== before || stored.segments.size !== segments.size) return false;
  return [...segments].every(([number, segment]) => stored.segments.get(number) === segment);
}

function isSameList(one: Uint32Array, other: readonly number[]): boolean {
  return one.length === other.length && one.every((uid, index) => uid === other[index]);
}

function* bySegment(uids: readonly Uid[]): Steps<Map<number, Uid[]>> {
  const groups = new Map<number, Uid[]>();
  yield* stepwise(uids, (uid) => {
    const number = segmentNumber(uid);
    const group = groups.get(number);
    if (group === undefined) groups.set(number, [uid]);
    else group.push(uid);
  });
  return groups;
}
