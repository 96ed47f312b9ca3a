/** Cuts a message for TOP: the header, the blank line, and the first `lines` lines of the body (RFC 1939 section 7). */
const LF = 0x0a;
const CR = 0x0d;

export class TopCutter {
  #bodyLinesLeft: number;
  #inBody = false;
  /** How the current header line began in earlier chunks: only nothing and a lone CR can still become the blank line. */
  #lineSoFar: 'nothing' | 'cr' | 'text' = 'nothing';
  #isDone = false;

  /** Takes octets whose line ends are CRLF. `lines` may be larger than the message has. */
  constructor(lines: number) {
    this.#bodyLinesLeft = lines;
  }

  /** True once everything asked for was given: the rest of the message need not be read. */
  get isDone(): boolean {
    return this.#isDone;
  }

  transform(chunk: Uint8Array): Uint8Array {
    const input = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length);
    const bodyStart = this.#inBody ? 0 : this.#skipHeader(input);
    if (!this.#inBody || this.#isDone) return input.subarray(0, bodyStart);
    return input.subarray(0, this.#skipBodyLines(input, bodyStart));
  }

  /** Gives where the body starts, or the chunk's length when the header goes on. */
  #skipHeader(input: Buffer): number {
    let start = 0;
    for (let end = input.indexOf(LF); end >= 0; end = input.indexOf(LF, start)) {
      const blank = this.#lineSoFar === 'cr' ? end === start : this.#lineSoFar === 'nothing' && isBlank(input, start, end);
      start = end + 1;
      this.#lineSoFar = 'nothing';
      if (blank) {
        this.#inBody = true;
        this.#isDone = this.#bodyLinesLeft === 0;
        return start;
      }
    }
    if (start < input.length) this.#lineSoFar = this.#lineSoFar === 'nothing' && isBlank(input, start, input.length) ? 'cr' : 'text';
    return input.length;
  }

  #skipBodyLines(input: Buffer, from: number): number {
    let start = from;
    while (this.#bodyLinesLeft > 0) {
      const end = input.indexOf(LF, start);
      if (end < 0) return input.length;
      start = end + 1;
      this.#bodyLinesLeft -= 1;
    }
    this.#isDone = true;
    return start;
  }
}

function isBlank(input: Buffer, from: number, to: number): boolean {
  return to === from || (to === from + 1 && input[from] === CR);
}
