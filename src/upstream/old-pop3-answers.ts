/**
 * Octets of a POP3 server -> status lines, listings, headers. No socket: each reader gives undefined until enough octets came, whatever
 * the borders of the chunks, and throws UpstreamError `protocol` where it never will be an answer.
 */
import { UpstreamError } from '../errors.ts';

export const MAX_LINE_OCTETS = 8 * 1024;
/** Of what a listing or a list of capabilities may have in all: a million messages with ids of 55 octets. */
export const MAX_LISTING_OCTETS = 64 * 1024 * 1024;
/** Of a header this much is looked at. */
export const MAX_HEADER_OCTETS = 1024 * 1024;
/** Some servers send the whole message for `TOP n 0`: what is beyond the header is dropped, but not for ever. */
export const MAX_TOP_OCTETS = 256 * 1024 * 1024;

const CR = 0x0d;
const LF = 0x0a;
const DOT = 0x2e;
const LF_END = Buffer.from('\n');
const CRLF_END = Buffer.from('\r\n');

/** The first line of an answer (RFC 1939 section 3); `code` is the response code of RFC 2449 section 8, in capitals, without brackets. */
export type Status = { readonly isOk: true } | { readonly isOk: false; readonly code: string | undefined; readonly text: string };

/** Parses a status line, one character an octet. Throws where it begins with neither "+OK" nor "-ERR". */
export function parseStatus(line: string): Status {
  if (line.startsWith('+OK')) return { isOk: true };
  if (!line.startsWith('-ERR')) throw new UpstreamError('protocol', 'an answer begins with neither +OK nor -ERR');
  const text = line.slice('-ERR'.length).trim();
  return { isOk: false, code: /^\[([A-Z0-9/-]+)\]/i.exec(text)?.[1]?.toUpperCase(), text };
}

/**
 * Octets not yet taken. Line ends are CRLF; only a server whose greeting ended in a lone LF is taken to mean it. Else anybody could put
 * an LF and a dot into the header of a mail, and with it end the answer early and shift all that come after it.
 */
export class ReceivedOctets {
  #octets: Buffer = Buffer.alloc(0);
  #lineEnd: Buffer | undefined;

  get pending(): number {
    return this.#octets.length;
  }

  push(chunk: Uint8Array): void {
    this.#octets = this.#octets.length === 0 ? Buffer.from(chunk) : Buffer.concat([this.#octets, chunk]);
  }

  /** The next line without its end, one character an octet. */
  line(): string | undefined {
    const lineEnd = this.#lineEnd ?? this.#firstLineEnd();
    const length = lineEnd === undefined ? -1 : this.#octets.indexOf(lineEnd);
    const known = length < 0 ? this.#octets.length - CRLF_END.length : length;
    if (known > MAX_LINE_OCTETS) throw new UpstreamError('protocol', `a line of an answer has more than ${MAX_LINE_OCTETS} octets`);
    if (length < 0 || lineEnd === undefined) return undefined;
    const line = this.take(length).toString('latin1');
    this.take(lineEnd.length);
    return line;
  }

  /** Up to and with the next line end, or what there is of that line and can't be a part of its end. Perhaps empty. */
  lineOrPart(): { readonly octets: Buffer; readonly isWhole: boolean } {
    const lineEnd = this.lineEnd;
    const at = this.#octets.indexOf(lineEnd);
    if (at >= 0) return { octets: this.take(at + lineEnd.length), isWhole: true };
    const isHalfEnd = lineEnd === CRLF_END && this.#octets[this.#octets.length - 1] === CR;
    return { octets: this.take(this.#octets.length - (isHalfEnd ? 1 : 0)), isWhole: false };
  }

  startsWith(octets: Uint8Array): boolean {
    return this.#octets.length >= octets.length && this.#octets.subarray(0, octets.length).equals(octets);
  }

  get lineEnd(): Buffer {
    return this.#lineEnd ?? CRLF_END;
  }

  take(octets: number): Buffer {
    const taken = this.#octets.subarray(0, octets);
    this.#octets = this.#octets.subarray(octets);
    return taken;
  }

  #firstLineEnd(): Buffer | undefined {
    const at = this.#octets.indexOf(LF);
    if (at >= 0) this.#lineEnd = at > 0 && this.#octets[at - 1] === CR ? CRLF_END : LF_END;
    return this.#lineEnd;
  }
}

/** The lines of a multi-line answer, after its status line. */
export class ListingReader {
  readonly #received: ReceivedOctets;
  readonly #limit: number;
  readonly #lines: string[] = [];
  #octets = 0;

  constructor(received: ReceivedOctets, limit: number = MAX_LISTING_OCTETS) {
    this.#received = received;
    this.#limit = limit;
  }

  /** All lines, without the last, once it has come. */
  take(): readonly string[] | undefined {
    for (let line = this.#received.line(); line !== undefined; line = this.#received.line()) {
      if (line === '.') return this.#lines;
      this.#octets += line.length + CRLF_END.length;
      if (this.#octets > this.#limit) throw new UpstreamError('protocol', `a listing has more than ${this.#limit} octets`);
      this.#lines.push(line.startsWith('.') ? line.slice(1) : line);
    }
    return undefined;
  }
}

/** The header of a message out of the answer to `TOP n 0`, after its status line; stuffed dots are taken off. */
export class HeaderReader {
  readonly #received: ReceivedOctets;
  readonly #keep: number;
  readonly #limit: number;
  readonly #kept: Buffer[] = [];
  #keptOctets = 0;
  #octets = 0;
  #isAtLineStart = true;

  constructor(received: ReceivedOctets, keep: number = MAX_HEADER_OCTETS, limit: number = MAX_TOP_OCTETS) {
    this.#received = received;
    this.#keep = keep;
    this.#limit = limit;
  }

  /** The octets before the first empty line, cut at the limit, once the whole answer has come. */
  take(): Buffer | undefined {
    const end = Buffer.concat([Buffer.of(DOT), this.#received.lineEnd]);
    while (this.#received.pending > 0) {
      if (this.#isAtLineStart && this.#received.startsWith(end.subarray(0, 1))) {
        if (this.#received.startsWith(end)) {
          this.#received.take(end.length);
          return beforeEmptyLine(Buffer.concat(this.#kept));
        }
        if (this.#received.pending < end.length) return undefined;
        this.#received.take(1);
      }
      const { octets, isWhole } = this.#received.lineOrPart();
      if (octets.length > 0) this.#isAtLineStart = isWhole;
      this.#add(octets);
      if (!isWhole) return undefined;
    }
    return undefined;
  }

  #add(octets: Buffer): void {
    this.#octets += octets.length;
    if (this.#octets > this.#limit) throw new UpstreamError('protocol', `the answer to TOP has more than ${this.#limit} octets`);
    const room = this.#keep - this.#keptOctets;
    if (room <= 0) return;
    // A copy: the octets are a view of a whole chunk, which would be kept with them.
    const kept = Buffer.from(octets.subarray(0, room));
    this.#kept.push(kept);
    this.#keptOctets += kept.length;
  }
}

/** A server that sends bodies too must not have the Message-ID of a forwarded message taken for the message's own. */
function beforeEmptyLine(octets: Buffer): Buffer {
  const end = /(?:^|\n)(?=\r?\n)/.exec(octets.toString('latin1'));
  return end === null ? octets : octets.subarray(0, end.index + end[0].length);
}
