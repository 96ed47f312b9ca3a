/** Unique-ids as other servers make them, against those very servers: a site can move here and no client fetches its mail again. */
import { readdir, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { bridgeConfig } from '../support/bridge-config.ts';
import { allowInLog, BridgeProcess } from '../support/bridge-process.ts';
import { Dovecot } from '../support/peers/dovecot.ts';
import { describeWithPeers } from '../support/peers/peers.ts';
import { PopDialogue } from '../support/pop-dialogue.ts';
import { until } from '../support/until.ts';

allowInLog('map-rematched');

const USER = 'alice';
const MESSAGES = 1_000;
const PASSWORD = 'secret';

async function uniqueIds(port: number, user = USER): Promise<string[]> {
  const client = await PopDialogue.connect(port);
  await client.login(user, PASSWORD);
  const lines = await client.multi('UIDL');
  await client.command('QUIT');
  return lines.map((line) => line.replace(/^\d+ /, ''));
}

describeWithPeers(['dovecot', 'openssl'], 'unique-ids', () => {
  let dovecot: Dovecot;

  beforeAll(async () => {
    dovecot = await Dovecot.start({ users: { [USER]: PASSWORD, bob: PASSWORD } });
    await deliver('one', 'two', 'three');
  });

  afterAll(async () => {
    await dovecot[Symbol.asyncDispose]();
  });

  const deliver = (...subjects: readonly string[]): Promise<unknown> =>
    dovecot.deliver(
      USER,
      subjects.map((subject) => Buffer.from(`Subject: ${subject}\r\n\r\nbody\r\n`)),
    );
  const config = (uniqueId: string): string =>
    bridgeConfig({ imapPort: dovecot.ports.imap, tables: `[maildrop]\nunique_id = "${uniqueId}"` });

  test('"dovecot" are, octet for octet, those of Dovecot\'s own POP3 server', async () => {
    await using bridge = await BridgeProcess.start({ config: config('dovecot') });
    const ids = await uniqueIds(bridge.port());
    expect(ids).toHaveLength(3);
    expect(ids).toEqual(await uniqueIds(dovecot.ports.pop3));
  });

  test('stay as they were shown when the template is changed; only new messages get new ones, for ever', async () => {
    await using bridge = await BridgeProcess.start({ config: config('popbridge') });
    const before = await uniqueIds(bridge.port());
    await deliver('four');
    bridge.configure(config('cyrus'));
    bridge.kill('SIGHUP');
    await bridge.event('reloaded');
    const after = await uniqueIds(bridge.port());
    expect(after.slice(0, 3)).toEqual(before);
    expect(after[3]).toMatch(/^\d{5,}\.\d+$/);
    await bridge.stop('SIGKILL');
    await using again = await BridgeProcess.start({ config: config('uw'), folder: bridge.folder });
    expect(await uniqueIds(again.port())).toEqual(after);
  });

  test('are kept by 1,000 of 1,000 messages when the mailbox is made anew, under another UIDVALIDITY and in another order', async () => {
    const numbers = Array.from({ length: MESSAGES }, (_, index) => index);
    await dovecot.deliver(
      'bob',
      numbers.map((number) => ({
        raw: Buffer.from(`Subject: ${number}\r\nMessage-ID: <${number}@example.com>\r\n\r\nbody ${number}\r\n`),
        receivedAt: new Date(Date.UTC(2026, 0, 1) + number * 60_000),
      })),
    );
    await using bridge = await BridgeProcess.start({ config: config('popbridge') });
    const before = await idsBySubject(bridge);
    await until(async () => (await gathered(bridge)) === MESSAGES);
    await dovecot.uidValidityReset('bob');
    await shuffle(join(dovecot.folder, 'mail', 'bob', 'Maildir', 'cur'));
    const after = await idsBySubject(bridge);
    expect(Object.keys(after)).not.toEqual(Object.keys(before));
    expect(after).toEqual(before);
    await bridge.event('map-rematched');
    expect(bridge.events('map-rematched')[0]).toMatchObject({ messages: MESSAGES, kept: MESSAGES, ambiguous: 0, lost: 0 });
  });
});

/** Unique-ids by subject, in the order of the maildrop. */
async function idsBySubject(bridge: BridgeProcess): Promise<Record<string, string>> {
  const client = await PopDialogue.connect(bridge.port());
  await client.login('bob', PASSWORD);
  const ids: Record<string, string> = {};
  for (const line of await client.multi('UIDL')) {
    const [number, id = ''] = line.split(' ');
    ids[(await client.multi(`TOP ${number} 0`)).find((header) => header.startsWith('Subject: ')) ?? ''] = id;
  }
  await client.command('QUIT');
  return ids;
}

/** How many messages have been looked at for their identity. */
async function gathered(bridge: BridgeProcess): Promise<number> {
  const database = new DatabaseSync(join(bridge.folder, 'state', 'popbridge.sqlite'), { readOnly: true });
  const sum = Number(database.prepare('SELECT sum(count) AS sum FROM identity').get()?.['sum']);
  database.close();
  return Promise.resolve(sum);
}

/** Renames the files of a Maildir folder: their order is the order in which a rebuilt mailbox numbers them. */
async function shuffle(folder: string): Promise<void> {
  for (const [index, name] of (await readdir(folder)).entries()) {
    const place = String((index * 7919) % MESSAGES).padStart(9, '0');
    await rename(join(folder, name), join(folder, name.replace(/M\d+P\d+/, `M${place}P1`)));
  }
}
