/**
 * The items of one FETCH response (RFC 3501 section 7.4.2), read from the octets as they come: a line, or several with literals in
 * between. Only what popbridge asks for is kept. Whatever does not fit the grammar throws: nothing is guessed (SECURITY.md, invariants).
 */
import { UpstreamError } from '../errors.ts';
import { internalDateSeconds } from './internal-date.ts';

/** What one response told of one message so far; items come in any order, UID may come last. */
export interface FetchRow {
  /** 0 until told. */
  uid: number;
  /** RFC822.SIZE. */
  octets: number | undefined;
  /** INTERNALDATE in seconds since 1970, 0 where it makes no sense. */
  arrival: number | undefined;
  /** EMAILID (RFC 8474), or what Gmail calls the message. */
  emailId: string | undefined;
  gmailId: string | undefined;
  /** What stands between the parentheses of FLAGS. */
  flags: string | undefined;
}

/** True where a flag such as `\\Seen` stands among those of a row. */
export function hasFlag(flags: string, name: string): boolean {
  return flags.toLowerCase().split(' ').includes(name.toLowerCase());
}

/** A section of a message, as its response names it: `BODY[HEADER.FIELDS (DATE)]<0>` is HEADER.FIELDS from 0. */
export interface BodySection {
  /** Upper case, without the list of fields; '' is the whole message. */
  readonly name: string;
  /** Where a part of it begins; undefined where the response says it is whole. */
  readonly origin: number | undefined;
}

/** A literal that follows: so many octets, then the row goes on. */
export interface Literal {
  readonly octets: number;
  /** Undefined for an item that nobody asked for. */
  readonly section: BodySection | undefined;
}

/** Takes what stands within the line: a quoted string, or undefined for NIL. */
export type InlineBody = (section: BodySection, octets: Buffer | undefined) => void;

const SPACE = 0x20;
const QUOTE = 0x22;
const OPEN = 0x28;
const CLOSE = 0x29;
const LESS = 0x3c;
const GREATER = 0x3e;
const BRACKET = 0x5b;
const BACKSLASH = 0x5c;
const BRACKET_END = 0x5d;
const BRACE = 0x7b;
const BRACE_END = 0x7d;
const TILDE = 0x7e;
const PLUS = 0x2b;
const ZERO = 0x30;

type Item = 'flags' | 'uid' | 'octets' | 'arrival' | 'emailId' | 'gmailId' | 'other';

const ITEMS: ReadonlyMap<string, Item> = new Map([
  ['UID', 'uid'],
  ['FLAGS', 'flags'],
  ['RFC822.SIZE', 'octets'],
  ['INTERNALDATE', 'arrival'],
  ['EMAILID', 'emailId'],
  ['X-GM-MSGID', 'gmailId'],
]);
const MAX_NUMBER = Number.MAX_SAFE_INTEGER / 16;

/** Reads one response. `scan` is given each line in turn, without its line end. */
export class FetchRowScanner {
  readonly row: FetchRow = { uid: 0, octets: undefined, arrival: undefined, emailId: undefined, gmailId: undefined, flags: undefined };
  readonly #inline: InlineBody;
  #line: Buffer = Buffer.alloc(0);
  #at = 0;
  #end = 0;

  constructor(inline: InlineBody) {
    this.#inline = inline;
  }

  /** Goes on at [start, end): gives the literal that follows the line, or undefined where the response is complete. */
  scan(line: Buffer, start: number, end: number): Literal | undefined {
    this.#line = line;
    this.#at = start;
    this.#end = end;
    for (;;) {
      while (this.#here() === SPACE) this.#at += 1;
      if (this.#here() === CLOSE) break;
      const literal = this.#item();
      if (literal !== undefined) return literal;
    }
    for (this.#at += 1; this.#at < end; this.#at += 1) if (this.#here() !== SPACE) throw doubt('something follows the row');
    return undefined;
  }

  /** One item and its value; a literal value ends the line. */
  #item(): Literal | undefined {
    const start = this.#at;
    while (!this.#isAtEnd() && this.#here() !== SPACE && this.#here() !== BRACKET && this.#here() !== CLOSE) this.#at += 1;
    const name = this.#line.toString('latin1', start, this.#at);
    const section = this.#here() === BRACKET ? this.#section(name.toUpperCase()) : undefined;
    if (this.#here() !== SPACE) throw doubt(`item ${name} has no value`);
    while (this.#here() === SPACE) this.#at += 1;
    const item = ITEMS.get(name) ?? ITEMS.get(name.toUpperCase()) ?? 'other';
    switch (this.#here()) {
      case BRACE:
        return { octets: this.#literalOctets(), section };
      case TILDE:
        if (this.#line[this.#at + 1] !== BRACE) break;
        this.#at += 1;
        return { octets: this.#literalOctets(), section };
      case QUOTE:
        this.#quoted(item, section);
        return undefined;
      case OPEN:
        this.#list(item);
        return undefined;
    }
    this.#atom(item, section);
    return undefined;
  }

  /** From the bracket on: the section, and where a part of it begins. */
  #section(item: string): BodySection | undefined {
    const start = this.#at + 1;
    let isQuoted = false;
    for (this.#at = start; !this.#isAtEnd() && (isQuoted || this.#here() !== BRACKET_END); this.#at += 1) {
      if (this.#here() === QUOTE) isQuoted = !isQuoted;
    }
    if (this.#isAtEnd()) throw doubt('a section has no end');
    const name = this.#line.toString('latin1', start, this.#at).toUpperCase();
    this.#at += 1;
    let origin: number | undefined;
    if (this.#here() === LESS) {
      this.#at += 1;
      origin = this.#number();
      if (this.#here() !== GREATER) throw doubt('the origin of a section has no end');
      this.#at += 1;
    }
    return item === 'BODY' ? { name: name.split(' ', 1)[0] ?? '', origin } : undefined;
  }

  #literalOctets(): number {
    this.#at += 1;
    const octets = this.#number();
    if (this.#here() === PLUS) this.#at += 1;
    if (this.#here() !== BRACE_END || this.#at !== this.#end - 1) throw doubt('a literal is not announced at the end of a line');
    return octets;
  }

  #quoted(item: Item, section: BodySection | undefined): void {
    const start = this.#at + 1;
    let hasEscapes = false;
    for (this.#at = start; !this.#isAtEnd() && this.#here() !== QUOTE; this.#at += 1) {
      if (this.#here() !== BACKSLASH) continue;
      hasEscapes = true;
      this.#at += 1;
    }
    if (this.#isAtEnd()) throw doubt('a quoted string has no end');
    const end = this.#at;
    this.#at += 1;
    if (section !== undefined) this.#inline(section, unescaped(this.#line.subarray(start, end), hasEscapes));
    else if (item === 'arrival') this.row.arrival = internalDateSeconds(this.#line, start, end);
    else if (item === 'emailId') this.row.emailId = this.#line.toString('latin1', start, end);
  }

  /** A list, such as flags; of ours only EMAILID has one. Literals don't occur in what we ask for. */
  #list(item: Item): void {
    const start = this.#at + 1;
    let depth = 0;
    let isQuoted = false;
    for (; !this.#isAtEnd(); this.#at += 1) {
      const octet = this.#here();
      if (isQuoted && octet === BACKSLASH) this.#at += 1;
      else if (octet === QUOTE) isQuoted = !isQuoted;
      else if (!isQuoted && octet === OPEN) depth += 1;
      else if (!isQuoted && octet === CLOSE && --depth === 0) break;
    }
    if (this.#isAtEnd()) throw doubt('a list has no end');
    if (item === 'emailId') this.row.emailId = this.#line.toString('latin1', start, this.#at).trim();
    if (item === 'flags') this.row.flags = this.#line.toString('latin1', start, this.#at);
    this.#at += 1;
  }

  #atom(item: Item, section: BodySection | undefined): void {
    const start = this.#at;
    if (item === 'uid' || item === 'octets') {
      // Some servers know no size and say NIL.
      if (item === 'octets' && this.#isNil()) this.#at += 3;
      else this.row[item] = this.#number();
    }
    while (!this.#isAtEnd() && this.#here() !== SPACE && this.#here() !== CLOSE) this.#at += 1;
    if (item === 'uid' || item === 'octets') return;
    if (section !== undefined) {
      if (this.#line.toString('latin1', start, this.#at).toUpperCase() !== 'NIL') throw doubt('a section is neither a string nor NIL');
      this.#inline(section, undefined);
    } else if (item === 'gmailId') this.row.gmailId = this.#line.toString('latin1', start, this.#at);
    else if (item === 'arrival') this.row.arrival = 0;
  }

  #isNil(): boolean {
    return this.#line.toString('latin1', this.#at, this.#at + 3).toUpperCase() === 'NIL';
  }

  #number(): number {
    const start = this.#at;
    let value = 0;
    for (let digit = this.#here() - ZERO; digit >= 0 && digit <= 9; digit = this.#here() - ZERO) {
      value = 10 * value + digit;
      if (value > MAX_NUMBER) throw doubt('a number is too large');
      this.#at += 1;
    }
    if (this.#at === start) throw doubt('a number has no digits');
    return value;
  }

  /** 0 behind the end of the line. */
  #here(): number {
    return this.#at < this.#end ? (this.#line[this.#at] ?? 0) : 0;
  }

  #isAtEnd(): boolean {
    return this.#at >= this.#end;
  }
}

function unescaped(octets: Buffer, hasEscapes: boolean): Buffer {
  if (!hasEscapes) return octets;
  const plain = Buffer.allocUnsafe(octets.length);
  let length = 0;
  for (let at = 0; at < octets.length; at += 1) {
    if (octets[at] === BACKSLASH) at += 1;
    plain[length++] = octets[at] ?? 0;
  }
  return plain.subarray(0, length);
}

function doubt(what: string): UpstreamError {
  return new UpstreamError('protocol', `a FETCH response makes no sense: ${what}`);
}
