/**
 * Segments of the UID map as octets (version 1): UIDs and arrivals as differences, sizes as they are, all in variable-length
 * numbers of seven bits an octet: about eight octets a message. Pure.
 */
import { isUid, type Uid } from '../maildrop/numbers.ts';
import type { Segment } from '../maildrop/uid-map.ts';

const VERSION = 1;

/** Encodes everything but the formula, which the store keeps beside it. */
export function encodeSegment(segment: Segment): Uint8Array {
  const out: number[] = [VERSION];
  put(out, segment.uids.length);
  let uid = 0;
  let arrival = 0;
  segment.uids.forEach((next, index) => {
    const declared = segment.declaredOctets[index] ?? 0;
    const trueOctets = segment.trueOctets[index] ?? -1;
    const arrived = segment.arrivals[index] ?? 0;
    put(out, next - uid);
    put(out, declared);
    // 0: unknown. 1: as declared. Else the true size, moved up by two.
    put(out, trueOctets < 0 ? 0 : trueOctets === declared ? 1 : trueOctets + 2);
    put(out, zigzag(arrived - arrival));
    uid = next;
    arrival = arrived;
  });
  return Uint8Array.from(out);
}

/** Throws RangeError where the octets are not an encoded segment. */
export function decodeSegment(octets: Uint8Array, formula: string): Segment {
  const reader = new Reader(octets);
  if (reader.number() !== VERSION) throw new RangeError('unknown version of a UID map segment');
  const count = reader.number();
  const segment = { formula, uids: [] as Uid[], declaredOctets: [] as number[], trueOctets: [] as number[], arrivals: [] as number[] };
  let uid = 0;
  let arrival = 0;
  for (let index = 0; index < count; index += 1) {
    const step = reader.number();
    uid += step;
    if (step === 0 || !isUid(uid)) throw new RangeError('a UID map segment holds an impossible UID');
    const declared = reader.number();
    const size = reader.number();
    arrival += unzigzag(reader.number());
    segment.uids.push(uid);
    segment.declaredOctets.push(declared);
    segment.trueOctets.push(size === 0 ? -1 : size === 1 ? declared : size - 2);
    segment.arrivals.push(arrival);
  }
  if (!reader.isAtEnd) throw new RangeError('a UID map segment is too long');
  return segment;
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
}
