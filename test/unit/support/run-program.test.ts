import { tmpdir } from 'node:os';
import { expect, test } from 'vitest';
import { isSilent, lastWords, listenTo } from '../../support/last-words.ts';
import { runProgram } from '../../support/peers/run-program.ts';

test('a program that does not end is killed and reported with what it said last, and what the others did', async () => {
  const daemon = {};
  listenTo(daemon, () => 'daemon: waits for QUIT');
  const args = ['-c', 'echo asked; echo to no avail >&2; sleep 600'];
  const running = runProgram({ path: '/bin/sh', args, home: tmpdir(), timeoutMs: 300 });
  await expect(running).rejects.toThrow(/did not end within \d+ ms[^]*asked[^]*to no avail[^]*daemon: waits for QUIT/);
  isSilent(daemon);
  expect(lastWords()).toBe('');
});

test('one that ends is not', async () => {
  const ended = await runProgram({ path: '/bin/sh', args: ['-c', 'cat; exit 3'], home: tmpdir(), input: 'said' });
  expect(ended).toEqual({ exitCode: 3, stdout: 'said', stderr: '' });
});
