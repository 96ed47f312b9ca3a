/** Octets for the tests of the POP3 side: how they are cut, and what is drawn at random. */
import fc from 'fast-check';

/** Latin-1 text as octets: "\xff" is one octet. */
export function octets(text: string): Buffer {
  return Buffer.from(text, 'latin1');
}

export function textOf(pieces: Iterable<Uint8Array>): string {
  return Buffer.concat([...pieces]).toString('latin1');
}

/** The octets cut at those places (taken modulo the length), in order; nothing is lost. */
export function cutAt(whole: Uint8Array, places: readonly number[]): Uint8Array[] {
  const cuts = places.map((place) => (whole.length === 0 ? 0 : place % whole.length)).sort((one, other) => one - other);
  const pieces: Uint8Array[] = [];
  let from = 0;
  for (const cut of [...cuts, whole.length]) {
    pieces.push(Uint8Array.from(whole.subarray(from, cut)));
    from = Math.max(from, cut);
  }
  return pieces;
}

export function octetByOctet(whole: Uint8Array): Uint8Array[] {
  return Array.from(whole, (octet) => Uint8Array.of(octet));
}

/** Every way to cut the octets in two, and octet by octet, and whole. */
export function* everyCut(whole: Uint8Array): Generator<Uint8Array[]> {
  yield [whole];
  yield octetByOctet(whole);
  for (let at = 0; at <= whole.length; at += 1) yield [whole.subarray(0, at), whole.subarray(at)];
}

/** Octets out of the few that matter to line ends and dots. */
export const hostileOctets: fc.Arbitrary<Uint8Array> = fc
  .array(fc.constantFrom(0x0d, 0x0a, 0x2e, 0x78, 0x00), { maxLength: 40 })
  .map((values) => Uint8Array.from(values));

export const anyOctets: fc.Arbitrary<Uint8Array> = fc.uint8Array({ maxLength: 60 });

/** Messages that servers of others are known to have spoilt, or to have ended too early, each cut within its line ends and dots. */
export const TROUBLE = [
  '.',
  '..',
  '.\r\n',
  '\r\n.\r\n',
  'x\r\n.\r\nx',
  'x\n.\nx',
  'x\r\n.',
  'x\r',
  '\rx',
  '\n\r',
  '\r\r\n',
  'x\r\n\r\n.x\r\n..',
  '\0\r\n.\0\r\n',
  '',
].map((text): [message: Uint8Array, places: number[]] => [octets(text), [1, 2, 3, 5]]);

export const cuts: fc.Arbitrary<number[]> = fc.array(fc.nat(1000), { maxLength: 12 });
