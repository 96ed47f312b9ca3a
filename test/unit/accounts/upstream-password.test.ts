import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readPassword } from '../../../src/accounts/upstream-password.ts';
import { until } from '../../support/until.ts';

const never = new AbortController().signal;
const machine = (variables: Record<string, string> = {}) => ({ variables, killGroup: (pid: number) => void process.kill(-pid, 'SIGKILL') });
const refused = (message: RegExp) => expect.objectContaining({ code: 'SECRETS_UNREADABLE', message: expect.stringMatching(message) });

describe('an upstream password', () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'popbridge-password-'));
    writeFileSync(join(folder, 'secret'), 'correct horse \r\nurl: https://example.com\n');
    writeFileSync(join(folder, 'converted-twice'), 'correct horse \r\r\nurl: https://example.com\r\r\n');
    writeFileSync(join(folder, 'empty'), '\n');
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  test('is the first line of a file, of a systemd credential, or of what a command prints', async () => {
    const path = join(folder, 'secret');
    expect(await readPassword({ kind: 'file', path }, machine(), never)).toBe('correct horse ');
    expect(await readPassword({ kind: 'credential', name: 'secret' }, machine({ CREDENTIALS_DIRECTORY: folder }), never)).toBe(
      'correct horse ',
    );
    expect(await readPassword({ kind: 'command', command: ['cat', path] }, machine(), never)).toBe('correct horse ');
  });

  test('has none of the CRs before the line end, however many there are', async () => {
    expect(await readPassword({ kind: 'file', path: join(folder, 'converted-twice') }, machine(), never)).toBe('correct horse ');
  });

  test('is asked of a program, not of a shell', async () => {
    const command = ['printf', '%s', '$(id); `id` && id'];
    expect(await readPassword({ kind: 'command', command }, machine(), never)).toBe('$(id); `id` && id');
  });

  test('that can not be had is an error that names the place, and shows nothing of what was there', async () => {
    const path = join(folder, 'none');
    await expect(readPassword({ kind: 'file', path }, machine(), never)).rejects.toEqual(refused(/none: does not exist$/));
    await expect(readPassword({ kind: 'file', path: join(folder, 'empty') }, machine(), never)).rejects.toEqual(
      refused(/empty: it gives nothing$/),
    );
    await expect(readPassword({ kind: 'credential', name: 'x' }, machine(), never)).rejects.toEqual(refused(/LoadCredential=/));
    const failing = ['sh', '-c', 'echo half a secret; exit 3'];
    await expect(readPassword({ kind: 'command', command: failing }, machine(), never)).rejects.toEqual(
      refused(/^the command sh: failed with exit code 3$/),
    );
    await expect(readPassword({ kind: 'command', command: ['/no/such/program'] }, machine(), never)).rejects.toEqual(
      refused(/could not be run/),
    );
    const endless = ['sh', '-c', 'yes secret'];
    await expect(readPassword({ kind: 'command', command: endless }, machine(), never)).rejects.toEqual(
      refused(/^the command sh: printed too much$/),
    );
    const own = ['sh', '-c', 'kill -TERM $$'];
    await expect(readPassword({ kind: 'command', command: own }, machine(), never)).rejects.toEqual(refused(/was ended by SIGTERM$/));
    await expect(readPassword({ kind: 'file', path: '/dev/zero' }, machine(), never)).rejects.toEqual(refused(/is not a file$/));
  });

  test('is asked of a program that is told nothing of the daemon’s own', async () => {
    const variables = { POPBRIDGE_SECRETS_KEY: 'the key', NOTIFY_SOCKET: '/run/systemd/notify', PASSWORD_STORE_DIR: '/srv/pass' };
    const command = ['sh', '-c', 'echo "$POPBRIDGE_SECRETS_KEY-$NOTIFY_SOCKET-$PASSWORD_STORE_DIR"'];
    expect(await readPassword({ kind: 'command', command }, machine(variables), never)).toBe('--/srv/pass');
  });

  test('that does not come is not waited for when the daemon stops, and what was started for it ends', async () => {
    const controller = new AbortController();
    const path = join(folder, 'pids');
    const command = ['sh', '-c', `sleep 60 & echo $! $$ > ${path}; wait`];
    const asked = readPassword({ kind: 'command', command }, machine(), controller.signal);
    const pids = (): number[] => (existsSync(path) ? readFileSync(path, 'utf8').trim().split(' ').map(Number) : []);
    await until(() => pids().length === 2);
    controller.abort();
    await expect(asked).rejects.toEqual(refused(/^the command sh: was ended, as the daemon stops$/));
    await until(() => pids().every((pid) => !isRunning(pid)));
  });
});

/** A zombie has ended. */
function isRunning(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}
