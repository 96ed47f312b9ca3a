/** What COPY and MOVE tell of the copies: `[COPYUID 38505 304,319:320 3956:3958]` (RFC 4315 section 3). Pure. */
import { UidRanges, type UidRange } from './uid-ranges.ts';

const COPYUID = /^\[COPYUID \d+ ([\d:,]+) [\d:,]+\]/i;

/** The UIDs that were copied, as they were in the mailbox they came from. Undefined where the answer does not tell. */
export function copiedUids(text: string): UidRanges | undefined {
  const set = COPYUID.exec(text)?.[1];
  if (set === undefined) return undefined;
  const ranges = set.split(',').map((part): UidRange => {
    const [one = 0, other = one] = part.split(':').map(Number);
    return [Math.min(one, other), Math.max(one, other)];
  });
  return UidRanges.of(ranges);
}
