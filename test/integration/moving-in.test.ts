/** Moving in without fetching again: what real clients and servers know, taken over by `popbridge maildrop import`. */
import { mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { bridgeConfig } from '../support/bridge-config.ts';
import { BridgeProcess, runBridge } from '../support/bridge-process.ts';
import { Dovecot } from '../support/peers/dovecot.ts';
import { describeWithPeers } from '../support/peers/peers.ts';
import { pop3Clients, type Pop3Client } from '../support/peers/pop3-clients.ts';
import { PopDialogue } from '../support/pop-dialogue.ts';

const USER = 'alice';
const PASSWORD = 'secret';
const mail = Array.from({ length: 5 }, (_, index) => ({
  raw: Buffer.from(`Subject: ${index}\r\nMessage-ID: <${index}@example.com>\r\n\r\nbody ${index}\r\n`),
  receivedAt: new Date(Date.UTC(2026, 0, index + 1)),
}));

let folder: string;
const open: AsyncDisposable[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'popbridge-moving-'));
});

afterEach(async () => {
  for (const resource of open.splice(0).reverse()) await resource[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

async function uniqueIds(port: number): Promise<string[]> {
  const client = await PopDialogue.connect(port);
  await client.login(USER, PASSWORD);
  const lines = await client.multi('UIDL');
  await client.command('QUIT');
  return lines.map((line) => line.replace(/^\d+ /, ''));
}

async function bridgeBefore(server: Dovecot): Promise<BridgeProcess> {
  const bridge = await BridgeProcess.start({ config: bridgeConfig({ imapPort: server.ports.imap }) });
  open.push(bridge);
  return bridge;
}

/** `popbridge maildrop`, through the daemon that runs there or, once it has ended, without it. */
async function maildrop(bridge: BridgeProcess, ...args: readonly string[]): Promise<string> {
  const where = ['--config', join(bridge.folder, 'test.toml'), '--state', join(bridge.folder, 'state')];
  const { code, stdout, stderr } = await runBridge(['maildrop', ...args, ...where], `${PASSWORD}\n${PASSWORD}\n`);
  expect([code, stderr], stdout).toEqual([0, '']);
  return stdout;
}

/** The file in which a client keeps what it knows. */
const FILES: Readonly<Record<string, RegExp>> = { fetchmail: /^fetchids$/, mpop: /^uidls$/, getmail: /^oldmail-/ };

describeWithPeers(['dovecot', 'openssl'], 'moving in', () => {
  let old: Dovecot;

  beforeAll(async () => {
    old = await Dovecot.start({ users: { [USER]: PASSWORD } });
    await old.deliver(USER, mail);
  });

  afterAll(async () => {
    await old[Symbol.asyncDispose]();
  });

  const clients: readonly Pop3Client[] = Object.values(pop3Clients).filter(({ name }) => FILES[name] !== undefined);

  for (const client of clients) {
    describeWithPeers(['dovecot', ...client.needs], client.name, () => {
      test('fetches nothing again, once the file that it wrote itself was imported', async () => {
        const fetch = { host: '127.0.0.1', tls: 'none', user: USER, password: PASSWORD, keep: true, home: folder } as const;
        expect((await client.fetch({ ...fetch, port: old.ports.pop3 })).messages).toHaveLength(5);
        const name = readdirSync(folder).find((one) => FILES[client.name]?.test(one)) ?? '';
        const bridge = await bridgeBefore(old);
        const before = await uniqueIds(bridge.port());
        expect(await maildrop(bridge, 'import', '--user', USER, '--from', join(folder, name), '--dry-run')).toContain('matched 5');
        expect(await uniqueIds(bridge.port())).toEqual(before);
        expect(await maildrop(bridge, 'import', '--user', USER, '--from', join(folder, name))).toContain('matched 5, 5 of them');
        expect(await uniqueIds(bridge.port())).toEqual(await uniqueIds(old.ports.pop3));
        // getmail keeps a file for each port.
        if (name.startsWith('oldmail-')) renameSync(join(folder, name), join(folder, name.replace(/\d+(?=-alice)/, String(bridge.port()))));
        const again = await client.fetch({ ...fetch, port: bridge.port() });
        expect([again.messages.length, again.exitCode]).toEqual([0, client.nothingNewExitCode]);
      });
    });
  }

  test('from a live old server of which the mail was moved, its unique-ids are taken over by identity', async () => {
    const fresh = await Dovecot.start({ users: { [USER]: PASSWORD }, pop3: false });
    open.push(fresh);
    await fresh.deliver(USER, [...mail].reverse());
    await fresh.deliver(USER, [Buffer.from('Subject: only here\r\nMessage-ID: <new@example.com>\r\n\r\n')]);
    const bridge = await BridgeProcess.start({ config: bridgeConfig({ imapPort: fresh.ports.imap, tables: '[views.pc]' }) });
    open.push(bridge);
    const from = `pop3+insecure://127.0.0.1:${old.ports.pop3}`;
    const report: unknown = JSON.parse(await maildrop(bridge, 'import', '--user', USER, '--from', from, '--json'));
    expect(report).toEqual({ messages: 6, matched: 5, changed: 5, unmatched: [], ambiguous: [] });
    expect((await uniqueIds(bridge.port())).slice(0, 5)).toEqual((await uniqueIds(old.ports.pop3)).reverse());
    expect(await maildrop(bridge, 'import', '--user', `${USER}/pc`, '--from', from)).toContain('matched 5, 5 of them');
  });

  test('an export of popbridge gives another installation the same unique-ids, and what was hidden stays hidden', async () => {
    const bridge = await bridgeBefore(old);
    bridge.configure(bridgeConfig({ imapPort: old.ports.imap, tables: '[maildrop]\nunique_id = "uw"\n[delete]\naction = "hide"' }));
    bridge.kill('SIGHUP');
    await bridge.event('reloaded');
    const client = await PopDialogue.connect(bridge.port());
    await client.login(USER, PASSWORD);
    await client.command('DELE 2');
    expect(await client.command('QUIT')).toMatch(/^\+OK/);
    const file = join(folder, 'export.jsonl');
    writeFileSync(file, await maildrop(bridge, 'export', '--user', USER));
    const other = await bridgeBefore(old);
    await other.stop();
    // Without a daemon it works on the state itself.
    expect(await maildrop(other, 'import', '--user', USER, '--from', file)).toContain('matched 5, 5 of them');
    await using again = await BridgeProcess.start({ config: bridgeConfig({ imapPort: old.ports.imap }), folder: other.folder });
    expect(await uniqueIds(again.port())).toEqual(await uniqueIds(bridge.port()));
    expect(await uniqueIds(again.port())).toHaveLength(4);
    expect(await maildrop(again, 'undelete', '--user', USER, '--all')).toBe('restored 1\n');
    expect(await uniqueIds(again.port())).toHaveLength(5);
  });

  describe('looking into the map', () => {
    test('list, show and explain tell what there is', async () => {
      const bridge = await bridgeBefore(old);
      const [first = ''] = await uniqueIds(bridge.port());
      expect(await maildrop(bridge, 'list')).toMatch(
        /^UPSTREAM +USER +VIEW +FOLDER +UIDVALIDITY +MESSAGES +HIDDEN\n\S+ +alice +- +INBOX +\d+ +5 +0\n$/,
      );
      const shown = await maildrop(bridge, 'show', '--user', USER);
      expect(shown.split('\n')).toHaveLength(8);
      expect(shown).toContain(`${first}  INBOX   1    `);
      expect(await maildrop(bridge, 'explain', first, '--user', USER)).toMatch(
        /^the message with UID 1 in INBOX, UIDVALIDITY \d+: \d+ octets, arrived 2026-01-01/,
      );
      expect(await maildrop(bridge, 'explain', 'nothing', '--user', USER)).toContain('no message of this maildrop has it');
    });
  });
});
