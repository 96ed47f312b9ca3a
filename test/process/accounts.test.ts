/** Local accounts, as an administrator and as mail programs see them. */
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { randomBytes } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
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
const APP_PASSWORD = 'typed into a mail program';
const SECRETS = [...Object.values(UPSTREAM), APP_PASSWORD];

let imap: ImapServer;
let bridge: BridgeProcess;
let config: string;
let folder: string;
let opened: AsyncDisposableStack;
/** A folder in whose state alice@example.com has an account, as she was added where no daemon runs. */
let withAlice: string;
/** Each test logs in from an address of its own, as refused logins of one hold up the next. */
let place = 0;

beforeAll(async () => {
  await begin();
  expect((await account(['add', 'alice@example.com'], UPSTREAM.alice, APP_PASSWORD)).code).toBe(0);
  withAlice = mkdtempSync(join(tmpdir(), 'popbridge-accounts-'));
  cpSync(folder, withAlice, { recursive: true });
  await end();
});
afterAll(() => rmSync(withAlice, { recursive: true, force: true }));
beforeEach(() => void (place += 1));

/** A mail server, a configuration for it, and a state: an empty one, or a copy of that which is given. */
async function begin(from?: string): Promise<void> {
  opened = new AsyncDisposableStack();
  folder = mkdtempSync(join(tmpdir(), 'popbridge-accounts-'));
  opened.defer(() => rmSync(folder, { recursive: true, force: true }));
  if (from !== undefined) cpSync(from, folder, { recursive: true });
  imap = opened.use(await ImapServer.start({ users: UPSTREAM }));
  for (const user of Object.keys(UPSTREAM)) imap.mailbox('INBOX', user).append(`Subject: for ${user}\r\n\r\nbody\r\n`);
  config = bridgeConfig({
    imapPort: imap.port,
    upstream: ['linger = "0s"', 'username = "{local}"'],
    tables: '[login]\nmode = "accounts"',
  });
  configure(config);
}

/** For commands alone; a daemon that runs does not read it. */
function configure(text: string): void {
  writeFileSync(join(folder, 'test.toml'), text, { mode: 0o600 });
}

async function serve(text = config, variables: Readonly<Record<string, string>> = {}): Promise<void> {
  bridge = opened.use(await BridgeProcess.start({ config: text, folder, variables }));
}

function end(): Promise<void> {
  return opened.disposeAsync();
}

async function reload(text: string): Promise<void> {
  const before = bridge.events('reloaded').length;
  bridge.configure(text);
  bridge.kill('SIGHUP');
  await bridge.event('reloaded', before + 1);
}

const options = (): string[] => ['--config', join(folder, 'test.toml'), '--state', join(folder, 'state')];
const account = (args: readonly string[], ...lines: readonly string[]): Promise<ProgramResult> =>
  runBridge(
    ['account', ...args, ...(lines.length > 0 ? ['--password-stdin'] : []), ...options()],
    lines.map((line) => `${line}\n`).join(''),
  );

async function logIn(user: string, password: string): Promise<string> {
  const client = await PopDialogue.connect(bridge.port(), { localAddress: `127.0.2.${place}` });
  await client.command(`USER ${user}`);
  const answer = await client.command(`PASS ${password}`);
  await client.command('QUIT');
  client.close();
  return answer;
}

describe('at one daemon:', () => {
  beforeAll(async () => {
    await begin();
    await serve();
  });
  afterAll(end);

  describe('popbridge account', () => {
    test('refuses what the server refuses, and keeps nothing of it', async () => {
      const refused = await account(['add', 'alice@example.com'], 'not the password');
      expect(refused).toMatchObject({ code: 69, stdout: '' });
      expect(refused.stderr).toMatch(/^popbridge: the mail server of test refuses alice with that password: [^\n]+\n$/);
      // No test before has added one.
      expect((await account(['list'])).stdout).toBe('there are no local accounts\n');
      expect(await account(['add', 'alice@example.com', '--no-check'], 'not the password')).toMatchObject({ code: 0 });
    });

    test('tells what the provider is known to want where it refuses somebody', async () => {
      configure(config.replace('[upstream]', '[upstream]\npreset = "icloud"'));
      const refused = await account(['add', 'alice@refused.example'], 'not the password');
      configure(config);
      expect(refused.stderr).toMatch(
        /^Apple iCloud Mail: Make an app-specific password: [^\n]+\npopbridge: the mail server of test refuses alice/,
      );
    });

    test('adds an account with an app password of its own, which is the only one that counts here', async () => {
      const added = await account(['add', 'alice@first.example'], UPSTREAM.alice);
      expect(added).toMatchObject({ code: 0, stderr: '' });
      const password = /^ {4}([a-z-]{24})$/m.exec(added.stdout)?.[1] ?? '';
      expect(await logIn('alice@FIRST.example', password)).toMatch(/^\+OK/);
      const logins = imap.commands.filter((command) => /^(?:LOGIN|AUTHENTICATE)/.test(command)).length;
      expect(await logIn('alice@first.example', UPSTREAM.alice)).toBe('-ERR [AUTH] user name or password refused');
      expect(await logIn('nobody@first.example', password)).toBe('-ERR [AUTH] user name or password refused');
      // A wrong one touches no server.
      expect(imap.commands.filter((command) => /^(?:LOGIN|AUTHENTICATE)/.test(command))).toHaveLength(logins);
    });

    test('gives each device a password, and takes one away without touching the others', async () => {
      await account(['add', 'alice@devices.example', '--device', 'phone'], UPSTREAM.alice, APP_PASSWORD);
      const laptop = await account(['passwd', 'alice@devices.example', '--device', 'laptop'], 'another app password');
      expect(laptop.stdout).toBe('alice@devices.example may log in with that app password (laptop)\n');
      expect(await logIn('alice@devices.example', 'another app password')).toMatch(/^\+OK/);
      const listed = JSON.parse((await account(['list', '--json'])).stdout) as {
        user: string;
        devices: { name: string; usedAt: number }[];
      }[];
      const devices = listed.find(({ user }) => user === 'alice@devices.example')?.devices;
      expect(devices?.map(({ name, usedAt }) => [name, usedAt > 0])).toEqual([
        ['laptop', true],
        ['phone', false],
      ]);
      expect((await account(['passwd', 'alice@devices.example', '--device', 'laptop', '--remove'])).code).toBe(0);
      expect(await logIn('alice@devices.example', 'another app password')).toMatch(/^-ERR \[AUTH\]/);
      expect(await logIn('alice@devices.example', APP_PASSWORD)).toMatch(/^\+OK/);
      const unknown = await account(['passwd', 'alice@devices.example', '--device', 'tablet', '--remove']);
      expect(unknown).toMatchObject({ code: 1, stderr: 'popbridge: alice@devices.example has no device "tablet"; there are: phone\n' });
    });

    test('changes the stored password of the server, of which a client is told when it is refused', async () => {
      await account(['add', 'alice@changed.example', '--no-check'], 'an old password', APP_PASSWORD);
      expect(await logIn('alice@changed.example', APP_PASSWORD)).toBe(
        '-ERR [AUTH] mail server refuses the stored password, run: popbridge account passwd USER --upstream-password',
      );
      expect((await account(['passwd', 'alice@changed.example', '--upstream-password'], UPSTREAM.alice)).code).toBe(0);
      expect(await logIn('alice@changed.example', APP_PASSWORD)).toMatch(/^\+OK/);
    });

    test('is what other commands know users by: the account stands for its user on the server', async () => {
      await account(['add', 'mail@example.com', '--upstream-user', 'alice'], UPSTREAM.alice, APP_PASSWORD);
      expect(await logIn('mail@example.com', APP_PASSWORD)).toMatch(/^\+OK/);
      const shown = await runBridge(['maildrop', 'show', '--user', 'mail@example.com', ...options()]);
      expect(shown.stdout).toMatch(/1 messages, 0 of them hidden/);
      const checked = await runBridge(['check', '--online', '--user', 'mail@example.com', ...options()]);
      expect(checked).toMatchObject({ code: 0, stdout: expect.stringContaining('mailbox: INBOX, 1 message,') });
      const unknown = await runBridge(['check', '--online', '--user', 'carol@example.com', ...options()]);
      expect(unknown).toMatchObject({ code: 1, stderr: 'popbridge: there is no account carol@example.com of the upstream test\n' });
    });

    test('removes an account with all that was stored of it', async () => {
      await account(['add', 'alice@removed.example'], UPSTREAM.alice, APP_PASSWORD);
      expect((await account(['remove', 'alice@removed.example'])).code).toBe(0);
      expect(await logIn('alice@removed.example', APP_PASSWORD)).toMatch(/^-ERR \[AUTH\]/);
      expect(await account(['remove', 'alice@removed.example'])).toMatchObject({
        code: 1,
        stderr: 'popbridge: there is no account alice@removed.example of the upstream test\n',
      });
    });
  });

  describe('accounts that a file declares', () => {
    let hashed: string;
    beforeAll(async () => {
      hashed = (await runBridge(['account', 'hash', '--password-stdin'], `${APP_PASSWORD}\n`)).stdout.trim();
    });

    test('log in by their hashes, with a password from a file or a command, and can not be changed from outside', async () => {
      const secret = join(folder, 'upstream-password');
      writeFileSync(secret, `${UPSTREAM.alice}\n`, { mode: 0o600 });
      const declared = (source: string): string =>
        `${config}\n[[account]]\nuser = "Alice@Declared.Example.COM"\nupstream_user = "alice"\npassword_hashes = [${JSON.stringify(hashed)}]\n${source}\n`;
      for (const source of [
        'upstream_password_file = "upstream-password"',
        `upstream_password_command = ["cat", ${JSON.stringify(secret)}]`,
      ]) {
        await reload(declared(source));
        expect(await logIn('Alice@declared.example.com', APP_PASSWORD)).toMatch(/^\+OK/);
        expect(await logIn('Alice@declared.example.com', 'another')).toMatch(/^-ERR \[AUTH\]/);
      }
      expect((await account(['remove', 'Alice@declared.example.com'])).stderr).toMatch(
        /stands in the configuration file of test; change it there/,
      );
      expect((await account(['list'])).stdout).toMatch(/Alice@declared\.example\.com {2}alice +command, in the file/);
    });

    test('whose password can not be read now are told that it passes', async () => {
      const failures = bridge.events('login-failed').length;
      await reload(
        `${config}\n[[account]]\nuser = "alice"\npassword_hashes = [${JSON.stringify(hashed)}]\nupstream_password_command = ["false"]\n`,
      );
      expect(await logIn('alice', APP_PASSWORD)).toMatch(/^-ERR \[SYS\/TEMP\]/);
      await bridge.event('login-failed', failures + 1);
      expect(JSON.stringify(bridge.events('login-failed'))).toContain('the command false: failed with exit code 1');
    });
  });
});

describe('popbridge account', () => {
  afterEach(end);

  test('works where no daemon runs, and says what is wrong with what it is given', async () => {
    await begin(withAlice);
    expect((await account(['add', 'alice@example.com'], UPSTREAM.alice)).stderr).toMatch(/exists already; "popbridge account passwd"/);
    expect((await account(['add', 'bob@example.com'], UPSTREAM.bob, 'short')).stderr).toMatch(/app password is too short; give at least 8/);
    expect((await account(['add', 'bob@example.com', '--upstream', 'other'], UPSTREAM.bob)).stderr).toMatch(
      /there is no upstream "other"; there are: test/,
    );
    expect((await account(['list'])).stdout).toMatch(/alice@example\.com {2}alice/);
  });

  test('keeps nothing for a daemon that keeps nothing, and says so', async () => {
    await begin();
    configure(`${config}\n[store]\nurl = "memory:"\n`);
    expect(await account(['add', 'alice@example.com'], UPSTREAM.alice)).toMatchObject({
      code: 1,
      stdout: '',
      stderr: 'popbridge: store.url = "memory:" keeps nothing outside the daemon; start it first\n',
    });
  });

  test('is told that users of an upstream without local accounts log in there', async () => {
    await begin();
    configure(bridgeConfig({ imapPort: imap.port }));
    expect(await account(['add', 'alice'], UPSTREAM.alice)).toMatchObject({
      code: 1,
      stderr:
        'popbridge: users of the upstream test log in with their password there; set login.mode = "accounts" in its file for local accounts\n',
    });
  });
});

test('a connection that was kept serves nobody whose password of the server was changed since', async () => {
  await begin(withAlice);
  await using _ = opened;
  await serve(config.replace('linger = "0s"', 'linger = "5m"'));
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

describe('an account', () => {
  beforeAll(async () => {
    await begin(withAlice);
    await serve();
  });
  afterAll(end);

  test('what a server repeats of the stored password after the login does not come into the log either', async () => {
    const client = await PopDialogue.connect(bridge.port());
    await client.login('alice@example.com', APP_PASSWORD);
    const reply = `NO [SERVERBUG] ${UPSTREAM.alice}, is it?`;
    imap.setScript(({ verb }) => (verb === 'UID FETCH' || verb === 'UID MOVE' ? { reply } : undefined));
    expect(await client.command('RETR 1')).toMatch(/^-ERR/);
    await client.command('DELE 1');
    expect(await client.command('QUIT')).toMatch(/^-ERR/);
    imap.setScript(undefined);
    await bridge.event('session-end');
    expect(bridge.rawLog.join('\n')).toContain('[secret], is it?');
    // That it stands there nowhere is looked at when the daemon ends.
  });

  test('guesses at an account from many addresses are tried ever later; its owner, who was here before, is not held up', async () => {
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
});

describe('what is due', () => {
  beforeEach(() => begin(withAlice));
  afterEach(end);

  /** Deletes a message that is due when the daemon has been killed and is started again. */
  async function restartWithWorkToDo(): Promise<void> {
    const deleting = config.replace('mode = "accounts"', 'mode = "accounts"\n[delete]\nafter = "1h"\naction = "trash"');
    await serve(deleting);
    const client = await PopDialogue.connect(bridge.port());
    await client.login('alice@example.com', APP_PASSWORD);
    await client.command('DELE 1');
    expect(await client.command('QUIT')).toMatch(/^\+OK/);
    expect(imap.mailbox('INBOX', 'alice').messages).toHaveLength(1);
    await bridge.stop('SIGKILL');
    using time = new TimeMachine();
    await serve(deleting, time.ahead(2 * HOUR));
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
  beforeEach(() => begin(withAlice));
  afterEach(end);

  const state = (): string => join(folder, 'state');
  const octets = (): Buffer =>
    Buffer.concat(
      readdirSync(state())
        .map((name) => join(state(), name))
        .filter((path) => statSync(path).isFile())
        .map((path) => readFileSync(path)),
    );

  test('can not be read in any file of the state, plain or in base64, also after a new key', async () => {
    await serve();
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
    await serve();
    expect(await logIn('alice@example.com', APP_PASSWORD)).toMatch(/^\+OK/);
  });
});

describe('a key that popbridge may not change', () => {
  beforeEach(() => begin(withAlice));
  afterEach(end);

  const state = (): string => join(folder, 'state');
  const keys = Array.from({ length: 3 }, () => randomBytes(32).toString('base64'));
  const serveWith = (...lines: readonly string[]): Promise<void> => serve(config, { POPBRIDGE_SECRETS_KEY: lines.join('\n') });

  test('takes over from the one in the state directory, and is exchanged in three steps', async () => {
    // The account was added before the service is started for the first time.
    expect(existsSync(join(state(), 'secrets.key'))).toBe(true);
    const [first = '', second = ''] = keys;
    await serveWith(first);
    expect(await logIn('alice@example.com', APP_PASSWORD)).toMatch(/^\+OK/);
    expect(await account(['rotate-key'])).toMatchObject({ code: 0, stdout: '1 secrets are sealed with the new key\n' });
    expect(existsSync(join(state(), 'secrets.key'))).toBe(false);
    const none = await account(['rotate-key']);
    expect(none.code).toBe(1);
    expect(none.stderr).toMatch(/^popbridge: POPBRIDGE_SECRETS_KEY holds no newer key; put one on a line before the other/);
    await bridge.stop();
    await serveWith(second, first);
    expect((await account(['rotate-key'])).stdout).toBe('1 secrets are sealed with the new key\n');
    await bridge.stop();
    await serveWith(second);
    expect(await logIn('alice@example.com', APP_PASSWORD)).toMatch(/^\+OK/);
  });

  test('that is lost does not keep anybody from removing the accounts that needed it', async () => {
    const [first = '', , third = ''] = keys;
    rmSync(state(), { recursive: true });
    const added = await runBridge(
      ['account', 'add', 'alice@example.com', '--password-stdin', ...options()],
      `${UPSTREAM.alice}\n${APP_PASSWORD}\n`,
      { POPBRIDGE_SECRETS_KEY: first },
    );
    expect(added.code).toBe(0);
    expect(existsSync(join(state(), 'secrets.key'))).toBe(false);
    expect(await account(['list'])).toMatchObject({ code: 0, stdout: expect.stringContaining('alice@example.com') });
    expect((await account(['remove', 'alice@example.com'])).code).toBe(0);
    await serveWith(third);
    expect((await account(['list'])).stdout).toBe('there are no local accounts\n');
  });
});
