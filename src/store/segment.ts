/**
 * Segments of the UID map as octets (version 2): UIDs and arrivals as differences, sizes as they are, all in variable-length
 * numbers of seven bits an octet: about eight octets a message. Pure.
 */
import { isUid } from '../maildrop/numbers.ts';
import { UNKNOWN_OCTETS, type Segment } from '../maildrop/uid-map.ts';

const VERSION = 2;
/** Messages of one segment at most; a count above it is damage. */
const MAX_MESSAGES = 1024;
/** Every unique-id is made of the first formula and the message's own UID, or that stands in each row. */
const PLAIN = 0;
const MIXED = 1;

export function encodeSegment(segment: Segment): Uint8Array {
  const out: number[] = [VERSION];
  put(out, segment.formulas.length);
  for (const formula of segment.formulas) putText(out, formula);
  put(out, segment.uids.length);
  const isPlain = segment.formulas.length < 2 && segment.idUids.every((idUid, index) => idUid === segment.uids[index]);
  put(out, isPlain ? PLAIN : MIXED);
  let uid = 0;
  let arrival = 0;
  segment.uids.forEach((next, index) => {
    const arrived = segment.arrivals[index] ?? 0;
    put(out, next - uid);
    putSizes(out, segment.declaredOctets[index] ?? 0, segment.trueOctets[index] ?? UNKNOWN_OCTETS);
    put(out, zigzag(arrived - arrival));
    if (!isPlain) {
      put(out, segment.formulaOf[index] ?? 0);
      put(out, zigzag((segment.idUids[index] ?? 0) - next));
    }
    uid = next;
    arrival = arrived;
  });
  return Uint8Array.from(out);
}

/** Throws RangeError where the octets are not an encoded segment. */
export function decodeSegment(octets: Uint8Array): Segment {
  const reader = new Reader(octets);
  if (reader.number() !== VERSION) throw new RangeError('unknown version of a UID map segment');
  const formulas = Array.from({ length: reader.count(MAX_MESSAGES) }, () => reader.text());
  const count = reader.count(MAX_MESSAGES);
  const isPlain = reader.count(MIXED) === PLAIN;
  const segment = {
    uids: new Uint32Array(count),
    declaredOctets: new Float64Array(count),
    trueOctets: new Float64Array(count),
    arrivals: new Float64Array(count),
    formulas,
    formulaOf: new Uint16Array(count),
    idUids: new Uint32Array(count),
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
    segment.formulaOf[index] = place;
    segment.idUids[index] = idUid;
  }
  if (!reader.isAtEnd) throw new RangeError('a UID map segment is too long');
  return segment;
}

function putText(out: number[], text: string): void {
  put(out, text.length);
  for (const octet of Buffer.from(text, 'latin1')) out.push(octet);
}

/** For the true size 0: unknown; 1: as declared; else moved up by two. */
function putSizes(out: number[], declared: number, trueOctets: number): void {
  put(out, declared);
  put(out, trueOctets === UNKNOWN_OCTETS ? 0 : trueOctets === declared ? 1 : trueOctets + 2);
}

/** Sizes pass 2^32, so no bit operators here. */
function put(out: number[], value: number): void {
  let rest = value;
  while (rest >= 128) {
    out.push((rest % 128) + 128);
    rest = Math.floor(rest / 128);
  }
  out.push(rest);
}

function zigzag(value: number): number {
  return value < 0 ? -2 * value - 1 : 2 * value;
}

function unzigzag(value: number): number {
  return value % 2 === 1 ? -(value + 1) / 2 : value / 2;
}

class Reader {
  readonly #octets: Uint8Array;
  #at = 0;

  constructor(octets: Uint8Array) {
    this.#octets = octets;
  }

  get isAtEnd(): boolean {
    return this.#at === this.#octets.length;
  }

  number(): number {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const octet = this.#octets[this.#at];
      if (octet === undefined || !Number.isSafeInteger(scale)) throw new RangeError('a UID map segment is cut short');
      this.#at += 1;
      value += (octet % 128) * scale;
      if (!Number.isSafeInteger(value)) throw new RangeError('a UID map segment holds a number that is too large');
      if (octet < 128) return value;
    }
  }

  count(most: number): number {
    const count = this.number();
    if (count > most) throw new RangeError('a UID map segment holds too many rows');
    return count;
  }

  text(): string {
    const length = this.number();
    const end = this.#at + length;
    if (end > this.#octets.length) throw new RangeError('a UID map segment is cut short');
    const text = Buffer.from(this.#octets.subarray(this.#at, end)).toString('latin1');
    this.#at = end;
    return text;
  }
}
