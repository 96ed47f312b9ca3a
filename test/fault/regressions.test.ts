/** What reviews found in the map, in views and in deletion: each was a failing test before it was mended. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { promisify } from 'node:util';
import { readFileSync, writeFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { bridgeConfig } from '../support/bridge-config.ts';
import { allowInLog, BridgeProcess } from '../support/bridge-process.ts';
import { endsWithEachTest, sharedByTests } from '../support/ends-with-tests.ts';
import { ImapServer, type ImapServerOptions } from '../support/imap-server.ts';
import type { Fault, ImapRule } from '../support/imap-server/script.ts';
import { patienceText } from '../support/patience.ts';
import { PopDialogue } from '../support/pop-dialogue.ts';
import type { Bridge, SiteConfig } from '../support/shared-bridge.ts';
import { until } from '../support/until.ts';

allowInLog('delete-failed', 'login-failed', 'map-rematched', 'only-flagged', 'save-failed', 'seen-failed');

const WITHOUT_MOVE = ['IMAP4rev1', 'SASL-IR', 'AUTH=PLAIN', 'UIDPLUS', 'SPECIAL-USE'];
const UPSTREAM = [`command_timeout = "${patienceText(2_000)}"`, 'linger = "0s"', 'connections_per_account = 3'];
const open = endsWithEachTest();
const shared = sharedByTests();
interface Setup extends Partial<SiteConfig> {
  readonly server?: ImapServerOptions;
  readonly messages?: number;
}
interface Site<Daemon extends Bridge = Bridge> {
  readonly imap: ImapServer;
  readonly bridge: Daemon;
}
async function site({ server, messages, ...config }: Setup = {}): Promise<Site> {
  const imap = await mailServer(server, messages);
  const bridge = await shared.add({ imapPort: imap.port, ...config, upstream: UPSTREAM });
  open.push(bridge);
  return { imap, bridge };
}
/** With a daemon of its own, to be stopped or to be looked into. */
async function siteOfItsOwn({ server, messages, ...config }: Setup = {}): Promise<Site<BridgeProcess>> {
  const imap = await mailServer(server, messages);
  const bridge = await BridgeProcess.start({ config: bridgeConfig({ imapPort: imap.port, ...config, upstream: UPSTREAM }) });
  open.push(bridge);
  return { imap, bridge };
}
async function mailServer(server: ImapServerOptions = {}, messages = 3): Promise<ImapServer> {
  const imap = await ImapServer.start({ users: { alice: 'secret' }, ...server });
  open.push(imap);
  for (let index = 1; index <= messages; index += 1) imap.mailbox('INBOX').append(`Subject: ${index}\r\n\r\nbody ${index}\r\n`);
  return imap;
}
async function again(bridge: BridgeProcess, port: number, tables = ''): Promise<BridgeProcess> {
  await bridge.stop();
  const next = await BridgeProcess.start({
    folder: bridge.folder,
    config: bridgeConfig({ imapPort: port, tables, upstream: UPSTREAM }),
  });
  open.push(next);
  return next;
}
async function session(bridge: Bridge, user = 'alice'): Promise<PopDialogue> {
  const client = await PopDialogue.connect(bridge.port());
  await client.login(user, 'secret');
  return client;
}
async function answerTo(bridge: Bridge, user = 'alice'): Promise<string> {
  const client = await PopDialogue.connect(bridge.port());
  await client.command(`USER ${user}`);
  const answer = await client.command('PASS secret');
  client.close();
  return answer;
}
/** UIDL by Subject; waits for goodbye */
async function shown({ imap, bridge }: Site, user = 'alice'): Promise<Record<string, string>> {
  const before = imap.commands.filter((c) => c === 'LOGOUT').length;
  const client = await session(bridge, user);
  const ids: Record<string, string> = {};
  for (const line of await client.multi('UIDL')) {
    const [n, id = ''] = line.split(' ');
    ids[/Subject: (.*)/.exec((await client.multi(`TOP ${n} 0`)).join('\n'))?.[1] ?? `?${n}`] = id;
  }
  await client.command('QUIT');
  await until(() => imap.commands.filter((c) => c === 'LOGOUT').length > before);
  return ids;
}
const on = (beginning: string, fault: Fault, times = Infinity): ImapRule => {
  let left = times;
  return ({ command }) => (command.startsWith(beginning) && left-- > 0 ? fault : undefined);
};
const subjects = (imap: ImapServer, path = 'INBOX'): string[] =>
  imap.mailbox(path).messages.map(({ raw }) => /^Subject: (.*)\r$/m.exec(raw.toString())?.[1] ?? '');
const db = (bridge: BridgeProcess): DatabaseSync => new DatabaseSync(join(bridge.folder, 'state', 'popbridge.sqlite'));
const later = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

const FOLDERS = [{ path: 'INBOX' }, { path: 'Work' }, { path: 'Trash', specialUse: '\\Trash' }];

describe('messages that were sent to a client', () => {
  test.for(['RETR', 'TOP'])(
    'are known by their headers at once (%s): another order, other dates, no time to look back',
    async (command) => {
      const s = await site({ messages: 0 });
      const inbox = s.imap.mailbox('INBOX');
      const mail = (n: number): string => `Subject: ${n}\r\nMessage-ID: <${n}@example.com>\r\n\r\nbody\r\n`;
      for (let n = 1; n <= 9; n += 1) inbox.append(mail(n), { internalDate: new Date(Date.UTC(2026, 0, 1)) });
      const client = await session(s.bridge);
      const before: Record<string, string> = {};
      for (const line of await client.multi('UIDL')) {
        const [n, id = ''] = line.split(' ');
        before[/Subject: (.*)/.exec((await client.multi(command === 'RETR' ? `RETR ${n}` : `TOP ${n} 0`)).join('\n'))?.[1] ?? ''] = id;
      }
      await client.command('QUIT');
      for (const { uid } of inbox.messages) inbox.expunge(uid);
      inbox.resetUidValidity();
      for (let n = 9; n >= 1; n -= 1) inbox.append(mail(n), { internalDate: new Date(Date.UTC(2026, 5, n)) });
      expect(await shown(s)).toEqual(before);
    },
  );
});

describe('overdue work', () => {
  test('due in two folders: the next login lists', async () => {
    const s = await site({ server: { folders: FOLDERS }, tables: '[maildrop]\nfolders = ["INBOX", "Work"]\n[delete]\nafter = "1s"\n' });
    s.imap.mailbox('Work').append('Subject: w1\r\n\r\n');
    s.imap.mailbox('Work').append('Subject: w2\r\n\r\n');
    const client = await session(s.bridge);
    await client.command('DELE 1');
    await client.command('DELE 4');
    expect(await client.command('QUIT')).toBe('+OK bye');
    await later(1500);
    expect(await answerTo(s.bridge)).toMatch(/^\+OK/);
  });
  test('due in two folders that can never be removed: every login fails', async () => {
    const s = await site({ server: { folders: FOLDERS }, tables: '[maildrop]\nfolders = ["INBOX", "Work"]\n[delete]\nafter = "1s"\n' });
    s.imap.mailbox('Work').append('Subject: w1\r\n\r\n');
    s.imap.mailbox('Work').append('Subject: w2\r\n\r\n');
    const client = await session(s.bridge);
    await client.command('DELE 1');
    await client.command('DELE 4');
    expect(await client.command('QUIT')).toBe('+OK bye');
    s.imap.setScript(on('UID MOVE', { reply: 'NO [OVERQUOTA] full' }));
    await later(1500);
    const answers = [await answerTo(s.bridge), await answerTo(s.bridge), await answerTo(s.bridge)];
    expect(answers.map((a) => a.slice(0, 3))).toEqual(['+OK', '+OK', '+OK']);
  });
});

describe('a save that fails', () => {
  test('ids survive a save that failed at login and succeeded at QUIT', async () => {
    const s = await siteOfItsOwn({ messages: 0 });
    for (let i = 1; i <= 1500; i += 1) s.imap.mailbox('INBOX').append(`Subject: ${i}\r\n\r\nbody\r\n`);
    await answerTo(s.bridge);
    await s.bridge.stop();
    const fresh = db(s.bridge);
    fresh.exec('DELETE FROM segment; DELETE FROM epoch; DELETE FROM mailbox;');
    fresh.exec("CREATE TRIGGER full BEFORE INSERT ON segment BEGIN SELECT RAISE(ABORT, 'disk full'); END");
    const bridge = await again(s.bridge, s.imap.port);
    const client = await session(bridge);
    const before = await client.multi('UIDL');
    await bridge.event('save-failed');
    expect(bridge.events('save-failed')).toHaveLength(1);
    fresh.exec('DROP TRIGGER full');
    fresh.close();
    await client.retrieve(1);
    await client.command('QUIT');
    await bridge.event('session-end');
    const third = await again(bridge, s.imap.port);
    const c3 = await session(third);
    const after = await c3.multi('UIDL');
    expect(after.filter((line, i) => line !== before[i]).slice(0, 3)).toEqual([]);
  });
});

describe('where deleted mail goes', () => {
  test.for([
    ['archive', '[delete]\naction = "archive"\n'],
    ['move', '[delete]\naction = "move"\nfolder = "Done"\n'],
    ['trash named', '[delete]\naction = "trash"\nfolder = "Done"\n'],
  ])('deleted mail does not come back: %s', async ([, del]) => {
    const s = await site({
      server: { folders: [{ path: 'INBOX' }, { path: 'Archive', specialUse: '\\Archive' }, { path: 'Done' }] },
      tables: `[maildrop]\nfolders = ["*"]\n${del}`,
    });
    const client = await session(s.bridge);
    await client.command('DELE 1');
    expect(await client.command('QUIT')).toBe('+OK bye');
    expect(Object.keys(await shown(s))).toEqual(['2', '3']);
  });
});

describe('views of all-views', () => {
  test('all-views: what a view deleted before the mailbox was set back does not count', async () => {
    const tables = '[delete]\naction = "expunge"\nwhen = "all-views"\n[views.a]\n[views.b]\n';
    const s = await site({ messages: 0, tables });
    const inbox = s.imap.mailbox('INBOX');
    for (let i = 1; i <= 3; i += 1) inbox.append(`Subject: ${i}\r\n\r\nx\r\n`, { internalDate: new Date(Date.UTC(2026, 0, i)) });
    await shown(s, 'alice/a');
    const b = await session(s.bridge, 'alice/b');
    await b.command('DELE 3');
    expect(await b.command('QUIT')).toBe('+OK bye');
    // A backup is brought back: UID 3 is given to another message.
    inbox.expunge(3);
    inbox.uidNext = 3;
    inbox.append('Subject: new 3\r\n\r\nnew\r\n', { internalDate: new Date(Date.UTC(2026, 1, 1)) });
    inbox.append('Subject: new 4\r\n\r\nnew\r\n', { internalDate: new Date(Date.UTC(2026, 1, 2)) });
    const a = await session(s.bridge, 'alice/a');
    expect(await a.multi('UIDL')).toHaveLength(4);
    await a.command('DELE 3');
    expect(await a.command('QUIT')).toBe('+OK bye');
    expect(subjects(s.imap)).toContain('new 3');
    expect(Object.keys(await shown(s, 'alice/b'))).toContain('new 3');
  });
  test('all-views: nor what it deleted on another server with the same UIDVALIDITY', async () => {
    const tables = '[delete]\naction = "expunge"\nwhen = "all-views"\n[views.a]\n[views.b]\n';
    const s = await siteOfItsOwn({ messages: 3, tables });
    await shown(s, 'alice/a');
    const b = await session(s.bridge, 'alice/b');
    await b.command('DELE 2');
    expect(await b.command('QUIT')).toBe('+OK bye');
    const other = await ImapServer.start({ users: { alice: 'secret' } });
    open.push(other);
    other.mailbox('INBOX').uidValidity = s.imap.mailbox('INBOX').uidValidity;
    for (const name of ['n1', 'n2', 'n3']) other.mailbox('INBOX').append(`Subject: ${name}\r\n\r\nquite different\r\n`);
    const bridge = await again(s.bridge, other.port, tables);
    const a = await session(bridge, 'alice/a');
    await a.command('DELE 2');
    expect(await a.command('QUIT')).toBe('+OK bye');
    expect(subjects(other)).toContain('n2');
  });
});

describe('rows of a listing', () => {
  test('news of flags within a FETCH do not spoil the rows', async () => {
    const s = await site({ messages: 0 });
    const inbox = s.imap.mailbox('INBOX');
    for (let i = 1; i <= 3; i += 1) inbox.append(`Subject: ${i}\r\n\r\nbody\r\n`);
    s.imap.setScript(({ command, tag }) =>
      command.startsWith('UID FETCH') && command.includes('RFC822.SIZE')
        ? {
            raw: [
              '* 1 FETCH (UID 1 RFC822.SIZE 20 INTERNALDATE "01-Jan-2026 00:00:00 +0000")',
              '* 2 FETCH (UID 2 RFC822.SIZE 20 INTERNALDATE "01-Jan-2026 00:00:00 +0000")',
              '* 3 FETCH (UID 3 RFC822.SIZE 20 INTERNALDATE "01-Jan-2026 00:00:00 +0000")',
              '* 2 FETCH (UID 2 FLAGS (\\Seen))',
              `${tag} OK done`,
              '',
            ].join('\r\n'),
          }
        : undefined,
    );
    const client = await session(s.bridge);
    expect(await client.multi('LIST')).toEqual(['1 20', '2 20', '3 20']);
  });
});

describe('flags', () => {
  test.for([
    ['flag', {}, 'action = "flag"'],
    ['no UIDPLUS', { capabilities: ['IMAP4rev1', 'AUTH=PLAIN'] }, 'action = "trash"'],
  ] as const)('flagged once when due, and not again: %s', async ([, server, action]) => {
    const s = await site({ server, tables: `[delete]\n${action}\nafter = "1s"\n` });
    const client = await session(s.bridge);
    await client.command('DELE 2');
    await client.command('QUIT');
    await later(1500);
    await shown(s);
    expect(s.imap.mailbox('INBOX').messages[1]?.flags).toContain('\\Deleted');
    // Another client takes the flag away.
    s.imap.mailbox('INBOX').setFlags(2, []);
    await shown(s);
    expect(s.imap.mailbox('INBOX').messages[1]?.flags).not.toContain('\\Deleted');
    expect(s.imap.commands.filter((c) => c.startsWith('UID STORE') && c.includes('Deleted'))).toHaveLength(1);
  });
});

describe('overdue work that can not be done', () => {
  test('a due message whose row the server cannot give does not lock its user out', async () => {
    const s = await site({ tables: '[delete]\nafter = "1s"\n' });
    const client = await session(s.bridge);
    await client.command('DELE 2');
    await client.command('QUIT');
    await later(1500);
    s.imap.setScript(({ command }) => (command.startsWith('UID FETCH 2 ') ? { reply: 'NO [SERVERBUG] cannot read message' } : undefined));
    const answers = [await answerTo(s.bridge), await answerTo(s.bridge)];
    expect(answers.map((a) => a.slice(0, 3))).toEqual(['+OK', '+OK']);
  });
  test('a folder no longer configured that cannot be selected does not lock its user out', async () => {
    const s = await siteOfItsOwn({
      server: { folders: FOLDERS },
      tables: '[maildrop]\nfolders = ["INBOX", "Work"]\n[delete]\nafter = "1s"\n',
    });
    s.imap.mailbox('Work').append('Subject: w\r\n\r\n');
    const client = await session(s.bridge);
    await client.command('DELE 4');
    await client.command('QUIT');
    const bridge = await again(s.bridge, s.imap.port, '[delete]\nafter = "1s"\n');
    await later(1500);
    s.imap.setScript(({ command }) => (/^SELECT "?Work/.test(command) ? { reply: 'NO [NOPERM] Access denied' } : undefined));
    const answers = [await answerTo(bridge), await answerTo(bridge)];
    expect(answers.map((a) => a.slice(0, 3))).toEqual(['+OK', '+OK']);
  });
});

describe('identities', () => {
  test('a row that was left out once by the look-back does not make a message undeletable', async () => {
    const s = await site({ messages: 0 });
    for (const n of ['one', 'two', 'three']) s.imap.mailbox('INBOX').append(`Subject: ${n}\r\nMessage-ID: <${n}@x>\r\n\r\nbody\r\n`);
    s.imap.setScript(({ command }) => (command.includes('HEADER.FIELDS') ? { omitRows: 1 } : undefined));
    const before = await shown(s);
    s.imap.setScript(undefined);
    const client = await session(s.bridge);
    await client.command('DELE 1');
    await client.command('DELE 3');
    const answer = await client.command('QUIT');
    const after = await shown(s);
    expect({ answer, after }).toEqual({ answer: '+OK bye', after: { two: before['two'] } });
  });
});

describe('a mailbox that goes back in time', () => {
  test('UIDNEXT that goes back: the id of a message is not given to another', async () => {
    const s = await site({ messages: 0 });
    const inbox = s.imap.mailbox('INBOX');
    for (let i = 1; i <= 4; i += 1) inbox.append(`Subject: ${i}\r\n\r\nx\r\n`, { internalDate: new Date(Date.UTC(2026, 0, i)) });
    const before = await shown(s);
    for (const uid of [3, 4]) inbox.expunge(uid);
    inbox.uidNext = 3;
    inbox.append('Subject: new\r\n\r\nnew body\r\n', { internalDate: new Date(Date.UTC(2026, 1, 1)) });
    const after = await shown(s);
    expect(Object.values(before)).not.toContain(after['new']);
    expect(after).toMatchObject({ 1: before['1'], 2: before['2'] });
  });
});

describe('an interrupted copy', () => {
  test('a due message whose copying was interrupted is not copied twice', async () => {
    const s = await site({ server: { capabilities: WITHOUT_MOVE }, tables: '[delete]\nafter = "1s"\n' });
    const client = await session(s.bridge);
    await client.command('DELE 2');
    await client.command('QUIT');
    await later(1500);
    s.imap.setScript(on('UID COPY', { runThen: 'close' }, 1));
    await answerTo(s.bridge);
    await answerTo(s.bridge);
    await shown(s);
    expect(subjects(s.imap, 'Trash')).toEqual(['2']);
  });
});

describe('one folder under two names', () => {
  const NS = on('NAMESPACE', { untagged: '* NAMESPACE (("INBOX/" "/")) NIL NIL', reply: 'OK done' });
  test('all-views with a namespace prefix: a view that shows the folder must have deleted it', async () => {
    const tables = '[maildrop]\nfolders = ["INBOX", "Work"]\n[delete]\naction = "expunge"\nwhen = "all-views"\n[views.a]\n[views.b]\n';
    const s = await site({ server: { folders: [{ path: 'INBOX' }, { path: 'INBOX/Work' }], script: NS }, tables, messages: 0 });
    s.imap.mailbox('INBOX/Work').append('Subject: w\r\n\r\n');
    expect(Object.keys(await shown(s, 'alice/b'))).toEqual(['w']);
    const a = await session(s.bridge, 'alice/a');
    await a.command('DELE 1');
    expect(await a.command('QUIT')).toBe('+OK bye');
    expect(subjects(s.imap, 'INBOX/Work')).toEqual(['w']);
  });
  test.for(['["Work", "INBOX/Work"]', '["Work", "INBOX/*"]'])('no message stands twice in a maildrop: %s', async (folders) => {
    const s = await site({
      server: { folders: [{ path: 'INBOX' }, { path: 'INBOX/Work' }], script: NS },
      tables: `[maildrop]\nfolders = ${folders}\n`,
      messages: 0,
    });
    s.imap.mailbox('INBOX/Work').append('Subject: w\r\n\r\n');
    const client = await session(s.bridge);
    expect((await client.multi('UIDL')).map((l) => l.split(' ')[1])).toHaveLength(1);
  });
});

describe('folders that go', () => {
  test('a folder that is renamed keeps the ids of its messages', async () => {
    const s = await site({ server: { folders: FOLDERS }, tables: '[maildrop]\nfolders = ["*"]\n', messages: 0 });
    for (const n of ['one', 'two']) s.imap.mailbox('Work').append(`Subject: ${n}\r\nMessage-ID: <${n}@x>\r\n\r\nbody\r\n`);
    const before = await shown(s);
    await renameFolder(s.imap, 'Work', 'Work 2026');
    expect(await shown(s)).toEqual(before);
  });
  test('messages moved out of a folder that is then deleted keep their ids', async () => {
    const s = await site({ server: { folders: FOLDERS }, tables: '[maildrop]\nfolders = ["*"]\n', messages: 0 });
    const date = { internalDate: new Date(Date.UTC(2026, 0, 1)) };
    s.imap.mailbox('Work').append(`Subject: one\r\nMessage-ID: <one@x>\r\n\r\nbody\r\n`, date);
    const before = await shown(s);
    s.imap.mailbox('INBOX').append(`Subject: one\r\nMessage-ID: <one@x>\r\n\r\nbody\r\n`, date);
    s.imap.mailbox('Work').expunge(1);
    await raw(s.imap, ['DELETE "Work"']);
    expect(await shown(s)).toEqual(before);
  });
});
async function raw(imap: ImapServer, commands: string[]): Promise<void> {
  const { connect } = await import('node:net');
  const socket = connect(imap.port, '127.0.0.1');
  let text = '';
  socket.on('data', (d) => (text += d));
  for (const [i, command] of ['LOGIN alice secret', ...commands].entries()) {
    socket.write(`t${i} ${command}\r\n`);
    await until(() => new RegExp(`^t${i} `, 'm').test(text));
  }
  socket.destroy();
}
const renameFolder = (imap: ImapServer, from: string, to: string) => raw(imap, [`RENAME "${from}" "${to}"`]);

describe('the word on what can be made again', () => {
  test('a damaged derivations file is not taken for the word that all can be made again', async () => {
    const s = await siteOfItsOwn({ messages: 0 });
    const inbox = s.imap.mailbox('INBOX');
    for (const n of ['one', 'two']) inbox.append(`Subject: ${n}\r\nMessage-ID: <${n}@x>\r\n\r\nbody\r\n`);
    await shown(s);
    inbox.resetUidValidity();
    await shown(s);
    await s.bridge.stop();
    const path = join(s.bridge.folder, 'state', 'popbridge.sqlite');
    expect(JSON.parse(readFileSync(`${path}.derivations`, 'utf8'))).toEqual({ test: null });
    writeFileSync(`${path}.derivations`, '');
    // another user, say; here the folder of another maildrop
    let bridge = await again(s.bridge, s.imap.port, '[views.other]\n');
    await (await session(bridge, 'alice/other')).command('QUIT');
    await bridge.event('session-end');
    await bridge.stop();
    const octets = readFileSync(path);
    octets.fill(0, 0, 100);
    writeFileSync(path, octets);
    await expect(again(bridge, s.imap.port, '[views.other]\n').then(async (b) => shown({ imap: s.imap, bridge: b }))).rejects.toThrow(
      /damaged/,
    );
  });
});

describe('folders that are no longer shown', () => {
  test('ids of a folder that is no longer shown are not given to another folder', async () => {
    const s = await siteOfItsOwn({ server: { folders: FOLDERS }, tables: '[maildrop]\nunique_id = "cyrus"\n' });
    s.imap.mailbox('Work').uidValidity = s.imap.mailbox('INBOX').uidValidity;
    for (const n of ['w1', 'w2']) s.imap.mailbox('Work').append(`Subject: ${n}\r\n\r\nwork body\r\n`);
    const before = await shown(s);
    const bridge = await again(s.bridge, s.imap.port, '[maildrop]\nunique_id = "cyrus"\nfolders = ["Work"]\n');
    const after = await shown({ imap: s.imap, bridge });
    expect(Object.values(after).filter((id) => Object.values(before).includes(id))).toEqual([]);
  });
});

describe('patterns without a folder', () => {
  test('no folder at all is no empty maildrop: what was shown before is looked for', async () => {
    const s = await site({ server: { folders: FOLDERS }, tables: '[maildrop]\nfolders = ["Wo*"]\n' });
    s.imap.mailbox('Work').append('Subject: w\r\n\r\n');
    const before = await shown(s);
    s.imap.setScript(on('LIST', { reply: 'OK nothing to see' }));
    expect(await shown(s)).toEqual(before);
  });
});

describe('a server of another name', () => {
  test('ids stay when the server gets another name after unique_id was changed', async () => {
    const date = { internalDate: new Date(Date.UTC(2026, 0, 1)) };
    const s = await siteOfItsOwn({ messages: 0 });
    for (const n of ['a', 'b', 'c']) s.imap.mailbox('INBOX').append(`Subject: ${n}\r\n\r\nbody\r\n`, date);
    const before = await shown(s);
    const tables = '[maildrop]\nunique_id = "dovecot"\n';
    let bridge = await again(s.bridge, s.imap.port, tables);
    expect(await shown({ imap: s.imap, bridge })).toEqual(before);
    const other = await ImapServer.start({ users: { alice: 'secret' } });
    open.push(other);
    other.mailbox('INBOX').uidValidity = s.imap.mailbox('INBOX').uidValidity;
    for (const n of ['a', 'b', 'c']) other.mailbox('INBOX').append(`Subject: ${n}\r\n\r\nbody\r\n`, date);
    bridge = await again(bridge, other.port, tables);
    expect(await shown({ imap: other, bridge })).toEqual(before);
  });
});

describe('what looks like a deleted message', () => {
  test('a deletion that was put off does not go over to a message that only looks alike', async () => {
    const s = await site({ messages: 0, tables: '[delete]\naction = "expunge"\nafter = "2s"\n' });
    const inbox = s.imap.mailbox('INBOX');
    const date = { internalDate: new Date(Date.UTC(2026, 0, 1)) };
    inbox.append('Subject: old\r\n\r\nbody\r\n', date);
    const client = await session(s.bridge);
    await client.command('DELE 1');
    await client.command('QUIT');
    inbox.expunge(1);
    inbox.append('Subject: new\r\n\r\nbody\r\n', date);
    inbox.resetUidValidity();
    const ids = await shown(s);
    await later(2500);
    await shown(s);
    await shown(s);
    expect({ ids: Object.keys(ids), left: subjects(s.imap) }).toEqual({ ids: ['new'], left: ['new'] });
  });
  test('nor, with a Message-ID, under another UIDVALIDITY (CONTRACT 5.1)', async () => {
    const s = await site({ messages: 0, tables: '[delete]\naction = "expunge"\nafter = "2s"\n' });
    const inbox = s.imap.mailbox('INBOX');
    inbox.append('Subject: kept\r\nMessage-ID: <k@x>\r\n\r\nbody\r\n', { internalDate: new Date(Date.UTC(2026, 0, 1)) });
    await shown(s);
    await later(1500);
    const client = await session(s.bridge);
    await client.command('DELE 1');
    await client.command('QUIT');
    // Another client takes it out of the way, and later puts it back.
    inbox.expunge(1);
    await shown(s);
    inbox.append('Subject: kept\r\nMessage-ID: <k@x>\r\n\r\nbody\r\n', { internalDate: new Date(Date.UTC(2026, 0, 1)) });
    await shown(s);
    await later(2500);
    await shown(s);
    await shown(s);
    expect(subjects(s.imap)).toEqual(['kept']);
  });
});
describe('patterns', () => {
  test('a pattern with a hyphen', async () => {
    const s = await site({
      server: { folders: [{ path: 'INBOX' }, { path: 'my-lists/a' }] },
      tables: '[maildrop]\nfolders = ["INBOX", "my-lists/*"]\n',
    });
    expect(await answerTo(s.bridge)).toMatch(/^\+OK/);
  });
});
describe("Gmail's unique-ids", () => {
  test('gmail: a message with two labels that are both shown has two ids', async () => {
    const capabilities = ['IMAP4rev1', 'SASL-IR', 'AUTH=PLAIN', 'UIDPLUS', 'MOVE', 'SPECIAL-USE', 'X-GM-EXT-1'];
    const s = await site({
      server: {
        folders: FOLDERS,
        capabilities,
        script: ({ command, tag }) =>
          /FETCH .*RFC822.SIZE/.test(command)
            ? {
                raw: `* 1 FETCH (UID 1 RFC822.SIZE 20 INTERNALDATE "01-Jan-2026 00:00:00 +0000" X-GM-MSGID 1278455344230334865)\r\n${tag} OK done\r\n`,
              }
            : undefined,
      },
      messages: 1,
      tables: '[maildrop]\nfolders = ["INBOX", "Work"]\nunique_id = "gmail"\n',
    });
    s.imap.mailbox('Work').append('Subject: 1\r\n\r\nbody 1\r\n');
    const client = await session(s.bridge);
    const ids = (await client.multi('UIDL')).map((l) => l.split(' ')[1]);
    expect(new Set(ids).size).toBe(2);
  });
});
describe('trash that clients see', () => {
  test('a folder that is named and is where deleted mail would go: QUIT says that it can not be', async () => {
    const s = await site({ server: { folders: FOLDERS }, tables: '[maildrop]\nfolders = ["INBOX", "Trash"]\n' });
    const client = await session(s.bridge);
    await client.command('DELE 1');
    const quit = await client.command('QUIT');
    const ids = await shown(s);
    expect([quit, Object.keys(ids)]).toEqual(['-ERR [SYS/PERM] 1 of 1 messages not deleted', ['1', '2', '3']]);
  });
});
describe('a message that can not be read', () => {
  test('one message that the server cannot read does not keep all others from being deleted', async () => {
    const s = await site();
    const client = await session(s.bridge);
    for (const n of [1, 2, 3]) await client.command(`DELE ${n}`);
    s.imap.setScript(({ command }) =>
      /^UID FETCH (2|1:3|1:2|2:3) .*SIZE/.test(command) ? { reply: 'NO [SERVERBUG] cannot read message' } : undefined,
    );
    const quit = await client.command('QUIT');
    expect([quit, subjects(s.imap)]).toEqual(['-ERR [SYS/TEMP] 1 of 3 messages not deleted', ['2']]);
  });
});
describe('many messages at once', () => {
  test('1001 messages moved from folder to folder keep their ids', async () => {
    const s = await site({ server: { folders: FOLDERS }, tables: '[maildrop]\nfolders = ["INBOX", "Work"]\n', messages: 0 });
    const date = { internalDate: new Date(Date.UTC(2026, 0, 1)) };
    for (let n = 1; n <= 1001; n += 1) s.imap.mailbox('INBOX').append(`Subject: ${n}\r\nMessage-ID: <${n}@x>\r\n\r\nbody\r\n`, date);
    const c1 = await session(s.bridge);
    const before = await c1.multi('UIDL');
    await c1.command('QUIT');
    await until(() => s.imap.commands.filter((c) => c === 'LOGOUT').length > 0);
    await raw(s.imap, ['SELECT INBOX', 'UID MOVE 1:* Work']);
    const after = await (await session(s.bridge)).multi('UIDL');
    expect(after.filter((l, i) => before[i] !== l).slice(0, 2)).toEqual([]);
  });
});
describe('QUIT over several folders', () => {
  test('n of m over folders', async () => {
    const s = await site({ server: { folders: FOLDERS }, tables: '[maildrop]\nfolders = ["INBOX", "Work"]\n' });
    s.imap.mailbox('Work').append('Subject: w\r\n\r\n');
    const client = await session(s.bridge);
    for (const n of [1, 2, 4]) await client.command(`DELE ${n}`);
    s.imap.setScript(({ command, session: { mailbox } }) =>
      command.startsWith('UID MOVE') && mailbox === 'Work' ? { reply: 'NO no' } : undefined,
    );
    expect(await client.command('QUIT')).toBe('-ERR [SYS/TEMP] 1 of 3 messages not deleted');
    s.imap.setScript(undefined);
    expect(Object.keys(await shown(s))).toEqual(['3', 'w']);
  });
  test('a read-only folder among several', async () => {
    const s = await site({ server: { folders: FOLDERS }, tables: '[maildrop]\nfolders = ["INBOX", "Work"]\n' });
    s.imap.mailbox('Work').append('Subject: w\r\n\r\n');
    s.imap.mailbox('Work').readOnly = true;
    const client = await session(s.bridge);
    expect(await client.command('DELE 4')).toMatch(/SYS.PERM/);
    expect(await client.command('DELE 3')).toMatch(/^\+OK/);
    expect(await client.command('RSET')).toMatch(/^\+OK/);
    expect(await client.command('DELE 1')).toMatch(/^\+OK/);
    expect(await client.command('QUIT')).toBe('+OK bye');
    expect(subjects(s.imap)).toEqual(['2', '3']);
  });
});
describe('a mailbox that changes while it is listed', () => {
  test('EXISTS that grows during a listing hides no expunge', async () => {
    const s = await site();
    await shown(s);
    const inbox = s.imap.mailbox('INBOX');
    inbox.expunge(1);
    inbox.append('Subject: 4\r\n\r\nx\r\n');
    inbox.append('Subject: 5\r\n\r\nx\r\n');
    let done = false;
    s.imap.setScript(({ command }) => {
      if (!done && /^UID FETCH .*SIZE/.test(command)) {
        done = true;
        inbox.append('Subject: 6\r\n\r\nx\r\n');
      }
      return undefined;
    });
    const client = await session(s.bridge);
    const ids = (await client.multi('UIDL')).map((l) => l.slice(-1));
    expect(ids.slice(0, 4)).toEqual(['2', '3', '4', '5']);
  });
  test('nor while overdue work is done', async () => {
    const s = await site({ messages: 4, tables: '[delete]\nafter = "1s"\n' });
    const c = await session(s.bridge);
    await c.command('DELE 4');
    await c.command('QUIT');
    await later(1500);
    const inbox = s.imap.mailbox('INBOX');
    inbox.expunge(1);
    let done = false;
    s.imap.setScript(({ command }) => {
      if (!done && command.startsWith('UID MOVE')) {
        done = true;
        inbox.append('Subject: 5\r\n\r\nx\r\n');
      }
      return undefined;
    });
    const client = await session(s.bridge);
    const ids = (await client.multi('UIDL')).map((l) => l.slice(-1));
    expect(ids).toEqual(['2', '3', '5']);
  });
});
describe('concurrent views', () => {
  test('an open session of one view and overdue work of another', async () => {
    const tables = '[delete]\nafter = "1s"\n[views.a]\n[views.b]\n';
    const s = await site({ messages: 4, tables });
    const a0 = await session(s.bridge, 'alice/a');
    await a0.command('DELE 1');
    await a0.command('QUIT');
    const b = await session(s.bridge, 'alice/b');
    await later(1500);
    await shown(s, 'alice');
    expect(subjects(s.imap)).toEqual(['2', '3', '4']);
    await b.command('DELE 1');
    await b.command('DELE 2');
    expect(await b.command('QUIT')).toBe('+OK bye');
    await later(1500);
    expect(Object.keys(await shown(s, 'alice/b'))).toEqual(['3', '4']);
    expect(subjects(s.imap)).toEqual(['3', '4']);
    expect(subjects(s.imap, 'Trash')).toEqual(['1', '2']);
    expect(Object.keys(await shown(s, 'alice/a'))).toEqual(['3', '4']);
  });
});
describe('headers that do not come', () => {
  test('a row without its header at QUIT does not make a message another one', async () => {
    const s = await site({ messages: 0 });
    for (const n of ['one', 'two']) s.imap.mailbox('INBOX').append(`Subject: ${n}\r\nMessage-ID: <${n}@x>\r\n\r\nbody\r\n`);
    const before = await shown(s);
    const client = await session(s.bridge);
    await client.command('DELE 2');
    s.imap.setScript(({ command }) => (command.includes('HEADER.FIELDS') ? { emptyBody: 'NIL' } : undefined));
    const quit = await client.command('QUIT');
    s.imap.setScript(undefined);
    expect({ quit, after: await shown(s) }).toEqual({ quit: '+OK bye', after: { one: before['one'] } });
  });
});
describe('strangers', () => {
  test('a stranger found when the journal is worked off gets an id of its own', async () => {
    const s = await site({ messages: 0 });
    const inbox = s.imap.mailbox('INBOX');
    for (let i = 1; i <= 3; i += 1) inbox.append(`Subject: ${i}\r\n\r\nx\r\n`, { internalDate: new Date(Date.UTC(2026, 0, i)) });
    const before = await shown(s);
    const client = await session(s.bridge);
    await client.command('DELE 3');
    s.imap.setScript(on('UID MOVE', { close: true }));
    expect(await client.command('QUIT')).toContain('unknown');
    s.imap.setScript(undefined);
    inbox.expunge(3);
    inbox.uidNext = 3;
    inbox.append('Subject: other\r\n\r\nquite another\r\n', { internalDate: new Date(Date.UTC(2026, 1, 1)) });
    const after = await shown(s);
    expect(after['other']).toBeDefined();
    expect(Object.values(before)).not.toContain(after['other']);
  });
});
describe('copies', () => {
  test('identical copies: the one that was deleted is gone already', async () => {
    const s = await site({ messages: 0, tables: '[delete]\naction = "expunge"\nafter = "1s"\n' });
    const inbox = s.imap.mailbox('INBOX');
    const date = { internalDate: new Date(Date.UTC(2026, 0, 1)) };
    for (let i = 0; i < 2; i += 1) inbox.append('Subject: twin\r\nMessage-ID: <t@x>\r\n\r\nx\r\n', date);
    await shown(s);
    const client = await session(s.bridge);
    await client.command('DELE 1');
    await client.command('QUIT');
    await until(() => s.imap.commands.filter((c) => c === 'LOGOUT').length > 1);
    // Somebody else removes the very one that was deleted by POP; then the server is rebuilt.
    inbox.expunge(1);
    inbox.resetUidValidity();
    await shown(s);
    await later(1500);
    await shown(s);
    expect(subjects(s.imap)).toEqual(['twin']);
  });
});
describe('names of views', () => {
  test('views: __proto__ and constructor', async () => {
    const s = await site({ tables: '[views.constructor]\naction = "hide"\n[views.toString]\n' });
    expect(await answerTo(s.bridge, 'alice/constructor')).toMatch(/^\+OK/);
    expect(await answerTo(s.bridge, 'alice/toString')).toMatch(/^\+OK/);
    expect(await answerTo(s.bridge, 'alice/valueOf')).toMatch(/AUTH/);
    expect(await answerTo(s.bridge, 'recent:alice/constructor')).toMatch(/^\+OK/);
    expect(await answerTo(s.bridge, 'alice/')).toMatch(/AUTH/);
  });
});
describe('what is hidden', () => {
  test('hide, recent, restart, kill', async () => {
    const s = await siteOfItsOwn({ tables: '[delete]\naction = "hide"\n' });
    const c = await session(s.bridge);
    await c.command('DELE 2');
    expect(await c.command('QUIT')).toBe('+OK bye');
    await s.bridge.stop('SIGKILL');
    const b = await again(s.bridge, s.imap.port, '[delete]\naction = "hide"\n');
    const s2 = { imap: s.imap, bridge: b };
    expect(Object.keys(await shown(s2))).toEqual(['1', '3']);
    expect(Object.keys(await shown(s2, 'recent:alice'))).toEqual(['1', '2', '3']);
    expect(s.imap.commands.filter((x) => /STORE|MOVE|EXPUNGE|COPY/.test(x) && !x.includes('Seen'))).toEqual([]);
    s.imap.mailbox('INBOX').resetUidValidity();
  });
});
describe('due mail of a folder that is gone', () => {
  test('due in a folder that is gone: no SELECT at every login for ever', async () => {
    const s = await site({ server: { folders: FOLDERS }, tables: '[maildrop]\nfolders = ["INBOX", "Wor*"]\n[delete]\nafter = "1s"\n' });
    s.imap.mailbox('Work').append('Subject: w\r\n\r\n');
    const client = await session(s.bridge);
    await client.command('DELE 4');
    await client.command('QUIT');
    await raw(s.imap, ['DELETE Work']);
    await later(1500);
    for (let i = 0; i < 3; i += 1) await shown(s);
    expect(s.imap.commands.filter((x) => /SELECT "?Work/.test(x)).length).toBeLessThan(3);
  });
});

describe('a command whose output is read through a pipe', () => {
  test.for(['export', 'show'])('%s: a slow reader gets all of it, not the first 64 KiB', async (command) => {
    const s = await siteOfItsOwn({ messages: 1500 });
    const client = await session(s.bridge);
    await client.command('QUIT');
    const program = join(import.meta.dirname, '../../dist/main.js');
    const args = ['maildrop', command, '--user', 'alice', '--state', join(s.bridge.folder, 'state')];
    const piped = ['-c', '"$0" "$@" | (sleep 0.5; cat)', process.execPath, program, ...args];
    const { stdout } = await promisify(execFile)('sh', piped, { maxBuffer: Infinity });
    expect(stdout.match(/83ecb521\.[0-9a-f]{8}\.[0-9a-f]{8}/g)).toHaveLength(1500);
    expect(stdout.endsWith('\n')).toBe(true);
  });
});
