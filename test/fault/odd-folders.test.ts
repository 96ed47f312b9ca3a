/** Folders are opened by the octets under which the server lists them, whatever encoder made these, and those of others as they are given. */
import { describe, expect, test } from 'vitest';
import { allowInLog } from '../support/bridge-process.ts';
import { BridgeSite } from '../support/bridge-site.ts';
import { endsWithEachTest, sharedByTests } from '../support/ends-with-tests.ts';
import type { ImapRule } from '../support/imap-server/script.ts';
import type { Bridge } from '../support/shared-bridge.ts';

allowInLog('login-failed');

type Site = BridgeSite<Bridge>;

const shared = sharedByTests();
const open = endsWithEachTest();

/** A server with these folders besides INBOX and Trash, named as on the wire, one octet a character; each has a message that says which it is in. */
async function site(paths: readonly string[], configured: readonly string[], script?: ImapRule): Promise<Site> {
  const folders = [{ path: 'INBOX' }, ...paths.map((path) => ({ path })), { path: 'Trash', specialUse: '\\Trash' }];
  const it = await BridgeSite.startIn(shared, {
    server: { folders, ...(script === undefined ? {} : { script }) },
    tables: `[maildrop]\nfolders = ${JSON.stringify(configured)}\n`,
  });
  open.push(it);
  it.deliver('INBOX', 'inbox');
  for (const [index, path] of paths.entries()) it.deliver(path, `folder ${index + 1}`);
  return it;
}

const selected = (it: Site): string[] => it.imap.commands.filter((command) => command.startsWith('SELECT '));

describe.each([
  ['an & within a run of UTF-7', 'A&BBAEMQQyACYEMwQ0BDU-'],
  ['ASCII within a run', 'Q&AEEAQg-x'],
  ['a raw &', 'R&D'],
  ['an & alone', '&'],
  ['a run that does not end', 'x&AOk'],
  ['raw octets of ISO 8859-1', 'Caf\u00E9'],
  ['raw octets of UTF-8', Buffer.from('Café').toString('latin1')],
  ['a percent sign', '50% off'],
  ['a quote and a backslash', 'say "hi" \\ there'],
] as const)('a folder whose name has %s', (_, octets) => {
  test('is opened as the server lists it, keeps its unique-ids, and gives up what is deleted', async () => {
    const it = await site([octets], ['INBOX', '*']);
    const first = await it.look();
    expect(first.subjects).toEqual(['inbox', 'folder 1']);
    expect(await it.look()).toEqual(first);
    expect(await it.delete('alice', 'folder 1')).toBe('+OK bye');
    expect([it.upstream(octets), it.upstream('Trash')]).toEqual([[], ['folder 1']]);
  });
});

test('two folders whose names mean the same are both opened, each by its own octets', async () => {
  const it = await site(['&AOk-', '&AOk', 'Plain'], ['INBOX', '*']);
  const { subjects } = await it.look();
  expect([...subjects].sort()).toEqual(['folder 1', 'folder 2', 'folder 3', 'inbox']);
  expect(new Set(selected(it)).size).toBe(4);
});

describe("where the user's own folders have a prefix", () => {
  const namespaces: ImapRule = ({ verb }) =>
    verb === 'NAMESPACE'
      ? { untagged: '* NAMESPACE (("Mine/" "/")) (("Other Users/" "/")) (("Shared/" "/"))', reply: 'OK done' }
      : undefined;

  test.each(['Shared/team', 'Other Users/bob/INBOX', 'Public'])('a folder outside of it, %s, is tried as it is given', async (path) => {
    const it = await site([path], [path], namespaces);
    expect((await it.look()).subjects).toEqual(['folder 1']);
    expect(selected(it).every((command) => !command.includes('Mine/'))).toBe(true);
  });

  test('one that is not there as it is given is looked for below the prefix, once', async () => {
    const it = await site(['Mine/Work'], ['Work'], namespaces);
    expect((await it.look()).subjects).toEqual(['folder 1']);
    const before = selected(it).length;
    expect((await it.look()).subjects).toEqual(['folder 1']);
    expect(selected(it).slice(before)).toEqual(['SELECT Mine/Work']);
  });

  test('one in a shared namespace that is not there is an error, and not looked for among those of the user', async () => {
    const it = await site(['Mine/Shared/team'], ['Shared/team'], namespaces);
    await expect(it.look()).rejects.toThrow(/^login: -ERR \[SYS\/PERM\]/);
    expect(selected(it).every((command) => !command.includes('Mine/'))).toBe(true);
  });
});
