/** What `popbridge account` refuses before it does anything; no daemon runs. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { bridgeConfig } from '../support/bridge-config.ts';
import { runBridge, type ProgramResult } from '../support/bridge-process.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'popbridge-usage-'));
  writeFileSync(join(folder, 'test.toml'), bridgeConfig({ imapPort: 1, tables: '[login]\nmode = "accounts"' }), { mode: 0o600 });
});
afterAll(() => rmSync(folder, { recursive: true }));

const account = (args: readonly string[], input: string, ...more: readonly string[]): Promise<ProgramResult> =>
  runBridge(['account', ...args, ...more, '--config', join(folder, 'test.toml'), '--state', join(folder, 'state')], input);

test.for([
  [['add', 'a\nb'], 64, 'the user name must be of 1 to 200 characters, none of them a control character'],
  [['add', ''], 64, 'the user name is empty'],
  [['add', ' alice@example.com'], 64, 'the user name begins or ends with a space; leave that out'],
  [
    ['add', 'alice@example.com', '--device', 'a\tb'],
    64,
    'the name of the device must be of 1 to 200 characters, none of them a control character',
  ],
  [
    ['add', 'recent:alice@example.com', '--no-check'],
    1,
    'recent:alice@example.com is how clients ask for a view of alice@example.com; add the account alice@example.com',
  ],
  [
    ['add', 'alice@example.com', '--flow', 'device'],
    64,
    '--flow is for accounts that sign in with OAuth 2.0, and the upstream test has no [oauth]',
  ],
  [
    ['add', 'alice@example.com', '--flow', 'paste'],
    64,
    '--flow paste reads the address from standard input; leave --password-stdin out, and the app password is made',
  ],
  [
    ['add', 'alice@example.com', '--client-id', 'mine'],
    64,
    '--client-id and --client-secret-file are for the file of a new upstream, and one takes that user already; see [oauth] there',
  ],
  [
    ['passwd', 'alice@example.com', '--upstream-password', '--device', 'x'],
    64,
    '--upstream-password is the same for all devices; leave --device out',
  ],
  [['add', 'alice@example.com', '--device'], 64, '--device wants a value; see popbridge account add --help'],
  [
    ['add', 'alice@example.com', '--flow', 'phone'],
    64,
    '--flow cannot be "phone", only one of "code", "device", "paste"; see popbridge account add --help',
  ],
  [['add', 'alice@example.com', '--device', 'one', '--device', 'two'], 64, '--device is given more than once'],
  [['add', 'alice@example.com', '--client-id', 'one', '--client-id', 'two'], 64, '--client-id is given more than once'],
  [['passwd'], 64, 'an argument is missing; see popbridge account passwd --help'],
  [['passwd', 'alice@example.com', '--no-check'], 64, '--no-check is for --upstream-password: app passwords are never checked upstream'],
] as const)('refuses %j with exit code %d and one line', async ([args, code, line]) => {
  expect(await account(args, 'one password\nanother password\n', '--password-stdin')).toMatchObject({
    code,
    stdout: '',
    stderr: `popbridge: ${line}\n`,
  });
});

test('without a password says how one is given', async () => {
  const { code, stderr } = await account(['add', 'alice@example.com'], '');
  expect([code, stderr]).toEqual([64, expect.stringMatching(/^popbridge: the upstream password is empty; .* --password-stdin\n$/)]);
});

test('none of that has left an account', async () => {
  expect((await account(['list'], '')).stdout).toBe('there are no local accounts\n');
});
