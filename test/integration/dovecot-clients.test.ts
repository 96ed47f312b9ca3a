/** Real POP3 clients through the bridge before a real Dovecot: fetch, leave, delete, on every kind of connection. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { bridgeConfig } from '../support/bridge-config.ts';
import { BridgeProcess } from '../support/bridge-process.ts';
import { subjectsIn } from '../support/imap-look.ts';
import { makeCertificates } from '../support/peers/certificates.ts';
import { Dovecot } from '../support/peers/dovecot.ts';
import { opensslDialogue } from '../support/peers/openssl-dialogue.ts';
import { describeWithPeers } from '../support/peers/peers.ts';
import { normaliseStored, pop3Clients, type Pop3Client, type Pop3Security } from '../support/peers/pop3-clients.ts';
import { sha256 } from '../support/sha256.ts';

const PASSWORD = 'pass word" \\ 1';
const SECURITIES: readonly Pop3Security[] = ['none', 'stls', 'implicit'];
const clients: readonly Pop3Client[] = Object.values(pop3Clients);
const userFor = (client: Pop3Client, tls: Pop3Security): string => `${client.name}-${tls}`;

const mail = ['first', 'second', 'third', 'fourth'].map((word, index) =>
  Buffer.from(
    [
      `Subject: ${word}`,
      'From: Alice <alice@example.com>',
      'Date: Mon, 23 Nov 2026 10:00:00 +0000',
      `Message-ID: <${word}@example.com>`,
      '',
      `Grüße ${'x'.repeat(index * 2000)}`,
      '.',
      '..two dots',
      '',
    ].join('\r\n'),
  ),
);

let dovecot: Dovecot;
let bridge: BridgeProcess;
let folder: string;

describeWithPeers(['dovecot', 'openssl'], 'the bridge before Dovecot', () => {
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'popbridge-integration-'));
    const names = ['alice', ...clients.flatMap((client) => client.securities.map((tls) => userFor(client, tls)))];
    dovecot = await Dovecot.start({ users: Object.fromEntries(names.map((name) => [name, PASSWORD])) });
    const certificate = await makeCertificates(folder);
    const upstream = [`ca_file = "${dovecot.ca}"`];
    bridge = await BridgeProcess.start({ config: bridgeConfig({ imapPort: dovecot.ports.imaps, security: 'tls', upstream, certificate }) });
  });

  afterAll(async () => {
    await bridge[Symbol.asyncDispose]();
    await dovecot[Symbol.asyncDispose]();
    await rm(folder, { recursive: true, force: true });
  });

  for (const client of clients) {
    describeWithPeers(['dovecot', 'openssl', ...client.needs], client.name, () => {
      test.for(client.securities)('fetches every octet, leaves, fetches nothing twice, then deletes (%s)', async (tls) => {
        const user = userFor(client, tls);
        await dovecot.deliver(user, mail);
        await dovecot.append(user, 'Drafts', Buffer.from('Subject: a draft\r\n\r\nnot yours\r\n'));
        const from = {
          host: '127.0.0.1',
          port: bridge.port(SECURITIES.indexOf(tls)),
          tls,
          user,
          password: PASSWORD,
          home: await mkdtemp(join(folder, 'home-')),
        };
        const kept = await client.fetch({ ...from, keep: true });
        expect(kept.exitCode, kept.stderr).toBe(0);
        expect(digests(client, kept.messages)).toEqual(digests(client, mail));
        expect(await subjects(user, 'INBOX')).toHaveLength(mail.length);
        if (client.remembers) {
          const again = await client.fetch({ ...from, keep: true });
          expect(again.exitCode, again.stderr).toBe(client.nothingNewExitCode);
          expect(again.messages).toHaveLength(0);
        }
        // A fresh home has no memory: everything is fetched again, and deleted.
        const deleted = await client.fetch({ ...from, home: await mkdtemp(join(folder, 'home-')), keep: false });
        expect(deleted.exitCode, deleted.stderr).toBe(0);
        expect(digests(client, deleted.messages)).toEqual(digests(client, mail));
        expect(await subjects(user, 'INBOX')).toEqual([]);
        expect((await subjects(user, 'Trash')).sort()).toEqual(['first', 'fourth', 'second', 'third']);
        expect(await subjects(user, 'Drafts')).toEqual(['a draft']);
      });
    });
  }

  test.for(['stls', 'implicit'] as const)('openssl s_client speaks %s with it', async (tls) => {
    await dovecot.deliver('alice', mail.slice(0, 1));
    const { stdout: transcript } = await opensslDialogue({
      home: folder,
      host: '127.0.0.1',
      port: bridge.port(SECURITIES.indexOf(tls)),
      tls,
      lines: ['CAPA', 'USER alice', `PASS ${PASSWORD}`, 'STAT', 'QUIT'],
    });
    expect(transcript).toMatch(/^SASL PLAIN LOGIN\r?$/m);
    expect(transcript).not.toMatch(/^STLS\r?$/m);
    expect(transcript).toMatch(/^\+OK \d+ \d+\r?$/m);
    expect(transcript).toMatch(/^\+OK bye\r?$/m);
  });
});

function digests(client: Pop3Client, messages: readonly Buffer[]): string[] {
  return messages.map((message) => sha256(client.exact ? message : normaliseStored(message)));
}

async function subjects(user: string, mailbox: string): Promise<string[]> {
  await using dialogue = await dovecot.imap(user);
  return await subjectsIn(dialogue, mailbox);
}
