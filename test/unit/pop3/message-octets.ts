/** The way of a message's octets to the client, and back as a client undoes it. */
import { DotStuffer } from '../../../src/pop3/dot-stuffer.ts';
import { LineEndNormaliser } from '../../../src/pop3/line-ends.ts';
import { TopCutter } from '../../../src/pop3/top-cutter.ts';

export function normalise(pieces: Iterable<Uint8Array>): Uint8Array[] {
  const normaliser = new LineEndNormaliser();
  const normalised = Array.from(pieces, (piece) => Buffer.from(normaliser.transform(piece)));
  return [...normalised, Buffer.from(normaliser.end())];
}

export function stuff(pieces: Iterable<Uint8Array>): Uint8Array[] {
  const stuffer = new DotStuffer();
  return Array.from(pieces).flatMap((piece) => stuffer.transform(piece).map((one) => Buffer.from(one)));
}

export function top(pieces: Iterable<Uint8Array>, lines: number): Uint8Array[] {
  const cutter = new TopCutter(lines);
  return Array.from(pieces, (piece) => Buffer.from(cutter.transform(piece)));
}

/** What a client makes of it (RFC 1939 section 3): one dot less on every line that begins with one. */
export function unstuff(text: string): string {
  return text.replace(/(^|\r\n)\./g, '$1');
}
