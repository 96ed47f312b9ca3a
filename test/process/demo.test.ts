/** The newcomer's first command. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const DEMO = fileURLToPath(new URL('../demo/demo.ts', import.meta.url));

test('the demo fetches its mail through the real bridge, prints it, and exits 0', async () => {
  const child = spawn(process.execPath, [DEMO, '--once'], { stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
  const [code] = (await once(child, 'close')) as [number];
  expect(code).toBe(0);
  expect(output).toMatch(/^5 messages:/);
  expect(output).toContain('Subject: Welcome to popbridge');
  expect(output).toMatch(/stuff:\n\.\n\.\.and one that begins with two/);
  expect(output).toContain('日本語');
});
