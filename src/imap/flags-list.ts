/**
 * Finds the end of a FLAGS list. Some servers have keywords that no grammar allows, such as `foo)bar`, `foo(bar` or `5"disk`, so neither
 * parentheses nor quotes can be counted. The list ends at the first parenthesis behind which the row goes on as a row does: with its own
 * end, or with an item of a known name. A keyword that imitates even that makes the rest of the row unreadable.
 */
import { itemNamed, looksLikeItem, type Item } from './fetch-items.ts';
import { BRACE, BRACE_END, BRACKET, BRACKET_END, CLOSE, GREATER, LESS, OPEN, PLUS, QUOTE, SPACE, TAB, TILDE, numberIn } from './octets.ts';

/** So many parentheses of keywords are looked at: more are no accident, and looking takes time. */
const MAX_CANDIDATES = 200;
const LONGEST_NAME = 24;
/** HEADER.FIELDS with the names of its fields. */
const LONGEST_SECTION = 1_000;

/** Where the parenthesis stands that ends the list whose text begins at `start`; -1 where the line has none. */
export function flagsEnd(line: Buffer, start: number, end: number): number {
  let first = -1;
  let candidates = 0;
  let isPlain = true;
  for (let at = start; at < end; at += 1) {
    const octet = line[at];
    if (octet === OPEN || octet === QUOTE) isPlain = false;
    if (octet !== CLOSE) continue;
    let next = at + 1;
    while (next < end && isGap(line[next])) next += 1;
    if (next === end) return at;
    const item = line[next - 1] === CLOSE ? undefined : itemAt(line, next, end, isPlain && first < 0);
    // Of several parentheses the first ends the list, and another one the row. But no literal follows the end of a row.
    if (item !== undefined) return line[end - 1] === BRACE_END ? line.lastIndexOf(CLOSE, next) : at;
    if (first < 0) first = at;
    candidates += 1;
    if (candidates > MAX_CANDIDATES) return first;
    at = next - 1;
  }
  return first;
}

function isGap(octet: number | undefined): boolean {
  return octet === SPACE || octet === CLOSE || octet === TAB;
}

/** The item that begins there; `takesAny`: also one of which nobody has heard, where it looks like an item. */
function itemAt(line: Buffer, start: number, end: number, takesAny: boolean): Item | undefined {
  let at = start;
  while (at < end && at - start <= LONGEST_NAME && line[at] !== SPACE && line[at] !== BRACKET && line[at] !== CLOSE) at += 1;
  if (line[at] !== SPACE && line[at] !== BRACKET) return undefined;
  if (line[at] === BRACKET && announcesWithinLine(line, at, end)) return undefined;
  const name = line.toString('latin1', start, at);
  return itemNamed(name) ?? (takesAny && looksLikeItem(name) ? 'other' : undefined);
}

/** True for `BODY[] {5}` in the middle of a line, which is the text of a keyword: a literal is announced at the end of a line. */
function announcesWithinLine(line: Buffer, bracket: number, end: number): boolean {
  let at = bracket;
  while (at < end && line[at] !== BRACKET_END) {
    at += 1;
    if (at - bracket > LONGEST_SECTION) return true;
  }
  at += 1;
  if (line[at] === LESS) while (at < end && line[at - 1] !== GREATER) at += 1;
  while (at < end && line[at] === SPACE) at += 1;
  if (line[at] === TILDE) at += 1;
  return at < end && line[at] === BRACE && numberIn(line, at + 1, line[end - 2] === PLUS ? end - 2 : end - 1) === undefined;
}
