/** What was promised on one server is never carried out on another (CONTRACT section 5.1), though UIDVALIDITY and UIDs may be the same there. */
import { afterEach, describe, expect, test } from 'vitest';
import { bridgeConfig } from '../support/bridge-config.ts';
import { allowInLog, BridgeProcess } from '../support/bridge-process.ts';
import { ImapServer } from '../support/imap-server.ts';
import { PopDialogue } from '../support/pop-dialogue.ts';
import { TimeMachine } from '../support/time-machine.ts';
import { until } from '../support/until.ts';

allowInLog('delete-failed', 'map-rematched');

const open: (AsyncDisposable | Disposable)[] = [];

afterEach(async () => {
  for (const resource of open.splice(0).reverse()) {
    if (Symbol.asyncDispose in resource) await resource[Symbol.asyncDispose]();
    else resource[Symbol.dispose]();
  }
});

const FOLDERS = [{ path: 'INBOX' }, { path: 'Trash', specialUse: '\\Trash' }];

/** A server with three messages, each with a Message-ID of its own unless told otherwise. */
async function serverWith(name: string, header = (one: string): string => `Message-ID: <${one}@test>\r\n`): Promise<ImapServer> {
  const imap = await ImapServer.start({ users: { alice: 'secret' }, folders: FOLDERS });
  open.push(imap);
  for (const number of [1, 2, 3]) {
    const one = `${name}${number}`;
    imap.mailbox('INBOX').append(`${header(one)}Subject: ${one}\r\n\r\nbody\r\n`, { internalDate: new Date(1_700_000_000_000) });
  }
  return imap;
}

async function daemon(imap: ImapServer, tables: string, time: TimeMachine, folder?: string): Promise<BridgeProcess> {
  const bridge = await BridgeProcess.start({
    config: bridgeConfig({ imapPort: imap.port, tables, upstream: ['id = "same"', 'linger = "0s"'] }),
    variables: time.variables,
    ...(folder === undefined ? {} : { folder }),
  });
  open.push(bridge);
  return bridge;
}

async function loggedIn(bridge: BridgeProcess): Promise<PopDialogue> {
  const client = await PopDialogue.connect(bridge.port());
  await client.login('alice', 'secret');
  return client;
}

async function subjectsSeen(bridge: BridgeProcess): Promise<(string | undefined)[]> {
  const client = await loggedIn(bridge);
  const count = (await client.multi('UIDL')).length;
  const seen: (string | undefined)[] = [];
  for (let number = 1; number <= count; number += 1) {
    seen.push((await client.multi(`TOP ${number} 0`)).find((line) => line.startsWith('Subject: '))?.slice('Subject: '.length));
  }
  await client.command('QUIT');
  return seen;
}

const subjects = (imap: ImapServer, path = 'INBOX'): string[] =>
  imap.mailbox(path).messages.map(({ raw }) => /^Subject: (.*)\r$/m.exec(raw.toString())?.[1] ?? '');

describe.each([
  ['verify = true', true],
  ['verify = false', false],
])('with %s', (_, verify) => {
  const tables = `[delete]\nafter = "1h"\nverify = ${verify}\n`;

  async function promisedOn(before: ImapServer, time: TimeMachine): Promise<string> {
    const bridge = await daemon(before, tables, time);
    const client = await loggedIn(bridge);
    await client.command('DELE 2');
    expect(await client.command('QUIT')).toMatch(/^\+OK/);
    await bridge.stop();
    return bridge.folder;
  }

  test('a deletion that is due is abandoned, and other messages under those UIDs are shown and stay', async () => {
    const time = new TimeMachine();
    open.push(time);
    const [before, after] = [await serverWith('old'), await serverWith('new')];
    const bridge = await daemon(after, tables, time, await promisedOn(before, time));
    await time.pass(bridge, 2 * 60 * 60);
    expect(await subjectsSeen(bridge)).toEqual(['new1', 'new2', 'new3']);
    expect(await bridge.event('delete-failed')).toMatchObject({ outcome: 'abandoned', total: 1 });
    await time.pass(bridge, 2 * 60 * 60);
    expect(await subjectsSeen(bridge)).toEqual(['new1', 'new2', 'new3']);
    expect([subjects(after), subjects(after, 'Trash')]).toEqual([['new1', 'new2', 'new3'], []]);
    expect(bridge.events('delete-failed')).toHaveLength(1);
  });

  test('before it is due, it is not carried over to messages that nothing tells apart', async () => {
    const time = new TimeMachine();
    open.push(time);
    const none = (): string => '';
    const [before, after] = [await serverWith('old', none), await serverWith('new', none)];
    const bridge = await daemon(after, tables, time, await promisedOn(before, time));
    for (let login = 0; login < 2; login += 1) {
      expect(await subjectsSeen(bridge)).toEqual(['new1', 'new2', 'new3']);
      await time.pass(bridge, 2 * 60 * 60);
    }
    expect(subjects(after)).toEqual(['new1', 'new2', 'new3']);
  });
});

test('a promise that a crash interrupted is abandoned on another server, and the messages are shown', async () => {
  const time = new TimeMachine();
  open.push(time);
  const [before, after] = [await serverWith('old'), await serverWith('new')];
  const first = await daemon(before, '', time);
  const client = await loggedIn(first);
  await client.command('DELE 2');
  before.setScript(({ verb }) => (verb === 'UID MOVE' ? { hang: true } : undefined));
  client.send('QUIT\r\n');
  await until(() => before.commands.some((command) => command.startsWith('UID MOVE')));
  await first.stop('SIGKILL');
  const second = await daemon(after, '', time, first.folder);
  expect(await subjectsSeen(second)).toEqual(['new1', 'new2', 'new3']);
  expect(await second.event('delete-failed')).toMatchObject({ outcome: 'abandoned', total: 1 });
  expect([subjects(after), subjects(after, 'Trash')]).toEqual([['new1', 'new2', 'new3'], []]);
});
