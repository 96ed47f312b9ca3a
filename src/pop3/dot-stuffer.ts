/**
 * Byte-stuffs message octets: a line that begins with "." gets one more (RFC 1939 section 3). Takes octets whose line ends
 * are CRLF already, in any chunks. Nothing is copied where few lines begin so, the usual case.
 */
const DOT = 0x2e;
const LF = 0x0a;
const LF_DOT = Buffer.from('\n.');
const ONE_DOT = Buffer.of(DOT);
/** With more lines in a chunk that begin with a dot, one copy costs less than so many pieces. */
const MOST_PIECES = 16;

export class DotStuffer {
  #atLineStart = true;

  /** What to send for a chunk, in pieces. */
  transform(chunk: Uint8Array): readonly Uint8Array[] {
    if (chunk.length === 0) return [];
    const input = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length);
    const places = dottedLines(input, this.#atLineStart);
    this.#atLineStart = input[input.length - 1] === LF;
    if (places.length === 0) return [input];
    return places.length > MOST_PIECES ? [withDots(input, places)] : between(input, places);
  }
}

/** Where in the chunk a line begins with a dot. */
function dottedLines(input: Buffer, atLineStart: boolean): number[] {
  const places = atLineStart && input[0] === DOT ? [0] : [];
  for (let at = input.indexOf(LF_DOT); at >= 0; at = input.indexOf(LF_DOT, at + 1)) places.push(at + 1);
  return places;
}

function between(input: Buffer, places: readonly number[]): Uint8Array[] {
  const pieces: Uint8Array[] = [];
  let from = 0;
  for (const place of places) {
    if (place > from) pieces.push(input.subarray(from, place));
    pieces.push(ONE_DOT);
    from = place;
  }
  pieces.push(input.subarray(from));
  return pieces;
}

function withDots(input: Buffer, places: readonly number[]): Buffer {
  const output = Buffer.allocUnsafe(input.length + places.length);
  let from = 0;
  let to = 0;
  for (const place of places) {
    to += input.copy(output, to, from, place);
    output[to++] = DOT;
    from = place;
  }
  input.copy(output, to, from);
  return output;
}
