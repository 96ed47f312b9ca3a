/**
 * Cuts the octets a client sends into lines. A line ends at LF, and all CRs right before it belong to the end: many scripts send
 * only LF, and programs that turn LF into CRLF twice send CR CR LF. A CR elsewhere is part of the line. Memory is bounded: what is
 * kept of an unfinished line never exceeds the limit and one CR.
 */
import { MAX_LINE_OCTETS } from './limits.ts';

const LF = 0x0a;
const CR = 0x0d;

/** A line without its end; or `too-long`, after which the session must end: the splitter gives nothing more. */
export type SplitLine = Uint8Array | 'too-long';

export class LineSplitter {
  readonly #limit: number;
  #chunks: Buffer[] = [];
  #pending = 0;
  #overflowed = false;

  constructor(limit: number = MAX_LINE_OCTETS) {
    this.#limit = limit;
  }

  /** Octets received and not yet given out as lines; the reader stops reading from the socket while this is large. */
  get pendingOctets(): number {
    return this.#pending;
  }

  push(chunk: Uint8Array): void {
    if (chunk.length === 0 || this.#overflowed) return;
    this.#chunks.push(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length));
    this.#pending += chunk.length;
  }

  /** The next whole line, or undefined until more octets come. */
  next(): SplitLine | undefined {
    if (this.#overflowed) return undefined;
    let seen = 0;
    for (const chunk of this.#chunks) {
      const end = chunk.indexOf(LF);
      if (end >= 0) return this.#take(seen + end);
      seen += chunk.length;
      if (seen > this.#limit + 1) break;
    }
    if (seen > this.#limit + 1) return this.#overflow();
    this.#compact();
    return undefined;
  }

  /** Drops everything unread (RFC 2595 section 4: nothing sent in clear may survive the start of TLS). Gives how many octets. */
  discard(): number {
    const dropped = this.#pending;
    this.#chunks = [];
    this.#pending = 0;
    return dropped;
  }

  #take(length: number): SplitLine {
    this.#compact();
    const all = this.#chunks[0] ?? Buffer.alloc(0);
    const rest = all.subarray(length + 1);
    this.#chunks = rest.length > 0 ? [rest] : [];
    this.#pending = rest.length;
    // The same answer as where the octets come one by one: `next` waits for an end of the line no longer than this.
    if (length > this.#limit + 1) return this.#overflow();
    const line = withoutFinalCrs(all.subarray(0, length));
    return line.length > this.#limit ? this.#overflow() : line;
  }

  #compact(): void {
    if (this.#chunks.length > 1) this.#chunks = [Buffer.concat(this.#chunks)];
  }

  #overflow(): SplitLine {
    this.discard();
    this.#overflowed = true;
    return 'too-long';
  }
}

function withoutFinalCrs(line: Buffer): Buffer {
  let end = line.length;
  while (line[end - 1] === CR) end -= 1;
  return line.subarray(0, end);
}
