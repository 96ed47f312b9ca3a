/**
 * Usage: totals.ts REPORT STATUS. Turns vitest's JSON report into one line for .ci/run. Test files that could not even be loaded, and a run that
 * failed without a failing test, count as failures.
 */
import { readFileSync } from 'node:fs';

const [file = '', status = ''] = process.argv.slice(2);
const report: unknown = JSON.parse(readFileSync(file, 'utf8'));

const count = (key: string): number => {
  const value = typeof report === 'object' && report !== null ? Object.entries(report).find(([name]) => name === key)?.[1] : undefined;
  return typeof value === 'number' ? value : 0;
};
const failed = Math.max(count('numFailedTests'), count('numFailedTestSuites') > 0 || status !== '0' ? 1 : 0);
process.stdout.write(`${count('numPassedTests')} passed, ${failed} failed, ${count('numPendingTests') + count('numTodoTests')} skipped\n`);
