/** Cyrus as the server: a whole session, its own POP3 server's unique-ids, and mail that moves to it from another product. */
import { chown, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { bridgeConfig } from '../support/bridge-config.ts';
import { allowInLog, BridgeProcess } from '../support/bridge-process.ts';
import { flagsIn, subjectsIn } from '../support/imap-look.ts';
import { Cyrus } from '../support/peers/cyrus.ts';
import { Dovecot, type Delivery } from '../support/peers/dovecot.ts';
import { describeWithPeers } from '../support/peers/peers.ts';
import { PopDialogue } from '../support/pop-dialogue.ts';
import { until } from '../support/until.ts';

allowInLog('map-rematched');

const PASSWORD = 'secret';
const MOVER = 'carol';
const USERS = Object.fromEntries(['alice', 'bob', MOVER].map((user) => [user, PASSWORD]));
const MESSAGES = 200;

const config = (imapPort: number, tables = ''): string => bridgeConfig({ imapPort, tables });

async function session(port: number, user: string): Promise<PopDialogue> {
  const client = await PopDialogue.connect(port);
  await client.login(user, PASSWORD);
  return client;
}

async function uniqueIds(port: number, user: string): Promise<string[]> {
  const client = await session(port, user);
  const lines = await client.multi('UIDL');
  await client.command('QUIT');
  return lines.map((line) => line.replace(/^\d+ /, ''));
}

/** Events that something was not as it should be. */
function complaints(bridge: BridgeProcess): string[] {
  return bridge.log.filter(({ level }) => level !== 'info' && level !== 'debug').map(({ event }) => event);
}

describeWithPeers(['cyrus'], 'Cyrus', () => {
  let cyrus: Cyrus;

  beforeAll(async () => {
    cyrus = await Cyrus.start({ users: USERS });
  });

  afterAll(async () => {
    await cyrus[Symbol.asyncDispose]();
  });

  test('unique-ids "cyrus" are, octet for octet, those of its own POP3 server', async () => {
    await cyrus.deliver('alice', ['one', 'two', 'three'].map(plain));
    await using bridge = await BridgeProcess.start({ config: config(cyrus.ports.imap, '[maildrop]\nunique_id = "cyrus"') });
    const ids = await uniqueIds(bridge.port(), 'alice');
    expect(ids).toHaveLength(3);
    expect(ids).toEqual(await uniqueIds(cyrus.ports.pop3, 'alice'));
    expect(complaints(bridge)).toEqual([]);
  });

  test('its own imitations of other servers are those of "dovecot" and of a template', async () => {
    for (const [uidlFormat, uniqueId] of [
      ['dovecot', 'dovecot'],
      ['courier', '{uidvalidity}-{uid}'],
    ] as const) {
      await using imitator = await Cyrus.start({ users: { alice: PASSWORD }, uidlFormat });
      await imitator.deliver('alice', ['one', 'two'].map(plain));
      await using bridge = await BridgeProcess.start({ config: config(imitator.ports.imap, `[maildrop]\nunique_id = "${uniqueId}"`) });
      const ids = await uniqueIds(bridge.port(), 'alice');
      expect(ids).toHaveLength(2);
      expect(ids).toEqual(await uniqueIds(imitator.ports.pop3, 'alice'));
    }
  });

  test('a whole session lists, retrieves octet for octet, and moves to Trash what was deleted', async () => {
    const bodies = ['body\r\n', '.\r\n..dots\r\n.\r\n', 'Grüße\r\n', '', 'x'.repeat(300).concat('\r\n').repeat(1_000)];
    const mail = bodies.map((body, index) => Buffer.from(`Subject: ${index}\r\nMessage-ID: <${index}@example.com>\r\n\r\n${body}`));
    await cyrus.deliver('bob', mail);
    await using bridge = await BridgeProcess.start({ config: config(cyrus.ports.imap) });
    const client = await session(bridge.port(), 'bob');
    expect(await client.command('STAT')).toBe(`+OK ${mail.length} ${Buffer.concat(mail).length}`);
    expect(await client.multi('LIST')).toEqual(mail.map(({ length }, index) => `${index + 1} ${length}`));
    const before = await client.multi('UIDL');
    expect(await client.multi('TOP 1 0')).toEqual(['Subject: 0', 'Message-ID: <0@example.com>', '']);
    for (const [index, raw] of mail.entries()) expect((await client.retrieve(index + 1)).equals(raw)).toBe(true);
    for (const number of [2, 4]) expect(await client.command(`DELE ${number}`)).toMatch(/^\+OK/);
    expect(await client.command('QUIT')).toBe('+OK bye');

    await using imap = await cyrus.imap('bob');
    expect(await subjectsIn(imap, 'INBOX')).toEqual(['0', '2', '4']);
    expect(await subjectsIn(imap, 'Trash')).toEqual(['1', '3']);
    expect(await flagsIn(imap, 'INBOX')).toEqual([['\\Seen'], ['\\Seen'], ['\\Seen']]);
    const idOf = (line: string): string => line.replace(/^\d+ /, '');
    expect(await uniqueIds(bridge.port(), 'bob')).toEqual(before.filter((_, index) => index % 2 === 0).map(idOf));
    expect(complaints(bridge)).toEqual([]);
  });
});

describeWithPeers(['cyrus', 'dovecot', 'openssl'], 'mail that moves to another server', () => {
  const onCyrus = (): Promise<Server> => Cyrus.start({ users: USERS });
  const onDovecot = (): Promise<Dovecot> => Dovecot.start({ users: USERS, pop3: false });
  const mail = Array.from({ length: MESSAGES }, (_, index) => movable(index, index % 4 !== 0));

  test(`from Cyrus to Cyrus: ${MESSAGES} of ${MESSAGES} messages keep their unique-ids, for both call the same content the same`, async () => {
    expectKept(await move(onCyrus, onCyrus, mail));
  });

  test(`from Dovecot to Cyrus: ${MESSAGES} of ${MESSAGES} messages keep their unique-ids, those without Message-ID too`, async () => {
    expectKept(await move(onDovecot, onCyrus, mail));
  });

  test(`from Cyrus to Dovecot: ${MESSAGES} of ${MESSAGES} messages keep their unique-ids`, async () => {
    expectKept(await move(onCyrus, onDovecot, mail));
  });

  test('to a server with the same UIDVALIDITY: no message gets the unique-id of another one', async () => {
    const { before, after } = await move(sameValidity(onDovecot), sameValidity(onDovecot), mail);
    const owners = new Map(Object.entries(before).map(([subject, id]) => [id, subject]));
    expect(Object.entries(after).filter(([subject, id]) => (owners.get(id) ?? subject) !== subject)).toEqual([]);
  });
});

type Server = Cyrus | Dovecot;

/** A Dovecot whose INBOX will have the UIDVALIDITY 1. */
function sameValidity(start: () => Promise<Dovecot>): () => Promise<Dovecot> {
  return async () => {
    const dovecot = await start();
    await dovecot.deliver(MOVER, []);
    const maildir = join(dovecot.folder, 'mail', MOVER, 'Maildir');
    const list = join(maildir, 'dovecot-uidlist');
    await writeFile(list, `3 V1 N1 G${'0'.repeat(31)}1\n`);
    const { uid, gid } = await stat(maildir);
    await chown(list, uid, gid);
    return dovecot;
  };
}

interface Move {
  readonly before: Ids;
  readonly after: Ids;
  /** The bridge in front of the second server; it has ended. */
  readonly bridge: BridgeProcess;
}

/** Lists mail on one server, then the same mail in another order on another one, with the same state and the same upstream's name. */
async function move(from: () => Promise<Server>, to: () => Promise<Server>, mail: readonly Delivery[]): Promise<Move> {
  await using source = await from();
  await source.deliver(MOVER, mail);
  await using first = await BridgeProcess.start({ config: config(source.ports.imap) });
  const before = await idsBySubject(first, MOVER);
  await until(() => gathered(first) === mail.length);
  expect(complaints(first)).toEqual([]);
  await first.stop();
  // UIDVALIDITY is a number of seconds in both products.
  const created = Date.now();
  await until(() => Date.now() >= created + 1_000);
  await using target = await to();
  await target.deliver(MOVER, shuffled(mail));
  await using bridge = await BridgeProcess.start({ config: config(target.ports.imap), folder: first.folder });
  return { before, after: await idsBySubject(bridge, MOVER), bridge };
}

function expectKept({ before, after, bridge }: Move): void {
  expect(Object.keys(after)).toHaveLength(MESSAGES);
  expect(Object.keys(after)).not.toEqual(Object.keys(before));
  expect(bridge.events('map-rematched')).toMatchObject([{ messages: MESSAGES, kept: MESSAGES, ambiguous: 0, lost: 0 }]);
  expect(after).toEqual(before);
  expect(complaints(bridge)).toEqual(['map-rematched']);
}

type Ids = Record<string, string>;

function plain(subject: string): Buffer {
  return Buffer.from(`Subject: ${subject}\r\n\r\nbody\r\n`);
}

function movable(index: number, hasMessageId: boolean): Delivery {
  const messageId = hasMessageId ? `Message-ID: <${index}@example.com>\r\n` : '';
  return {
    raw: Buffer.from(`Subject: ${index}\r\n${messageId}\r\nbody ${index}\r\n`),
    receivedAt: new Date(Date.UTC(2026, 0, 1) + index * 60_000),
  };
}

/** Another order, the same in every run: 7919 is prime. */
function shuffled<Item>(items: readonly Item[]): Item[] {
  return items
    .map((item, index) => ({ item, place: (index * 7919 + 1) % items.length }))
    .toSorted((a, b) => a.place - b.place)
    .map(({ item }) => item);
}

/** Unique-ids by subject, in the order of the maildrop. */
async function idsBySubject(bridge: BridgeProcess, user: string): Promise<Ids> {
  const client = await session(bridge.port(), user);
  const ids: Ids = {};
  for (const line of await client.multi('UIDL')) {
    const [number, id = ''] = line.split(' ');
    ids[(await client.multi(`TOP ${number} 0`)).find((header) => header.startsWith('Subject: ')) ?? ''] = id;
  }
  await client.command('QUIT');
  return ids;
}

/** How many messages have been looked at for their identity. */
function gathered(bridge: BridgeProcess): number {
  using database = new DatabaseSync(join(bridge.folder, 'state', 'popbridge.sqlite'), { readOnly: true });
  return Number(database.prepare('SELECT sum(count) AS sum FROM identity').get()?.['sum']);
}
