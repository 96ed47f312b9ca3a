/** The octets that have a meaning in IMAP's grammar (RFC 3501 section 9), and how numbers and strings are read from them. */

export const TAB = 0x09;
export const LF = 0x0a;
export const CR = 0x0d;
export const SPACE = 0x20;
export const QUOTE = 0x22;
export const OPEN = 0x28;
export const CLOSE = 0x29;
export const STAR = 0x2a;
export const PLUS = 0x2b;
export const LESS = 0x3c;
export const GREATER = 0x3e;
export const BRACKET = 0x5b;
export const BACKSLASH = 0x5c;
export const BRACKET_END = 0x5d;
export const BRACE = 0x7b;
export const BRACE_END = 0x7d;
export const TILDE = 0x7e;
const ZERO = 0x30;

const LITERAL = /[ (\]>]~?\{\d+\+?\}$/;
const LONGEST_ANNOUNCEMENT = 32;
/** RFC 8474 section 4. */
const MAX_IDENTITY_OCTETS = 255;
const MAX_NUMBER = Number.MAX_SAFE_INTEGER / 16;

/** True for what may stand at the end of a line without meaning anything. */
export function isBlank(octet: number | undefined): boolean {
  return octet === SPACE || octet === TAB || octet === CR;
}

export function isDigit(octet: number | undefined): boolean {
  return octet !== undefined && octet >= ZERO && octet <= ZERO + 9;
}

/** True where [0, end) ends in what could be the announcement of a literal, though the line as a whole could not be read. */
export function looksLikeLiteral(octets: Buffer, end: number): boolean {
  return LITERAL.test(octets.toString('latin1', Math.max(0, end - LONGEST_ANNOUNCEMENT), end));
}

/** The number that all of [start, end) is; undefined where that is none, or one too large to count with. */
export function numberIn(octets: Buffer, start: number, end: number): number | undefined {
  let value = 0;
  for (let at = start; at < end; at += 1) {
    const digit = (octets[at] ?? 0) - ZERO;
    if (digit < 0 || digit > 9) return undefined;
    value = 10 * value + digit;
    if (value > MAX_NUMBER) return undefined;
  }
  return end > start ? value : undefined;
}

/** The identity of a message that all of [start, end) is, without blanks around it; undefined where it is too long to be one. */
export function identityIn(octets: Buffer, start: number, end: number): string | undefined {
  let [first, last] = [start, end];
  while (first < last && isBlank(octets[first])) first += 1;
  while (last > first && isBlank(octets[last - 1])) last -= 1;
  return last - first > MAX_IDENTITY_OCTETS ? undefined : octets.toString('latin1', first, last);
}

/** The text between the quotes of a quoted string, without the backslashes that escape the octet behind them. */
export function unescaped(octets: Buffer): Buffer {
  if (!octets.includes(BACKSLASH)) return octets;
  const plain = Buffer.allocUnsafe(octets.length);
  let length = 0;
  for (let at = 0; at < octets.length; at += 1) {
    if (octets[at] === BACKSLASH) at += 1;
    plain[length++] = octets[at] ?? 0;
  }
  return plain.subarray(0, length);
}
