/** Set up for each test file that starts programs: a test that failed, or was given up, is followed by what all sides said last. */
import { writeSync } from 'node:fs';
import { beforeEach } from 'vitest';
import { lastWords } from './last-words.ts';

beforeEach(({ task, onTestFailed }) => {
  onTestFailed(() => {
    const words = lastWords();
    // Past the console, which the test runner wraps into a block of its own.
    if (words !== '') writeSync(2, `When "${task.name}" failed, this was said last:\n${words}\n`);
  });
});
