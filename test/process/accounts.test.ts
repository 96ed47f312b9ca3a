/** Local accounts, as an administrator and as mail programs see them. */
import { existsSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { randomBytes } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { bridgeConfig } from '../support/bridge-config.ts';
import { allowInLog, BridgeProcess, runBridge, type ProgramResult } from '../support/bridge-process.ts';
import { ImapServer } from '../support/imap-server.ts';
import { PopDialogue } from '../support/pop-dialogue.ts';
import { TimeMachine } from '../support/time-machine.ts';
import { until } from '../support/until.ts';

const HOUR = 3_600;
allowInLog('delete-failed', 'login-failed', 'session-error', 'upstream-failed');

/** Of accounts upstream; nobody types them into a mail program. */
const UPSTREAM = { alice: 'upstream of alice', bob: 'upstream of bob' };
const APP_PASSWORD = 'app password of alice';
const SECRETS = [...Object.values(UPSTREAM), APP_PASSWORD];

let imap: ImapServer;
let bridge: BridgeProcess;
let config: string;
let folder: string;

beforeEach(async () => {
  imap = await ImapServer.start({ users: UPSTREAM });
  for (const user of Object.keys(UPSTREAM)) imap.mailbox('INBOX', user).append(`Subject: for ${user}\r\n\r\nbody\r\n`);
  config = bridgeConfig({
    imapPort: imap.port,
    upstream: ['linger = "0s"', 'username = "{local}"'],
    tables: '[login]\nmode = "accounts"',
  });
  folder = mkdtempSync(join(tmpdir(), 'popbridge-accounts-'));
  bridge = await BridgeProcess.start({ config, folder });
});

afterEach(async () => {
  await bridge[Symbol.asyncDispose]();
  await imap.close();
  rmSync(folder, { recursive: true, force: true });
});

const options = (): string[] => ['--config', join(folder, 'test.toml'), '--state', join(folder, 'state')];
const account = (args: readonly string[], ...lines: readonly string[]): Promise<ProgramResult> =>
  runBridge(
    ['account', ...args, ...(lines.length > 0 ? ['--password-stdin'] : []), ...options()],
    lines.map((line) => `${line}\n`).join(''),
  );

async function logIn(user: string, password: string): Promise<string> {
  const client = await PopDialogue.connect(bridge.port());
  await client.command(`USER ${user}`);
  const answer = await client.command(`PASS ${password}`);
  await client.command('QUIT');
  client.close();
  return answer;
}

describe('popbridge account', () => {
  test('adds an account with an app password of its own, which is the only one that counts here', async () => {
    const added = await account(['add', 'alice@example.com'], UPSTREAM.alice);
    expect(added).toMatchObject({ code: 0, stderr: '' });
    const password = /^ {4}([a-z-]{24})$/m.exec(added.stdout)?.[1] ?? '';
    expect(await logIn('alice@EXAMPLE.com', password)).toMatch(/^\+OK/);
    const logins = imap.commands.filter((command) => /^(?:LOGIN|AUTHENTICATE)/.test(command)).length;
    expect(await logIn('alice@example.com', UPSTREAM.alice)).toBe('-ERR [AUTH] user name or password refused');
    expect(await logIn('nobody@example.com', password)).toBe('-ERR [AUTH] user name or password refused');
    // A wrong one touches no server.
    expect(imap.commands.filter((command) => /^(?:LOGIN|AUTHENTICATE)/.test(command))).toHaveLength(logins);
  });

  test('refuses what the server refuses, and keeps nothing of it', async () => {
    const refused = await account(['add', 'alice@example.com'], 'not the password');
    expect(refused).toMatchObject({ code: 69, stdout: '' });
    expect(refused.stderr).toMatch(/^popbridge: the mail server of test refuses alice with that password: [^\n]+\n$/);
    expect((await account(['list'])).stdout).toBe('there are no local accounts\n');
    expect(await account(['add', 'alice@example.com', '--no-check'], 'not the password')).toMatchObject({ code: 0 });
  });

  test('tells what the provider is known to want where it refuses somebody', async () => {
    bridge.configure(config.replace('[upstream]', '[upstream]\npreset = "icloud"'));
    const refused = await account(['add', 'alice@example.com'], 'not the password');
    expect(refused.stderr).toMatch(
      /^Apple iCloud Mail: Make an app-specific password: [^\n]+\npopbridge: the mail server of test refuses alice/,
    );
  });

  test('gives each device a password, and takes one away without touching the others', async () => {
    await account(['add', 'alice@example.com', '--device', 'phone'], UPSTREAM.alice, APP_PASSWORD);
    const laptop = await account(['passwd', 'alice@example.com', '--device', 'laptop'], 'another app password');
    expect(laptop.stdout).toBe('alice@example.com may log in with that app password (laptop)\n');
    expect(await logIn('alice@example.com', 'another app password')).toMatch(/^\+OK/);
    const listed = JSON.parse((await account(['list', '--json'])).stdout) as { devices: { name: string; usedAt: number }[] }[];
    expect(listed[0]?.devices.map(({ name, usedAt }) => [name, usedAt > 0])).toEqual([
      ['laptop', true],
      ['phone', false],
    ]);
    expect((await account(['passwd', 'alice@example.com', '--device', 'laptop', '--remove'])).code).toBe(0);
    expect(await logIn('alice@example.com', 'another app password')).toMatch(/^-ERR \[AUTH\]/);
    expect(await logIn('alice@example.com', APP_PASSWORD)).toMatch(/^\+OK/);
    const unknown = await account(['passwd', 'alice@example.com', '--device', 'tablet', '--remove']);
    expect(unknown).toMatchObject({ code: 1, stderr: 'popbridge: alice@example.com has no device "tablet"; there are: phone\n' });
  });

  test('changes the stored password of the server, of which a client is told when it is refused', async () => {
    await account(['add', 'alice@example.com', '--no-check'], 'an old password', APP_PASSWORD);
    expect(await logIn('alice@example.com', APP_PASSWORD)).toBe(
      '-ERR [AUTH] mail server refuses the stored password, run: popbridge account passwd USER --upstream-password',
    );
    expect((await account(['passwd', 'alice@example.com', '--upstream-password'], UPSTREAM.alice)).code).toBe(0);
    expect(await logIn('alice@example.com', APP_PASSWORD)).toMatch(/^\+OK/);
  });

  test('is what other commands know users by: the account stands for its user on the server', async () => {
    await account(['add', 'mail@example.com', '--upstream-user', 'alice'], UPSTREAM.alice, APP_PASSWORD);
    expect(await logIn('mail@example.com', APP_PASSWORD)).toMatch(/^\+OK/);
    const shown = await runBridge(['maildrop', 'show', '--user', 'mail@example.com', ...options()]);
    expect(shown.stdout).toMatch(/1 messages, 0 of them hidden/);
    const checked = await runBridge(['check', '--online', '--user', 'mail@example.com', ...options()]);
    expect(checked).toMatchObject({ code: 0, stdout: expect.stringContaining('mailbox: INBOX, 1 messages') });
    const unknown = await runBridge(['check', '--online', '--user', 'carol@example.com', ...options()]);
    expect(unknown).toMatchObject({ code: 1, stderr: 'popbridge: there is no account carol@example.com of the upstream test\n' });
  });

  test('removes an account with all that was stored of it', async () => {
    await account(['add', 'alice@example.com'], UPSTREAM.alice, APP_PASSWORD);
    expect((await account(['remove', 'alice@example.com'])).code).toBe(0);
    expect(await logIn('alice@example.com', APP_PASSWORD)).toMatch(/^-ERR \[AUTH\]/);
    expect(await account(['remove', 'alice@example.com'])).toMatchObject({
      code: 1,
      stderr: 'popbridge: there is no account alice@example.com of the upstream test\n',
    });
  });

  test('works where no daemon runs, and says what is wrong with what it is given', async () => {
    await bridge.stop();
    expect((await account(['add', 'alice@example.com'], UPSTREAM.alice, APP_PASSWORD)).code).toBe(0);
    expect((await account(['add', 'alice@example.com'], UPSTREAM.alice)).stderr).toMatch(/exists already; "popbridge account passwd"/);
    expect((await account(['add', 'bob@example.com'], UPSTREAM.bob, 'short')).stderr).toMatch(/app password is too short; give at least 8/);
    expect((await account(['add', 'bob@example.com', '--upstream', 'other'], UPSTREAM.bob)).stderr).toMatch(
      /there is no upstream "other"; there are: test/,
    );
    expect((await account(['list'])).stdout).toMatch(/alice@example\.com {2}alice/);
  });

  test('keeps nothing for a daemon that keeps nothing, and says so', async () => {
    await bridge.stop();
    bridge.configure(`${config}\n[store]\nurl = "memory:"\n`);
    expect(await account(['add', 'alice@example.com'], UPSTREAM.alice)).toMatchObject({
      code: 1,
      stdout: '',
      stderr: 'popbridge: store.url = "memory:" keeps nothing outside the daemon; start it first\n',
    });
  });

  test('is told that users of an upstream without local accounts log in there', async () => {
    await bridge.stop();
    bridge.configure(bridgeConfig({ imapPort: imap.port }));
    expect(await account(['add', 'alice'], UPSTREAM.alice)).toMatchObject({
      code: 1,
      stderr:
        'popbridge: users of the upstream test log in with their password there; set login.mode = "accounts" in its file for local accounts\n',
    });
  });
});

test('a connection that was kept serves nobody whose password of the server was changed since', async () => {
  bridge.configure(config.replace('linger = "0s"', 'linger = "5m"'));
  bridge.kill('SIGHUP');
  await bridge.event('reloaded');
  await account(['add', 'alice@example.com'], UPSTREAM.alice, APP_PASSWORD);
  for (let times = 0; times < 2; times += 1) expect(await logIn('alice@example.com', APP_PASSWORD)).toMatch(/^\+OK/);
  const connected = bridge.events('upstream-connected').length;
  const refused = /^-ERR \[AUTH\] mail server refuses the stored password/;
  expect((await account(['passwd', 'alice@example.com', '--upstream-password', '--no-check'], 'another one')).code).toBe(0);
  expect(await logIn('alice@example.com', APP_PASSWORD)).toMatch(refused);
  expect((await account(['remove', 'alice@example.com'])).code).toBe(0);
  expect((await account(['add', 'alice@example.com', '--no-check'], 'yet another', APP_PASSWORD)).code).toBe(0);
  expect(await logIn('alice@example.com', APP_PASSWORD)).toMatch(refused);
  // And one that was not changed is still there.
  expect((await account(['passwd', 'alice@example.com', '--upstream-password', '--no-check'], UPSTREAM.alice)).code).toBe(0);
  expect(await logIn('alice@example.com', APP_PASSWORD)).toMatch(/^\+OK/);
  expect(bridge.events('upstream-connected')).toHaveLength(connected);
});

test('guesses at an account from many addresses are tried ever later; its owner, who was here before, is not held up', async () => {
  await account(['add', 'alice@example.com'], UPSTREAM.alice, APP_PASSWORD);
  expect(await logIn('alice@example.com', APP_PASSWORD)).toMatch(/^\+OK/);
  const guess = async (index: number): Promise<PopDialogue> => {
    const client = await PopDialogue.connect(bridge.port(), { localAddress: `127.0.3.${index + 1}` });
    await client.command('USER alice@example.com');
    client.send(`PASS guess ${index}\r\n`);
    return client;
  };
  // Five are free in ten minutes; each address has its own.
  for (let index = 0; index < 7; index += 1) expect(await (await guess(index)).line()).toMatch(/^-ERR \[AUTH\]/);
  const late = await guess(7);
  const order: string[] = [];
  const refused = late.line().then(() => order.push('guess'));
  const owner = logIn('alice@example.com', APP_PASSWORD).then((answer) => order.push(answer.slice(0, 3)));
  await Promise.all([refused, owner]);
  expect(order).toEqual(['+OK', 'guess']);
});

test('what a server repeats of the stored password after the login does not come into the log either', async () => {
  await account(['add', 'alice@example.com'], UPSTREAM.alice, APP_PASSWORD);
  const client = await PopDialogue.connect(bridge.port());
  await client.login('alice@example.com', APP_PASSWORD);
  const reply = `NO [SERVERBUG] ${UPSTREAM.alice}, is it?`;
  imap.setScript(({ verb }) => (verb === 'UID FETCH' || verb === 'UID MOVE' ? { reply } : undefined));
  expect(await client.command('RETR 1')).toMatch(/^-ERR/);
  await client.command('DELE 1');
  expect(await client.command('QUIT')).toMatch(/^-ERR/);
  await bridge.event('session-end');
  expect(bridge.rawLog.join('\n')).toContain('[secret], is it?');
  // That it stands there nowhere is looked at when the daemon ends.
});

describe('what is due', () => {
  /** Deletes a message that is due when the daemon has been killed and is started again. */
  async function restartWithWorkToDo(): Promise<void> {
    await account(['add', 'alice@example.com'], UPSTREAM.alice, APP_PASSWORD);
    bridge.configure(config.replace('mode = "accounts"', 'mode = "accounts"\n[delete]\nafter = "1h"\naction = "trash"'));
    bridge.kill('SIGHUP');
    await bridge.event('reloaded');
    const client = await PopDialogue.connect(bridge.port());
    await client.login('alice@example.com', APP_PASSWORD);
    await client.command('DELE 1');
    expect(await client.command('QUIT')).toMatch(/^\+OK/);
    expect(imap.mailbox('INBOX', 'alice').messages).toHaveLength(1);
    await bridge.stop('SIGKILL');
    using time = new TimeMachine();
    bridge = await BridgeProcess.start({
      config: readFileSync(join(folder, 'test.toml'), 'utf8'),
      folder,
      variables: time.ahead(2 * HOUR),
    });
  }

  test('is done without waiting for a login, also after a crash', async () => {
    await restartWithWorkToDo();
    await until(() => imap.mailbox('INBOX', 'alice').messages.length === 0);
    expect(imap.mailbox('Trash', 'alice').messages).toHaveLength(1);
    expect(bridge.events('login')).toEqual([]);
  });

  test('and was begun is done to its end when the daemon is told to stop', async () => {
    imap.setScript(({ command }) => (command.startsWith('UID MOVE') ? { delayMs: 500 } : undefined));
    await restartWithWorkToDo();
    await until(() => imap.commands.some((command) => command.startsWith('UID MOVE')));
    expect(imap.mailbox('INBOX', 'alice').messages).toHaveLength(1);
    expect(await bridge.stop()).toBe(0);
    expect(imap.mailbox('INBOX', 'alice').messages).toHaveLength(0);
    expect(bridge.log.filter(({ level }) => level !== 'info')).toEqual([]);
  });
});

describe('secrets at rest', () => {
  const state = (): string => join(folder, 'state');
  const octets = (): Buffer =>
    Buffer.concat(
      readdirSync(state())
        .map((name) => join(state(), name))
        .filter((path) => statSync(path).isFile())
        .map((path) => readFileSync(path)),
    );

  test('can not be read in any file of the state, plain or in base64, also after a new key', async () => {
    await account(['add', 'alice@example.com'], UPSTREAM.alice, APP_PASSWORD);
    await account(['add', 'bob@example.com'], UPSTREAM.bob, APP_PASSWORD);
    const key = readFileSync(join(state(), 'secrets.key'), 'utf8');
    expect((await account(['rotate-key'])).stdout).toBe('2 secrets are sealed with the new key\n');
    expect(readFileSync(join(state(), 'secrets.key'), 'utf8')).not.toBe(key);
    expect(readFileSync(join(state(), 'secrets.key'), 'utf8').trim().split('\n')).toHaveLength(1);
    expect(await logIn('bob@example.com', APP_PASSWORD)).toMatch(/^\+OK/);
    const found = octets();
    expect(SECRETS.filter((secret) => found.includes(secret) || found.includes(Buffer.from(secret).toString('base64')))).toEqual([]);
    const log = JSON.stringify(bridge.log) + bridge.stderr;
    expect(SECRETS.filter((secret) => log.includes(secret) || log.includes(Buffer.from(secret).toString('base64')))).toEqual([]);
    for (const name of ['secrets.key', 'accounts.sqlite']) expect(statSync(join(state(), name)).mode & 0o777).toBe(0o600);
  });

  test('without their key, or with another one, end the start with one line; with it all is as before', async () => {
    await account(['add', 'alice@example.com'], UPSTREAM.alice, APP_PASSWORD);
    await bridge.stop();
    const key = join(state(), 'secrets.key');
    renameSync(key, `${key}.away`);
    const expected = `popbridge: ${key}: is not the key of the secrets that are stored (of alice@example.com); put the right one back, or remove those accounts (popbridge account remove)\n`;
    const started = async (): Promise<ProgramResult> => runBridge(['serve', ...options()]);
    expect(await started()).toMatchObject({ code: 78, stderr: expected });
    writeFileSync(key, `${Buffer.alloc(32, 7).toString('base64')}\n`, { mode: 0o600 });
    expect(await started()).toMatchObject({ code: 78, stderr: expected });
    // Nothing is sealed with another key beside it; what needs none works.
    expect(await account(['add', 'bob@example.com', '--no-check'], UPSTREAM.bob)).toMatchObject({ code: 78, stderr: expected });
    expect((await account(['list'])).stdout).toContain('alice@example.com');
    rmSync(key);
    expect(await account(['add', 'bob@example.com', '--no-check'], UPSTREAM.bob)).toMatchObject({ code: 78, stderr: expected });
    expect(existsSync(key)).toBe(false);
    renameSync(`${key}.away`, key);
    bridge = await BridgeProcess.start({ config, folder });
    expect(await logIn('alice@example.com', APP_PASSWORD)).toMatch(/^\+OK/);
  });
});

describe('a key that popbridge may not change', () => {
  const state = (): string => join(folder, 'state');
  const keys = Array.from({ length: 3 }, () => randomBytes(32).toString('base64'));
  const restart = async (...lines: readonly string[]): Promise<void> => {
    await bridge.stop();
    bridge = await BridgeProcess.start({ config, folder, variables: { POPBRIDGE_SECRETS_KEY: lines.join('\n') } });
  };

  test('takes over from the one in the state directory, and is exchanged in three steps', async () => {
    await bridge.stop();
    // As one does before the service is started for the first time.
    await account(['add', 'alice@example.com'], UPSTREAM.alice, APP_PASSWORD);
    expect(existsSync(join(state(), 'secrets.key'))).toBe(true);
    const [first = '', second = ''] = keys;
    await restart(first);
    expect(await logIn('alice@example.com', APP_PASSWORD)).toMatch(/^\+OK/);
    expect(await account(['rotate-key'])).toMatchObject({ code: 0, stdout: '1 secrets are sealed with the new key\n' });
    expect(existsSync(join(state(), 'secrets.key'))).toBe(false);
    const none = await account(['rotate-key']);
    expect(none.code).toBe(1);
    expect(none.stderr).toMatch(/^popbridge: POPBRIDGE_SECRETS_KEY holds no newer key; put one on a line before the other/);
    await restart(second, first);
    expect((await account(['rotate-key'])).stdout).toBe('1 secrets are sealed with the new key\n');
    await restart(second);
    expect(await logIn('alice@example.com', APP_PASSWORD)).toMatch(/^\+OK/);
  });

  test('that is lost does not keep anybody from removing the accounts that needed it', async () => {
    const [first = '', , third = ''] = keys;
    await restart(first);
    await account(['add', 'alice@example.com'], UPSTREAM.alice, APP_PASSWORD);
    await bridge.stop();
    expect(await account(['list'])).toMatchObject({ code: 0, stdout: expect.stringContaining('alice@example.com') });
    expect((await account(['remove', 'alice@example.com'])).code).toBe(0);
    await restart(third);
    expect((await account(['list'])).stdout).toBe('there are no local accounts\n');
  });
});

describe('accounts that a file declares', () => {
  test('log in by their hashes, with a password from a file or a command, and can not be changed from outside', async () => {
    const { stdout } = await runBridge(['account', 'hash', '--password-stdin'], `${APP_PASSWORD}\n`);
    const secret = join(folder, 'upstream-password');
    writeFileSync(secret, `${UPSTREAM.alice}\n`, { mode: 0o600 });
    const declared = (source: string): string =>
      `${config}\n[[account]]\nuser = "Alice@Example.COM"\nupstream_user = "alice"\npassword_hashes = [${JSON.stringify(stdout.trim())}]\n${source}\n`;
    for (const source of [
      'upstream_password_file = "upstream-password"',
      `upstream_password_command = ["cat", ${JSON.stringify(secret)}]`,
    ]) {
      bridge.configure(declared(source));
      const before = bridge.events('reloaded').length;
      bridge.kill('SIGHUP');
      await bridge.event('reloaded', before + 1);
      expect(await logIn('Alice@example.com', APP_PASSWORD)).toMatch(/^\+OK/);
      expect(await logIn('Alice@example.com', 'another')).toMatch(/^-ERR \[AUTH\]/);
    }
    expect((await account(['remove', 'Alice@example.com'])).stderr).toMatch(/stands in the configuration file of test; change it there/);
    expect((await account(['list'])).stdout).toMatch(/Alice@example\.com {2}alice +command, in the file/);
  });

  test('whose password can not be read now are told that it passes', async () => {
    const { stdout } = await runBridge(['account', 'hash', '--password-stdin'], `${APP_PASSWORD}\n`);
    bridge.configure(
      `${config}\n[[account]]\nuser = "alice"\npassword_hashes = [${JSON.stringify(stdout.trim())}]\nupstream_password_command = ["false"]\n`,
    );
    bridge.kill('SIGHUP');
    await bridge.event('reloaded');
    expect(await logIn('alice', APP_PASSWORD)).toMatch(/^-ERR \[SYS\/TEMP\]/);
    await bridge.event('login-failed');
    expect(JSON.stringify(bridge.events('login-failed'))).toContain('the command false: failed with exit code 1');
  });
});
