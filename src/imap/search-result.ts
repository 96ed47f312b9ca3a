/** What UID SEARCH found: `* SEARCH 1 2 3` (RFC 3501 section 7.2.5) or `* ESEARCH (TAG "Z1") UID ALL 1:3` (RFC 4731, RFC 9051). Pure. */
import { UpstreamError } from '../errors.ts';
import { isUid, type Uid } from '../maildrop/numbers.ts';

const SEARCH = /^\* +SEARCH(?=[ \r\n]|$)/i;
const ESEARCH = /^\* +ESEARCH(?=[ \r\n]|$)/i;
/** Octets in which the keyword stands. */
const LONGEST_KEYWORD = 16;
const SPACE = 0x20;
const OPEN = 0x28;
const ZERO = 0x30;
/** More than a mailbox holds: a range of a hostile server must not fill the memory. */
const MAX_FOUND = 20_000_000;

/** True when the line is the answer to a search; `tag` is that of the command. An ESEARCH for another tag is none. */
export function isSearchResult(line: Buffer, tag: string): boolean {
  const start = line.toString('latin1', 0, LONGEST_KEYWORD);
  if (SEARCH.test(start)) return true;
  if (!ESEARCH.test(start)) return false;
  const named = /\(TAG "([^"]*)"\)/i.exec(line.toString('latin1', 0, 100));
  return named === null || named[1] === tag;
}

/**
 * Whether such a line names what was found and nothing else: the set of an ESEARCH may span numbers that no message has, as UW's server does,
 * which its COUNT tells.
 */
export function isExact(line: Buffer, found: readonly Uid[]): boolean {
  const text = line.toString('latin1');
  return SEARCH.test(text.slice(0, LONGEST_KEYWORD)) || Number(/\sCOUNT (\d+)/i.exec(text)?.[1]) === found.length;
}

/** The UIDs of such a line, without its line end, ascending and each once. Throws UpstreamError `protocol` where one is no UID. */
export function searchResult(line: Buffer): Uid[] {
  const found = SEARCH.test(line.toString('latin1', 0, LONGEST_KEYWORD)) ? listed(line) : ranges(line.toString('latin1'));
  for (let index = 1; index < found.length; index += 1) {
    if ((found[index] ?? 0) > (found[index - 1] ?? 0)) continue;
    return [...new Set(found)].sort((one, other) => one - other);
  }
  return found;
}

/** Many numbers, read without making strings. A list in parentheses (MODSEQ) ends them. */
function listed(line: Buffer): Uid[] {
  const found: Uid[] = [];
  let at = SEARCH.exec(line.toString('latin1', 0, LONGEST_KEYWORD))?.[0].length ?? 0;
  while (line[at] === SPACE) at += 1;
  while (at < line.length) {
    let value = 0;
    const start = at;
    for (let digit = (line[at] ?? 0) - ZERO; digit >= 0 && digit <= 9; digit = (line[at] ?? 0) - ZERO) {
      value = 10 * value + digit;
      at += 1;
    }
    if (at > start) found.push(checked(value));
    else if (line[at] === OPEN) break;
    if (at < line.length && line[at] !== SPACE) throw doubt();
    at += 1;
  }
  return found;
}

/** The set behind ALL; without one nothing was found. */
function ranges(line: string): Uid[] {
  const set = /\sALL ([0-9:,]+)/i.exec(line)?.[1];
  const found: Uid[] = [];
  for (const part of set?.split(',') ?? []) {
    const [one = 0, other = one] = part.split(':').map(Number);
    const first = Math.min(one, other);
    const last = checked(Math.max(one, other));
    checked(first);
    if (found.length + last - first > MAX_FOUND) throw doubt();
    for (let uid = first; uid <= last; uid += 1) found.push(checked(uid));
  }
  return found;
}

function checked(value: number): Uid {
  if (!isUid(value)) throw doubt();
  return value;
}

function doubt(): UpstreamError {
  return new UpstreamError('protocol', 'UID SEARCH gave something that is no UID');
}
