/**
 * Reads the items of one FETCH response (RFC 3501 section 7.4.2) from the octets as they come: a line, or several with literals in
 * between. Only what popbridge asks for is kept. How lenient the reading is follows from what a mistake would cost:
 *
 * - The number of octets that a literal is announced with is its only frame. The octets are never looked at and never searched.
 * - A response without a literal is one line. Where it cannot be read, it is dropped as a whole and reported as unreadable. No other
 *   response is affected by that.
 * - What stands before a literal must be read without a doubt: where the announcement is no item's value, or a quoted string is open at
 *   the end of its line, nobody can tell what the next octets are, and the connection has to end.
 * - Literals of items that nobody asked for are skipped by their count.
 * - What stands behind a literal may be oddly written: blank lines, items on lines of their own, items behind the closing parenthesis. But
 *   it has to consist of items and parentheses alone. Anything else shows that the count was wrong, and the connection has to end.
 * - Keywords among the flags may hold anything: see flags-list.ts.
 * - A value that makes no sense is unknown. Only the UID has to make sense, and a response has only one.
 */
import { UpstreamError } from '../errors.ts';
import { itemNamed, looksLikeItem, type Item } from './fetch-items.ts';
import { emptyRow, type BodySection, type FetchRow, type InlineBody, type Literal } from './fetch-row.ts';
import { flagsEnd } from './flags-list.ts';
import { internalDateSeconds } from './internal-date.ts';
import {
  BACKSLASH,
  BRACE,
  BRACE_END,
  BRACKET,
  BRACKET_END,
  CLOSE,
  GREATER,
  LESS,
  OPEN,
  PLUS,
  QUOTE,
  SPACE,
  TAB,
  TILDE,
  identityIn,
  isBlank,
  isDigit,
  looksLikeLiteral,
  numberIn,
  unescaped,
} from './octets.ts';

/** 1 for each octet that ends the name of an item. */
const ENDS_NAME = new Uint8Array(256);
for (const octet of [TAB, SPACE, QUOTE, OPEN, CLOSE, BRACKET, BRACE]) ENDS_NAME[octet] = 1;
/** The same for values that are neither strings nor lists. */
const ENDS_ATOM = new Uint8Array(256);
for (const octet of [TAB, SPACE, CLOSE]) ENDS_ATOM[octet] = 1;

const NO_OCTETS = Buffer.alloc(0);
const NO_BODIES: readonly InlineBody[] = [];
/** Items whose value may come as any kind of string. */
const READ_AS_TEXT: ReadonlySet<Item> = new Set<Item>(['uid', 'octets', 'arrival', 'emailId', 'gmailId']);

/** Sizes, dates and identifiers are shorter. */
const MAX_VALUE_OCTETS = 256;

/** A line that cannot be read, though what the next octets are is clear. */
class Unreadable extends UpstreamError {}

/** Reads one response. `scan` is given each line in turn, without its line end. */
export class FetchRowScanner {
  readonly row: FetchRow;
  #line: Buffer = NO_OCTETS;
  #at = 0;
  #end = 0;
  #hasLiteral = false;
  /** The line begins right behind a literal. */
  #isBehindLiteral = false;
  #isClosed = false;
  /** Behind its literal the row has an item of which nobody has heard. */
  #hasStrangers = false;
  /** Parentheses that are open in a list that goes on behind a literal. */
  #depth = 0;
  #inline: InlineBody[] | undefined;
  #pending: { readonly item: Item; readonly value: Buffer[] } | undefined;

  /** Of the message of that number. */
  constructor(number: number) {
    this.row = emptyRow(number);
  }

  /** True where the row has a literal: what follows it then belongs to it or is a response. */
  get hasLiteral(): boolean {
    return this.#hasLiteral;
  }

  /** The sections within the line that was read last. */
  takeInline(): readonly InlineBody[] {
    const inline = this.#inline;
    this.#inline = undefined;
    return inline ?? NO_BODIES;
  }

  /**
   * Goes on at [start, end). Gives the literal that follows the line, `more` where the response goes on with the next line, `closed` where
   * it is complete, or `unreadable` where it has to be dropped. A closed row may be given further lines. Throws UpstreamError `protocol`
   * where it is not clear what the next octets are.
   */
  scan(line: Buffer, start: number, end: number): Literal | 'more' | 'closed' | 'unreadable' {
    this.#line = line;
    this.#at = start;
    this.#end = end;
    while (this.#end > start && isBlank(line[this.#end - 1])) this.#end -= 1;
    const isFirst = !this.#hasLiteral;
    try {
      this.#takePending();
      const literal = this.#items();
      this.#isBehindLiteral = literal !== undefined;
      if (literal !== undefined) {
        this.#hasLiteral = true;
        return literal;
      }
      if (this.#isClosed) return 'closed';
      if (isFirst) throw unreadable('the row has no end');
      if (this.#hasStrangers) throw doubt('an unknown item stands behind a literal, and the row has no end');
      return 'more';
    } catch (error) {
      if (!(error instanceof Unreadable) || !isFirst || looksLikeLiteral(line, this.#end)) throw error;
      this.#inline = undefined;
      return 'unreadable';
    }
  }

  #items(): Literal | undefined {
    const rest = this.#depth > 0 ? this.#list('other') : undefined;
    if (rest !== undefined) return rest;
    for (;;) {
      this.#skipBlanks();
      if (this.#isAtEnd()) return undefined;
      if (this.#here() === CLOSE) {
        this.#isClosed = true;
        this.#at += 1;
        continue;
      }
      const literal = this.#item();
      if (literal !== undefined) return literal;
    }
  }

  /** One item and its value; a literal value ends the line. */
  #item(): Literal | undefined {
    const start = this.#at;
    while (!this.#isAtEnd() && ENDS_NAME[this.#here()] === 0) this.#at += 1;
    if (this.#at === start) throw unreadable('a value has no name');
    const name = this.#line.toString('latin1', start, this.#at);
    const item = itemNamed(name) ?? this.#stranger(name);
    const section = this.#here() === BRACKET ? this.#section(item) : undefined;
    this.#skipBlanks();
    switch (this.#here()) {
      case TILDE:
        if (this.#line[this.#at + 1] !== BRACE) break;
        this.#at += 1;
        return this.#literal(item, section);
      case BRACE:
        if (!isDigit(this.#line[this.#at + 1])) break;
        return this.#literal(item, section);
      case QUOTE:
        this.#quoted(item, section);
        return undefined;
      case OPEN:
        if (item !== 'flags') return this.#list(item);
        this.#flags();
        return undefined;
    }
    this.#atom(item, section);
    return undefined;
  }

  /** Behind a literal, unknown words are more likely the rest of a message whose octets were counted wrongly. */
  #stranger(name: string): Item {
    if (this.#hasLiteral || this.#isClosed) {
      if (this.#isClosed || !this.#isBehindLiteral || !looksLikeItem(name)) throw unreadable('something else than items follows');
      this.#hasStrangers = true;
    }
    return 'other';
  }

  /** From the bracket on: the section, and where a part of it begins. */
  #section(item: Item): BodySection | undefined {
    const start = this.#at + 1;
    let isQuoted = false;
    for (this.#at = start; !this.#isAtEnd() && (isQuoted || this.#here() !== BRACKET_END); this.#at += 1) {
      if (this.#here() === QUOTE) isQuoted = !isQuoted;
    }
    if (this.#isAtEnd()) throw unreadable('a section has no end');
    const name = this.#line.toString('latin1', start, this.#at).toUpperCase();
    this.#at += 1;
    let origin: number | undefined;
    if (this.#here() === LESS) {
      const from = this.#at + 1;
      while (!this.#isAtEnd() && this.#here() !== GREATER) this.#at += 1;
      origin = numberIn(this.#line, from, this.#at);
      if (origin === undefined || this.#isAtEnd()) throw unreadable('the origin of a section is no number');
      this.#at += 1;
    }
    return item === 'body' ? { name: name.split(' ', 1)[0] ?? '', origin } : undefined;
  }

  /** From the brace on. What is announced elsewhere than at the end of a line may come anywhere, so no next line can be believed. */
  #literal(item: Item, section: BodySection | undefined): Literal {
    const octets = this.#announced();
    if (octets === undefined) throw doubt('a literal is not announced at the end of a line');
    if (this.#isClosed) throw doubt('a literal follows the end of the row');
    const value: Buffer[] | undefined = READ_AS_TEXT.has(item) && octets <= MAX_VALUE_OCTETS ? [] : undefined;
    if (value !== undefined) this.#pending = { item, value };
    return { octets, section, value };
  }

  /** What the brace here announces at the end of the line; undefined where it announces nothing. */
  #announced(): number | undefined {
    const last = this.#end - 1;
    if (this.#line[last] !== BRACE_END) return undefined;
    return numberIn(this.#line, this.#at + 1, this.#line[last - 1] === PLUS ? last - 1 : last);
  }

  /** The value that came as a literal before this line. */
  #takePending(): void {
    if (this.#pending === undefined) return;
    const { item, value } = this.#pending;
    this.#pending = undefined;
    const octets = Buffer.concat(value);
    this.#value(item, octets, 0, octets.length);
  }

  #quoted(item: Item, section: BodySection | undefined): void {
    const start = this.#at + 1;
    for (this.#at = start; !this.#isAtEnd() && this.#here() !== QUOTE; this.#at += 1) if (this.#here() === BACKSLASH) this.#at += 1;
    // A server that puts line ends into a string lets the author of a mail write the next lines.
    if (this.#isAtEnd()) throw doubt('a quoted string has no end');
    const end = this.#at;
    this.#at += 1;
    if (section === undefined) this.#value(item, this.#line, start, end);
    else this.#addInline(section, unescaped(this.#line.subarray(start, end)));
  }

  /** Bodies are handed on when their line has been read to its end, because a row that turns out to be unreadable must not give any. */
  #addInline(section: BodySection, octets: Buffer | undefined): void {
    if (this.#isClosed) throw unreadable('a body follows the end of the row');
    this.#inline ??= [];
    this.#inline.push({ section, octets });
  }

  #flags(): void {
    const start = this.#at + 1;
    const end = flagsEnd(this.#line, start, this.#end);
    if (end < 0) throw unreadable('the flags have no end');
    this.row.flags = this.#line.toString('latin1', start, end);
    this.#at = end + 1;
  }

  /** Any other list, with what it holds: strings, lists and literals. */
  #list(item: Item): Literal | undefined {
    const start = this.#at + 1;
    let isQuoted = false;
    for (; !this.#isAtEnd(); this.#at += 1) {
      const octet = this.#here();
      if (isQuoted && octet === BACKSLASH) this.#at += 1;
      else if (octet === QUOTE) isQuoted = !isQuoted;
      else if (isQuoted) continue;
      else if (octet === OPEN) this.#depth += 1;
      else if (octet === CLOSE && --this.#depth === 0) break;
      else if (octet === BRACE && this.#announced() !== undefined) return this.#literal('other', undefined);
    }
    if (isQuoted) throw doubt('a quoted string has no end');
    if (this.#isAtEnd()) throw unreadable('a list has no end');
    if (item === 'emailId') this.row.emailId = identityIn(this.#line, start, this.#at);
    this.#at += 1;
    return undefined;
  }

  /** Anything else up to the next blank. The value may be missing altogether. */
  #atom(item: Item, section: BodySection | undefined): void {
    const start = this.#at;
    while (!this.#isAtEnd() && ENDS_ATOM[this.#here()] === 0) this.#at += 1;
    if (READ_AS_TEXT.has(item) && this.#isNextItem(start)) return;
    const isNil = this.#isNil(start);
    if (section !== undefined) {
      if (!isNil) throw unreadable('a section is neither a string nor NIL');
      this.#addInline(section, undefined);
    } else if (item === 'flags') this.row.flags = isNil ? '' : this.#line.toString('latin1', start, this.#at);
    else if (item === 'arrival') this.row.arrival = 0;
    else if (!READ_AS_TEXT.has(item)) {
      if (this.#at === start) throw unreadable('an item has no value');
      return;
    } else if (!isNil && this.#at > start) this.#value(item, this.#line, start, this.#at);
  }

  #value(item: Item, octets: Buffer, start: number, end: number): void {
    switch (item) {
      case 'uid': {
        const uid = numberIn(octets, start, end);
        if (uid === undefined) throw unreadable('a UID is no number');
        if (this.row.uid !== 0 && this.row.uid !== uid) throw unreadable('it has two UIDs');
        this.row.uid = uid;
        return;
      }
      case 'octets':
        this.row.octets = numberIn(octets, start, end);
        return;
      case 'arrival':
        this.row.arrival = internalDateSeconds(octets, start, end);
        return;
      case 'emailId':
      case 'gmailId':
        this.row[item] = identityIn(octets, start, end);
        return;
      case 'flags':
      case 'body':
      case 'other':
    }
  }

  /** `RFC822.SIZE UID 7` has no value for the size. */
  #isNextItem(start: number): boolean {
    if (isDigit(this.#line[start]) || this.#isAtEnd() || this.#at === start) return false;
    const [name = ''] = this.#line.toString('latin1', start, this.#at).split('[', 1);
    if (itemNamed(name) === undefined) return false;
    this.#at = start;
    return true;
  }

  #isNil(start: number): boolean {
    return this.#at - start === 3 && this.#line.toString('latin1', start, this.#at).toUpperCase() === 'NIL';
  }

  #skipBlanks(): void {
    while (this.#here() === SPACE || this.#here() === TAB) this.#at += 1;
  }

  /** 0 behind the end of the line. */
  #here(): number {
    return this.#at < this.#end ? (this.#line[this.#at] ?? 0) : 0;
  }

  #isAtEnd(): boolean {
    return this.#at >= this.#end;
  }
}

function doubt(what: string): UpstreamError {
  return new UpstreamError('protocol', `a FETCH response makes no sense: ${what}`);
}

function unreadable(what: string): Unreadable {
  return new Unreadable('protocol', `a FETCH response makes no sense: ${what}`);
}
