/**
 * No single statement of a server makes a maildrop empty or shorter: what is hidden is hidden because of its FLAGS, that all are gone is asked in
 * two ways, and that nothing has changed takes more than a count.
 */
import { describe, expect, test } from 'vitest';
import { allowInLog } from '../support/bridge-process.ts';
import { BridgeSite, type BridgeSiteSetup } from '../support/bridge-site.ts';
import { endsWithEachTest, sharedByTests } from '../support/ends-with-tests.ts';
import { DEFAULT_CAPABILITIES } from '../support/imap-server/settings.ts';
import type { CommandEvent, Fault, ImapRule } from '../support/imap-server/script.ts';
import type { Bridge } from '../support/shared-bridge.ts';

allowInLog('login-failed');

type Site = BridgeSite<Bridge>;

const SUBJECTS = ['one', 'two', 'three'];
const ERROR = /^login: -ERR \[SYS\/TEMP\] [ -~]+$/;
const without = (...names: readonly string[]): readonly string[] => DEFAULT_CAPABILITIES.filter((name) => !names.includes(name));

const shared = sharedByTests();
const open = endsWithEachTest();

/** Three messages in INBOX. */
async function site(setup: Omit<BridgeSiteSetup, 'imap'> = {}): Promise<Site> {
  const it = await BridgeSite.startIn(shared, setup);
  open.push(it);
  it.deliver('INBOX', ...SUBJECTS);
  return it;
}

const shown = async (it: Site): Promise<readonly string[]> => (await it.look()).subjects;
const inbox = (it: Site): ReturnType<Site['imap']['mailbox']> => it.imap.mailbox('INBOX');
/** Subjects of everything that is there, by the server's own account. */
const there = (it: Site): string[] => inbox(it).messages.map(({ raw }) => /^Subject: (.*)\r$/m.exec(raw.toString())?.[1] ?? '');

const SEARCH_KEY = / (?:DELETED|UNDELETED|SEEN|UNSEEN)$/;

/** SEARCH that does not look at its key, and so finds every message of those that it was asked about. */
const ignoresKeys: ImapRule = ({ verb, command, tag, session }: CommandEvent): Fault | undefined => {
  if (verb !== 'UID SEARCH' || !SEARCH_KEY.test(command) || session.mailbox === undefined) return undefined;
  const all = [...current(session.mailbox)];
  const result = command.includes('RETURN')
    ? `* ESEARCH (TAG "${tag}") UID${all.length > 0 ? ` ALL ${all.join(',')}` : ''} COUNT ${all.length}`
    : `* SEARCH ${all.join(' ')}`;
  return { untagged: result, reply: 'OK done' };
};
/** UIDs of the mailbox of the test that runs. */
let current: (path: string) => Iterable<number> = () => [];
function goesBy(it: Site, ...rules: readonly ImapRule[]): void {
  current = (path) => it.imap.mailbox(path).messages.map(({ uid }) => uid);
  it.imap.setScript(rules);
}

/** SELECT that says another number of messages, or none at all. */
const selects = (exists: string): ImapRule => {
  return ({ verb }) => (verb === 'SELECT' ? { rewrite: (text) => text.replace(/^\* \d+ EXISTS\r\n/, exists) } : undefined);
};

describe('SEARCH DELETED that ignores its key', () => {
  test.each([
    ['at a first login', DEFAULT_CAPABILITIES, '0s'],
    ['without ESEARCH', without('ESEARCH'), '0s'],
    ['on a kept connection', DEFAULT_CAPABILITIES, '5m'],
  ] as const)('hides no message whose FLAGS do not say \\Deleted (%s)', async (_, capabilities, linger) => {
    const it = await site({ server: { capabilities }, linger });
    goesBy(it, ignoresKeys);
    for (let login = 0; login < 3; login += 1) expect((await it.glance()).subjects).toEqual(SUBJECTS);
  });

  test('hides those whose FLAGS say so, as long as they do', async () => {
    const it = await site();
    goesBy(it, ignoresKeys);
    inbox(it).setFlags(2, ['\\Deleted']);
    expect(await shown(it)).toEqual(['one', 'three']);
    expect(await shown(it)).toEqual(['one', 'three']);
    inbox(it).setFlags(3, ['\\Deleted']);
    expect(await shown(it)).toEqual(['one']);
    inbox(it).setFlags(2, []);
    expect(await shown(it)).toEqual(['one', 'two']);
  });

  test('hides none whose FLAGS the server does not give', async () => {
    const it = await site();
    const givesNoFlags: ImapRule = ({ verb, command }) =>
      verb === 'UID FETCH' && command.includes('FLAGS') ? { rewrite: (text) => text.replace(/^ ?FLAGS .*/, 'FLAGS NIL') } : undefined;
    goesBy(it, givesNoFlags, ignoresKeys);
    expect(await shown(it)).toEqual(SUBJECTS);
  });
});

test.each([
  ['with ESEARCH', DEFAULT_CAPABILITIES],
  ['without ESEARCH', without('ESEARCH')],
] as const)('SEARCH UNSEEN that ignores its key shows only unread mail all the same (%s)', async (_, capabilities) => {
  const it = await site({ server: { capabilities }, tables: '[maildrop]\nshow = "unseen"\n' });
  inbox(it).setFlags(2, ['\\Seen']);
  goesBy(it, ignoresKeys);
  expect(await shown(it)).toEqual(['one', 'three']);
});

describe('SELECT', () => {
  test.each([
    ['does not say how many there are', ''],
    ['says that there are none', '* 0 EXISTS\r\n'],
    ['says that there are fewer', '* 2 EXISTS\r\n'],
    ['says that there are more', '* 4 EXISTS\r\n'],
  ] as const)('that %s: all messages are shown with their unique-ids, or it is an error', async (_, exists) => {
    for (const isKnown of [true, false]) {
      const it = await site();
      const before = isKnown ? await it.look() : undefined;
      goesBy(it, selects(exists));
      const now = await it.look().catch((error: unknown) => error);
      if (now instanceof Error) expect(now.message).toMatch(ERROR);
      else expect(now).toMatchObject({ subjects: SUBJECTS });
      it.imap.setScript(undefined);
      const after = await it.look();
      expect(after.subjects).toEqual(SUBJECTS);
      if (before !== undefined) expect(after.ids).toEqual(before.ids);
    }
  });

  test('that does not say how many there are is no error: they are counted', async () => {
    const it = await site();
    goesBy(it, selects(''));
    expect(await shown(it)).toEqual(SUBJECTS);
    it.deliver('INBOX', 'four');
    inbox(it).expunge(2);
    expect(await shown(it)).toEqual(['one', 'three', 'four']);
  });

  test('that says once only that there are none is asked again', async () => {
    const it = await site();
    await it.look();
    let times = 0;
    goesBy(it, (event) => (event.verb === 'SELECT' && (times += 1) === 1 ? selects('* 0 EXISTS\r\n')(event) : undefined));
    expect(await shown(it)).toEqual(SUBJECTS);
  });

  test.each([
    ['SEARCH finds nothing either', 'UID SEARCH', '* SEARCH'],
    ['FETCH gives nothing either', 'UID FETCH', []],
  ] as const)(
    'that says that there are none, where %s, is not believed as long as another way of asking denies it',
    async (_, verb, untagged) => {
      const it = await site();
      const before = await it.look();
      const silent: ImapRule = (event) => (event.verb === verb ? { reply: 'OK nothing', untagged } : undefined);
      goesBy(it, selects('* 0 EXISTS\r\n'), silent);
      await expect(it.look()).rejects.toThrow(ERROR);
      it.imap.setScript(undefined);
      expect((await it.look()).ids).toEqual(before.ids);
    },
  );

  test('of a second folder that does not say how many there are takes nothing over from the first', async () => {
    const it = await site({
      server: { folders: [{ path: 'INBOX' }, { path: 'Work' }] },
      tables: '[maildrop]\nfolders = ["INBOX", "Work"]\n',
    });
    it.deliver('Work', 'w1', 'w2', 'w3', 'w4');
    const all = [...SUBJECTS, 'w1', 'w2', 'w3', 'w4'];
    goesBy(it, (event) => (event.command === 'SELECT Work' ? selects('')(event) : undefined));
    expect(await shown(it)).toEqual(all);
    expect(await shown(it)).toEqual(all);
  });
});

describe('a mailbox that is truly empty', () => {
  test('is shown so at once, whatever was there before, and what comes later is new', async () => {
    const it = await site();
    const before = await it.look();
    for (const uid of [1, 2, 3]) inbox(it).expunge(uid);
    expect(await shown(it)).toEqual([]);
    expect(await shown(it)).toEqual([]);
    it.deliver('INBOX', 'four');
    const after = await it.look();
    expect(after.subjects).toEqual(['four']);
    expect(Object.values(before.ids)).not.toContain(after.ids['four']);
  });

  test('is shown so also where SELECT does not say how many there are', async () => {
    const it = await site();
    await it.look();
    for (const uid of [1, 2, 3]) inbox(it).expunge(uid);
    goesBy(it, selects(''));
    expect(await shown(it)).toEqual([]);
  });

  test('costs no command more than one that is not, when nobody knew any message in it', async () => {
    const it = await site();
    for (const uid of [1, 2, 3]) inbox(it).expunge(uid);
    expect(await shown(it)).toEqual([]);
    const before = it.imap.commands.length;
    expect(await shown(it)).toEqual([]);
    const asked = it.imap.commands.slice(before).filter((command) => /^(?:UID|FETCH|SELECT)/.test(command));
    expect(asked).toEqual(['SELECT INBOX', 'UID SEARCH RETURN (ALL) DELETED', 'UID SEARCH RETURN (ALL) UID 1:*']);
  });
});

/** SELECT tells this, or nothing, of the changes in the mailbox. */
const modSequence = (told: () => number | undefined): ImapRule => {
  return ({ verb }) => (verb === 'SELECT' ? { rewrite: (text) => text.replace(/^\* \d+ EXISTS\r\n/, `$&${highest(told())}`) } : undefined);
};
const highest = (value: number | undefined): string => (value === undefined ? '' : `* OK [HIGHESTMODSEQ ${value}] Highest\r\n`);

describe('UIDNEXT that stands still while one message goes and another comes', () => {
  let changes = 1;

  describe.each([
    ['without HIGHESTMODSEQ', without('CONDSTORE'), (): undefined => undefined],
    ['with HIGHESTMODSEQ', DEFAULT_CAPABILITIES, (): number => (changes += 1)],
    ['with a HIGHESTMODSEQ that stands still too', DEFAULT_CAPABILITIES, (): number => 7],
  ] as const)('%s', (_, capabilities, told) => {
    test.each([
      ['the first', 1],
      ['one in the middle', 2],
      ['the last', 3],
    ] as const)('hides neither that %s went nor what came', async (__, uid) => {
      const it = await site({ server: { capabilities } });
      inbox(it).toldUidNext = 4;
      goesBy(it, modSequence(told));
      const before = await it.look();
      inbox(it).expunge(uid);
      it.deliver('INBOX', 'new');
      const after = await it.look();
      expect(after.subjects).toEqual(there(it));
      const ids = Object.entries(after.ids).filter(([subject]) => subject !== 'new');
      for (const [subject, id] of ids) expect(id).toBe(before.ids[subject]);
      expect(Object.values(before.ids)).not.toContain(after.ids['new']);
    });
  });

  test('on a kept connection hides neither', async () => {
    const it = await site({ linger: '5m' });
    inbox(it).toldUidNext = 4;
    await it.glance();
    inbox(it).expunge(2);
    it.deliver('INBOX', 'new');
    expect((await it.glance()).subjects).toEqual(['one', 'three', 'new']);
  });
});

describe('a message that goes while another comes in its place, below the last one', () => {
  /** A mailbox in which UID 2 was never given, so that a server can give it late. */
  async function siteWithGap(messages: number): Promise<Site> {
    const it = await BridgeSite.startIn(shared);
    open.push(it);
    it.deliver('INBOX', 'one', 'never seen');
    inbox(it).expunge(2);
    it.deliver('INBOX', ...Array.from({ length: messages - 1 }, (_, place) => `message ${place}`));
    return it;
  }
  const swap = (it: Site): void => {
    inbox(it).expunge(3);
    inbox(it).append('Subject: late\r\nMessage-ID: <late@example.com>\r\n\r\nbody\r\n', { uid: 2 });
  };
  const uniqueIds = async (it: Site, user = 'alice'): Promise<string[]> => {
    const client = await it.open(user);
    const lines = await client.multi('UIDL');
    await client.command('QUIT');
    return lines.map((line) => line.replace(/^\d+ /, ''));
  };
  const commandsOf = async (it: Site, work: () => Promise<unknown>): Promise<string[]> => {
    const before = it.imap.commands.length;
    await work();
    return it.imap.commands.slice(before).filter((command) => command.startsWith('UID SEARCH'));
  };

  test('is noticed in a small mailbox, where the messages are compared with those known', async () => {
    const it = await siteWithGap(5);
    expect(await shown(it)).toHaveLength(5);
    swap(it);
    expect(await shown(it)).toEqual(['one', 'late', 'message 1', 'message 2', 'message 3']);
  });

  test('is noticed in a large one where HIGHESTMODSEQ tells that something changed, and costs nothing while it does not', async () => {
    const it = await siteWithGap(1_100);
    let changes = 1;
    goesBy(
      it,
      modSequence(() => changes),
    );
    const before = await uniqueIds(it);
    const asked = await commandsOf(it, async () => expect(await uniqueIds(it)).toEqual(before));
    expect(asked).toEqual(['UID SEARCH RETURN (ALL) DELETED', 'UID SEARCH RETURN (ALL) UID 102:*']);
    swap(it);
    changes += 1;
    const after = await uniqueIds(it);
    expect(after).toEqual([before[0], expect.any(String), ...before.slice(2)]);
    expect(before).not.toContain(after[1]);
  });

  test('is noticed by every view, and also where the login before it failed when it had been listed', async () => {
    const it = await BridgeSite.startIn(shared, {
      server: { folders: [{ path: 'INBOX' }, { path: 'Work' }] },
      tables: '[maildrop]\nfolders = ["INBOX", "Work"]\n[views.pc]\n',
    });
    open.push(it);
    it.deliver('INBOX', 'one', 'never seen');
    inbox(it).expunge(2);
    it.deliver('INBOX', ...Array.from({ length: 1_099 }, (_, place) => `message ${place}`));
    let changes = 1;
    let isBroken = false;
    goesBy(
      it,
      ({ command }) => (isBroken && command === 'SELECT Work' ? { reply: 'NO [UNAVAILABLE] busy' } : undefined),
      modSequence(() => changes),
    );
    const before = await uniqueIds(it);
    expect(await uniqueIds(it, 'alice/pc')).toEqual(before);
    swap(it);
    changes += 1;
    isBroken = true;
    await expect(uniqueIds(it)).rejects.toThrow(ERROR);
    isBroken = false;
    const after = await uniqueIds(it);
    expect(after).toEqual([before[0], expect.any(String), ...before.slice(2)]);
    expect(after[1]).not.toBe(before[1]);
    expect(await uniqueIds(it, 'alice/pc')).toEqual(after);
  });

  test('does not keep what came at the same time waiting', async () => {
    const it = await siteWithGap(1_100);
    let changes = 1;
    goesBy(
      it,
      modSequence(() => changes),
    );
    await it.glance();
    it.deliver('INBOX', 'new');
    changes += 1;
    const rows = Promise.withResolvers<void>();
    it.imap.setScript([
      modSequence(() => changes),
      ({ command }) => (command.startsWith('UID SEARCH RETURN (ALL COUNT) ALL') ? { after: rows.promise } : undefined),
      ({ command }) => {
        if (command.includes('RFC822.SIZE')) rows.resolve();
        return undefined;
      },
    ]);
    expect((await it.glance()).subjects).toHaveLength(1_101);
  });
});

test('rows of messages that are not there, among those of what came, make nothing appear', async () => {
  const it = await site();
  await it.look();
  it.deliver('INBOX', 'four');
  const stranger = '* 9 FETCH (UID 99 RFC822.SIZE 20 INTERNALDATE " 1-Jan-2026 00:00:00 +0000")\r\n';
  goesBy(it, ({ command }) => (/^UID FETCH .*RFC822\.SIZE/.test(command) ? { raw: stranger, next: 'continue' } : undefined));
  expect(await shown(it)).toEqual([...SUBJECTS, 'four']);
});
