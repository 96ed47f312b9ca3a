import { describe, expect, test } from 'vitest';
import { isSameMailbox } from '../../../src/maildrop/folder-name.ts';
import { chooseFolder, type ChosenFolder, type ListedFolder } from '../../../src/imap/special-use.ts';

function folder(path: string, fields: Partial<ListedFolder> = {}): ListedFolder {
  return {
    path,
    delimiter: '/',
    isSelectable: true,
    isPersonal: true,
    role: undefined,
    namedRole: undefined,
    specialUses: new Set(),
    ...fields,
  };
}

const INBOX = folder('INBOX');
const BIN = folder('[Gmail]/Bin', { role: 'trash' });
const NAMED = folder('Papierkorb', { namedRole: 'trash' });
const MINE = folder('Old mail');

const there = (path: string): ChosenFolder => ({ path, mustBeCreated: false });
const created = (path: string): ChosenFolder => ({ path, mustBeCreated: true });

const TABLE: readonly (readonly [
  what: string,
  folders: readonly ListedFolder[],
  configured: string | undefined,
  prefix: string,
  chosen: ChosenFolder,
])[] = [
  ['the special-use folder, whatever its name', [INBOX, NAMED, BIN], undefined, '', there('[Gmail]/Bin')],
  ['the special-use folder before the configured one', [INBOX, MINE, BIN], 'Old mail', '', there('[Gmail]/Bin')],
  ['the configured one before a known name', [INBOX, NAMED, MINE], 'Old mail', '', there('Old mail')],
  ['the configured one, to be created, before a known name', [INBOX, NAMED], 'Gone', '', created('Gone')],
  ['a known, localised name', [INBOX, NAMED], undefined, '', there('Papierkorb')],
  ['a new Trash where there is nothing', [INBOX], undefined, '', created('Trash')],
  ['a new Trash where personal folders live', [INBOX], undefined, 'INBOX.', created('INBOX.Trash')],
  ['an unmarked Trash that is there already', [INBOX, folder('INBOX.Trash')], undefined, 'INBOX.', there('INBOX.Trash')],
  [
    'no folder that can not be selected',
    [INBOX, folder('Bin', { role: 'trash', isSelectable: false }), NAMED],
    undefined,
    '',
    there('Papierkorb'),
  ],
  ['nothing for another role', [INBOX, folder('Archive', { role: 'archive' })], undefined, '', created('Trash')],
  ["INBOX in the server's spelling", [INBOX], 'inbox', '', there('INBOX')],
  ['a configured name in its own case: mailboxes differ by case', [INBOX, folder('old mail')], 'Old mail', '', created('Old mail')],
];

describe('the folder for deleted messages (CONTRACT section 5.10)', () => {
  test.each(TABLE)('is %s', (_, folders, configured, prefix, chosen) => {
    expect(chooseFolder(folders, 'trash', configured, prefix)).toEqual(chosen);
  });

  test('is Archive for the archive', () => {
    expect(chooseFolder([INBOX, BIN], 'archive', undefined, '')).toEqual(created('Archive'));
  });
});

test.each([
  ['INBOX', 'inbox', true],
  ['Trash', 'Trash', true],
  ['Trash', 'trash', false],
  ['INBOX', 'INBOX.Trash', false],
])('%s and %s are the same mailbox: %s', (one, other, same) => {
  expect(isSameMailbox(one, other)).toBe(same);
});
