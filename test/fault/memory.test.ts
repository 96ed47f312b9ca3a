/** What clients and servers make the daemon hold in memory, by its high-water mark: neither a message a client, nor a message. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { BridgeSite } from '../support/bridge-site.ts';
import type { ImapRule } from '../support/imap-server/script.ts';
import { residentOctets } from '../support/process-holdings.ts';
import { TimeMachine } from '../support/time-machine.ts';
import { until, untilQuiet } from '../support/until.ts';

const MIB = 1024 * 1024;
const GIB = 1024 * MIB;
const USERS = ['bob', 'carol', 'dave', 'erin', 'frank'];
const MESSAGES = 20;
const LINE = `${'x'.repeat(62)}\r\n`;
const HEAD = `Subject: ${'x'.repeat(LINE.length - 13)}\r\n\r\n`;
const BIG = Buffer.from(HEAD + LINE.repeat((8 * MIB) / LINE.length - 1));

const time = new TimeMachine();
let site: BridgeSite;

beforeAll(async () => {
  const users = Object.fromEntries(['alice', ...USERS].map((user) => [user, 'secret']));
  // Whatever is under way with the server when time passes at once must not be late by that.
  const commandTimeout = '30m';
  site = await BridgeSite.start({
    server: { users },
    tables: '[retrieve]\nmark_seen = "never"\n',
    commandTimeout,
    variables: time.variables,
  });
  for (const user of Object.keys(users))
    for (let message = 0; message < MESSAGES; message += 1) site.imap.mailbox('INBOX', user).append(BIG);
  // What passes through for the first time is not what is held.
  const client = await site.open();
  for (let times = 0; times < 3; times += 1) expect((await client.retrieve(1)).length).toBe(BIG.length);
  await client.command('QUIT');
});

afterAll(async () => {
  await site[Symbol.asyncDispose]();
  time[Symbol.dispose]();
});

const most = (): number => residentOctets(site.bridge.pid, 'most');

test('five clients that ask for twenty messages of 8 MiB each and read nothing cost less than 32 MiB in all, and are cut', async () => {
  const before = most();
  const clients = await Promise.all(USERS.map((user) => site.open(user)));
  const asked = (): number => site.imap.commands.filter((command) => command.includes('BODY.PEEK[]')).length;
  const enough = asked() + USERS.length;
  const sessionEnds = (): unknown[] => site.bridge.events('session-end').map((line) => line['outcome']);
  const ended = sessionEnds().length;
  for (const client of clients) {
    client.socket.pause();
    for (let message = 1; message <= MESSAGES; message += 1) client.send(`RETR ${message}\r\n`);
  }
  await until(() => asked() >= enough);
  await untilQuiet(site.bridge.pid);
  expect(most() - before).toBeLessThan(32 * MIB);
  await time.pass(site.bridge, 121);
  await site.bridge.event('session-end', ended + USERS.length);
  expect(sessionEnds().slice(ended)).toEqual(USERS.map(() => 'no QUIT'));
  for (const client of clients) client.close();
});

test('a message of 1 GiB passes through without being held', async () => {
  const number = site.imap.mailbox('INBOX').append(HEAD, { declaredSize: GIB });
  site.imap.setScript(hugeBody(number));
  const client = await site.open();
  expect(await client.command(`LIST ${number}`)).toBe(`+OK ${number} ${GIB}`);
  const before = most();
  // From here on nothing is kept.
  client.socket.removeAllListeners('data');
  client.send(`RETR ${number}\r\n`);
  let [octets, end] = [0, ''];
  client.socket.on('data', (chunk: Buffer) => {
    octets += chunk.length;
    end = (end + chunk.subarray(-5).toString('latin1')).slice(-5);
  });
  await until(() => octets > GIB && end === '\r\n.\r\n', 60_000);
  expect(octets).toBe('+OK message follows\r\n'.length + GIB + '.\r\n'.length);
  expect(most() - before).toBeLessThan(64 * MIB);
  const ended = site.bridge.events('session-end').length;
  client.send('QUIT\r\n');
  expect((await site.bridge.event('session-end', ended + 1))['outcome']).toBe('QUIT');
});

/** Answers whoever fetches the whole message with 1 GiB that is made while it is sent. */
function hugeBody(uid: number): ImapRule {
  return ({ command, tag }) =>
    command.startsWith(`UID FETCH ${uid} (UID BODY.PEEK[])`) ? { pieces: pieces(`* ${uid} FETCH (UID ${uid} BODY[]`, tag) } : undefined;
}

function* pieces(row: string, tag: string): Generator<Buffer> {
  const lines = LINE.repeat(MIB / LINE.length);
  const more = Buffer.from(lines);
  yield Buffer.from(`${row} {${GIB}}\r\n${HEAD}${lines.slice(HEAD.length)}`);
  for (let sent = MIB; sent < GIB; sent += MIB) yield more;
  yield Buffer.from(`)\r\n${tag} OK done\r\n`);
}
