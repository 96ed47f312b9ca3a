/** A password typed on a terminal: a real one, of script(1), which shows what the program lets it echo. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { PROGRAM } from '../support/program.ts';

const PASSWORD = 'hunter2-hunter2-hunter2';

const HASH = ['hash'];

/** What the terminal showed, and how the program ended, when `typed` was entered at its question. */
async function onTerminal(
  account: readonly string[],
  question: string,
  typed: string,
): Promise<{ readonly shown: string; readonly code: number | null }> {
  const command = [process.execPath, PROGRAM, 'account', ...account].map((word) => `'${word}'`).join(' ');
  const child = spawn('script', ['--quiet', '--return', '--command', command, '/dev/null'], { stdio: ['pipe', 'pipe', 'inherit'] });
  let shown = '';
  child.stdout.on('data', (chunk: Buffer) => {
    const isAsked = shown.includes(question);
    shown += chunk.toString();
    if (!isAsked && shown.includes(question)) child.stdin.write(typed);
  });
  const [code] = (await once(child, 'close')) as [number | null];
  return { shown, code };
}

test('is not shown, and the line goes on below', async () => {
  const { shown, code } = await onTerminal(HASH, 'app password: ', `${PASSWORD}\r`);
  expect(shown).toMatch(/^app password: \r?\n\$scrypt\$\S+\r?\n$/);
  expect(shown).not.toContain(PASSWORD.slice(0, 4));
  expect(code).toBe(0);
});

test.for([
  ['Ctrl-C', '\x03'],
  ['Ctrl-D', '\x04'],
])('%s instead of it ends the program with one line', async ([, key = '']) => {
  const { shown, code } = await onTerminal(HASH, 'app password: ', key);
  expect(shown).toMatch(/^app password: \r?\npopbridge: nothing was entered\r?\n$/);
  expect(code).toBe(1);
});

test('of an account that is added; with the app password stands what else the mail program wants to know', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'popbridge-prompt-'));
  const config = join(folder, 'test.toml');
  writeFileSync(config, '[upstream]\nhost = "imap.example.com"\n[login]\nmode = "accounts"\n', { mode: 0o600 });
  const add = ['add', 'alice', '--no-check', '--config', config, '--state', join(folder, 'state')];
  const { shown, code } = await onTerminal(add, 'password of alice on the upstream test: ', `${PASSWORD}\r`);
  rmSync(folder, { recursive: true });
  expect(shown.replaceAll('\r', '')).toMatch(
    /: \napp password of alice \(default\), shown once:\n\n {4}\S+\n\nsettings of the mail program: POP3, server 127\.0\.0\.1, port 1110, no encryption, user name alice\n$/,
  );
  expect(shown).not.toContain(PASSWORD);
  expect(code).toBe(0);
});
