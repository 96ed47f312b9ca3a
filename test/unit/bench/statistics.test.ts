import { expect, test } from 'vitest';
import { extrapolate, mean, median } from '../../bench/statistics.ts';

test.for([
  [[3], 3],
  [[9, 1, 3], 3],
  [[4, 1, 2, 100], 3],
  [[], NaN],
] as const)('the median of %j is %d', ([values, expected]) => {
  expect(median(values)).toBe(expected);
});

test('what is scaled keeps the share that does not grow', () => {
  expect(extrapolate({ messages: 100, ms: 2100 }, { messages: 400, ms: 8100 }, 100_000)).toBe(2_000_100);
});

test('the mean of nothing is no number', () => {
  expect([mean([1, 2, 6]), mean([])]).toEqual([3, NaN]);
});
