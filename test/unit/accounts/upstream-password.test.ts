import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readPassword } from '../../../src/accounts/upstream-password.ts';

const never = new AbortController().signal;
const refused = (message: RegExp) => expect.objectContaining({ code: 'SECRETS_UNREADABLE', message: expect.stringMatching(message) });

describe('an upstream password', () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'popbridge-password-'));
    writeFileSync(join(folder, 'secret'), 'correct horse \r\nurl: https://example.com\n');
    writeFileSync(join(folder, 'empty'), '\n');
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  test('is the first line of a file, of a systemd credential, or of what a command prints', async () => {
    const path = join(folder, 'secret');
    expect(await readPassword({ kind: 'file', path }, {}, never)).toBe('correct horse ');
    expect(await readPassword({ kind: 'credential', name: 'secret' }, { CREDENTIALS_DIRECTORY: folder }, never)).toBe('correct horse ');
    expect(await readPassword({ kind: 'command', command: ['cat', path] }, {}, never)).toBe('correct horse ');
  });

  test('is asked of a program, not of a shell', async () => {
    const command = ['printf', '%s', '$(id); `id` && id'];
    expect(await readPassword({ kind: 'command', command }, {}, never)).toBe('$(id); `id` && id');
  });

  test('that can not be had is an error that names the place, and shows nothing of what was there', async () => {
    const path = join(folder, 'none');
    await expect(readPassword({ kind: 'file', path }, {}, never)).rejects.toEqual(refused(/none: does not exist$/));
    await expect(readPassword({ kind: 'file', path: join(folder, 'empty') }, {}, never)).rejects.toEqual(
      refused(/empty: it gives nothing$/),
    );
    await expect(readPassword({ kind: 'credential', name: 'x' }, {}, never)).rejects.toEqual(refused(/LoadCredential=/));
    const failing = ['sh', '-c', 'echo half a secret; exit 3'];
    await expect(readPassword({ kind: 'command', command: failing }, {}, never)).rejects.toEqual(
      refused(/^the command sh: failed with exit code 3$/),
    );
    await expect(readPassword({ kind: 'command', command: ['/no/such/program'] }, {}, never)).rejects.toEqual(refused(/could not be run/));
    const endless = ['sh', '-c', 'yes secret'];
    await expect(readPassword({ kind: 'command', command: endless }, {}, never)).rejects.toEqual(
      refused(/printed too much|could not be run/),
    );
  });

  test('that does not come is not waited for when the daemon stops', async () => {
    const controller = new AbortController();
    const asked = readPassword({ kind: 'command', command: ['sleep', '60'] }, {}, controller.signal);
    controller.abort();
    await expect(asked).rejects.toEqual(refused(/the command sleep/));
  });
});
