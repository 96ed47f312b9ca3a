/** How the UID map changes between listings. Each change gives a new map, in which segments without a change are the same objects. Pure. */
import { asUid, type Uid } from './numbers.ts';
import {
  allFirst,
  indexOf,
  knownMessage,
  locate,
  NEVER_DUE,
  segmentNumber,
  sourceAt,
  stateAt,
  UNTOUCHED,
  type IdSource,
  type MessageState,
  type Segment,
  type SegmentStates,
  type UidMap,
} from './uid-map.ts';
import type { UniqueIdFormula } from './unique-id.ts';

/** The map without messages that were removed upstream. */
export function withoutMessages(map: UidMap, removed: readonly Uid[]): UidMap {
  return edited(map, removed, (segment, places) => {
    const gone = new Set(places);
    const left = Array.from(segment.uids.keys()).filter((index) => !gone.has(index));
    return left.length === 0 ? undefined : picked(segment, left);
  });
}

/** The map with the true size of a message noted; the same map when it was known or the message is not in it. */
export function withTrueOctets(map: UidMap, uid: Uid, octets: number): UidMap {
  const found = locate(map, uid);
  if (found === undefined || found.segment.trueOctets[found.index] === octets) return map;
  const changed: Segment = { ...found.segment, trueOctets: found.segment.trueOctets.with(found.index, octets) };
  return { ...map, segments: new Map(map.segments).set(segmentNumber(uid), changed) };
}

/** The map in which a message was retrieved; the same map where it was before. `at` in seconds since 1970. */
export function withRetrieved(map: UidMap, uid: Uid, at: number): UidMap {
  const found = locate(map, uid);
  if (found === undefined || stateAt(found.segment, found.index).retrievedAt > 0) return map;
  return withStates(map, [uid], (state) => ({ ...state, retrievedAt: at }));
}

/** The map in which clients deleted messages at a time; they are to be removed upstream at `dueAt`. Those deleted before stay as they were. */
export function withDeleted(map: UidMap, uids: readonly Uid[], at: number, dueAt: number): UidMap {
  return withStates(map, uids, (state) => (state.deletedAt > 0 ? state : { ...state, deletedAt: at, dueAt }));
}

/** The map in which what clients deleted stays hidden, but is never removed upstream. */
export function withoutDueTime(map: UidMap, uids: readonly Uid[]): UidMap {
  const deleted = uids.filter((uid) => (knownMessage(map, uid)?.state.deletedAt ?? 0) > 0);
  return withStates(map, deleted, (state) => ({ ...state, dueAt: NEVER_DUE }));
}

/** The map in which messages were never deleted: they are shown again, and not to be removed any more. */
export function withoutDeletion(map: UidMap, uids: readonly Uid[]): UidMap {
  const deleted = uids.filter((uid) => (knownMessage(map, uid)?.state.deletedAt ?? 0) > 0);
  return withStates(map, deleted, ({ retrievedAt }) => ({ ...UNTOUCHED, retrievedAt }));
}

/** The map in which messages that nobody deleted are as they were in another. */
export function withRestoredStates(map: UidMap, states: ReadonlyMap<Uid, MessageState>): UidMap {
  return edited(map, [...states.keys()], (segment, places) => {
    const next = segment.states === undefined ? untouchedStates(segment.uids.length) : copied(segment.states);
    for (const index of places) {
      const before = stateAt(segment, index);
      const state = states.get(asUid(segment.uids[index] ?? 0));
      if (state !== undefined && before.deletedAt === 0)
        setState(next, index, { ...state, retrievedAt: before.retrievedAt || state.retrievedAt });
    }
    return { ...segment, states: next };
  });
}

/** The map in which messages have other unique-ids. */
export function withIdSources(map: UidMap, sources: ReadonlyMap<Uid, IdSource>): UidMap {
  return edited(map, [...sources.keys()], (segment, places) => {
    const formulas: UniqueIdFormula[] = [];
    const changed = new Set(places);
    const rows = Array.from(segment.uids, (uid, index) => {
      const before = sourceAt(segment, index);
      return changed.has(index) ? (sources.get(asUid(uid)) ?? before) : before;
    });
    const formulaOf = Uint16Array.from(rows, ({ formula }) => placeOf(formulas, formula));
    return { ...segment, formulas, formulaOf, idUids: Uint32Array.from(rows, ({ idUid }) => idUid) };
  });
}

/** The place of a formula, where it is put at the end if it is new. */
export function placeOf(formulas: UniqueIdFormula[], formula: UniqueIdFormula): number {
  const place = formulas.lastIndexOf(formula);
  return place >= 0 ? place : formulas.push(formula) - 1;
}

/** States of messages none of which was touched. */
export function untouchedStates(count: number): SegmentStates {
  return { retrievedAt: new Uint32Array(count), deletedAt: new Uint32Array(count), dueAt: new Uint32Array(count) };
}

export function setState(states: SegmentStates, index: number, state: MessageState): void {
  states.retrievedAt[index] = state.retrievedAt;
  states.deletedAt[index] = state.deletedAt;
  states.dueAt[index] = state.dueAt;
}

function withStates(map: UidMap, uids: readonly Uid[], change: (state: MessageState) => MessageState): UidMap {
  return edited(map, uids, (segment, places) => {
    const states = segment.states === undefined ? untouchedStates(segment.uids.length) : copied(segment.states);
    for (const index of places) setState(states, index, change(stateAt(segment, index)));
    return { ...segment, states };
  });
}

function copied({ retrievedAt, deletedAt, dueAt }: SegmentStates): SegmentStates {
  return { retrievedAt: retrievedAt.slice(), deletedAt: deletedAt.slice(), dueAt: dueAt.slice() };
}

/** Changes the segments that hold the messages; those of them that the map doesn't know are passed over. */
function edited(map: UidMap, uids: readonly Uid[], edit: (segment: Segment, places: readonly number[]) => Segment | undefined): UidMap {
  if (uids.length === 0) return map;
  const segments = new Map(map.segments);
  for (const [number, its] of Map.groupBy(uids, segmentNumber)) {
    const segment = segments.get(number);
    const places = segment === undefined ? [] : its.map((uid) => indexOf(segment.uids, uid)).filter((index) => index >= 0);
    if (segment === undefined || places.length === 0) continue;
    const changed = edit(segment, places);
    if (changed === undefined) segments.delete(number);
    else segments.set(number, changed);
  }
  return { ...map, segments };
}

function picked(segment: Segment, indices: readonly number[]): Segment {
  const pick = (from: ArrayLike<number>): number[] => indices.map((index) => from[index] ?? 0);
  const uids = Uint32Array.from(pick(segment.uids));
  const isPlain = segment.idUids === segment.uids;
  return {
    uids,
    declaredOctets: Float64Array.from(pick(segment.declaredOctets)),
    trueOctets: Float64Array.from(pick(segment.trueOctets)),
    arrivals: Float64Array.from(pick(segment.arrivals)),
    formulas: segment.formulas,
    formulaOf: isPlain ? allFirst(uids.length) : Uint16Array.from(pick(segment.formulaOf)),
    idUids: isPlain ? uids : Uint32Array.from(pick(segment.idUids)),
    states: segment.states && {
      retrievedAt: Uint32Array.from(pick(segment.states.retrievedAt)),
      deletedAt: Uint32Array.from(pick(segment.states.deletedAt)),
      dueAt: Uint32Array.from(pick(segment.states.dueAt)),
    },
  };
}
