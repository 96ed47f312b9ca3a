/** Counts the commands an IMAP client sends, from its octets as they come; pure. */

const LF = 0x0a;
const TLS_HANDSHAKE = 0x16;
/** Only as much of a line is kept as tells the verb, and the literal at its end (RFC 3501 section 4.3, RFC 7888). */
const KEPT = 64;
/** After these the octets mean something else. */
const LAST_READABLE = new Set(['STARTTLS', 'COMPRESS']);

/** How many commands there were by verb; undefined where they can't be read because of TLS. */
export type CommandCounts = Readonly<Record<string, number>> | undefined;

/** Reads one connection's octets of the client. Arguments are never kept: they may be passwords. */
export class CommandCounter {
  readonly #counts: Record<string, number> = {};
  #head = '';
  #tail = '';
  #literalLeft = 0;
  #isContinued = false;
  #isOpaque: boolean | undefined;

  /** Takes the next octets. */
  push(chunk: Buffer): void {
    this.#isOpaque ??= chunk[0] === TLS_HANDSHAKE;
    for (let at = 0; at < chunk.length && !this.#isOpaque;) at = this.#literalLeft > 0 ? this.#skip(chunk, at) : this.#line(chunk, at);
  }

  /** What was counted so far. */
  counts(): CommandCounts {
    return this.#isOpaque === true && Object.keys(this.#counts).length === 0 ? undefined : this.#counts;
  }

  #skip(chunk: Buffer, at: number): number {
    const skipped = Math.min(this.#literalLeft, chunk.length - at);
    this.#literalLeft -= skipped;
    return at + skipped;
  }

  #line(chunk: Buffer, at: number): number {
    const end = chunk.indexOf(LF, at);
    const piece = chunk.subarray(at, end < 0 ? chunk.length : end);
    this.#head += piece.toString('latin1', 0, KEPT - this.#head.length);
    this.#tail = (this.#tail + piece.toString('latin1', Math.max(0, piece.length - KEPT))).slice(-KEPT);
    if (end < 0) return chunk.length;
    this.#finishLine();
    return end + 1;
  }

  #finishLine(): void {
    const verb = this.#isContinued ? undefined : verbOf(this.#head);
    if (verb !== undefined) {
      this.#counts[verb] = (this.#counts[verb] ?? 0) + 1;
      this.#isOpaque = LAST_READABLE.has(verb);
    }
    const literal = /\{(\d+)\+?\}\r$/.exec(this.#tail)?.[1];
    this.#isContinued = literal !== undefined;
    this.#literalLeft = Number(literal ?? 0);
    this.#head = '';
    this.#tail = '';
  }
}

/** The verb of a tagged line, with what UID stands before; undefined for DONE and the base64 of AUTHENTICATE. */
function verbOf(line: string): string | undefined {
  return /^[^\s()*%\\"{]+ ((?:UID )?[A-Z]+)/i.exec(line)?.[1]?.toUpperCase();
}
