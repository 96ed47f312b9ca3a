import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { REPLACING } from '../../vitest.config.ts';
import { LONGEST } from '../support/longest-first.ts';

const ROOT = join(import.meta.dirname, '../..');

test('unit tests that replace a module or a global have a process of their own', () => {
  const replacing = globSync('test/unit/**/*.test.ts', { cwd: ROOT }).filter((path) =>
    /\bvi\.(?:mock|doMock|stub\w+|useFakeTimers)\(/.test(readFileSync(join(ROOT, path), 'utf8')),
  );
  expect(replacing).toEqual(REPLACING);
});

test('the test files that are run first are there', () => {
  const there = globSync('test/**/*.test.ts', { cwd: ROOT });
  expect(LONGEST.filter((name) => !there.includes(`test/${name}.test.ts`))).toEqual([]);
});
