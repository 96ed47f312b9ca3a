/** Clients in numbers, and clients with names that are none: others are served all the same, and nothing of theirs reaches a file or a server. */
import { readdirSync } from 'node:fs';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { allowInLog } from '../support/bridge-process.ts';
import { BridgeSite } from '../support/bridge-site.ts';
import { patience } from '../support/patience.ts';
import { PopDialogue } from '../support/pop-dialogue.ts';
import { residentOctets } from '../support/process-holdings.ts';
import { until } from '../support/until.ts';

allowInLog('connection-refused', 'login-failed');

const CONNECTIONS = 5_000;
const ADDRESSES = 100;
/** limits.sessions */
const SESSIONS = 2_000;
const KIB = 1024;
/** A connection that has sent nothing costs no more than this (SECURITY.md, fault matrix), here with all that a socket takes. */
const LARGEST = 64 * KIB;

let site: BridgeSite;

beforeAll(async () => {
  site = await BridgeSite.start({ tables: '[limits]\nlogin_failures = 1000000' });
  site.deliver('INBOX', 'one');
});

afterAll(async () => {
  await site[Symbol.asyncDispose]();
});

/** A client that only listens. */
interface Listener {
  readonly socket: Socket;
  heard: string;
  isOver: boolean;
}

/** Connects so many, from so many addresses in turn; all of them have heard something when it resolves. */
async function listeners(count: number, addressOf: (index: number) => string): Promise<Listener[]> {
  const all: Listener[] = [];
  for (let index = 0; index < count; index += 1) {
    const socket = connect({ port: site.bridge.port(), host: '127.0.0.1', localAddress: addressOf(index) });
    const listener: Listener = { socket, heard: '', isOver: false };
    socket.on('data', (chunk: Buffer) => (listener.heard += chunk.toString()));
    socket.on('error', () => {});
    socket.on('close', () => (listener.isOver = true));
    all.push(listener);
    // Not more at a time than the system lets wait.
    if (index % 100 === 99) await once(socket, 'data');
  }
  await until(() => all.every(({ heard }) => heard !== ''));
  return all;
}

const GREETING = '+OK POP3 server ready\r\n';
const TOO_MANY = '-ERR [SYS/TEMP] too many sessions, try later\r\n';

test(
  'five thousand connections from a hundred addresses keep nobody out, cost little, and those that make room hear one line',
  {
    timeout: patience(120_000),
  },
  async () => {
    const before = residentOctets(site.bridge.pid);
    const all = await listeners(CONNECTIONS, (index) => `127.0.${1 + (index % ADDRESSES)}.1`);
    expect((await site.glance()).subjects).toEqual(['one']);
    expect(residentOctets(site.bridge.pid) - before).toBeLessThan(SESSIONS * LARGEST);
    await until(() => all.filter(({ isOver }) => isOver).length >= CONNECTIONS - SESSIONS);
    const displaced = all.filter(({ isOver }) => isOver);
    // The login took one more place.
    expect(displaced).toEqual(all.slice(0, CONNECTIONS - SESSIONS + 1));
    expect(new Set(displaced.map(({ heard }) => heard))).toEqual(new Set([GREETING + TOO_MANY]));
    expect(new Set(all.slice(displaced.length).map(({ heard }) => heard))).toEqual(new Set([GREETING]));
    for (const { socket } of all) socket.destroy();
    expect((await site.glance()).subjects).toEqual(['one']);
  },
);

test('of a thousand connections from one address the last hundred stay, each of the others hears one line, and other addresses are served', async () => {
  const all = await listeners(1_000, () => '127.0.200.1');
  expect((await site.glance()).subjects).toEqual(['one']);
  await until(() => all.filter(({ isOver }) => isOver).length === 900);
  expect(all.slice(0, 900).every(({ isOver }) => isOver)).toBe(true);
  expect(new Set(all.filter(({ isOver }) => isOver).map(({ heard }) => heard))).toEqual(new Set([GREETING + TOO_MANY]));
  expect(new Set(all.filter(({ isOver }) => !isOver).map(({ heard }) => heard))).toEqual(new Set([GREETING]));
  for (const { socket } of all) socket.destroy();
});

test('a thousand clients of one address that hang up at once have few lines in the log, and one with their number in the end', async () => {
  await using quiet = await BridgeSite.start();
  for (let index = 0; index < 1_000; index += 1) {
    const socket = connect({ port: quiet.bridge.port(), host: '127.0.0.1', localAddress: '127.0.201.1' });
    socket.on('error', () => {});
    await once(socket, 'data');
    socket.resetAndDestroy();
  }
  quiet.deliver('INBOX', 'one');
  await quiet.glance();
  await quiet.bridge.stop();
  const of = (event: string): unknown[] => quiet.bridge.events(event).filter(({ client }) => client === '127.0.201.1');
  const counts = of('repeated').map((line) => (line as { counts: Record<string, number> }).counts['session-end'] ?? 0);
  expect(of('session-end').length + counts.reduce((sum, count) => sum + count, 0)).toBe(1_000);
  // More than one number only where the machine takes more than a minute.
  expect(of('session-end').length).toBeLessThanOrEqual(10 * (counts.length + 1));
  expect(quiet.bridge.events('session-end').at(-1)).toMatchObject({ user: 'alice' });
});

const NAMES = [
  '../../etc/passwd',
  '/etc/passwd',
  'a\\..\\b',
  'alice/../bob',
  '%2e%2e%2f',
  '.',
  '~root',
  'alice"\\{5}',
  "'; DROP TABLE segment; --",
  '-rf',
  '*',
  'CON',
];

test.for(NAMES)('a user of the name %s is a name and nothing else, whether the server knows it or not', async (user) => {
  const client = await PopDialogue.connect(site.bridge.port());
  expect(await client.command(`USER ${user}`)).toMatch(/^\+OK/);
  expect(await client.command('PASS wrong')).toMatch(/^-ERR \[AUTH\] /);
  client.close();
  expect(strayFiles(site)).toEqual([]);
});

test('users of such names have maildrops of their own, and leave no files of their own', async () => {
  const users = Object.fromEntries(NAMES.map((name) => [name, 'secret']));
  await using known = await BridgeSite.start({ server: { users } });
  for (const name of NAMES)
    for (const word of ['one', 'two']) known.imap.mailbox('INBOX', name).append(`Subject: ${word}\r\n\r\nfor ${name}\r\n`);
  for (const name of NAMES) {
    const client = await known.open(name);
    expect((await client.retrieve(1)).toString()).toContain(`for ${name}\r\n`);
    await client.command('DELE 1');
    expect(await client.command('QUIT')).toBe('+OK bye');
  }
  for (const name of NAMES) expect(known.imap.mailbox('INBOX', name).messages.map(({ uid }) => uid)).toEqual([2]);
  expect(strayFiles(known)).toEqual([]);
});

/** Of the state directory and what is below it. */
function strayFiles({ bridge }: BridgeSite): string[] {
  const names = readdirSync(join(bridge.folder, 'state'), { recursive: true, encoding: 'utf8' });
  return names.filter((name) => !/^(?:popbridge\.sqlite|accounts\.sqlite|daemon\.lock|control\.sock)/.test(name));
}

test.for([
  ['another identity', '\0bob\0alice\0secret'.slice(1)],
  ['three NULs', '\0alice\0secret\0'],
  ['no NUL', 'alice secret'],
  ['no password', '\0alice\0'],
  ['a line in the name', '\0alice\r\nA1 LOGOUT\0secret'],
])('SASL PLAIN with %s never reaches the server', async ([, text]) => {
  const before = site.imap.connections;
  const client = await PopDialogue.connect(site.bridge.port());
  expect(await client.command(`AUTH PLAIN ${Buffer.from(text ?? '').toString('base64')}`)).toMatch(/^-ERR/);
  client.close();
  expect(site.imap.connections).toBe(before);
});
