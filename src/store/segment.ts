/**
 * Segments of the UID map as octets (version 3): UIDs and arrivals as differences, sizes and times as they are, all in
 * variable-length numbers of seven bits an octet: about eight octets a message that no client did anything to. Pure.
 */
import { isUid } from '../maildrop/numbers.ts';
import { untouchedStates } from '../maildrop/map-changes.ts';
import { allFirst, UNKNOWN_OCTETS, type Segment, type SegmentStates } from '../maildrop/uid-map.ts';
import { OctetReader, OctetWriter, unzigzag, zigzag } from './variable-length.ts';

const VERSION = 3;
/** Without states, else the same. */
const VERSION_BEFORE = 2;
/** Messages of one segment at most; a count above it is damage. */
const MAX_MESSAGES = 1024;
/** Every unique-id is made of the first formula and the message's own UID, or that stands in each row. */
const PLAIN = 0;
const MIXED = 1;
/** Added to that where messages have states. */
const WITH_STATES = 2;
const MAX_TIME = 0xffff_ffff;

export function encodeSegment(segment: Segment): Uint8Array {
  const out = new OctetWriter();
  out.number(VERSION);
  out.number(segment.formulas.length);
  for (const formula of segment.formulas) out.text(formula);
  out.number(segment.uids.length);
  const isPlain = segment.formulas.length < 2 && segment.idUids.every((idUid, index) => idUid === segment.uids[index]);
  out.number((isPlain ? PLAIN : MIXED) + (segment.states === undefined ? 0 : WITH_STATES));
  let uid = 0;
  let arrival = 0;
  segment.uids.forEach((next, index) => {
    const arrived = segment.arrivals[index] ?? 0;
    out.number(next - uid);
    putSizes(out, segment.declaredOctets[index] ?? 0, segment.trueOctets[index] ?? UNKNOWN_OCTETS);
    out.number(zigzag(arrived - arrival));
    if (!isPlain) {
      out.number(segment.formulaOf[index] ?? 0);
      out.number(zigzag((segment.idUids[index] ?? 0) - next));
    }
    if (segment.states !== undefined) putState(out, segment.states, index);
    uid = next;
    arrival = arrived;
  });
  return out.octets();
}

/** Throws RangeError where the octets are not an encoded segment. */
export function decodeSegment(octets: Uint8Array): Segment {
  const reader = new OctetReader(octets);
  const version = reader.number();
  if (version !== VERSION && version !== VERSION_BEFORE) throw new RangeError('unknown version of a UID map segment');
  const formulas = Array.from({ length: reader.count(MAX_MESSAGES) }, () => reader.text());
  const count = reader.count(MAX_MESSAGES);
  const kind = reader.count(MIXED + WITH_STATES);
  const isPlain = kind % WITH_STATES === PLAIN;
  const states = kind >= WITH_STATES ? untouchedStates(count) : undefined;
  const uids = new Uint32Array(count);
  const segment = {
    uids,
    declaredOctets: new Float64Array(count),
    trueOctets: new Float64Array(count),
    arrivals: new Float64Array(count),
    formulas,
    formulaOf: isPlain ? allFirst(count) : new Uint16Array(count),
    idUids: isPlain ? uids : new Uint32Array(count),
    states,
  };
  let uid = 0;
  let arrival = 0;
  for (let index = 0; index < count; index += 1) {
    const step = reader.number();
    uid += step;
    if (step === 0 || !isUid(uid)) throw new RangeError('a UID map segment holds an impossible UID');
    const declared = reader.number();
    const size = reader.number();
    arrival += unzigzag(reader.number());
    const place = isPlain ? 0 : reader.number();
    const idUid = isPlain ? uid : uid + unzigzag(reader.number());
    if (place >= formulas.length || !isUid(idUid)) throw new RangeError('a UID map segment holds an impossible unique-id');
    segment.uids[index] = uid;
    segment.declaredOctets[index] = declared;
    segment.trueOctets[index] = size === 0 ? UNKNOWN_OCTETS : size === 1 ? declared : size - 2;
    segment.arrivals[index] = arrival;
    if (!isPlain) {
      segment.formulaOf[index] = place;
      segment.idUids[index] = idUid;
    }
    if (states !== undefined) readState(reader, states, index);
  }
  if (!reader.isAtEnd) throw new RangeError('a UID map segment is too long');
  return segment;
}

/** For the true size 0: unknown; 1: as declared; else moved up by two. */
function putSizes(out: OctetWriter, declared: number, trueOctets: number): void {
  out.number(declared);
  out.number(trueOctets === UNKNOWN_OCTETS ? 0 : trueOctets === declared ? 1 : trueOctets + 2);
}

function putState(out: OctetWriter, { retrievedAt, deletedAt, dueAt }: SegmentStates, index: number): void {
  for (const times of [retrievedAt, deletedAt, dueAt]) out.number(times[index] ?? 0);
}

function readState(reader: OctetReader, { retrievedAt, deletedAt, dueAt }: SegmentStates, index: number): void {
  for (const times of [retrievedAt, deletedAt, dueAt]) times[index] = reader.count(MAX_TIME);
}
