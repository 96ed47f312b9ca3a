/**
 * Takes apart what an IMAP server sends, sans-IO: octets in, in any chunks; out come the rows and bodies of FETCH, the answers to
 * commands of ours, and untouched whatever is for others. Bodies are handed on as they come, never gathered. Where it is not clear what
 * the next octets are, it throws, and the connection is to be ended then: there is no finding back into a stream that was lost (RFC 3501
 * section 2.2). What that means for FETCH is decided in fetch-row-scanner.ts.
 */
import { UpstreamError } from '../errors.ts';
import { FetchRowScanner } from './fetch-row-scanner.ts';
import type { BodySection, FetchRow } from './fetch-row.ts';
import { CLOSE, CR, LF, PLUS, SPACE, STAR, TAB, isBlank } from './octets.ts';

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
  /**
   * True where `untagged` is to be given responses with literals as a whole, with the line ends and octets of their literals, up to
   * 1 MiB. Otherwise it is given their first line, and their literals are forwarded.
   */
  readonly takesAll?: boolean;
  /** True while FETCH responses are ours. */
  readonly takesRows: boolean;
  /** A body begins; `octets` is its length, undefined for NIL. What no sink is given for is skipped. */
  body(row: FetchRow, section: BodySection, octets: number | undefined): BodySink | undefined;
  /** The row is complete, after its bodies: the server counted their octets as it should. */
  row(row: FetchRow): void;
  /** A FETCH response without a literal could not be read and was dropped. `number` is its message-number (RFC 3501 section 2.3.1.2). */
  unreadable?(number: number): void;
}

export interface ParserLimits {
  readonly lineOctets: number;
  readonly literalOctets: number;
}

const OWN = OWN_TAG.charCodeAt(0);
/** `* n FETCH (`, leniently spaced; n is at most ten digits. */
const FETCH = /^\* +(\d{1,10}) +FETCH *\(/i;
const ANY_FETCH = /^\* +\d+ +FETCH\b/i;
const FETCH_OCTETS = 32;
const LITERAL = /~?\{(\d{1,15})\+?\}$/;
const LITERAL_OCTETS = 20;
/** The same where it cannot be the end of a name or a keyword. */
const LITERAL_VALUE = /[ (]~?\{(\d{1,15})\+?\}$/;
/** Of a response that is gathered, with its literals. */
const MAX_GATHERED_OCTETS = 1024 * 1024;
/** Their text may end in anything. */
const STATUS = /^(?:\* +(?:OK|NO|BAD|BYE|PREAUTH)\b|\+)/i;
const TAGGED = /^(\S+) (OK|NO|BAD)(?: (.*))?$/is;
/** A command's answer, whoever sent the command. */
const ANY_TAGGED = /^[A-Z0-9.]+ +(?:OK|NO|BAD)\b/i;
/** COPYUID names each message of a command twice (RFC 4315 section 3): a thousand messages of ten digits and a comma on either side fit. */
const LONGEST_TEXT = 32_000;

export class ResponseParser {
  readonly #handler: ResponseHandler;
  readonly #limits: ParserLimits;
  /** A line whose end has not come. */
  #pieces: Buffer[] = [];
  #piecesOctets = 0;
  /** The FETCH response that goes on after its literal. */
  #scanner: FetchRowScanner | undefined;
  /** The row with a literal that was complete a moment ago: lines may follow that belong to it. */
  #closed: FetchRowScanner | undefined;
  /** It has no UID so far, and waits for such a line. */
  #isHeld = false;
  /** A row was dropped: what could be the rest of it is dropped too. */
  #isBehindUnreadable = false;
  /** A response for others that goes on after its literal. */
  #isForwarding = false;
  /** A response that is handed on as a whole, and how many octets it has so far with the literal that follows. */
  #gathered: Buffer[] | undefined;
  #gatheredOctets = 0;
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
    else if (this.#gathered !== undefined) this.#gathered.push(octets);
    else this.#sink?.write(octets);
    if (this.#literalLeft === 0) this.#sink = undefined;
    return end;
  }

  /** A line in [start, end), its LF included. */
  #line(octets: Buffer, start: number, end: number): void {
    const textEnd = octets[end - 2] === CR && end - 2 >= start ? end - 2 : end - 1;
    if (this.#scanner !== undefined) this.#scan(this.#scanner, octets, start, textEnd);
    else if (this.#isForwarding) this.#forward(octets, start, end, textEnd);
    else if (this.#gathered !== undefined) this.#gather(this.#gathered, octets, start, end, textEnd);
    else if (!this.#isRest(octets, start, textEnd)) this.#begin(octets, start, end, textEnd);
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
      const number = Number(row[1]);
      if (!this.#scan(new FetchRowScanner(number), octets, start + row[0].length, textEnd)) this.#handler.unreadable?.(number);
      return;
    }
    if (isUntagged && this.#handler.takesAll === true && isGatherable(octets, start)) {
      const gathered: Buffer[] = [];
      this.#gather(gathered, octets, start, end, textEnd);
      return;
    }
    if (isUntagged && this.#handler.untagged(octets.subarray(start, textEnd))) return;
    this.#forward(octets, start, end, textEnd);
  }

  /** False where the row was dropped. */
  #scan(scanner: FetchRowScanner, octets: Buffer, start: number, end: number): boolean {
    const next = scanner.scan(octets, start, end);
    this.#scanner = next === 'closed' || next === 'unreadable' ? undefined : scanner;
    this.#isBehindUnreadable = next === 'unreadable';
    for (const { section, octets } of scanner.takeInline()) {
      const sink = this.#handler.body(scanner.row, section, octets?.length);
      if (octets !== undefined && octets.length > 0) sink?.write(octets);
    }
    if (next === 'closed') this.#close(scanner);
    else if (typeof next === 'object') {
      if (next.octets > this.#limits.literalOctets) throw doubt('a literal is too long');
      const { section, value } = next;
      if (section !== undefined) this.#sink = this.#handler.body(scanner.row, section, next.octets);
      else this.#sink = value && { write: (piece) => void value.push(piece) };
      this.#literalLeft = next.octets;
    }
    return next !== 'unreadable';
  }

  #close(scanner: FetchRowScanner): void {
    if (scanner.hasLiteral) this.#closed = scanner;
    this.#isHeld = scanner.hasLiteral && scanner.row.uid === 0;
    if (!this.#isHeld) this.#handler.row(scanner.row);
  }

  /** True for a line that begins no response, but belongs to the row before it. */
  #isRest(octets: Buffer, start: number, end: number): boolean {
    const first = octets[start];
    if (this.#isBehindUnreadable && (first === SPACE || first === TAB || first === CLOSE)) {
      if (announcedIn(LITERAL, octets, start, end) !== undefined) throw doubt('a literal follows a row that cannot be read');
      return true;
    }
    this.#isBehindUnreadable = false;
    const scanner = this.#closed;
    if (scanner === undefined) return false;
    if (first === SPACE || first === TAB || isBlankLine(octets, start, end)) {
      scanner.scan(octets, start, end);
      return true;
    }
    if (!beginsResponse(octets, start, end)) throw doubt('a row is followed by what is no response');
    this.#closed = undefined;
    if (this.#isHeld) this.#handler.row(scanner.row);
    this.#isHeld = false;
    return false;
  }

  /** A line of a response that is handed on as a whole. */
  #gather(gathered: Buffer[], octets: Buffer, start: number, end: number, textEnd: number): void {
    const literal = announcedIn(LITERAL_VALUE, octets, start, textEnd);
    if (literal === undefined && gathered.length === 0) {
      if (!this.#handler.untagged(octets.subarray(start, textEnd))) this.#handler.forward(octets.subarray(start, end));
      return;
    }
    gathered.push(octets.subarray(start, end));
    this.#gatheredOctets += end - start + (literal ?? 0);
    if (this.#gatheredOctets > MAX_GATHERED_OCTETS) throw doubt('a response is too long');
    this.#gathered = gathered;
    if (literal !== undefined) {
      this.#literalLeft = literal;
      return;
    }
    const whole = Buffer.concat(gathered);
    this.#gathered = undefined;
    this.#gatheredOctets = 0;
    if (!this.#handler.untagged(whole.subarray(0, whole.length - (end - textEnd)))) this.#handler.forward(whole);
  }

  #forward(octets: Buffer, start: number, end: number, textEnd: number): void {
    const isStatus = !this.#isForwarding && (octets[start] !== STAR || isStatusAt(octets, start));
    const literal = isStatus ? undefined : announcedIn(LITERAL, octets, start, textEnd);
    this.#handler.forward(octets.subarray(start, end));
    this.#literalLeft = literal ?? 0;
    if (this.#literalLeft > this.#limits.literalOctets) throw doubt('a literal is too long');
    this.#isForwarding = literal !== undefined;
  }
}

function isStatusAt(octets: Buffer, start: number): boolean {
  return STATUS.test(octets.toString('latin1', start, start + FETCH_OCTETS));
}

/** A response that may have literals, and is no row. */
function isGatherable(octets: Buffer, start: number): boolean {
  return !isStatusAt(octets, start) && !ANY_FETCH.test(octets.toString('latin1', start, start + FETCH_OCTETS));
}

/** Octets of the literal that is announced at the end of the line in [start, end). */
function announcedIn(form: RegExp, octets: Buffer, start: number, end: number): number | undefined {
  const literal = form.exec(octets.toString('latin1', Math.max(start, end - LITERAL_OCTETS), end));
  return literal === null ? undefined : Number(literal[1]);
}

function beginsResponse(octets: Buffer, start: number, end: number): boolean {
  if (octets[start] === STAR) return octets[start + 1] === SPACE;
  return octets[start] === PLUS || ANY_TAGGED.test(octets.toString('latin1', start, Math.min(end, start + FETCH_OCTETS)));
}

function isBlankLine(octets: Buffer, start: number, end: number): boolean {
  for (let at = start; at < end; at += 1) if (!isBlank(octets[at])) return false;
  return true;
}

function taggedIn(line: string): TaggedResponse {
  const parts = TAGGED.exec(line);
  if (parts === null) throw doubt('a tagged response has no status');
  return { tag: parts[1] ?? '', status: (parts[2] ?? '').toUpperCase(), text: parts[3] ?? '' };
}

function doubt(what: string): UpstreamError {
  return new UpstreamError('protocol', `the server's answer makes no sense: ${what}`);
}
