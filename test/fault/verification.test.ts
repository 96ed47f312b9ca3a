/** Before messages are removed: is each still the one that was listed? Servers that tell too little, something else each time, or change what they keep. */
import { DatabaseSync } from 'node:sqlite';
import { join } from 'node:path';
import { messageIdKey } from '../../src/daemon/recognise.ts';
import { encodeIdentities } from '../../src/store/identity-segment.ts';
import { endsWithEachTest, sharedByTests } from '../support/ends-with-tests.ts';
import { uid } from '../support/fake-maildrop.ts';
import { describe, expect, test } from 'vitest';
import { bridgeConfig } from '../support/bridge-config.ts';
import { allowInLog, BridgeProcess } from '../support/bridge-process.ts';
import { ImapServer } from '../support/imap-server.ts';
import type { ImapRule } from '../support/imap-server/script.ts';
import type { FakeMailbox } from '../support/imap-server/mailbox.ts';
import { PopDialogue } from '../support/pop-dialogue.ts';
import type { Bridge } from '../support/shared-bridge.ts';
import { until } from '../support/until.ts';

allowInLog('delete-failed', 'map-rematched');

const UPSTREAM = ['command_timeout = "20s"', 'linger = "0s"'];
const open = endsWithEachTest();
const shared = sharedByTests();

interface Site<Daemon extends Bridge = Bridge> {
  readonly imap: ImapServer;
  readonly inbox: FakeMailbox;
  readonly bridge: Daemon;
}

const day = (n: number): { readonly internalDate: Date } => ({ internalDate: new Date(Date.UTC(2026, 0, n)) });
const mail = (name: string): string => `Subject: ${name}\r\nMessage-ID: <${name}@example.com>\r\n\r\nbody of ${name}\r\n`;

async function mailServer(texts: readonly string[]): Promise<Omit<Site, 'bridge'>> {
  const imap = await ImapServer.start({ users: { alice: 'secret' } });
  open.push(imap);
  const inbox = imap.mailbox('INBOX');
  for (const [index, text] of texts.entries()) inbox.append(Buffer.from(text, 'latin1'), day(index + 1));
  return { imap, inbox };
}

async function site(texts: readonly string[], tables = ''): Promise<Site> {
  const server = await mailServer(texts);
  const bridge = await shared.add({ imapPort: server.imap.port, tables, upstream: UPSTREAM });
  open.push(bridge);
  return { ...server, bridge };
}

async function login({ bridge }: Site): Promise<PopDialogue> {
  const client = await PopDialogue.connect(bridge.port());
  await client.login('alice', 'secret');
  return client;
}

/** A whole session: unique-ids by number, and the answer to QUIT; all that is done after it is done. */
async function session(it: Site, ...commands: readonly string[]): Promise<{ readonly ids: string[]; readonly quit: string }> {
  const goodbyes = (): number => it.imap.commands.filter((command) => command === 'LOGOUT').length;
  const before = goodbyes();
  const client = await login(it);
  const ids = (await client.multi('UIDL')).map((line) => line.split(' ')[1] ?? '');
  for (const command of commands) await (/^(RETR|TOP)/.test(command) ? client.multi(command) : client.command(command));
  const quit = await client.command('QUIT');
  await until(() => goodbyes() > before);
  return { ids, quit };
}

const names = (mailbox: FakeMailbox): string[] =>
  mailbox.messages.map(({ raw }) => /^Subject: (.*)\r$/m.exec(raw.toString('latin1'))?.[1] ?? '');
const trash = ({ imap }: Site): string[] => names(imap.mailbox('Trash'));

/** Gives the UID of a message to another one, as a restore from backup does. */
function replace(inbox: FakeMailbox, uid: number, text: string): void {
  const message = inbox.messages.find((one) => one.uid === uid);
  Object.assign(message ?? {}, { raw: Buffer.from(text), ...day(20) });
}

/** No row with a size for the last of those asked for. */
const leavesOut: ImapRule = ({ command }) => (/^UID FETCH .*RFC822\.SIZE/.test(command) ? { omitRows: 1 } : undefined);

describe('a row that is left out', () => {
  test('keeps its message from being removed, and no other; the message keeps its unique-id', async () => {
    const it = await site(['one', 'two', 'three'].map(mail));
    const client = await login(it);
    const ids = (await client.multi('UIDL')).map((line) => line.split(' ')[1]);
    for (const n of [1, 2, 3]) await client.command(`DELE ${n}`);
    replace(it.inbox, 3, mail('other'));
    it.imap.setScript(leavesOut);
    expect(await client.command('QUIT')).toBe('-ERR [SYS/TEMP] 1 of 3 messages not deleted');
    expect([names(it.inbox), trash(it)]).toEqual([['other'], ['one', 'two']]);
    expect(await it.bridge.event('delete-failed')).toMatchObject({ failed: 1, error: { code: 'UPSTREAM_INCOMPLETE' } });
    it.imap.setScript(undefined);
    expect((await session(it)).ids).toEqual([ids[2]]);
  });

  test('of a message that is known by its Message-ID: it is removed where the message itself says so, and only then', async () => {
    const it = await site(['one', 'two', 'three'].map(mail));
    await session(it, 'TOP 2 0', 'TOP 3 0');
    for (const [expected, number, change] of [
      ['+OK bye', 3, () => {}],
      ['-ERR [SYS/TEMP] 1 of 1 messages not deleted', 2, () => replace(it.inbox, 2, mail('other'))],
    ] as const) {
      const client = await login(it);
      await client.command(`DELE ${number}`);
      change();
      it.imap.setScript(leavesOut);
      expect(await client.command('QUIT')).toBe(expected);
      it.imap.setScript(undefined);
    }
    expect([names(it.inbox), trash(it)]).toEqual([['one', 'other'], ['three']]);
  });

  test('of a message that is gone harms nobody', async () => {
    const it = await site(['one', 'two'].map(mail));
    const client = await login(it);
    for (const n of [1, 2]) await client.command(`DELE ${n}`);
    it.inbox.expunge(2);
    expect(await client.command('QUIT')).toBe('+OK bye');
    expect([names(it.inbox), trash(it)]).toEqual([[], ['one']]);
  });

  test.each([
    ['the journal', '', { bye: 'going down' }],
    ['what is due', '[delete]\nafter = "1s"\n', undefined],
  ] as const)('does so also when %s is worked off', async (_, tables, fault) => {
    const it = await site(['one', 'two'].map(mail), tables);
    const client = await login(it);
    await client.command('DELE 2');
    it.imap.setScript(({ verb }) => (verb === 'UID MOVE' ? fault : undefined));
    await client.command('QUIT');
    it.imap.setScript(undefined);
    replace(it.inbox, 2, mail('other'));
    let left = 0;
    it.imap.setScript((event) => {
      // Only the check: the listing that follows asks for new messages.
      const fault = event.command.startsWith('UID FETCH 2 ') && event.command.includes('SIZE') && left < 2 ? leavesOut(event) : undefined;
      if (fault !== undefined) left += 1;
      return fault;
    });
    await until(async () => {
      await session(it);
      return left > 0;
    });
    expect([names(it.inbox), trash(it)]).toEqual([['one', 'other'], []]);
    expect(await it.bridge.event('delete-failed')).toBeDefined();
  });
});

test.each([
  ['a bare CR', 'X-A: b\rMessage-ID: <fake@x>\r\nMessage-ID: <real@x>\r\nSubject: odd\r\n\r\nbody\r\n'],
  ['two Message-IDs', 'Message-ID: <1@x>\r\nSubject: odd\r\nMessage-ID: <2@x>\r\n\r\nbody\r\n'],
  ['a NUL', 'X-A: \0\r\nMessage-ID: <1@x>\r\nSubject: odd\r\n\r\nbody\r\n'],
  ['a blank before the colon', 'Message-ID : <1@x>\r\nSubject: odd\r\n\r\nbody\r\n'],
  ['a line of an mbox before it', 'From x Thu Jan  1 00:00:00 2026\r\nMessage-ID: <1@x>\r\nSubject: odd\r\n\r\nbody\r\n'],
  ['raw 8-bit text', 'Subject: odd\r\nFrom: \xe4\xa0\x85\r\n\r\nbody\r\n'],
  ['no end', 'Message-ID: <1@x>\r\nSubject: odd\r\n'],
  ['64 KiB', `X-A: ${'x'.repeat(70_000)}\r\nMessage-ID: <1@x>\r\nSubject: odd\r\n\r\nbody\r\n`],
])('a header with %s: the message keeps its unique-id and can be deleted', async (_, text) => {
  const it = await site([text, mail('plain')]);
  const first = await session(it, 'RETR 1');
  const second = await session(it, 'TOP 1 0');
  const third = await session(it, 'DELE 1');
  expect([second.ids, third.ids, third.quit]).toEqual([first.ids, first.ids, '+OK bye']);
  expect([names(it.inbox), trash(it)]).toEqual([['plain'], ['odd']]);
});

describe('a message', () => {
  test('whose size has changed since it was read keeps its unique-id and can be deleted', async () => {
    const it = await site(['no header at all, just this text\r\n', mail('plain')]);
    const first = await session(it, 'RETR 1');
    Object.assign(it.inbox.messages[0] ?? {}, { raw: Buffer.from('Status: O\r\n\r\nno header at all, just this text\r\n') });
    const second = await session(it);
    const third = await session(it, 'DELE 1');
    expect([second.ids, third.ids, third.quit]).toEqual([first.ids, first.ids, '+OK bye']);
    expect(names(it.inbox)).toEqual(['plain']);
  });

  test.each([
    ['date', 'RETR', false],
    ['date', 'nothing', false],
    ['date', 'nothing', true],
    ['size', 'RETR', false],
    ['size', 'nothing', false],
    ['both', 'RETR', false],
    ['both', 'nothing', false],
    ['both', 'nothing', true],
  ] as const)(
    'with a %s that is another one each time keeps its unique-id and can be deleted (%s before, header: %s)',
    async (what, before, hasHeader) => {
      const it = await site([1, 2, 3].map((n) => (hasHeader ? mail(String(n)) : `X-A: ${n}\r\n\r\nbody ${n}\r\n`)));
      let asked = 0;
      it.imap.setScript(({ command }) => {
        if (!command.includes('RFC822.SIZE')) return undefined;
        asked += 1;
        for (const message of it.inbox.messages) {
          if (what !== 'size') Object.assign(message, { internalDate: new Date(Date.UTC(2026, 1, 1, 0, 0, asked)) });
          if (what !== 'date') Object.assign(message, { declaredSize: message.raw.length + asked });
        }
        return undefined;
      });
      const first = await session(it, ...(before === 'RETR' ? [1, 2, 3].map((n) => `RETR ${n}`) : []));
      it.inbox.append(mail('new'));
      const second = await session(it, 'DELE 1');
      expect([second.ids.slice(0, 3), second.quit]).toEqual([first.ids, '+OK bye']);
      expect(it.inbox.messages.map(({ uid }) => uid)).toEqual([2, 3, 4]);
    },
  );
});

test.each(['date', 'size'] as const)(
  'a %s that is another one in each session costs a message without a telling header nothing',
  async (what) => {
    const it = await site([1, 2, 3].map((n) => `X-A: ${n}\r\n\r\nbody ${n}\r\n`));
    const first = await session(it);
    for (const message of it.inbox.messages) {
      Object.assign(message, what === 'date' ? day(15) : { declaredSize: message.raw.length + 12 });
    }
    it.inbox.append(mail('new'));
    const second = await session(it);
    for (const message of it.inbox.messages) {
      Object.assign(message, what === 'date' ? day(16) : { declaredSize: message.raw.length + 24 });
    }
    const third = await session(it, 'DELE 1');
    expect([second.ids.slice(0, 3), third.ids.slice(0, 3), third.quit]).toEqual([first.ids, first.ids, '+OK bye']);
    expect(it.inbox.messages.map(({ uid }) => uid)).toEqual([2, 3, 4]);
  },
);

test('a mailbox that was set back in time is noticed all the same, where sizes are the same too', async () => {
  const it = await site(['one', 'two', 'six'].map(mail));
  const first = await session(it);
  replace(it.inbox, 3, mail('ten'));
  it.inbox.append(mail('new'));
  const second = await session(it);
  expect(second.ids.slice(0, 2)).toEqual(first.ids.slice(0, 2));
  expect(first.ids).not.toContain(second.ids[2]);
});

test('identities that an earlier version read otherwise cost no message its unique-id, and none is undeletable for them', async () => {
  const server = await mailServer(['X-A: b\rMessage-ID: <fake@x>\r\nMessage-ID: <real@x>\r\nSubject: odd\r\n\r\nbody\r\n', mail('plain')]);
  const bridge = await BridgeProcess.start({ config: bridgeConfig({ imapPort: server.imap.port, upstream: UPSTREAM }) });
  open.push(bridge);
  const it = { ...server, bridge };
  const first = await session(it, 'RETR 1');
  await bridge.stop();
  putIdentity(join(bridge.folder, 'state', 'popbridge.sqlite'), '<fake@x>');
  const next = await BridgeProcess.start({
    folder: bridge.folder,
    config: bridgeConfig({ imapPort: server.imap.port, upstream: UPSTREAM }),
  });
  open.push(next);
  const second = await session({ ...server, bridge: next }, 'DELE 1');
  expect(second).toEqual({ ids: first.ids, quit: '+OK bye' });
  expect(names(it.inbox)).toEqual(['plain']);
});

/** Makes the store know message 1 by that, and no other. */
function putIdentity(path: string, messageId: string): void {
  const database = new DatabaseSync(path);
  const rows = encodeIdentities(new Map([[uid(1), { given: '', messageId: messageIdKey(messageId) }]]));
  expect(database.prepare('UPDATE identity SET rows = ?').run(rows).changes).toBe(1);
  database.close();
}
