/** What UID SEARCH found: `* SEARCH 1 2 3` (RFC 3501 section 7.2.5) or `* ESEARCH (TAG "Z1") UID ALL 1:3` (RFC 4731, RFC 9051). Pure. */
import { UpstreamError } from '../errors.ts';
import { isUid } from '../maildrop/numbers.ts';
import { outsideUidSpace } from './uid-space.ts';
import { UidRanges, type UidRange } from './uid-ranges.ts';

const SEARCH = /^\* +SEARCH(?=[ \r\n]|$)/i;
const ESEARCH = /^\* +ESEARCH(?=[ \r\n]|$)/i;
/** Octets in which the keyword stands. */
const LONGEST_KEYWORD = 16;
/** Octets in which the tag stands. */
const LONGEST_TAG = 100;
const SPACE = 0x20;
const OPEN = 0x28;
const ZERO = 0x30;
/** A folder that popbridge lists holds fewer messages, so an answer with more ranges is none. */
const MAX_RANGES = 4_000_000;

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
  const text = line.toString('latin1');
  return SEARCH.test(text.slice(0, LONGEST_KEYWORD)) || Number(/\sCOUNT (\d+)/i.exec(text)?.[1]) === found.count;
}

/** The UIDs of such a line, without its line end. Throws UpstreamError: `unsupported` where one is no UID, `protocol` where it cannot be read. */
export function searchResult(line: Buffer): UidRanges {
  return SEARCH.test(line.toString('latin1', 0, LONGEST_KEYWORD)) ? listed(line) : inRanges(line.toString('latin1'));
}

/** Many numbers, read without making strings. A list in parentheses (MODSEQ) ends them. */
function listed(line: Buffer): UidRanges {
  const ranges: [number, number][] = [];
  let at = SEARCH.exec(line.toString('latin1', 0, LONGEST_KEYWORD))?.[0].length ?? 0;
  while (line[at] === SPACE) at += 1;
  while (at < line.length) {
    let value = 0;
    const start = at;
    for (let digit = (line[at] ?? 0) - ZERO; digit >= 0 && digit <= 9; digit = (line[at] ?? 0) - ZERO) {
      value = 10 * value + digit;
      at += 1;
    }
    if (at > start) {
      const before = ranges.at(-1);
      if (before !== undefined && checked(value) === before[1] + 1) before[1] = value;
      else ranges.push([checked(value), value]);
    } else if (line[at] === OPEN) break;
    if ((at < line.length && line[at] !== SPACE) || ranges.length > MAX_RANGES) throw doubt();
    at += 1;
  }
  return UidRanges.of(ranges);
}

/** The set behind ALL; without one nothing was found. */
function inRanges(line: string): UidRanges {
  const set = /\sALL ([0-9:,]+)/i.exec(line)?.[1];
  const ranges = (set?.split(',') ?? []).map((part): UidRange => {
    const [one = 0, other = one] = part.split(':').map(Number);
    return [checked(Math.min(one, other)), checked(Math.max(one, other))];
  });
  if (ranges.length > MAX_RANGES) throw doubt();
  return UidRanges.of(ranges);
}

function checked(value: number): number {
  if (!isUid(value)) throw outsideUidSpace('a UID', value);
  return value;
}

function doubt(): UpstreamError {
  return new UpstreamError('protocol', 'the answer to UID SEARCH cannot be read');
}
