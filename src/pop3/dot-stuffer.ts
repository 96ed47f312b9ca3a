/**
 * Byte-stuffs message octets: a line that begins with "." gets one more (RFC 1939 section 3). Takes octets whose line ends
 * are CRLF already, in any chunks. A chunk without such a line, the usual case, passes without a copy.
 */
const DOT = 0x2e;
const LF = 0x0a;
const LF_DOT = Buffer.from('\n.');

export class DotStuffer {
  #atLineStart = true;

  transform(chunk: Uint8Array): Uint8Array {
    if (chunk.length === 0) return chunk;
    const input = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length);
    const places = dottedLines(input, this.#atLineStart);
    this.#atLineStart = input[input.length - 1] === LF;
    return places.length === 0 ? input : withDots(input, places);
  }
}

/** Where in the chunk a line begins with a dot. */
function dottedLines(input: Buffer, atLineStart: boolean): number[] {
  const places = atLineStart && input[0] === DOT ? [0] : [];
  for (let at = input.indexOf(LF_DOT); at >= 0; at = input.indexOf(LF_DOT, at + 1)) places.push(at + 1);
  return places;
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
