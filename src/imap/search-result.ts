/** What UID SEARCH found: `* SEARCH 1 2 3` (RFC 3501 section 7.2.5) or `* ESEARCH (TAG "Z1") UID ALL 1:3` (RFC 4731, RFC 9051). Pure. */
import { UpstreamError } from '../errors.ts';
import { isUid } from '../maildrop/numbers.ts';
import { outsideUidSpace } from './uid-space.ts';
import { UidRanges } from './uid-ranges.ts';

const SEARCH = /^\* +SEARCH(?=[ \r\n]|$)/i;
const ESEARCH = /^\* +ESEARCH(?=[ \r\n]|$)/i;
/** Octets in which the keyword stands. */
const LONGEST_KEYWORD = 16;
/** Octets in which all stands that comes before a set. */
const LONGEST_HEAD = 400;
/** Octets in which the tag stands. */
const LONGEST_TAG = 100;
const SPACE = 0x20;
const COMMA = 0x2c;
const COLON = 0x3a;
const OPEN = 0x28;
const ZERO = 0x30;

/** True when the line is the answer to a search whose command has a tag of ours. An ESEARCH for another tag is none. */
export function isSearchResult(line: Buffer, isOwnTag: (tag: string) => boolean): boolean {
  const start = line.toString('latin1', 0, LONGEST_KEYWORD);
  if (SEARCH.test(start)) return true;
  if (!ESEARCH.test(start)) return false;
  const named = /\(TAG "([^"]*)"\)/i.exec(line.toString('latin1', 0, LONGEST_TAG));
  return named?.[1] === undefined || isOwnTag(named[1]);
}

/**
 * Whether such a line names what was found and nothing else: the set of an ESEARCH may span numbers that no message has, as UW's server does,
 * which its COUNT tells.
 */
export function isExact(line: Buffer, found: UidRanges): boolean {
  if (SEARCH.test(line.toString('latin1', 0, LONGEST_KEYWORD))) return true;
  // It may stand before the set or behind it.
  const [head, tail] = [line.toString('latin1', 0, LONGEST_HEAD), line.toString('latin1', Math.max(0, line.length - LONGEST_HEAD))];
  const count = /\sCOUNT (\d+)/i.exec(head) ?? /\sCOUNT (\d+)/i.exec(tail);
  return Number(count?.[1]) === found.count;
}

/**
 * The UIDs of such a line, without its line end; undefined where it cannot be read. Throws UpstreamError: `unsupported` where one is no UID,
 * `protocol` where there are more than `most` ranges.
 */
export function searchResult(line: Buffer, most: number): UidRanges | undefined {
  const start = SEARCH.exec(line.toString('latin1', 0, LONGEST_KEYWORD))?.[0].length;
  if (start !== undefined) return setIn(line, start, SPACE, most);
  const head = line.toString('latin1', 0, LONGEST_HEAD);
  const all = / ALL +/i.exec(head);
  if (all !== null) return setIn(line, all.index + all[0].length, COMMA, most);
  return line.length > LONGEST_HEAD ? undefined : UidRanges.NONE;
}

/**
 * Numbers with spaces between them, up to a list in parentheses (MODSEQ), or numbers and ranges with commas between them, up to a space. No
 * strings are made of them.
 */
function setIn(line: Buffer, start: number, between: typeof SPACE | typeof COMMA, most: number): UidRanges | undefined {
  const ranges: [number, number][] = [];
  let at = start;
  const number = (): number | undefined => {
    const from = at;
    let value = 0;
    for (let digit = (line[at] ?? 0) - ZERO; digit >= 0 && digit <= 9; digit = (line[at] ?? 0) - ZERO) {
      value = 10 * value + digit;
      at += 1;
    }
    return at === from ? undefined : checked(value);
  };
  for (;;) {
    while (line[at] === between) at += 1;
    if (at >= line.length || line[at] === (between === SPACE ? OPEN : SPACE)) return UidRanges.of(ranges);
    const one = number();
    const isRange = between === COMMA && line[at] === COLON;
    if (isRange) at += 1;
    const other = isRange ? number() : one;
    if (one === undefined || other === undefined) return undefined;
    const [first, last] = [Math.min(one, other), Math.max(one, other)];
    const before = ranges.at(-1);
    if (before !== undefined && first === before[1] + 1) before[1] = last;
    else ranges.push([first, last]);
    if (ranges.length > most) throw new UpstreamError('protocol', `a search names more messages than there can be, ${most}`);
    if (at < line.length && line[at] !== between && line[at] !== SPACE) return undefined;
  }
}

function checked(value: number): number {
  if (!isUid(value)) throw outsideUidSpace('a UID', value);
  return value;
}
