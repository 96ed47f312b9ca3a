/** Turns the chunks of a socket into lines and literals, however they were cut. Knows no IMAP. */

const LF = 0x0a;
const CR = 0x0d;
const NOTHING = Buffer.alloc(0);

/** A line grew beyond what the reader may hold. */
export class LineTooLongFault extends Error {}

/** A queue of octets with two ways to take from its front. One taker at a time. */
export class OctetReader {
  /** Settles once no more octets will come. */
  readonly ended: Promise<void>;
  #chunks: Buffer[] = [];
  #length = 0;
  #isEnded = false;
  #onDropped: ((chunk: Buffer) => void) | undefined;
  #wake: (() => void) | undefined;
  readonly #settleEnded: () => void;

  constructor() {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.ended = promise;
    this.#settleEnded = resolve;
  }

  push(chunk: Buffer): void {
    if (this.#onDropped !== undefined) return this.#onDropped(chunk);
    this.#chunks.push(chunk);
    this.#length += chunk.length;
    this.#wake?.();
  }

  end(): void {
    this.#isEnded = true;
    this.#settleEnded();
    this.#wake?.();
  }

  /** Forgets what was received but not taken: plain octets must not survive STARTTLS (RFC 3501 section 6.2.1). */
  clear(): void {
    this.#chunks = [];
    this.#length = 0;
  }

  /** From now on octets are only shown, and dropped, so that a session which hangs on purpose holds no memory. */
  discardAll(onDropped: (chunk: Buffer) => void): void {
    for (const chunk of this.#chunks) onDropped(chunk);
    this.clear();
    this.#onDropped = onDropped;
  }

  /** The next line without its line end; nothing when the input ended before one. */
  async line(limit: number): Promise<Buffer | undefined> {
    let searched = 0;
    for (;;) {
      const held = this.#joined();
      const end = held.indexOf(LF, searched);
      if ((end < 0 ? held.length : end) > limit) throw new LineTooLongFault();
      if (end >= 0) return withoutCarriageReturn(this.#take(end + 1).subarray(0, end));
      searched = held.length;
      if (this.#isEnded) return undefined;
      await this.#more();
    }
  }

  /** Exactly `count` octets; nothing when the input ended before. */
  async exactly(count: number): Promise<Buffer | undefined> {
    while (this.#length < count) {
      if (this.#isEnded) return undefined;
      await this.#more();
    }
    return this.#take(count);
  }

  #joined(): Buffer {
    const [first = NOTHING] = this.#chunks;
    if (this.#chunks.length <= 1) return first;
    const held = Buffer.concat(this.#chunks, this.#length);
    this.#chunks = [held];
    return held;
  }

  #take(count: number): Buffer {
    const held = this.#joined();
    this.#chunks = count < held.length ? [held.subarray(count)] : [];
    this.#length = held.length - count;
    return held.subarray(0, count);
  }

  async #more(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#wake = resolve;
    await promise;
    this.#wake = undefined;
  }
}

function withoutCarriageReturn(line: Buffer): Buffer {
  return line.at(-1) === CR ? line.subarray(0, -1) : line;
}
