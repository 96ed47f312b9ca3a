import { expect, test } from 'vitest';
import { progressBar } from '../../../src/cli/progress-bar.ts';

function watched(): { readonly written: string[]; readonly bar: ReturnType<typeof progressBar> } {
  const written: string[] = [];
  return { written, bar: progressBar((text) => void written.push(text)) };
}

test.each([
  [0, 10, `[${' '.repeat(24)}] 0 % reading (0 of 10)`],
  [5, 10, `[${'='.repeat(12)}${' '.repeat(12)}] 50 % reading (5 of 10)`],
  [999, 1000, `[${'='.repeat(24)}] 99 % reading (999 of 1000)`],
  [10, 10, `[${'='.repeat(24)}] 100 % reading (10 of 10)`],
  [12, 10, `[${'='.repeat(24)}] 100 % reading (12 of 10)`],
])('%i of %i are shown on one line, which takes the place of the one before', (done, total, line) => {
  const { written, bar } = watched();
  bar.progress(done, total, 'reading');
  expect(written).toEqual([`\r${line}\u001b[K`]);
});

test('the line is taken away once, and only where it was shown', () => {
  const { written, bar } = watched();
  bar.clear();
  expect(written).toEqual([]);
  bar.progress(1, 2, 'x');
  bar.clear();
  bar.clear();
  expect(written.slice(1)).toEqual(['\r\u001b[K']);
});

test('nothing to do shows nothing', () => {
  const { written, bar } = watched();
  bar.progress(0, 0, 'x');
  bar.clear();
  expect(written).toEqual([]);
});

test('without a terminal nothing is shown', () => {
  const { progress, clear } = progressBar(undefined);
  progress(1, 2, 'x');
  expect(clear).not.toThrow();
});
