import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { holds } from '../../support/holds.ts';
import { uid, uids } from '../../support/fake-maildrop.ts';
import { MAX_SET_CHARACTERS, uidBatches } from '../../../src/imap/uid-set.ts';

function expand(set: string): number[] {
  return set.split(',').flatMap((part) => {
    const [first = 0, last = first] = part.split(':').map(Number);
    return Array.from({ length: last - first + 1 }, (_, index) => first + index);
  });
}

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, index) => from + index);
}

const ascending = fc
  .array(fc.tuple(fc.integer({ min: 1, max: 4_000_000_000 }), fc.integer({ min: 1, max: 8 })), { maxLength: 30 })
  .map((runs) => [...new Set(runs.flatMap(([from, length]) => range(from, from + length - 1)))].sort((one, other) => one - other));

describe('a UID set', () => {
  test.each([
    [[], []],
    [[5], ['5']],
    [[5, 6], ['5:6']],
    [[1, 2, 3, 5, 7, 8], ['1:3,5,7:8']],
    [[1, 3, 5], ['1,3,5']],
    [[4_294_967_294, 4_294_967_295], ['4294967294:4294967295']],
  ])('of %j is %j', (list, sets) => {
    expect(uidBatches(uids(...list)).map((batch) => batch.set)).toEqual(sets);
  });

  test('is cut after so many messages', () => {
    expect(uidBatches(uids(1, 2, 3, 4, 5), 2).map((batch) => batch.set)).toEqual(['1:2', '3:4', '5']);
    expect(uidBatches(uids(1, 3, 4, 6), 3).map((batch) => batch.set)).toEqual(['1,3:4', '6']);
  });

  test('of a hundred thousand scattered messages stays within the length of a command', () => {
    const list = Array.from({ length: 100_000 }, (_, index) => uid(1_000_000_000 + index * 2));
    const batches = uidBatches(list);
    expect(Math.max(...batches.map((batch) => batch.set.length))).toBeLessThanOrEqual(MAX_SET_CHARACTERS);
    expect(batches.flatMap((batch) => batch.uids)).toEqual(list);
    expect(batches.length).toBeLessThan(200);
  });

  test('names just the UIDs asked for: none is lost, none twice, none foreign within a range', () => {
    holds(
      fc.property(ascending, fc.option(fc.integer({ min: 1, max: 10 }), { nil: undefined }), (list, limit) => {
        const batches = uidBatches(list.map(uid), limit);
        expect(batches.flatMap((batch) => expand(batch.set))).toEqual(list);
        expect(batches.flatMap((batch) => batch.uids)).toEqual(list);
        for (const batch of batches) {
          expect(expand(batch.set)).toEqual(batch.uids);
          expect(batch.set).toMatch(/^\d+(?::\d+)?(?:,\d+(?::\d+)?)*$/);
          expect(batch.set.length).toBeLessThanOrEqual(MAX_SET_CHARACTERS);
          if (limit !== undefined) expect(batch.uids.length).toBeLessThanOrEqual(limit);
        }
      }),
    );
  });
});
