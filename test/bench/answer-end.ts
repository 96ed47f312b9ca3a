/**
 * Finds the end of a POP3 answer without reading it: by its first line and its last five octets. A dot-stuffed body can't contain the end, and to a
 * client that waits for the end nothing comes behind it. Pure.
 */

const LF = 0x0a;
const MINUS = 0x2d;
const END = Buffer.from('\r\n.\r\n');

/** Of one answer. */
export class AnswerEnd {
  readonly #isMulti: boolean;
  readonly #tail = Buffer.alloc(END.length);
  #head = '';
  #headIsWhole = false;
  #octets = 0;

  constructor(isMulti: boolean) {
    this.#isMulti = isMulti;
  }

  /** Takes the next octets; true: they were the last. */
  push(chunk: Buffer): boolean {
    if (!this.#headIsWhole) this.#readHead(chunk);
    this.#octets += chunk.length;
    if (chunk.length < END.length) this.#tail.copyWithin(0, chunk.length);
    chunk.copy(this.#tail, Math.max(0, END.length - chunk.length), Math.max(0, chunk.length - END.length));
    return this.#isMulti && !this.isRefusal ? this.#tail.equals(END) : this.#headIsWhole;
  }

  /** The first line without its end. */
  get status(): string {
    return this.#head.trimEnd();
  }

  get isRefusal(): boolean {
    return this.#head.charCodeAt(0) === MINUS;
  }

  /** Octets so far, status line and end included. */
  get octets(): number {
    return this.#octets;
  }

  /** Has anything come behind the status line? */
  get hasBody(): boolean {
    return this.#headIsWhole && this.#octets > this.#head.length;
  }

  #readHead(chunk: Buffer): void {
    const end = chunk.indexOf(LF);
    this.#headIsWhole = end >= 0;
    this.#head += chunk.toString('latin1', 0, end < 0 ? chunk.length : end + 1);
  }
}
