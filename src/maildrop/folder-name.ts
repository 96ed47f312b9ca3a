/** Names of folders, and patterns for them as in LIST (RFC 3501 section 6.3.8). Pure. */

/** A wildcard, or a character that stands for itself. */
type PatternPart = Wildcard | { readonly character: string };
type Wildcard = '*' | '%' | '?';

/** True when both name the same mailbox: INBOX alone ignores case (RFC 3501 section 5.1). */
export function isSameMailbox(one: string, other: string): boolean {
  return one === other || (isInbox(one) && isInbox(other));
}

/** True for a text that may match several folders: one of its wildcards has no backslash before it. */
export function isPattern(text: string): boolean {
  return partsOf(text).some(isWildcard);
}

/** True for a text that means one name and nothing else: it has no wildcard, and no backslash that could belong to the name or not. */
export function isPlainName(text: string): boolean {
  return !/[*%?]|\\\\/.test(text);
}

/** The name that a text without wildcards stands for: `\*`, `\%`, `\?` and `\\` lose their backslash, and any other backslash stays. */
export function unescapedName(text: string): string {
  return text.replace(/\\([*%?\\])/g, '$1');
}

/**
 * True where the path matches: `*` stands for anything, `%` for anything within a level of the hierarchy, `?` for one character. INBOX alone
 * ignores case. Servers choose the path, so the work never grows faster than the length of the path times that of the pattern.
 */
export function matchesFolder(pattern: string, path: string, delimiter: string): boolean {
  const parts = partsOf(pattern);
  if (!parts.some(isWildcard)) return isSameMailbox(unescapedName(pattern), path);
  const search = new PatternSearch(parts, delimiter);
  for (const character of path) if (!search.take(character)) return false;
  return search.isComplete;
}

/** Follows all ways to match at once, so it never has to go back in the path. */
class PatternSearch {
  readonly #parts: readonly PatternPart[];
  readonly #delimiter: string;
  /** 1 for each part that may be the one to take the next character; the last place stands for the end of the pattern. */
  readonly #isNext: Uint8Array;
  /** The last `*` that was reached. It takes whatever the parts before it could take, so these are looked at no more. */
  #start = 0;

  constructor(parts: readonly PatternPart[], delimiter: string) {
    this.#parts = parts;
    this.#delimiter = delimiter;
    this.#isNext = new Uint8Array(parts.length + 1);
    this.#reach(0);
  }

  get isComplete(): boolean {
    return this.#isNext[this.#parts.length] === 1;
  }

  /** False where nothing can match any more. */
  take(character: string): boolean {
    const start = this.#start;
    let isAlive = false;
    // From the end, so that no part sees what an earlier one leads to with this same character.
    for (let place = this.#parts.length; place >= start; place -= 1) {
      if (this.#isNext[place] !== 1) continue;
      const part = this.#parts[place];
      const stays = part === '*' || (part === '%' && character !== this.#delimiter);
      const goesOn = part === '?' || (typeof part === 'object' && part.character === character);
      this.#isNext[place] = 0;
      if (stays || goesOn) this.#reach(stays ? place : place + 1);
      isAlive ||= stays || goesOn;
    }
    return isAlive;
  }

  /** `*` and `%` may stand for nothing: the part behind is reached with them. */
  #reach(first: number): void {
    for (let place = first; ; place += 1) {
      this.#isNext[place] = 1;
      const part = this.#parts[place];
      if (part === '*') this.#start = Math.max(this.#start, place);
      else if (part !== '%') return;
    }
  }
}

function partsOf(pattern: string): PatternPart[] {
  return Array.from(pattern.matchAll(/\\[*%?\\]|[*%]+|./gsu), ([text]): PatternPart => {
    // Several of them in a row mean what the strongest one means alone.
    if (/^[*%]/.test(text)) return text.includes('*') ? '*' : '%';
    return text === '?' ? text : { character: unescapedName(text) };
  });
}

function isWildcard(part: PatternPart): boolean {
  return typeof part === 'string';
}

function isInbox(path: string): boolean {
  return /^INBOX$/i.test(path);
}
