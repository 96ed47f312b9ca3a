/** What COPY and MOVE tell of the copies: `[COPYUID 38505 304,319:320 3956:3958]` (RFC 4315 section 3). Pure. */
import { UpstreamError } from '../errors.ts';
import { isUid } from '../maildrop/numbers.ts';
import { UidRanges, type UidRange } from './uid-ranges.ts';

/** In the answer itself, or in an untagged line before it. */
const CODE = /^(?:\* +OK +)?\[COPYUID\b/i;
const COPYUID = /\[COPYUID +\d+ +([\d:,]+) +([\d:,]+) *\]/i;

/**
 * The UIDs that were copied, as they were in the mailbox they came from. Undefined where the answer does not tell. Throws UpstreamError
 * `protocol` where it cannot be read, names what is no UID, or names not as many copies as messages: then nobody knows what was copied.
 */
export function copiedUids(text: string): UidRanges | undefined {
  if (!CODE.test(text)) return undefined;
  const [, from = '', to = ''] = COPYUID.exec(text) ?? [];
  const [source, copies] = [setIn(from), setIn(to)];
  if (source.count !== copies.count) throw unclear('names not as many copies as messages');
  return source;
}

function setIn(text: string): UidRanges {
  return UidRanges.of(text.split(',').map(rangeIn));
}

function rangeIn(part: string): UidRange {
  const [one = 0, other = one, ...more] = part.split(':').map(Number);
  if (!isUid(one) || !isUid(other) || more.length > 0) throw unclear('names what is no UID');
  return [Math.min(one, other), Math.max(one, other)];
}

function unclear(what: string): UpstreamError {
  return new UpstreamError('protocol', `COPYUID ${what}`);
}
