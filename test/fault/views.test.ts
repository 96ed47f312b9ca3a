/** Folders, views, and every way to delete (CONTRACT sections 4 and 5), before the scripted server. */
import { describe, expect, test } from 'vitest';
import { allowInLog } from '../support/bridge-process.ts';
import { BridgeSite, type BridgeSiteSetup } from '../support/bridge-site.ts';
import { endsWithEachTest, sharedByTests } from '../support/ends-with-tests.ts';
import { PopDialogue } from '../support/pop-dialogue.ts';
import type { Bridge } from '../support/shared-bridge.ts';
import { until } from '../support/until.ts';

allowInLog('delete-failed', 'login-failed', 'map-rematched');

const open = endsWithEachTest();
const shared = sharedByTests();

async function site(tables: string, setup: BridgeSiteSetup = {}): Promise<BridgeSite<Bridge>> {
  const started = await BridgeSite.startIn(shared, { ...setup, tables });
  open.push(started);
  return started;
}

/** With a daemon of its own, to be stopped. */
async function siteOfItsOwn(tables: string): Promise<BridgeSite> {
  const started = await BridgeSite.start({ tables });
  open.push(started);
  return started;
}

const folders = (...paths: readonly string[]): BridgeSiteSetup => ({
  server: { folders: [{ path: 'INBOX' }, { path: 'Trash', specialUse: '\\Trash' }, ...paths.map((path) => ({ path }))] },
});

describe('several folders', () => {
  test('stand one after the other, each with its own unique-ids, and a pattern never matches the trash', async () => {
    const it = await site('[maildrop]\nfolders = ["Lists/*", "INBOX", "*"]', folders('Lists/b', 'Lists/a', 'Other'));
    it.deliver('Other', 'other');
    it.deliver('Lists/b', 'b 1', 'b 2');
    it.deliver('Lists/a', 'a 1');
    it.deliver('INBOX', 'inbox 1');
    it.deliver('Trash', 'rubbish');
    const { subjects, ids } = await it.look();
    expect(subjects).toEqual(['a 1', 'b 1', 'b 2', 'inbox 1', 'other']);
    expect(new Set(Object.values(ids)).size).toBe(5);
    expect((await it.look()).ids).toEqual(ids);
  });

  test.for([
    ['["Any questions?"]', ['as written']],
    ['["Any questions\\\\?"]', ['as written']],
    ['["Any question?1"]', ['matched']],
    ['["a\\\\b"]', ['with a backslash']],
  ] as const)('%s names a folder as written where there is one, and is a pattern elsewhere', async ([texts, subjects]) => {
    const it = await site(`[maildrop]\nfolders = ${texts}`, folders('Any questions?', 'Any questions1', 'a\\b'));
    it.deliver('Any questions?', 'as written');
    it.deliver('Any questions1', 'matched');
    it.deliver('a\\b', 'with a backslash');
    expect((await it.look()).subjects).toEqual(subjects);
  });

  test('each give their own messages, and DELE removes from the right one', async () => {
    const it = await site('[maildrop]\nfolders = ["INBOX", "Lists"]', folders('Lists'));
    it.deliver('INBOX', 'one', 'two');
    it.deliver('Lists', 'three', 'four');
    const client = await it.open();
    expect((await client.multi('RETR 3')).at(-1)).toBe('body of three');
    expect((await client.multi('RETR 1')).at(-1)).toBe('body of one');
    expect((await client.multi('RETR 4')).at(-1)).toBe('body of four');
    await client.command('DELE 2');
    await client.command('DELE 4');
    expect(await client.command('QUIT')).toMatch(/^\+OK/);
    expect([it.upstream('INBOX'), it.upstream('Lists'), it.upstream('Trash')]).toEqual([['one'], ['three'], ['two', 'four']]);
  });

  test('a message that moves from one of them to another keeps its unique-id', async () => {
    const it = await site('[maildrop]\nfolders = ["INBOX", "Lists"]', folders('Lists'));
    const [uid = 0] = it.deliver('INBOX', 'mover', 'other');
    const before = await it.look();
    const [message] = it.imap.mailbox('INBOX').messages;
    it.imap.mailbox('INBOX').expunge(uid);
    it.imap.mailbox('Lists').append(message?.raw ?? '', { internalDate: message?.internalDate ?? new Date() });
    const after = await it.look();
    expect(after.subjects).toEqual(['other', 'mover']);
    expect(after.ids).toEqual(before.ids);
  });

  test('one of them emptied by somebody else takes only its own messages along', async () => {
    const it = await site('[maildrop]\nfolders = ["A", "B", "C"]', folders('A', 'B', 'C'));
    for (const path of ['A', 'B', 'C']) it.deliver(path, `${path} 1`, `${path} 2`);
    const before = await it.look();
    for (const { uid } of it.imap.mailbox('B').messages) it.imap.mailbox('B').expunge(uid);
    const after = await it.look();
    expect(after.subjects).toEqual(['A 1', 'A 2', 'C 1', 'C 2']);
    expect(before.ids).toMatchObject(after.ids);
  });

  test('a folder that does not exist is an error for its users, and not an empty maildrop', async () => {
    const it = await site('[maildrop]\nfolders = ["INBOX", "Missing"]');
    await expect(it.open()).rejects.toThrow('-ERR [SYS/PERM] mailbox does not exist on the mail server');
  });
});

describe('what clients see', () => {
  test('only unread mail', async () => {
    const it = await site('[maildrop]\nshow = "unseen"\n[retrieve]\nmark_seen = "never"');
    const [first = 0] = it.deliver('INBOX', 'one', 'two');
    it.imap.mailbox('INBOX').setFlags(first, ['\\Seen']);
    expect((await it.look()).subjects).toEqual(['two']);
  });

  test('only mail of the last days', async () => {
    const it = await site('[maildrop]\nsince = "30d"');
    const daysAgo = (days: number): { internalDate: Date } => ({ internalDate: new Date(Date.now() - days * 86_400_000) });
    it.imap.mailbox('INBOX').append('Subject: old\r\n\r\n', daysAgo(31));
    it.imap.mailbox('INBOX').append('Subject: new\r\n\r\n', daysAgo(29));
    expect((await it.look()).subjects).toEqual(['new']);
  });

  test('only the newest, of all folders together, with numbers in the usual order', async () => {
    const it = await site('[maildrop]\nfolders = ["INBOX", "Lists"]\nnewest = 3', folders('Lists'));
    it.deliver('INBOX', 'oldest', 'second');
    it.imap.mailbox('Lists').append('Subject: latest\r\n\r\n', { internalDate: new Date(Date.UTC(2026, 5, 1)) });
    it.imap.mailbox('INBOX').append('Subject: late\r\n\r\n', { internalDate: new Date(Date.UTC(2026, 4, 1)) });
    expect((await it.look()).subjects).toEqual(['second', 'late', 'latest']);
  });
});

describe('views', () => {
  const VIEWS = '[delete]\naction = "hide"\n[views.pc]\n[views.laptop]\nshow = "unseen"\n[retrieve]\nmark_seen = "never"';

  test('hide what was deleted in them, and in them alone; the server is untouched', async () => {
    const it = await site(VIEWS);
    it.deliver('INBOX', 'one', 'two');
    expect(await it.delete('alice/pc', 'one')).toMatch(/^\+OK/);
    expect((await it.look('alice/pc')).subjects).toEqual(['two']);
    expect((await it.look('alice/laptop')).subjects).toEqual(['one', 'two']);
    expect((await it.look('alice')).subjects).toEqual(['one', 'two']);
    expect(it.upstream()).toEqual(['one', 'two']);
    expect(it.imap.commands.filter((command) => /STORE|MOVE|COPY|EXPUNGE/.test(command))).toEqual([]);
  });

  test('hold a lock each, so that both may be open at once', async () => {
    const it = await site(VIEWS);
    it.deliver('INBOX', 'one');
    const pc = await it.open('alice/pc');
    const laptop = await it.open('alice/laptop');
    expect([await pc.command('STAT'), await laptop.command('STAT')]).toEqual([
      expect.stringMatching(/^\+OK 1 /),
      expect.stringMatching(/^\+OK 1 /),
    ]);
    pc.close();
    laptop.close();
  });

  test('of an unknown name are refused like a wrong password, after the server was asked', async () => {
    const it = await site(VIEWS);
    for (const user of ['alice/tablet', 'alice/', 'recent:alice/tablet']) {
      await expect(it.open(user), user).rejects.toThrow('-ERR [AUTH] user name or password refused');
    }
    expect(it.imap.commands.filter((command) => command.startsWith('AUTHENTICATE'))).toHaveLength(3);
    expect(it.imap.commands.filter((command) => command.startsWith('SELECT'))).toEqual([]);
    await until(() => it.imap.openConnections === 0);
  });

  test('are not told to whoever has no password: guesses at any view of an account get the same answers', async () => {
    const answers = async (user: string): Promise<string[]> => {
      const it = await site(VIEWS);
      const given: string[] = [];
      for (const password of ['guess 1', 'guess 1', 'guess 2', 'guess 3', 'guess 4', 'guess 5', 'guess 6', 'guess 7']) {
        const client = await PopDialogue.connect(it.bridge.port());
        await client.command(`USER ${user}`);
        given.push(await client.command(`PASS ${password}`));
        client.close();
      }
      return given;
    };
    const known = await answers('alice/pc');
    expect(known.at(-1)).toMatch(/^-ERR \[SYS\/TEMP\] too many refused logins/);
    for (const user of ['alice/tablet', 'recent:bob/tablet', 'recent:alice/pc']) expect(await answers(user), user).toEqual(known);
  });

  test('what was hidden stays hidden after a crash and when UIDVALIDITY changes', async () => {
    const it = await siteOfItsOwn(VIEWS);
    it.deliver('INBOX', 'one', 'two', 'three');
    await it.look('alice/pc');
    await it.delete('alice/pc', 'two');
    it.imap.mailbox('INBOX').resetUidValidity();
    const again = await it.restart('SIGKILL', VIEWS);
    open.push(again.bridge);
    expect((await again.look('alice/pc')).subjects).toEqual(['one', 'three']);
  });

  test('recent: shows what was hidden, with the same unique-ids, but not what is old', async () => {
    const it = await site(VIEWS);
    it.imap.mailbox('INBOX').append('Subject: old\r\n\r\n', { internalDate: new Date(Date.now() - 40 * 86_400_000) });
    it.imap.mailbox('INBOX').append('Subject: new\r\n\r\n', { internalDate: new Date() });
    const { ids } = await it.look('alice/pc');
    await it.delete('alice/pc', 'old', 'new');
    expect((await it.look('alice/pc')).subjects).toEqual([]);
    expect((await it.look('recent:alice/pc')).ids).toEqual({ new: ids['new'] });
  });
});

describe('deletion that waits', () => {
  test('for its time: hidden at once, removed at the first login after it is due, in whichever view', async () => {
    const tables = '[delete]\nafter = "2s"\n[views.pc]';
    const it = await site(tables);
    it.deliver('INBOX', 'one', 'two');
    expect(await it.delete('alice', 'one')).toMatch(/^\+OK/);
    expect([it.upstream(), it.upstream('Trash')]).toEqual([['one', 'two'], []]);
    expect((await it.look()).subjects).toEqual(['two']);
    await until(async () => {
      await it.look('alice/pc');
      return it.upstream('Trash').length > 0;
    });
    expect([it.upstream(), it.upstream('Trash')]).toEqual([['two'], ['one']]);
    expect((await it.look()).subjects).toEqual(['two']);
  });

  test('survives a crash, and is never done where the action is to hide by then', async () => {
    const it = await siteOfItsOwn('[delete]\nafter = "1s"');
    it.deliver('INBOX', 'one', 'two');
    await it.delete('alice', 'one');
    const hiding = await it.restart('SIGKILL', '[delete]\naction = "hide"');
    open.push(hiding.bridge);
    expect((await hiding.look()).subjects).toEqual(['two']);
    const again = await hiding.restart('SIGTERM', '[delete]\nafter = "1s"');
    open.push(again.bridge);
    await until(async () => {
      await again.look();
      return again.upstream('Trash').length > 0;
    });
    expect(again.upstream()).toEqual(['two']);
  });

  test('for every view: removed in the QUIT of the last one', async () => {
    const it = await site('[delete]\nwhen = "all-views"\n[views.pc]\n[views.laptop]');
    it.deliver('INBOX', 'one', 'two');
    expect(await it.delete('alice/pc', 'one')).toMatch(/^\+OK/);
    expect((await it.look('alice/pc')).subjects).toEqual(['two']);
    expect((await it.look('alice/laptop')).subjects).toEqual(['one', 'two']);
    expect(it.upstream()).toEqual(['one', 'two']);
    expect(await it.delete('alice/laptop', 'one', 'two')).toMatch(/^\+OK/);
    expect([it.upstream(), it.upstream('Trash')]).toEqual([['two'], ['one']]);
    expect((await it.look('alice/pc')).subjects).toEqual(['two']);
  });
});

describe('verify', () => {
  test('leaves a message alone that is not the one that was listed, says so, and shows it under an id of its own', async () => {
    const it = await site('');
    const [one = 0] = it.deliver('INBOX', 'one', 'two');
    const { ids } = await it.look();
    const client = await it.open();
    await client.command('DELE 1');
    await client.command('DELE 2');
    // Restored from a backup: the UID is another message's now.
    const mailbox = it.imap.mailbox('INBOX');
    mailbox.expunge(one);
    mailbox.expunge(one + 1);
    mailbox.uidNext = one;
    it.deliver('INBOX', 'stranger');
    it.imap.dropConnections();
    expect(await client.command('QUIT')).toBe('-ERR [SYS/TEMP] 1 of 2 messages not deleted');
    expect(it.upstream()).toEqual(['stranger']);
    await it.bridge.event('delete-failed');
    expect(it.bridge.events('delete-failed')).toHaveLength(1);
    const after = await it.look();
    expect(after.subjects).toEqual(['stranger']);
    expect(Object.values(ids)).not.toContain(after.ids['stranger']);
  });

  test('costs no round trip more, and can be turned off', async () => {
    const it = await site('[delete]\nverify = false');
    it.deliver('INBOX', 'one');
    await it.delete('alice', 'one');
    expect(it.upstream()).toEqual([]);
  });
});

describe('a pipelined session over several folders', () => {
  test('answers in order while folders change', async () => {
    const it = await site('[maildrop]\nfolders = ["A", "B"]', folders('A', 'B'));
    it.deliver('A', 'a');
    it.deliver('B', 'b');
    const client = await it.open();
    client.send('RETR 2\r\nRETR 1\r\n');
    expect((await client.multi('RETR 2')).at(-1)).toBe('body of b');
    await client.line();
    expect((await client.untilEnd()).toString()).toContain('body of a');
    await client.line();
    expect((await client.untilEnd()).toString()).toContain('body of b');
  });
});

describe('sizes = "exact"', () => {
  const lying = (index: number): string => `Subject: ${index}\n\nbare line feeds\n${'x'.repeat(index * 100)}\n`;

  test('are measured before the first client sees them, and the same as RETR sends', async () => {
    const it = await site('[maildrop]\nsizes = "exact"');
    for (let index = 1; index <= 5; index += 1) it.imap.mailbox('INBOX').append(lying(index), { declaredSize: 7 });
    const client = await it.open();
    for (const line of await client.multi('LIST')) {
      const [number = '', octets] = line.split(' ');
      expect(Number(octets)).toBe((await client.retrieve(Number(number))).length);
    }
    await client.command('QUIT');
    expect(it.upstream()).toHaveLength(5);
    expect(it.imap.commands.filter((command) => command.includes('BODY[]'))).toEqual([]);
  });

  test('that take longer than a client waits are refused with [SYS/TEMP], and known by a later poll', async () => {
    const it = await site('[maildrop]\nsizes = "exact"');
    for (let index = 1; index <= 12; index += 1) it.imap.mailbox('INBOX').append(lying(index));
    it.imap.setScript(({ command }) => (/^UID FETCH \d+ .*BODY/.test(command) ? { delayMs: 1_000 } : undefined));
    await expect(it.open()).rejects.toThrow('-ERR [SYS/TEMP] sizes of messages are being measured, try later');
    await until(async () => {
      const client = await it.open().catch(() => undefined);
      const stat = await client?.command('STAT');
      await client?.command('QUIT');
      return stat?.startsWith('+OK 12 ') === true;
    }, 60_000);
  });
});
