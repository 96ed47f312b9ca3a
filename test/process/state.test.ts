/** The state on disk: damage, a full disk, two daemons, a clock that jumps (SECURITY.md, fault matrix); crashes are in killed.test.ts. */
import { execFileSync } from 'node:child_process';
import { copyFileSync, cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { bridgeConfig } from '../support/bridge-config.ts';
import { allowInLog, BridgeProcess, runBridge } from '../support/bridge-process.ts';
import { BridgeSite, type Shown } from '../support/bridge-site.ts';
import { endsWithEachTest } from '../support/ends-with-tests.ts';
import { ImapServer } from '../support/imap-server.ts';
import { PopDialogue } from '../support/pop-dialogue.ts';
import { until } from '../support/until.ts';

allowInLog('delete-failed', 'login-failed', 'map-rematched', 'save-failed', 'store-rebuilt');

const open = endsWithEachTest();

async function started(tables = ''): Promise<BridgeSite> {
  const it = await BridgeSite.start({ tables });
  it.deliver('INBOX', 'one', 'two', 'three');
  return it;
}

async function site(tables = ''): Promise<BridgeSite> {
  const it = await started(tables);
  open.push(it);
  return it;
}

async function restarted(it: BridgeSite, tables = ''): Promise<BridgeSite> {
  const again = await it.restart('SIGTERM', tables);
  open.push(again.bridge);
  return again;
}

const stateOf = (it: BridgeSite): string => join(it.bridge.folder, 'state');

/** Overwrites octets in the middle of the file of a daemon that has ended. */
function damage(state: string): void {
  const path = join(state, 'popbridge.sqlite');
  const octets = readFileSync(path);
  octets.fill(0x5a, 4096 + 16, octets.length - 64);
  writeFileSync(path, octets);
}

describe('a damaged UID map', () => {
  /** Its daemon has ended, and its map is damaged. */
  let it: BridgeSite;
  let before: Shown;
  beforeAll(async () => {
    it = await started();
    before = await it.look();
    await it.bridge.stop();
    damage(stateOf(it));
  });
  afterAll(() => it[Symbol.asyncDispose]());

  test('is refused where the template has changed since', async () => {
    // The next test has it made again.
    const state = join(it.bridge.folder, 'copy');
    cpSync(stateOf(it), state, { recursive: true });
    const config = join(it.bridge.folder, 'other.toml');
    writeFileSync(config, bridgeConfig({ imapPort: it.imap.port, tables: '[maildrop]\nunique_id = "uw"' }), { mode: 0o600 });
    const refused = await runBridge(['serve', '--config', config, '--state', state]);
    expect(refused).toMatchObject({ code: 1, stderr: expect.stringContaining('popbridge.sqlite is damaged') });
  });

  test('is moved aside and made again where every unique-id follows from the template', async () => {
    const again = await restarted(it);
    expect((await again.look()).ids).toEqual(before.ids);
    expect(readdirSync(stateOf(it)).filter((name) => name.includes('.corrupt-'))).not.toEqual([]);
    await again.bridge.event('store-rebuilt');
    expect(again.bridge.events('store-rebuilt')).toHaveLength(1);
  });

  test.for([
    ['what was hidden', '[delete]\naction = "hide"', (it: BridgeSite) => it.delete('alice', 'one')],
    [
      'ids kept across UIDVALIDITY',
      '',
      async (it: BridgeSite) => {
        await it.look();
        it.imap.mailbox('INBOX').resetUidValidity();
        await it.look();
      },
    ],
  ] as const)('is refused with a clear text where it holds %s', async ([, tables, prepare]) => {
    const it = await site(tables);
    await prepare(it);
    await it.bridge.stop();
    damage(stateOf(it));
    const config = join(it.bridge.folder, 'test.toml');
    const { code, stderr } = await runBridge(['serve', '--config', config, '--state', stateOf(it)]);
    expect(code).toBe(1);
    expect(stderr).toMatch(
      /^popbridge: .*popbridge\.sqlite is damaged and holds unique-ids that can't be made again; restore it from a backup, or move it away/,
    );
    expect(readdirSync(stateOf(it)).filter((name) => name.includes('.corrupt-'))).toEqual([]);
  });
});

describe('a state that can not be written', () => {
  /** As a full disk does, it refuses every write. */
  function fill(state: string): DatabaseSync {
    const database = new DatabaseSync(join(state, 'popbridge.sqlite'));
    database.exec('BEGIN IMMEDIATE');
    return database;
  }

  describe('for a while', () => {
    let it: BridgeSite;
    beforeAll(async () => {
      it = await started();
    });
    afterAll(() => it[Symbol.asyncDispose]());

    test('keeps every message that was to be deleted: QUIT says so', async () => {
      await it.look();
      const client = await it.open();
      await client.command('DELE 1');
      const holder = fill(stateOf(it));
      expect(await client.command('QUIT')).toBe('-ERR [SYS/TEMP] 1 of 1 messages not deleted');
      holder.exec('ROLLBACK');
      holder.close();
      expect(it.upstream()).toEqual(['one', 'two', 'three']);
      await until(() => it.bridge.events('session-end').length === 2);
    });

    test('does not keep users from their mail where unique-ids follow from the template; they come out the same later', async () => {
      const { ids } = await it.look();
      it.deliver('INBOX', 'four');
      const holder = fill(stateOf(it));
      const failures = it.bridge.events('save-failed').length;
      const meanwhile = await it.look();
      expect(meanwhile.ids).toMatchObject(ids);
      await it.bridge.event('save-failed', failures + 1);
      holder.exec('ROLLBACK');
      holder.close();
      expect((await it.look()).ids).toEqual(meanwhile.ids);
    });

    test('refuses the login where an id would not be the same next time', async () => {
      await it.look();
      it.imap.mailbox('INBOX').resetUidValidity();
      const holder = fill(stateOf(it));
      await expect(it.open()).rejects.toThrow('-ERR [SYS/TEMP]');
      holder.exec('ROLLBACK');
      holder.close();
    });
  });

  test('for want of room on the disk gives mail under the same ids, and QUIT tells the truth', async () => {
    const it = await site();
    const { ids } = await it.look();
    // The daemon's files may not grow any more.
    const limitFiles = (octets: string): void =>
      void execFileSync('prlimit', ['--pid', String(it.bridge.pid), `--fsize=${octets}:unlimited`]);
    limitFiles('4096');
    it.deliver('INBOX', 'four');
    const meanwhile = await it.look();
    expect(meanwhile.ids).toMatchObject(ids);
    await it.bridge.event('save-failed');
    expect(it.bridge.events('save-failed').length).toBeGreaterThan(0);
    const before = it.upstream('INBOX');
    const client = await it.open();
    await client.command('DELE 1');
    expect(await client.command('QUIT')).toBe('-ERR [SYS/TEMP] 1 of 1 messages not deleted');
    expect(it.upstream('INBOX')).toEqual(before);
    limitFiles('unlimited');
    expect((await it.look()).ids).toEqual(meanwhile.ids);
    const again = await it.restart('SIGKILL', '');
    open.push(again.bridge);
    expect((await again.look()).ids).toEqual(meanwhile.ids);
  });

  test('that can be written again at the end of the session holds all of the map then, not only what changed in it', async () => {
    const it = await site();
    // In another segment of the map.
    it.imap.mailbox('INBOX').uidNext = 3_000;
    it.deliver('INBOX', 'far');
    const holder = fill(stateOf(it));
    const client = await it.open();
    const shown = await client.multi('UIDL');
    holder.exec('ROLLBACK');
    holder.close();
    await client.multi('RETR 2');
    await client.command('QUIT');
    await until(() => it.bridge.events('session-end').length === 1);
    const again = await it.restart('SIGKILL', '');
    open.push(again.bridge);
    expect(Object.values((await again.look()).ids)).toEqual(shown.map((line) => line.split(' ')[1]));
  });
});

describe('two daemons', () => {
  test('with state directories of their own can not share one file: exit 75', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'popbridge-shared-'));
    const it = await site(`[store]\nurl = "sqlite:${join(folder, 'shared.sqlite')}"`);
    const config = join(it.bridge.folder, 'test.toml');
    const { code, stderr } = await runBridge(['serve', '--config', config, '--state', join(folder, 'other')]);
    expect([code, stderr]).toEqual([75, `popbridge: another daemon holds the store ${join(folder, 'shared.sqlite')}\n`]);
    rmSync(folder, { recursive: true });
  });
});

test('a wall clock that jumps a day ahead, and two back, changes nothing', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'popbridge-clock-'));
  const path = join(folder, 'clock');
  const preload = fileURLToPath(new URL('../support/clock-jump.cjs', import.meta.url));
  await using imap = await ImapServer.start({ users: { alice: 'secret' } });
  for (let index = 1; index <= 3; index += 1) imap.mailbox('INBOX').append(`Subject: ${index}\r\n\r\nbody\r\n`);
  await using bridge = await BridgeProcess.start({
    config: bridgeConfig({ imapPort: imap.port }),
    variables: { NODE_OPTIONS: `--require ${preload}`, CLOCK_JUMP: path },
  });
  const jump = async (days: number): Promise<void> => {
    writeFileSync(path, String(days * 86_400_000));
    bridge.kill('SIGUSR2');
    await until(() => existsSync(`${path}.taken`));
    rmSync(`${path}.taken`);
  };
  const login = async (): Promise<PopDialogue> => {
    const client = await PopDialogue.connect(bridge.port());
    await client.login('alice', 'secret');
    return client;
  };
  const first = await login();
  const ids = await first.multi('UIDL');
  for (const days of [1, -1]) {
    await jump(days);
    expect(await first.command('NOOP')).toMatch(/^\+OK/);
    expect(await first.multi('UIDL')).toEqual(ids);
  }
  expect(await first.command('QUIT')).toBe('+OK bye');
  for (const days of [1, -2, 0]) {
    await jump(days);
    const next = await login();
    expect(await next.multi('UIDL')).toEqual(ids);
    expect(await next.command('QUIT')).toBe('+OK bye');
  }
  expect(imap.logins).toBe(1);
  rmSync(folder, { recursive: true });
});

test('an old copy of the state that is put back gives no unique-id to another message', async () => {
  const it = await site();
  await it.glance();
  await it.bridge.stop();
  const path = join(stateOf(it), 'popbridge.sqlite');
  copyFileSync(path, `${path}.backup`);
  const again = await restarted(it);
  again.deliver('INBOX', 'four');
  const { ids } = await again.look();
  await again.bridge.stop();
  copyFileSync(`${path}.backup`, path);
  for (const part of ['-wal', '-shm']) if (existsSync(path + part)) rmSync(path + part);
  const third = await BridgeProcess.start({ config: bridgeConfig({ imapPort: it.imap.port }), folder: it.bridge.folder });
  open.push(third);
  const client = await PopDialogue.connect(third.port());
  await client.login('alice', 'secret');
  expect((await client.multi('UIDL')).map((line) => line.split(' ')[1])).toEqual(Object.values(ids));
});
