import { readdirSync, readFileSync } from 'node:fs';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { fuzzRuns, holds } from '../../support/holds.ts';

const TESTS = new URL('../../', import.meta.url);

test('a law is tried as often as was asked for, never less than usual', () => {
  expect([fuzzRuns(60, 0), fuzzRuns(60, 3_000), fuzzRuns(1_000, 3_000), fuzzRuns(5, 10)]).toEqual([60, 1_800, 30_000, 5]);
});

test('its examples are tried first, and cost no trial', () => {
  const tried: number[] = [];
  holds(
    fc.property(fc.nat(9), (value) => void tried.push(value)),
    { usual: 5, examples: [[77], [88]] },
  );
  expect(tried.slice(0, 2)).toEqual([77, 88]);
  expect(tried).toHaveLength(fuzzRuns(5) + 2);
  expect(() =>
    holds(
      fc.property(fc.nat(9), (value) => value < 10),
      { usual: 1, examples: [[77]] },
    ),
  ).toThrow('77');
});

test('no law goes another way: npm run fuzz would miss it', () => {
  const tests = readdirSync(TESTS, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.test.ts'));
  const others = tests.filter((name) => /\bfc\s*\.\s*(?:assert|check)\(|FUZZ_RUNS'\]/.test(readFileSync(new URL(name, TESTS), 'utf8')));
  expect(tests.length).toBeGreaterThan(100);
  expect(others).toEqual([]);
});
