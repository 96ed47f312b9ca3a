/**
 * Takes apart what an IMAP server sends, sans-IO: octets in, in any chunks; out come the rows and bodies of FETCH, the answers to
 * commands of ours, and untouched whatever is for others. Bodies are handed on as they come, never gathered. Whatever makes no sense
 * throws, and the connection is to be ended then: there is no finding back into a stream that was lost (RFC 3501 section 2.2).
 */
import { UpstreamError } from '../errors.ts';
import { FetchRowScanner, type BodySection, type FetchRow } from './fetch-row.ts';

/** Tags of our own begin with this letter, which is no hex digit. */
export const OWN_TAG = 'Z';

/** How a command of ours ended. */
export interface TaggedResponse {
  readonly tag: string;
  /** OK, NO or BAD. */
  readonly status: string;
  /** The rest of the line: response code and human text. */
  readonly text: string;
}

/** Where the octets of a body go. They are all there, and the body is whole, when its row is complete: not before. */
export interface BodySink {
  /** The octets belong to the chunk they came in: who keeps them keeps all of it. */
  write(octets: Buffer): void;
}

export interface ResponseHandler {
  /** Octets of responses that are not for us, as they came. */
  forward(octets: Buffer): void;
  tagged(response: TaggedResponse): void;
  /** An untagged response other than FETCH, without its line end. True takes it; else it is forwarded. */
  untagged(line: Buffer): boolean;
  /** True while FETCH responses are ours. */
  readonly takesRows: boolean;
  /** A body begins; `octets` is its length, undefined for NIL. What no sink is given for is skipped. */
  body(row: FetchRow, section: BodySection, octets: number | undefined): BodySink | undefined;
  /** The row is complete, after its bodies: the server counted their octets as it should. */
  row(row: FetchRow): void;
}

export interface ParserLimits {
  readonly lineOctets: number;
  readonly literalOctets: number;
}

const LF = 0x0a;
const CR = 0x0d;
const SPACE = 0x20;
const STAR = 0x2a;
const OWN = OWN_TAG.charCodeAt(0);
/** `* n FETCH (`, leniently spaced; n is at most ten digits. */
const FETCH = /^\* +\d{1,10} FETCH +\(/i;
const FETCH_OCTETS = 32;
const LITERAL = /~?\{(\d{1,15})\+?\}$/;
const LITERAL_OCTETS = 20;
/** Their text may end in anything. */
const STATUS = /^(?:\* +(?:OK|NO|BAD|BYE|PREAUTH)\b|\+)/i;
const TAGGED = /^(\S+) (OK|NO|BAD)(?: (.*))?$/is;
const LONGEST_TEXT = 2_000;

export class ResponseParser {
  readonly #handler: ResponseHandler;
  readonly #limits: ParserLimits;
  /** A line whose end has not come. */
  #pieces: Buffer[] = [];
  #piecesOctets = 0;
  /** The FETCH response that goes on after its literal. */
  #scanner: FetchRowScanner | undefined;
  /** A response for others that goes on after its literal. */
  #isForwarding = false;
  #literalLeft = 0;
  #sink: BodySink | undefined;

  constructor(handler: ResponseHandler, limits: ParserLimits) {
    this.#handler = handler;
    this.#limits = limits;
  }

  /** Octets of a line whose end has not come. */
  get pendingOctets(): number {
    return this.#piecesOctets;
  }

  /** Throws UpstreamError `protocol` where the octets make no sense. */
  feed(chunk: Buffer): void {
    let at = 0;
    while (at < chunk.length) {
      if (this.#literalLeft > 0) {
        at = this.#literal(chunk, at);
        continue;
      }
      const end = chunk.indexOf(LF, at);
      if (end < 0) {
        this.#keep(chunk.subarray(at));
        return;
      }
      if (this.#pieces.length === 0) {
        this.#line(chunk, at, end + 1);
      } else {
        this.#keep(chunk.subarray(at, end + 1));
        const line = Buffer.concat(this.#pieces);
        this.#pieces = [];
        this.#piecesOctets = 0;
        this.#line(line, 0, line.length);
      }
      at = end + 1;
    }
  }

  #keep(piece: Buffer): void {
    this.#pieces.push(piece);
    this.#piecesOctets += piece.length;
    if (this.#piecesOctets > this.#limits.lineOctets) throw doubt('a line has no end');
  }

  /** Octets of a literal; gives where they end in the chunk. */
  #literal(chunk: Buffer, at: number): number {
    const end = Math.min(chunk.length, at + this.#literalLeft);
    const octets = chunk.subarray(at, end);
    this.#literalLeft -= octets.length;
    if (this.#isForwarding) this.#handler.forward(octets);
    else this.#sink?.write(octets);
    if (this.#literalLeft === 0) this.#sink = undefined;
    return end;
  }

  /** A line in [start, end), its LF included. */
  #line(octets: Buffer, start: number, end: number): void {
    const textEnd = octets[end - 2] === CR && end - 2 >= start ? end - 2 : end - 1;
    if (this.#scanner !== undefined) this.#scan(this.#scanner, octets, start, textEnd);
    else if (this.#isForwarding) this.#forward(octets, start, end, textEnd);
    else this.#begin(octets, start, end, textEnd);
  }

  /** The first line of a response. */
  #begin(octets: Buffer, start: number, end: number, textEnd: number): void {
    if (octets[start] === OWN) {
      this.#handler.tagged(taggedIn(octets.toString('latin1', start, Math.min(textEnd, start + LONGEST_TEXT))));
      return;
    }
    const isUntagged = octets[start] === STAR && octets[start + 1] === SPACE;
    const row = isUntagged && this.#handler.takesRows ? FETCH.exec(octets.toString('latin1', start, start + FETCH_OCTETS)) : null;
    if (row !== null) {
      const scanner = new FetchRowScanner((section, body) => this.#inline(scanner.row, section, body));
      this.#scan(scanner, octets, start + row[0].length, textEnd);
      return;
    }
    if (isUntagged && this.#handler.untagged(octets.subarray(start, textEnd))) return;
    this.#forward(octets, start, end, textEnd);
  }

  #scan(scanner: FetchRowScanner, octets: Buffer, start: number, end: number): void {
    this.#scanner = scanner;
    const literal = scanner.scan(octets, start, end);
    if (literal === undefined) {
      this.#scanner = undefined;
      this.#handler.row(scanner.row);
      return;
    }
    if (literal.octets > this.#limits.literalOctets) throw doubt('a literal is too long');
    this.#sink = literal.section && this.#handler.body(scanner.row, literal.section, literal.octets);
    this.#literalLeft = literal.octets;
  }

  #inline(row: FetchRow, section: BodySection, octets: Buffer | undefined): void {
    const sink = this.#handler.body(row, section, octets?.length);
    if (octets !== undefined && octets.length > 0) sink?.write(octets);
  }

  #forward(octets: Buffer, start: number, end: number, textEnd: number): void {
    const isStatus = !this.#isForwarding && (octets[start] !== STAR || STATUS.test(octets.toString('latin1', start, start + FETCH_OCTETS)));
    const literal = isStatus ? null : LITERAL.exec(octets.toString('latin1', Math.max(start, textEnd - LITERAL_OCTETS), textEnd));
    this.#handler.forward(octets.subarray(start, end));
    this.#literalLeft = Number(literal?.[1] ?? 0);
    if (this.#literalLeft > this.#limits.literalOctets) throw doubt('a literal is too long');
    this.#isForwarding = literal !== null;
  }
}

function taggedIn(line: string): TaggedResponse {
  const parts = TAGGED.exec(line);
  if (parts === null) throw doubt('a tagged response has no status');
  return { tag: parts[1] ?? '', status: (parts[2] ?? '').toUpperCase(), text: parts[3] ?? '' };
}

function doubt(what: string): UpstreamError {
  return new UpstreamError('protocol', `the server's answer makes no sense: ${what}`);
}
