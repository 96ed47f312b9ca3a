/** Limits of time, through the daemon: who is cut when, who is not, and what becomes of the mail (CONTRACT sections 4 and 5.9). */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { allowInLog } from '../support/bridge-process.ts';
import { BridgeSite } from '../support/bridge-site.ts';
import { PopDialogue } from '../support/pop-dialogue.ts';
import { TimeMachine } from '../support/time-machine.ts';
import { until } from '../support/until.ts';

allowInLog('login-failed');

const MINUTE = 60;
const BIG = `Subject: big\r\n\r\n${`${'x'.repeat(98)}\r\n`.repeat(300_000)}`;

const time = new TimeMachine();
let site: BridgeSite;

beforeAll(async () => {
  site = await BridgeSite.start({
    tables: '[limits]\nidle_timeout = "15m"\nlogin_timeout = "90s"\n[retrieve]\nmark_seen = "never"\n',
    server: { users: { alice: 'secret', bob: 'secret', carol: 'secret', dave: 'secret', erin: 'secret' } },
    // Whatever is under way with the server when time passes at once must not be late by that.
    commandTimeout: '30m',
    variables: time.variables,
  });
  for (const user of ['alice', 'bob', 'carol', 'dave'])
    for (const word of ['one', 'two']) site.imap.mailbox('INBOX', user).append(`Subject: ${word}\r\n\r\nbody\r\n`);
  site.imap.mailbox('INBOX', 'erin').append(BIG);
});

afterAll(async () => {
  await site[Symbol.asyncDispose]();
  time[Symbol.dispose]();
});

const pass = (seconds: number): Promise<void> => time.pass(site.bridge, seconds);
const outcomes = (user: string): unknown[] =>
  site.bridge
    .events('session-end')
    .filter((line) => line['user'] === user)
    .map((line) => line['outcome']);
const left = (user: string): number => site.imap.mailbox('INBOX', user).messages.length;

/** Begins a login, to be answered some time. */
async function asking(user: string): Promise<{ readonly client: PopDialogue; readonly answer: Promise<string> }> {
  const client = await PopDialogue.connect(site.bridge.port());
  await client.command(`USER ${user}`);
  return { client, answer: client.command('PASS secret') };
}

test('a session is cut without a word after idle_timeout, not before, and deletes nothing', async () => {
  const client = await site.open('alice');
  await client.command('DELE 1');
  await pass(14 * MINUTE);
  expect(await client.command('NOOP')).toMatch(/^\+OK/);
  await pass(14 * MINUTE + 50);
  expect(client.isClosed).toBe(false);
  await pass(20);
  expect((await client.closed()).toString()).toBe('');
  await until(() => outcomes('alice').includes('idle'));
  expect(left('alice')).toBe(2);
});

test('octets that never become a command do not hold a maildrop', async () => {
  const client = await site.open('alice');
  for (let minutes = 0; minutes < 15; minutes += 1) {
    client.send('N');
    await pass(MINUTE);
  }
  expect((await client.closed()).toString()).toBe('');
});

test('whoever does not log in is cut after login_timeout, however much is said; a login that takes its time is served', async () => {
  const idle = await PopDialogue.connect(site.bridge.port());
  const talking = await PopDialogue.connect(site.bridge.port());
  const slow = await PopDialogue.connect(site.bridge.port());
  for (const octet of 'USER bob\r\nPASS secret\r\n') {
    slow.send(octet);
    if (octet === '\n') expect(await slow.line()).toMatch(/^\+OK/);
    await pass(2);
  }
  for (let second = 46; second < 89; second += 20) {
    expect(await talking.command('CAPA')).toMatch(/^\+OK/);
    await talking.untilEnd();
    await pass(20);
  }
  for (const client of [idle, talking]) expect((await client.closed()).toString()).toBe('');
  expect(await slow.command('QUIT')).toBe('+OK bye');
});

test('a session that is silent for two minutes gives way to a new login: it is cut, and nothing that it marked is deleted', async () => {
  const first = await site.open('carol');
  const ids = await first.multi('UIDL');
  await first.command('DELE 1');
  await pass(119);
  const { client: second, answer } = await asking('carol');
  await pass(2);
  expect(await answer).toMatch(/^\+OK/);
  expect((await first.closed()).toString()).toBe('');
  expect(await second.multi('UIDL')).toEqual(ids);
  await second.command('QUIT');
  await until(() => outcomes('carol').length === 2);
  expect(outcomes('carol')).toEqual(['taken over', 'QUIT']);
  expect(left('carol')).toBe(2);
});

test('one whose client has hung up gives way at once, and deletes nothing either', async () => {
  const first = await site.open('dave');
  const ids = await first.multi('UIDL');
  await first.command('DELE 1');
  first.socket.resetAndDestroy();
  const second = await site.open('dave');
  expect(await second.multi('UIDL')).toEqual(ids);
  await second.command('QUIT');
  expect(left('dave')).toBe(2);
});

test('one that is being given a message does not give way, however long that takes: [IN-USE] after ten seconds, for who has the password', async () => {
  const first = await site.open('erin');
  first.send('RETR 1\r\n');
  expect(await first.line()).toMatch(/^\+OK/);
  first.socket.pause();
  await pass(100);
  const { client: second, answer } = await asking('erin');
  await pass(9);
  const guessing = await PopDialogue.connect(site.bridge.port());
  await guessing.command('USER erin');
  expect(await guessing.command('PASS a guess')).toMatch(/^-ERR \[AUTH\]/);
  await pass(2);
  expect(await answer).toBe('-ERR [IN-USE] maildrop is in use by another session');
  first.socket.resume();
  expect((await first.untilEnd()).length).toBe(BIG.length);
  expect(await first.command('QUIT')).toBe('+OK bye');
  for (const client of [second, guessing]) client.close();
});
