/** `popbridge account add` of an address that no configuration file is for: a newcomer's first command. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { runBridge, type ProgramResult } from '../support/bridge-process.ts';

let folder: string;
let config: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'popbridge-new-'));
  config = join(folder, 'config');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const add = (user: string, ...more: readonly string[]): Promise<ProgramResult> =>
  runBridge(
    ['account', 'add', user, '--config', config, '--state', join(folder, 'state'), '--password-stdin', '--no-check', ...more],
    'upstream password\napp password\n',
  );

describe('an address of a known provider', () => {
  test('gets a configuration file, which others of that provider then use', async () => {
    const added = await add('alice@gmail.com', '--yes');
    expect(added).toMatchObject({ code: 0, stdout: 'alice@gmail.com may log in with that app password (default)\n' });
    expect(added.stderr).toMatch(/^gmail\.com is Gmail and Google Workspace \(preset gmail\)/);
    expect(added.stderr).toContain(`${join(config, 'gmail.com.toml')} is written.\n`);
    expect(readFileSync(join(config, 'gmail.com.toml'), 'utf8')).toBe(
      [
        '# Written by "popbridge account add": a preset knows gmail.com.',
        '[upstream]',
        'preset = "gmail"',
        '',
        '[login]',
        'mode = "accounts"',
        'domains = ["gmail.com", "googlemail.com"]',
        '',
      ].join('\n'),
    );
    expect(await add('bob@googlemail.com')).toMatchObject({ code: 0, stderr: '' });
    expect((await runBridge(['check', '--config', config])).code).toBe(0);
  });

  test('of another one gets a file of its own beside the first', async () => {
    await add('alice@gmail.com', '--yes');
    expect(await add('alice@icloud.com', '--yes')).toMatchObject({ code: 0 });
    expect(readdirSync(config).toSorted()).toEqual(['gmail.com.toml', 'icloud.com.toml']);
    const listed = await runBridge(['account', 'list', '--config', config, '--state', join(folder, 'state')]);
    expect(listed.stdout).toMatch(/gmail\.com +alice@gmail\.com/);
    expect(listed.stdout).toMatch(/icloud\.com +alice@icloud\.com +alice /);
  });

  test('that wants a sign-in needs a client registration', async () => {
    expect(await add('alice@outlook.com', '--yes')).toMatchObject({
      code: 64,
      stderr: expect.stringMatching(/needs --client-id, the id of your own client registration\n$/),
    });
    expect(() => readdirSync(config)).toThrow(/ENOENT/);
  });

  test('is not written without a word of the user', async () => {
    expect(await add('alice@gmail.com')).toMatchObject({ code: 64, stderr: expect.stringContaining('say --yes to have') });
    expect(() => readdirSync(config)).toThrow(/ENOENT/);
  });

  test('is written into the file that was named', async () => {
    config = join(folder, 'mail.toml');
    expect(await add('alice@gmail.com', '--yes')).toMatchObject({ code: 0 });
    expect(readFileSync(config, 'utf8')).toContain('preset = "gmail"');
  });

  test('leaves no file behind that does not go with the others', async () => {
    config = folder;
    const own = '[upstream]\nhost = "imap.example.com"\n[login]\nmode = "accounts"\ndomains = ["example.com", "gmail.com"]\n';
    writeFileSync(join(folder, 'own.toml'), own);
    const refused = await add('alice@googlemail.com', '--yes');
    expect(refused.code).toBe(78);
    expect(refused.stderr).toMatch(/login\.domains: "gmail\.com" is taken by/);
    expect(readdirSync(folder).filter((name) => name.endsWith('.toml'))).toEqual(['own.toml']);
  });
});

test('a user without a domain, where nothing is configured, is told what to give', async () => {
  expect(await add('alice')).toMatchObject({ code: 64, stderr: expect.stringContaining('give a whole address in place of alice') });
});
