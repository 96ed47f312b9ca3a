/** What POP3 sessions do to a real Dovecot mailbox, and what changes there do to them. */
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { bridgeConfig, type BridgeConfigText } from '../support/bridge-config.ts';
import { allowInLog, BridgeProcess } from '../support/bridge-process.ts';
import { flagsIn, subjectsIn } from '../support/imap-look.ts';
import { Dovecot } from '../support/peers/dovecot.ts';
import { describeWithPeers } from '../support/peers/peers.ts';
import { PopDialogue } from '../support/pop-dialogue.ts';
import { until } from '../support/until.ts';

allowInLog('delete-failed', 'map-rematched', 'session-error');

const USERS = 60;
const PASSWORD = 'secret';

let dovecot: Dovecot;
let bridge: BridgeProcess;
let serial = 0;
let user = '';

const message = (subject: string, body = `body of ${subject}\r\n`): Buffer => Buffer.from(`Subject: ${subject}\r\n\r\n${body}`);

describeWithPeers(['dovecot', 'openssl'], 'a mailbox on Dovecot', () => {
  beforeAll(async () => {
    const users = Object.fromEntries(Array.from({ length: USERS }, (_, index) => [`user${index}`, PASSWORD]));
    dovecot = await Dovecot.start({ users, pop3: false });
    bridge = await startBridge();
  });

  afterAll(async () => {
    await bridge[Symbol.asyncDispose]();
    await dovecot[Symbol.asyncDispose]();
  });

  beforeEach(() => {
    serial += 1;
    user = `user${serial}`;
  });

  test("DELE and QUIT move exactly the marked message to Trash; another client's \\Deleted mail survives", async () => {
    await dovecot.deliver(
      user,
      ['one', 'two', 'three', 'flagged elsewhere'].map((subject) => message(subject)),
    );
    await flag(user, 4, '\\Deleted');
    const client = await session();
    expect(await client.command('STAT')).toMatch(/^\+OK 3 /);
    await client.command('DELE 2');
    expect(await client.command('QUIT')).toBe('+OK bye');
    expect(await subjects('INBOX')).toEqual(['one', 'three', 'flagged elsewhere']);
    expect(await subjects('Trash')).toEqual(['two']);
  });

  test('a kept connection notices at once what another client flagged as deleted, and unflagged', async () => {
    await using keeping = await BridgeProcess.start({ config: bridgeConfig({ imapPort: dovecot.ports.imap }) });
    await dovecot.deliver(user, [message('one'), message('two')]);
    const seen = async (): Promise<string> => {
      const client = await PopDialogue.connect(keeping.port());
      await client.login(user, PASSWORD);
      const status = await client.command('STAT');
      await client.command('QUIT');
      return status.split(' ')[1] ?? '';
    };
    expect(await seen()).toBe('2');
    await flag(user, 1, '\\Deleted');
    expect(await seen()).toBe('1');
    await unflag(user, 1, '\\Deleted');
    expect(await seen()).toBe('2');
  });

  test('a session that ends without QUIT deletes nothing', async () => {
    await dovecot.deliver(user, [message('one'), message('two')]);
    const lost = await session();
    await lost.command('DELE 1');
    lost.close();
    await bridge.event('session-end', bridge.events('session-end').length + 1);
    const unfinished = await session();
    await unfinished.command('DELE 1');
    unfinished.send('QUIT');
    unfinished.socket.end();
    await unfinished.closed();
    expect(await subjects('INBOX')).toEqual(['one', 'two']);
  });

  test('RSET takes every mark back', async () => {
    await dovecot.deliver(user, [message('one'), message('two')]);
    const client = await session();
    const before = await client.command('STAT');
    await client.command('DELE 1');
    await client.command('DELE 2');
    expect(await client.command('STAT')).toBe('+OK 0 0');
    expect(await client.command('RSET')).toMatch(/^\+OK/);
    expect(await client.command('STAT')).toBe(before);
    await client.command('QUIT');
    expect(await subjects('INBOX')).toEqual(['one', 'two']);
  });

  test('a client that sends QUIT and runs still has its deletions done', async () => {
    await dovecot.deliver(user, [message('one'), message('two')]);
    const client = await session();
    await client.command('DELE 1');
    client.send('QUIT\r\n');
    client.close();
    await until(async () => (await subjects('INBOX')).length === 1);
    expect(await subjects('INBOX')).toEqual(['two']);
  });

  test('a whole session pipelined into one packet, half-closed at once, is answered to its end', async () => {
    await dovecot.deliver(user, [message('one'), message('two')]);
    const client = await PopDialogue.connect(bridge.port());
    client.send(`USER ${user}\r\nPASS ${PASSWORD}\r\nSTAT\r\nDELE 1\r\nQUIT\r\n`);
    client.socket.end();
    const answer = (await client.closed()).toString();
    expect(answer.split('\r\n').map((line) => line.slice(0, 3))).toEqual(['+OK', '+OK', '+OK', '+OK', '+OK', '']);
    expect(await subjects('INBOX')).toEqual(['two']);
  });

  test('what another client deletes or adds is seen at the next login, and numbers hold until then', async () => {
    await dovecot.deliver(
      user,
      ['one', 'two', 'three'].map((subject) => message(subject)),
    );
    const client = await session();
    const uniqueIds = await client.multi('UIDL');
    await flag(user, 2, '\\Deleted');
    await (await dovecot.imap(user)).command('SELECT INBOX');
    await expunge(user);
    await dovecot.append(user, 'INBOX', message('four'));
    expect(await client.command('RETR 2')).toBe('-ERR message is no longer on the server');
    expect((await client.retrieve(3)).toString()).toContain('Subject: three');
    expect(await client.multi('UIDL')).toEqual(uniqueIds);
    await client.command('DELE 2');
    expect(await client.command('QUIT')).toBe('+OK bye');
    const next = await session();
    const nowIds = (await next.multi('UIDL')).map((line) => line.split(' ')[1]);
    expect(nowIds).toHaveLength(3);
    expect(nowIds.slice(0, 2)).toEqual([uniqueIds[0]?.split(' ')[1], uniqueIds[2]?.split(' ')[1]]);
    await next.command('QUIT');
  });

  test('RETR marks a message \\Seen after its last octet; TOP never does', async () => {
    await dovecot.deliver(
      user,
      ['one', 'two'].map((subject) => message(subject)),
    );
    const client = await session();
    await client.multi('TOP 1 5');
    await client.retrieve(2);
    await client.command('QUIT');
    await until(async () => (await flags('INBOX'))[1]?.includes('\\Seen') === true);
    expect(await flags('INBOX')).toEqual([[], ['\\Seen']]);
  });

  test('mark_seen = "on-quit" waits for QUIT, and RSET takes it back; "never" never does', async () => {
    await dovecot.deliver(user, [message('one')]);
    await using onQuit = await startBridge({ tables: '[retrieve]\nmark_seen = "on-quit"' });
    const reset = await session(onQuit);
    await reset.retrieve(1);
    await reset.command('RSET');
    await reset.command('QUIT');
    expect(await flags('INBOX')).toEqual([[]]);
    await using never = await startBridge({ tables: '[retrieve]\nmark_seen = "never"' });
    const unmarked = await session(never);
    await unmarked.retrieve(1);
    await unmarked.command('QUIT');
    expect(await flags('INBOX')).toEqual([[]]);
    const marked = await session(onQuit);
    await marked.retrieve(1);
    expect(await flags('INBOX')).toEqual([[]]);
    await marked.command('QUIT');
    // Stored when the client has its answer.
    await until(async () => (await flags('INBOX'))[0]?.length === 1);
    expect(await flags('INBOX')).toEqual([['\\Seen']]);
  });

  test('unique-ids stay the same across sessions and restarts, and are never used again', async () => {
    await dovecot.deliver(
      user,
      ['one', 'two', 'three'].map((subject) => message(subject)),
    );
    const client = await session();
    const before = await client.multi('UIDL');
    await client.command('DELE 3');
    await client.command('QUIT');
    await dovecot.append(user, 'INBOX', message('four'));
    const { folder } = bridge;
    await bridge.stop();
    bridge = await BridgeProcess.start({ folder, config: configText() });
    const after = await (await session()).multi('UIDL');
    expect(after.slice(0, 2)).toEqual(before.slice(0, 2));
    expect(before.map((line) => line.split(' ')[1])).not.toContain(after[2]?.split(' ')[1]);
  });

  test('after a UIDVALIDITY change nothing of the old epoch is shown or deleted', async () => {
    await dovecot.deliver(
      user,
      ['one', 'two'].map((subject) => message(subject)),
    );
    const client = await session();
    const before = await client.multi('UIDL');
    await client.command('QUIT');
    await dovecot.uidValidityReset(user);
    const next = await session();
    const after = await next.multi('UIDL');
    expect(after).toHaveLength(2);
    for (const line of after) expect(before).not.toContain(line);
    expect((await next.retrieve(1)).toString()).toContain('Subject: one');
    await next.command('QUIT');
  });

  test('RETR tells the true size, and LIST does once the message was retrieved', async () => {
    await dovecot.deliver(user, [Buffer.from('Subject: bare line feeds\n\none\ntwo\n')]);
    const first = await session();
    expect(await first.command('RETR 1')).toBe('+OK 38 octets');
    const octets = await first.untilEnd();
    await first.command('QUIT');
    const second = await session();
    expect(await second.command('LIST 1')).toBe(`+OK 1 ${octets.length}`);
    expect(await second.command('RETR 1')).toBe(`+OK ${octets.length} octets`);
  });

  const hostile: readonly (readonly [string, Buffer, Buffer])[] = [
    ['a lone dot', message('dot', '.\r\n'), message('dot', '.\r\n')],
    ['dots at every line', message('dots', '.\r\n..\r\n...x\r\n'), message('dots', '.\r\n..\r\n...x\r\n')],
    ['no line end at the end', message('cut', 'no end'), message('cut', 'no end\r\n')],
    ['a last line that is a dot without end', message('dot end', '.'), message('dot end', '.\r\n')],
    ['a bare CR', message('cr', 'a\rb\r\n'), message('cr', 'a\rb\r\n')],
    ['only a header', Buffer.from('Subject: header only\r\n'), Buffer.from('Subject: header only\r\n\r\n')],
    ['an empty body', message('empty', ''), message('empty', '')],
    [
      'eight-bit octets',
      Buffer.concat([message('8bit', ''), Buffer.from([0xff, 0xfe, 0x80, 13, 10])]),
      Buffer.concat([message('8bit', ''), Buffer.from([0xff, 0xfe, 0x80, 13, 10])]),
    ],
    ['a line of 5 MB', message('long', `${'x'.repeat(5_000_000)}\r\n`), message('long', `${'x'.repeat(5_000_000)}\r\n`)],
    ['a header of 1 MB', message(`big ${'h'.repeat(1_000_000)}`, 'b\r\n'), message(`big ${'h'.repeat(1_000_000)}`, 'b\r\n')],
    [
      'a From line first',
      Buffer.from('From somebody\r\nSubject: from\r\n\r\nFrom here\r\n'),
      Buffer.from('From somebody\r\nSubject: from\r\n\r\nFrom here\r\n'),
    ],
    ['a body of 3 MB in short lines', message('three', 'abc\r\n.d\r\n'.repeat(330_000)), message('three', 'abc\r\n.d\r\n'.repeat(330_000))],
  ];

  /** Bare CRs and whole line ends around the places where a message of that kind is read in windows. */
  const windows = Buffer.alloc(3 * 1024 * 1024, 'abcdefgh\r\n');
  windows.write('Subject: windows\r\n\r\n', 'latin1');
  for (const border of [1, 2].map((mib) => mib * 1024 * 1024)) windows.write('\r\r\r', border - 3, 'latin1');
  windows.write('\r\n', windows.length - 2, 'latin1');
  const returns = message('returns', `${'line\r'.repeat(500_000)}end\r\n`);

  test.for([
    ...hostile,
    ['bare CRs where windows meet', windows, windows],
    ['only bare CRs, 2.5 MB', returns, returns],
    ['CRs and nothing else', message('crs', `${'\r'.repeat(2_500_000)}x\r\n`), message('crs', `${'\r'.repeat(2_500_000)}x\r\n`)],
  ] as const)('a message with %s arrives as it should', async ([, stored, expected]) => {
    await dovecot.deliver(user, [stored]);
    const client = await session();
    const octets = await client.retrieve(1);
    expect(octets.equals(expected), `${octets.length} octets, expected ${expected.length}`).toBe(true);
    expect((await client.multiOctets('TOP 1 99999999')).equals(expected)).toBe(true);
    expect(await client.command('NOOP')).toBe('+OK');
    await client.command('QUIT');
  });

  test('QUIT says what could not be deleted and why, and the mail is still there', async () => {
    await dovecot.deliver(user, [message('one'), message('two')]);
    await using bridge = await startBridge({ tables: '[delete]\naction = "move"\nfolder = "No Such Folder"' });
    const client = await session(bridge);
    await client.command('DELE 1');
    expect(await client.command('QUIT')).toBe('-ERR [SYS/PERM] 1 of 1 messages not deleted');
    expect(await subjects('INBOX')).toEqual(['one', 'two']);
    expect((await bridge.event('delete-failed'))['failed']).toBe(1);
  });

  test.for([
    ['expunge', '', 'Trash', []],
    ['archive', '', 'Archive', ['two']],
    ['move', 'folder = "Sent"', 'Sent', ['two']],
    ['trash', '', 'Trash', ['two']],
  ] as const)('delete.action = "%s" does just that', async ([action, folder, target, moved]) => {
    await dovecot.deliver(
      user,
      ['one', 'two', 'three'].map((subject) => message(subject)),
    );
    await using bridge = await startBridge({ tables: `[delete]\naction = "${action}"\n${folder}` });
    const client = await session(bridge);
    await client.command('DELE 2');
    expect(await client.command('QUIT')).toBe('+OK bye');
    expect(await subjects('INBOX')).toEqual(['one', 'three']);
    expect(await subjects(target)).toEqual(moved);
  });

  test('delete.action = "flag" flags \\Deleted, and such messages are no longer listed', async () => {
    await dovecot.deliver(
      user,
      ['one', 'two'].map((subject) => message(subject)),
    );
    await using bridge = await startBridge({ tables: '[delete]\naction = "flag"' });
    const client = await session(bridge);
    await client.command('DELE 1');
    expect(await client.command('QUIT')).toBe('+OK bye');
    expect(await flags('INBOX')).toEqual([['\\Deleted'], []]);
    const next = await session(bridge);
    expect(await next.command('STAT')).toMatch(/^\+OK 1 /);
    expect((await next.retrieve(1)).toString()).toContain('Subject: two');
  });
});

function configText(options: Partial<BridgeConfigText> = {}): string {
  return bridgeConfig({ imapPort: dovecot.ports.imap, ...options });
}

function startBridge(options: Partial<BridgeConfigText> = {}): Promise<BridgeProcess> {
  return BridgeProcess.start({ config: configText(options) });
}

async function session(through: BridgeProcess = bridge): Promise<PopDialogue> {
  const client = await PopDialogue.connect(through.port());
  await client.login(user, PASSWORD);
  return client;
}

async function subjects(mailbox: string): Promise<string[]> {
  await using dialogue = await dovecot.imap(user);
  return await subjectsIn(dialogue, mailbox).catch(() => []);
}

async function flags(mailbox: string): Promise<string[][]> {
  await using dialogue = await dovecot.imap(user);
  return await flagsIn(dialogue, mailbox);
}

function flag(owner: string, uid: number, name: string): Promise<void> {
  return storeFlag(owner, uid, `+FLAGS (${name})`);
}

function unflag(owner: string, uid: number, name: string): Promise<void> {
  return storeFlag(owner, uid, `-FLAGS (${name})`);
}

async function storeFlag(owner: string, uid: number, change: string): Promise<void> {
  await using dialogue = await dovecot.imap(owner);
  await dialogue.command('SELECT INBOX');
  await dialogue.command(`UID STORE ${uid} ${change}`);
}

async function expunge(owner: string): Promise<void> {
  await using dialogue = await dovecot.imap(owner);
  await dialogue.command('SELECT INBOX');
  await dialogue.command('EXPUNGE');
}
