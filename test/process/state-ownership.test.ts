/** Whose files popbridge writes, and which it never touches: root and the user of a service, links, state directories of others. */
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { bridgeConfig } from '../support/bridge-config.ts';
import { BridgeProcess, runBridge, type ProgramResult } from '../support/bridge-process.ts';
import { isRoot } from '../support/peers/locate.ts';
import { PROGRAM } from '../support/program.ts';

/** The user of the service, whom the machine need not know. */
const SERVICE = 65_533;
const service = { uid: SERVICE, gid: SERVICE };
/** Root alone may give files away, and the user of the service has to be able to read the program. */
const mayBecomeOthers = isRoot && spawnSync('test', ['-r', PROGRAM], service).status === 0;

let folder: string;
let config: string;
let state: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'popbridge-owner-'));
  chmodSync(folder, 0o755);
  config = join(folder, 'config');
  state = join(folder, 'state');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const run = (command: readonly string[], input = ''): Promise<ProgramResult> =>
  runBridge([...command, '--config', config, '--state', state], input);
const add = (user = 'alice@fastmail.com'): Promise<ProgramResult> =>
  run(['account', 'add', user, '--yes', '--no-check', '--password-stdin'], 'of the provider 4711\nof this machine 4712\n');
const serve = (): Promise<ProgramResult> => run(['serve']);

function makeState(owner = service): void {
  mkdirSync(state, { mode: 0o700 });
  chownSync(state, owner.uid, owner.gid);
}

function configure(tables = ''): void {
  mkdirSync(config);
  chmodSync(config, 0o755);
  writeFileSync(join(config, 'mail.toml'), bridgeConfig({ imapPort: 1, tables: `[login]\nmode = "accounts"\n${tables}` }));
  chmodSync(join(config, 'mail.toml'), 0o644);
}

const isReadable = (path: string, user = service): boolean => spawnSync('test', ['-r', path], user).status === 0;
const ownersIn = (path: string): number[] => [...new Set(readdirSync(path).map((name) => lstatSync(join(path, name)).uid))];

describe.runIf(mayBecomeOthers)('root, at the state directory of the user of a service,', () => {
  test.for([
    ['that is there', 'config', (): void => mkdirSync(config, { mode: 0o755 })],
    ['that is not there yet', 'config', (): void => {}],
    ['deep below one that is there', 'deep/er/config', (): void => {}],
  ] as const)(
    'writes a configuration that this user can read, and nobody but root can change, into a directory %s',
    async ([, path, make]) => {
      makeState();
      config = join(folder, path);
      make();
      expect(await add()).toMatchObject({ code: 0 });
      const file = join(config, 'fastmail.com.toml');
      expect(isReadable(file)).toBe(true);
      const { mode, uid, gid } = statSync(file);
      expect([(mode & 0o777).toString(8), uid, gid]).toEqual(['640', 0, SERVICE]);
      expect(statSync(config).mode & 0o022).toBe(0);
      expect(ownersIn(state)).toEqual([SERVICE]);
    },
  );

  test('writes one that everybody can read where that user and root have no group of their own in common', async () => {
    makeState({ uid: SERVICE, gid: 0 });
    expect(await add()).toMatchObject({ code: 0 });
    const file = join(config, 'fastmail.com.toml');
    expect(isReadable(file)).toBe(true);
    expect((statSync(file).mode & 0o777).toString(8)).toBe('644');
  });

  test('does all other work as that user', async () => {
    makeState();
    configure();
    for (const [command, input] of [
      [['account', 'add', 'alice', '--no-check', '--password-stdin'], 'of the provider 4711\nof this machine 4712\n'],
      [['account', 'passwd', 'alice', '--device', 'pc', '--password-stdin'], 'of this machine 4713\n'],
      [['account', 'passwd', 'alice', '--upstream-password', '--no-check', '--password-stdin'], 'of the provider 4714\n'],
      [['account', 'rotate-key'], ''],
      [['maildrop', 'list'], ''],
      [['account', 'remove', 'alice'], ''],
    ] as const) {
      expect(await run(command, input), command.join(' ')).toMatchObject({ code: 0, stderr: '' });
      expect(ownersIn(state), command.join(' ')).toEqual([SERVICE]);
    }
    expect((statSync(join(state, 'secrets.key')).mode & 0o777).toString(8)).toBe('600');
  });

  test('does not start the daemon there: exit 77, and nothing is written', async () => {
    makeState();
    configure();
    const { code, stderr } = await serve();
    expect([code, stderr]).toEqual([
      77,
      `popbridge: the state directory ${state} belongs to user ${SERVICE}, and this command runs as user 0; run it as user ${SERVICE}, or name another directory with --state\n`,
    ]);
    expect(readdirSync(state)).toEqual([]);
  });

  test.for(['daemon.lock', 'accounts.sqlite', 'control.sock', 'secrets.key'])('does not follow a link named %s', async (name) => {
    makeState();
    configure();
    const file = join(folder, 'of-root');
    writeFileSync(file, 'of root', { mode: 0o644 });
    symlinkSync(file, join(state, name));
    expect(await add('alice')).toMatchObject({ code: 77, stderr: expect.stringContaining(`${join(state, name)} is a symbolic link`) });
    expect([readFileSync(file, 'utf8'), statSync(file).uid]).toEqual(['of root', 0]);
  });
});

describe.runIf(mayBecomeOthers)('root', () => {
  test('gives a configuration file the group of its directory, where no daemon has run yet', async () => {
    mkdirSync(config, { mode: 0o750 });
    chownSync(config, 0, SERVICE);
    expect(await add()).toMatchObject({ code: 0 });
    expect(isReadable(join(config, 'fastmail.com.toml'))).toBe(true);
  });

  test('keeps no UID map in a folder of another user', async () => {
    const elsewhere = join(folder, 'elsewhere');
    mkdirSync(elsewhere);
    chownSync(elsewhere, SERVICE, SERVICE);
    configure(`[store]\nurl = "sqlite:${join(elsewhere, 'map.sqlite')}"\n`);
    config = join(config, 'mail.toml');
    expect(await serve()).toMatchObject({
      code: 77,
      stderr: expect.stringContaining(`the folder ${elsewhere} belongs to user ${SERVICE}`),
    });
    expect(readdirSync(elsewhere)).toEqual([]);
  });

  test('does not use a file that another user has put there', async () => {
    configure();
    mkdirSync(state, { mode: 0o700 });
    writeFileSync(join(state, 'popbridge.sqlite'), '');
    chownSync(join(state, 'popbridge.sqlite'), SERVICE, SERVICE);
    const { code, stderr } = await serve();
    expect([code, stderr.split(': ')[1]]).toEqual([
      77,
      `${join(state, 'popbridge.sqlite')} belongs to user ${SERVICE}, and the state directory to user 0; run`,
    ]);
  });
});

test.runIf(mayBecomeOthers)('a user is not let ask the daemon of another one, who would get the passwords', () => {
  configure();
  mkdirSync(state);
  chmodSync(state, 0o755);
  const args = [PROGRAM, 'account', 'list', '--config', config, '--state', state];
  const { status, stderr } = spawnSync(process.execPath, args, { ...service, encoding: 'utf8' });
  expect([status, stderr]).toEqual([
    77,
    `popbridge: the state directory ${state} belongs to user 0, and this command runs as user ${SERVICE}; run it as user 0, or name another directory with --state\n`,
  ]);
});

describe('a link in the state directory', () => {
  const NAMES = [
    'daemon.lock',
    'daemon.lock-journal',
    'popbridge.sqlite',
    'popbridge.sqlite-wal',
    'popbridge.sqlite-shm',
    'popbridge.sqlite.derivations',
    'accounts.sqlite',
    'accounts.sqlite-wal',
    'secrets.key',
    'control.sock',
  ];

  test.for(NAMES)('named %s keeps the daemon from starting: exit 77; nothing is made where it leads', async (name) => {
    configure();
    mkdirSync(state, { mode: 0o700 });
    symlinkSync(join(folder, 'absent'), join(state, name));
    const { code, stderr } = await serve();
    expect(code).toBe(77);
    expect(stderr).toBe(
      `popbridge: ${join(state, name)} is a symbolic link, and popbridge follows none to its own files; remove it, or put the file that it names there\n`,
    );
    expect(existsSync(join(folder, 'absent'))).toBe(false);
  });

  test('named like the store that the configuration names elsewhere is no better', async () => {
    const path = join(folder, 'map.sqlite');
    configure(`[store]\nurl = "sqlite:${path}"\n`);
    config = join(config, 'mail.toml');
    for (const name of [`${path}.lock`, path, `${path}.derivations`, `${path}.accounts`]) {
      symlinkSync(join(folder, 'absent'), name);
      expect(await serve()).toMatchObject({ code: 77, stderr: expect.stringContaining(`${name} is a symbolic link`) });
      rmSync(name);
    }
    expect(existsSync(join(folder, 'absent'))).toBe(false);
  });

  test('is refused as any other thing that is no socket is, in the place of the control socket', async () => {
    configure();
    mkdirSync(join(state, 'control.sock'), { recursive: true, mode: 0o700 });
    expect(await serve()).toMatchObject({ code: 77, stderr: `popbridge: ${join(state, 'control.sock')} is not a socket; move it away\n` });
  });
});

test('the state directory itself may be a link, as systemd makes one for DynamicUser=', async () => {
  mkdirSync(join(folder, 'private'), { mode: 0o700 });
  symlinkSync('private', state);
  await using bridge = await BridgeProcess.start({ config: bridgeConfig({ imapPort: 1 }), folder });
  expect(readdirSync(join(folder, 'private'))).toContain('popbridge.sqlite');
  expect(await bridge.stop()).toBe(0);
});
