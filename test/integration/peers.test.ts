/** Proves the tools the other suites rely on, against Dovecot's own POP3 service: what fails here is not the bridge's fault. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Dovecot, imapcBridge } from '../support/peers/dovecot.ts';
import { opensslDialogue } from '../support/peers/openssl-dialogue.ts';
import { describeWithPeers } from '../support/peers/peers.ts';
import { normaliseStored, pop3Clients, type Pop3Client, type Pop3Security } from '../support/peers/pop3-clients.ts';

const COUNT = 5;
const clients: readonly Pop3Client[] = Object.values(pop3Clients);
const userFor = (client: Pop3Client, tls: Pop3Security): string => `${client.name}-${tls}`;

const mail = Array.from({ length: COUNT }, (_, index) =>
  Buffer.from(
    [
      'Received: from elsewhere by here',
      'From: Alice <alice@example.com>',
      'To: Bob <bob@example.com>',
      `Subject: number ${index + 1}`,
      `Message-ID: <${index + 1}@example.com>`,
      'Date: Mon, 23 Nov 2026 10:00:00 +0000',
      '',
      `Grüße ${'x'.repeat(index * 40)}`,
      '.a line that starts with a dot',
      '',
    ].join('\r\n'),
  ),
);

let dovecot: Dovecot;
let home: string;

describeWithPeers(['dovecot', 'openssl'], 'real peers', () => {
  beforeAll(async () => {
    const names = clients.flatMap((client) => client.securities.map((tls) => userFor(client, tls)));
    dovecot = await Dovecot.start({
      users: Object.fromEntries(['alice', 'bob', ...names].map((name) => [name, 'sec"ret: \\1'])),
      namespaceFolders: ['Lists/News'],
    });
    home = await mkdtemp(join(tmpdir(), 'popbridge-clients-'));
  });

  afterAll(async () => {
    await dovecot[Symbol.asyncDispose]();
    await rm(home, { recursive: true, force: true });
  });

  for (const client of clients) {
    describeWithPeers(['dovecot', 'openssl', ...client.needs], `the client ${client.name}`, () => {
      test.for(client.securities)('fetches all mail and leaves it, then deletes it (%s)', async (tls) => {
        const user = userFor(client, tls);
        await dovecot.deliver(user, mail);
        const { ports, host, ca } = dovecot;
        const ownHome = await mkdtemp(join(home, 'client-'));
        const from = {
          host,
          port: tls === 'implicit' ? ports.pop3s : ports.pop3,
          tls,
          user,
          password: dovecot.password(user),
          home: ownHome,
          ca,
        };

        const first = await client.fetch({ ...from, keep: true });
        expect(first, first.stderr).toMatchObject({ exitCode: 0 });
        expect(first.messages.map(normaliseStored)).toEqual(mail.map(normaliseStored));
        if (client.exact) expect(first.messages).toEqual(mail);

        const second = await client.fetch({ ...from, keep: true });
        expect(second, second.stderr).toMatchObject({ exitCode: client.remembers ? client.nothingNewExitCode : 0 });
        expect(second.messages).toHaveLength(client.remembers ? 0 : COUNT);

        const newHome = await mkdtemp(join(home, 'client-'));
        const last = await client.fetch({ ...from, home: newHome, keep: false });
        expect(last, last.stderr).toMatchObject({ exitCode: 0 });
        expect(last.messages).toHaveLength(COUNT);
        await using imap = await dovecot.imap(user);
        expect(await imap.command('STATUS INBOX (MESSAGES)')).toContain('MESSAGES 0');
      });
    });
  }

  test.for(['stls', 'implicit'] as const)('openssl holds a dialogue over %s', async (tls) => {
    const { host, ports, ca } = dovecot;
    const lines = ['CAPA', 'USER bob', `PASS ${dovecot.password('bob')}`, 'STAT', 'RETR 1', 'QUIT'];
    const { stdout, exitCode } = await opensslDialogue({ host, port: tls === 'stls' ? ports.pop3 : ports.pop3s, tls, lines, ca, home });
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(/UIDL\r\n[^]*\+OK 0 0\r\n-ERR .*\r\n\+OK Logging out/);
  });

  describe('Dovecot', () => {
    test('takes mail over IMAP and as files, in order, with the folders asked for', async () => {
      await dovecot.append('alice', 'Lists/News', Buffer.from('Subject: appended\r\n\r\n'));
      await dovecot.deliver('alice', [
        { raw: Buffer.from('Subject: one\n\nbare LF\n'), receivedAt: new Date('2020-02-02T00:00:00Z') },
        ...mail,
      ]);
      await using imap = await dovecot.imap('alice');
      expect(await imap.command('STATUS "Lists/News" (MESSAGES)')).toContain('MESSAGES 1');
      expect(await imap.command('LIST (SPECIAL-USE) "" "*"')).toMatch(/\\Trash/);
      await imap.command('SELECT INBOX');
      const listed = await imap.command('FETCH 1:* (UID RFC822.SIZE INTERNALDATE)');
      expect(listed.match(/UID \d+/g)).toEqual(['UID 1', 'UID 2', 'UID 3', 'UID 4', 'UID 5', 'UID 6']);
      expect(listed).toMatch(/\* 1 FETCH .*RFC822\.SIZE 25 INTERNALDATE "02-Feb-2020/);
    });

    test('comes back with another UIDVALIDITY after a reset', async () => {
      const uidValidity = async (): Promise<number> => {
        await using imap = await dovecot.imap('alice');
        return Number(/UIDVALIDITY (\d+)/.exec(await imap.command('STATUS INBOX (UIDVALIDITY)'))?.[1]);
      };
      const before = await uidValidity();
      await dovecot.uidValidityReset('alice');
      expect(await uidValidity()).toBeGreaterThan(before);
    });

    test('hides capabilities on request and need not serve POP3', async () => {
      await using plain = await Dovecot.start({ pop3: false, capabilities: 'IMAP4rev1' });
      await using imap = await plain.imap('carol');
      expect(await imap.command('CAPABILITY')).toBe('* CAPABILITY IMAP4rev1\r\n');
      expect(await plain.log()).not.toMatch(/Fatal|Panic/);
    });

    test('bridges IMAP to POP3 itself, for comparison', async () => {
      await using upstream = await Dovecot.start();
      await upstream.deliver('bob', mail);
      await using bridge = await imapcBridge(upstream);
      const lines = ['USER bob', 'PASS secret', 'STAT', 'QUIT'];
      const { stdout } = await opensslDialogue({
        host: bridge.host,
        port: bridge.ports.pop3s,
        tls: 'implicit',
        lines,
        ca: bridge.ca,
        home,
      });
      expect(stdout).toContain(`+OK ${COUNT} ${Buffer.concat(mail).length}\r\n`);
    });
  });
});
