/** Folders that cannot be opened, or that the server leaves out of its list, before the scripted server. */
import { describe, expect, test } from 'vitest';
import { allowInLog } from '../support/bridge-process.ts';
import { BridgeSite } from '../support/bridge-site.ts';
import { endsWithEachTest, sharedByTests } from '../support/ends-with-tests.ts';
import type { Fault, ImapRule } from '../support/imap-server/script.ts';
import type { Bridge } from '../support/shared-bridge.ts';

allowInLog('login-failed', 'folder-skipped', 'messages-unlistable');

const open = endsWithEachTest();
const shared = sharedByTests();

/** INBOX and Work with a message each. */
async function site(folders: string): Promise<BridgeSite<Bridge>> {
  const server = { folders: [{ path: 'INBOX' }, { path: 'Trash', specialUse: '\\Trash' }, { path: 'Work' }] };
  const started = await BridgeSite.startIn(shared, { server, tables: `[maildrop]\nfolders = ${folders}` });
  open.push(started);
  started.deliver('INBOX', 'inbox 1');
  started.deliver('Work', 'work 1');
  return started;
}

function atSelect(path: string, fault: Fault): ImapRule {
  return ({ verb, command }) => (verb === 'SELECT' && command.includes(path) ? fault : undefined);
}

/** LIST names every folder but Work. */
const withoutWork: ImapRule = ({ verb, command }) => {
  if (verb !== 'LIST') return undefined;
  const untagged = command.includes('Work') ? [] : ['* LIST () "/" INBOX', '* LIST (\\Trash) "/" Trash'];
  return { reply: 'OK done', untagged };
};

const REFUSAL: Fault = { reply: 'NO [SERVERBUG] the index of that folder is broken' };

test.for([
  ['refuses it', REFUSAL],
  ['gives it a UIDVALIDITY that there cannot be', { reply: 'OK [READ-WRITE] done', untagged: ['* 1 EXISTS', '* OK [UIDVALIDITY 0] odd'] }],
] as const)('a folder that only a pattern matches does not take the others along where the server %s', async ([, fault]) => {
  const it = await site('["*"]');
  it.imap.setScript(atSelect('Work', fault));
  expect((await it.look()).subjects).toEqual(['inbox 1']);
  expect(await it.bridge.event('folder-skipped')).toMatchObject({ folder: 'Work', user: 'alice' });
  it.imap.setScript(undefined);
  expect((await it.look()).subjects).toEqual(['inbox 1', 'work 1']);
});

test('a folder that was shown before is never left out: the login fails', async () => {
  const it = await site('["*"]');
  await it.look();
  it.imap.setScript(atSelect('Work', REFUSAL));
  await expect(it.look()).rejects.toThrow(/SYS\/TEMP/);
  expect(it.bridge.events('folder-skipped')).toEqual([]);
});

test('a folder that the configuration names is never left out, be there a pattern beside it or not', async () => {
  const it = await site('["*", "Work"]');
  it.imap.setScript(atSelect('Work', REFUSAL));
  await expect(it.look()).rejects.toThrow(/SYS\/TEMP/);
});

test('where no folder can be opened the login fails as the first one did', async () => {
  const it = await site('["Wor*"]');
  it.imap.setScript(atSelect('Work', REFUSAL));
  await expect(it.look()).rejects.toThrow(/SYS\/TEMP/);
});

test('a folder that was shown before is shown though the server leaves it out of its list', async () => {
  const it = await site('["*"]');
  const before = await it.look();
  it.imap.setScript(withoutWork);
  expect(await it.look()).toEqual(before);
});

test('a folder that is neither listed nor to be opened is gone; no later login asks for it, until it is listed again', async () => {
  const it = await site('["*"]');
  const before = await it.look();
  const isGone: ImapRule[] = [atSelect('Work', { reply: 'NO no such mailbox' }), withoutWork];
  it.imap.setScript(isGone);
  expect((await it.look()).subjects).toEqual(['inbox 1']);
  const asked = (): number => it.imap.commands.filter((command) => command.startsWith('SELECT') && command.includes('Work')).length;
  const once = asked();
  expect((await it.look()).subjects).toEqual(['inbox 1']);
  expect(asked()).toBe(once);
  it.imap.setScript(undefined);
  expect(await it.look()).toEqual(before);
});

test('a folder that is not listed, and fails in another way than by not being there, is not taken for gone', async () => {
  const it = await site('["*"]');
  await it.look();
  it.imap.setScript([atSelect('Work', REFUSAL), withoutWork]);
  await expect(it.look()).rejects.toThrow(/SYS\/TEMP/);
});

/** LIST says that Work cannot be opened. */
function listingWorkAs(attribute: string): ImapRule {
  return ({ verb, command }) => {
    if (verb !== 'LIST') return undefined;
    const work = `* LIST (${attribute}) "/" Work`;
    return { reply: 'OK done', untagged: command.includes('Work') ? [work] : ['* LIST () "/" INBOX', '* LIST (\\Trash) "/" Trash', work] };
  };
}

describe.for(['\\Noselect', '\\NonExistent', '\\HasNoChildren \\NOSELECT'])(
  'a folder that was shown before and is now listed as %s',
  (attribute) => {
    test('is shown where it can be opened all the same', async () => {
      const it = await site('["*"]');
      const before = await it.look();
      it.imap.setScript(listingWorkAs(attribute));
      expect(await it.look()).toEqual(before);
    });

    test.for(['NO [NONEXISTENT] no such mailbox', 'NO Mailbox is not selectable', 'NO [CANNOT] Mailbox is not selectable'])(
      'is gone where SELECT says %j; no later login asks for it, until it is listed as before',
      async (reply) => {
        const it = await site('["*"]');
        const before = await it.look();
        const asked = (): number => it.imap.commands.filter((command) => command.startsWith('SELECT') && command.includes('Work')).length;
        const shown = asked();
        it.imap.setScript([atSelect('Work', { reply }), listingWorkAs(attribute)]);
        expect((await it.look()).subjects).toEqual(['inbox 1']);
        expect(it.bridge.events('folder-skipped')).toEqual([]);
        const once = asked();
        expect(once).toBeGreaterThan(shown);
        expect((await it.look()).subjects).toEqual(['inbox 1']);
        expect(asked()).toBe(once);
        it.imap.setScript(undefined);
        expect(await it.look()).toEqual(before);
      },
    );

    test('is not taken for gone where it fails in another way', async () => {
      const it = await site('["*"]');
      await it.look();
      it.imap.setScript([atSelect('Work', REFUSAL), listingWorkAs(attribute)]);
      await expect(it.look()).rejects.toThrow(/SYS\/TEMP/);
    });
  },
);

test.for(['NO Mailbox is not selectable', 'NO [CANNOT] that is not possible'])(
  'a folder that is listed as before is not gone where SELECT says %j',
  async (reply) => {
    const it = await site('["*"]');
    await it.look();
    it.imap.setScript(atSelect('Work', { reply }));
    await expect(it.look()).rejects.toThrow(/SYS\//);
  },
);

test('a folder that was never shown is not opened where it is listed as one that cannot be', async () => {
  const it = await site('["*"]');
  it.imap.setScript(listingWorkAs('\\Noselect'));
  expect((await it.look()).subjects).toEqual(['inbox 1']);
  expect(it.imap.commands.filter((command) => command.startsWith('SELECT') && command.includes('Work'))).toEqual([]);
});

test('a folder that was shown before is not looked for where the configuration no longer matches it', async () => {
  const it = await BridgeSite.start({ tables: '[maildrop]\nfolders = ["*"]', server: { folders: [{ path: 'INBOX' }, { path: 'Work' }] } });
  open.push(it);
  it.deliver('Work', 'work 1');
  await it.look();
  const again = await it.restart('SIGTERM', '[maildrop]\nfolders = ["I*"]');
  open.push(again);
  it.imap.setScript(withoutWork);
  expect((await again.look()).subjects).toEqual([]);
});

test('messages that the server gives no rows of are shown, and the log counts them', async () => {
  const it = await site('["INBOX"]');
  it.deliver('INBOX', 'inbox 2', 'inbox 3');
  const [, damaged] = it.imap.mailbox('INBOX').messages;
  it.imap.setScript(({ verb, command }) => {
    const [, from = '', to = from] = /^(?:UID )?FETCH (\d+)(?::(\d+|\*))? .*RFC822\.SIZE/.exec(command) ?? [];
    const isAsked = verb.endsWith('FETCH') && Number(from) <= (damaged?.uid ?? 0) && (to === '*' || (damaged?.uid ?? 0) <= Number(to));
    return isAsked ? { reply: 'NO a message is damaged' } : undefined;
  });
  expect((await it.look()).subjects).toEqual(['inbox 1', 'inbox 2', 'inbox 3']);
  expect(await it.bridge.event('messages-unlistable')).toMatchObject({ user: 'alice', folder: 'INBOX', count: 1 });
});
