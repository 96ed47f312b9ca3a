/** A password typed on a terminal: a real one, of script(1), which shows what the program lets it echo. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const PROGRAM = fileURLToPath(new URL('../../dist/main.js', import.meta.url));
const PASSWORD = 'hunter2-hunter2-hunter2';

/** What the terminal showed, and how the program ended, when `typed` was entered at its question. */
async function onTerminal(typed: string): Promise<{ readonly shown: string; readonly code: number | null }> {
  const command = `'${process.execPath}' '${PROGRAM}' account hash`;
  const child = spawn('script', ['--quiet', '--return', '--command', command, '/dev/null'], { stdio: ['pipe', 'pipe', 'inherit'] });
  let shown = '';
  child.stdout.on('data', (chunk: Buffer) => {
    const isAsked = shown.includes('app password: ');
    shown += chunk.toString();
    if (!isAsked && shown.includes('app password: ')) child.stdin.write(typed);
  });
  const [code] = (await once(child, 'close')) as [number | null];
  return { shown, code };
}

test('is not shown, and the line goes on below', async () => {
  const { shown, code } = await onTerminal(`${PASSWORD}\r`);
  expect(shown).toMatch(/^app password: \r?\n\$scrypt\$\S+\r?\n$/);
  expect(shown).not.toContain(PASSWORD.slice(0, 4));
  expect(code).toBe(0);
});

test.for([
  ['Ctrl-C', '\x03'],
  ['Ctrl-D', '\x04'],
])('%s instead of it ends the program with one line', async ([, key = '']) => {
  const { shown, code } = await onTerminal(key);
  expect(shown).toMatch(/^app password: \r?\npopbridge: nothing was entered\r?\n$/);
  expect(code).toBe(1);
});
