/** The grammar of IMAP arguments (RFC 3501 section 9): from the octets of a command to atoms, strings and lists. */

/** A piece of a command: text (one character an octet), or the octets of a literal. */
export type Segment = string | Buffer;

export type Argument =
  | { readonly kind: 'atom'; readonly text: string }
  | { readonly kind: 'string'; readonly octets: Buffer }
  | { readonly kind: 'list'; readonly items: readonly Argument[] };

/** The command can't be understood: the answer is BAD with this message. */
export class SyntaxFault extends Error {}

const ENDS_ATOM = new Set([' ', '(', ')', '"']);

export function parseArguments(segments: readonly Segment[]): Argument[] {
  return new Tokenizer(segments).all();
}

/** Takes arguments one by one in the order the grammar of a command asks for. */
export class Arguments {
  readonly #items: readonly Argument[];
  #at = 0;

  constructor(items: readonly Argument[]) {
    this.#items = items;
  }

  get isEmpty(): boolean {
    return this.#at >= this.#items.length;
  }

  peek(): Argument | undefined {
    return this.#items[this.#at];
  }

  take(): Argument {
    const item = this.#items[this.#at];
    if (item === undefined) throw new SyntaxFault('Missing argument');
    this.#at += 1;
    return item;
  }

  /** The next atom in upper case when it is one of `words`, else nothing and it stays. */
  keyword(...words: readonly string[]): string | undefined {
    const next = this.peek();
    if (next?.kind !== 'atom' || !words.includes(next.text.toUpperCase())) return undefined;
    this.#at += 1;
    return next.text.toUpperCase();
  }

  atom(): string {
    const item = this.take();
    if (item.kind !== 'atom') throw new SyntaxFault('Atom expected');
    return item.text;
  }

  number(): number {
    const text = this.atom();
    if (!/^\d{1,10}$/.test(text)) throw new SyntaxFault('Number expected');
    return Number(text);
  }

  /** An atom or a string, as octets. */
  astring(): Buffer {
    const item = this.take();
    if (item.kind === 'list') throw new SyntaxFault('String expected');
    return item.kind === 'atom' ? Buffer.from(item.text, 'latin1') : item.octets;
  }

  /** An atom or a string, one character an octet. */
  text(): string {
    return this.astring().toString('latin1');
  }

  list(): readonly Argument[] {
    const item = this.take();
    if (item.kind !== 'list') throw new SyntaxFault('List expected');
    return item.items;
  }

  /** The atoms of the next list, or of all that is left when it isn't in parentheses. */
  atoms(): string[] {
    const items = this.peek()?.kind === 'list' ? this.list() : this.rest();
    return items.map((item) => {
      if (item.kind !== 'atom') throw new SyntaxFault('Atom expected');
      return item.text;
    });
  }

  rest(): readonly Argument[] {
    const items = this.#items.slice(this.#at);
    this.#at = this.#items.length;
    return items;
  }

  end(): void {
    if (!this.isEmpty) throw new SyntaxFault('Unexpected extra arguments');
  }
}

class Tokenizer {
  readonly #segments: readonly Segment[];
  #index = 0;
  #at = 0;

  constructor(segments: readonly Segment[]) {
    this.#segments = segments;
  }

  all(): Argument[] {
    const items = this.#items();
    if (this.#index < this.#segments.length) throw new SyntaxFault('Unexpected )');
    return items;
  }

  /** Items until a closing parenthesis, which is left in place, or the end. */
  #items(): Argument[] {
    const items: Argument[] = [];
    for (;;) {
      const segment = this.#segments[this.#index];
      if (segment === undefined) return items;
      if (typeof segment !== 'string') {
        items.push({ kind: 'string', octets: segment });
        this.#nextSegment();
      } else if (this.#at >= segment.length) this.#nextSegment();
      else if (segment[this.#at] === ' ') this.#at += 1;
      else if (segment[this.#at] === ')') return items;
      else items.push(this.#item(segment));
    }
  }

  #item(text: string): Argument {
    if (text[this.#at] === '(') return this.#list();
    return text[this.#at] === '"' ? this.#quoted(text) : this.#atom(text);
  }

  #list(): Argument {
    this.#at += 1;
    const items = this.#items();
    const segment = this.#segments[this.#index];
    if (typeof segment !== 'string') throw new SyntaxFault('Missing )');
    this.#at += 1;
    return { kind: 'list', items };
  }

  #quoted(text: string): Argument {
    let value = '';
    for (let at = this.#at + 1; at < text.length; at += 1) {
      if (text[at] === '"') {
        this.#at = at + 1;
        return { kind: 'string', octets: Buffer.from(value, 'latin1') };
      }
      if (text[at] === '\\') at += 1;
      value += text[at] ?? '';
    }
    throw new SyntaxFault('Missing "');
  }

  /** An atom may hold a section in brackets, spaces and parentheses inside included: `BODY[HEADER.FIELDS (DATE)]<0.9>`. */
  #atom(text: string): Argument {
    const from = this.#at;
    let at = from;
    while (at < text.length && !ENDS_ATOM.has(text.charAt(at))) {
      if (text[at] === '[') at = text.indexOf(']', at);
      if (at < 0) throw new SyntaxFault('Missing ]');
      at += 1;
    }
    this.#at = at;
    return { kind: 'atom', text: text.slice(from, at) };
  }

  #nextSegment(): void {
    this.#index += 1;
    this.#at = 0;
  }
}
