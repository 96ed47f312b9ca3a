import { expect, test } from 'vitest';
import { parseStat } from '../../bench/process-usage.ts';

test('a process may be called anything', () => {
  const line = '4711 (a) b (c) S 42 4711 4711 0 -1 4194560 100 200 3 4 11 22 33 44 20 0 1 0 123 456 789';
  expect(parseStat(line)).toEqual({ pid: 4711, parent: 42, ticks: 110 });
});
