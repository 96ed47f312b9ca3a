import { describe, expect, test } from 'vitest';
import { isMessageNumber, isUid, isUidValidity, messageNumberAt } from '../../../src/maildrop/numbers.ts';

describe('UIDs and UIDVALIDITY', () => {
  test.each([1, 2, 0x7fff_ffff, 0xffff_ffff])('%d is one', (value) => {
    expect([isUid(value), isUidValidity(value)]).toEqual([true, true]);
  });

  test.each([0, -1, 1.5, 0x1_0000_0000, Number.NaN, Number.POSITIVE_INFINITY, '1', 1n, null, undefined])('%s is none', (value) => {
    expect([isUid(value), isUidValidity(value)]).toEqual([false, false]);
  });
});

describe('a message-number', () => {
  test.each([
    [1, 3, true],
    [3, 3, true],
    [0, 3, false],
    [4, 3, false],
    [1.5, 3, false],
    [-1, 3, false],
    [4_294_967_297, 3, false],
    [1, 0, false],
    [Number.NaN, 3, false],
  ])('%d of %d messages: %s', (value, count, expected) => {
    expect(isMessageNumber(value, count)).toBe(expected);
  });

  test('is one more than the index', () => {
    expect([messageNumberAt(0), messageNumberAt(99_999)]).toEqual([1, 100_000]);
    expect(() => messageNumberAt(-1)).toThrow(RangeError);
  });
});
