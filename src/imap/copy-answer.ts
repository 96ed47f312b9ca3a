/** What COPY and MOVE tell of the copies: `[COPYUID 38505 304,319:320 3956:3958]` (RFC 4315 section 3). Pure. */
import { UpstreamError } from '../errors.ts';
import { UidRanges, type UidRange } from './uid-ranges.ts';

const CODE = /\[COPYUID\b/i;
const COPYUID = /\[COPYUID +\d+ +([\d:,]+) +([\d:,]+) *\]/i;

/**
 * The UIDs that were copied, as they were in the mailbox they came from. Undefined where the text does not tell. Throws UpstreamError
 * `protocol` where it contradicts itself: then nobody knows what was copied.
 */
export function copiedUids(text: string): UidRanges | undefined {
  if (!CODE.test(text)) return undefined;
  const [, from, to] = COPYUID.exec(text) ?? [];
  const [source, copies] = [ranges(from), ranges(to)];
  if (source === undefined || copies === undefined || sum(source) !== sum(copies)) {
    throw new UpstreamError('protocol', `the server does not make clear what it copied: ${text.slice(0, MAX_TEXT)}`);
  }
  return UidRanges.of(source);
}

const MAX_TEXT = 100;

/** Undefined where the set cannot be read. */
function ranges(set = ''): UidRange[] | undefined {
  const parts = set.split(',').map((part): UidRange => {
    const [one = NaN, other = one, ...rest] = part.split(':').map(toUid);
    return rest.length > 0 ? [NaN, NaN] : [Math.min(one, other), Math.max(one, other)];
  });
  return parts.every(([first]) => first > 0) ? parts : undefined;
}

function toUid(text: string): number {
  return text === '' ? NaN : Number(text);
}

function sum(parts: readonly UidRange[]): number {
  return parts.reduce((count, [first, last]) => count + last - first + 1, 0);
}
