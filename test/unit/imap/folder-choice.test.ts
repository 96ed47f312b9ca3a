import { describe, expect, test } from 'vitest';
import { chosenFolders } from '../../../src/imap/folder-choice.ts';
import type { ListedFolder } from '../../../src/imap/special-use.ts';

function folder(path: string, fields: Partial<ListedFolder> & { readonly use?: string } = {}): ListedFolder {
  const { use, ...rest } = fields;
  const specialUses = new Set(use === undefined ? [] : [use]);
  return { path, delimiter: '/', isSelectable: true, isPersonal: true, specialUses, role: undefined, namedRole: undefined, ...rest };
}

const FOLDERS: readonly ListedFolder[] = [
  folder('Work'),
  folder('Trash', { use: '\\Trash' }),
  folder('Trash/old'),
  folder('Trashed'),
  folder('Sent', { use: '\\Sent' }),
  folder('Junk', { use: '\\Junk' }),
  folder('Drafts', { use: '\\Drafts' }),
  folder('All', { use: '\\All' }),
  folder('Archive', { use: '\\Archive' }),
  folder('Lists', { isSelectable: false }),
  folder('Lists/b'),
  folder('Lists/a'),
  folder('Others/bob', { isPersonal: false }),
  folder('INBOX'),
];

describe('the folders of a maildrop are', () => {
  test('those named, in that order, each once', () => {
    expect(chosenFolders(['Work', 'inbox', 'Lists/a', 'INBOX', 'Work'], FOLDERS)).toEqual(['Work', 'INBOX', 'Lists/a']);
  });

  test('those that a pattern matches, INBOX first, the others by name; no mail that was thrown away, sent, or stands elsewhere too', () => {
    expect(chosenFolders(['*'], FOLDERS)).toEqual(['INBOX', 'Archive', 'Lists/a', 'Lists/b', 'Trashed', 'Work']);
    expect(chosenFolders(['%'], FOLDERS)).toEqual(['INBOX', 'Archive', 'Trashed', 'Work']);
  });

  test('where a folder was named before a pattern matches it', () => {
    expect(chosenFolders(['Lists/b', '*', 'Work'], FOLDERS)).toEqual(['Lists/b', 'INBOX', 'Archive', 'Lists/a', 'Trashed', 'Work']);
  });

  test('also the trash, or those of others, where they are named', () => {
    expect(chosenFolders(['Trash', 'Trash/old', 'Others/bob'], FOLDERS)).toEqual(['Trash', 'Trash/old', 'Others/bob']);
  });

  test('a name that nobody lists, as it is: the server says that it is not there', () => {
    expect(chosenFolders(['Absent', 'Lists'], FOLDERS)).toEqual(['Absent', 'Lists']);
  });

  test('none where a pattern matches none', () => expect(chosenFolders(['Nothing*'], FOLDERS)).toEqual([]));

  test('without levels, whatever begins like the trash is still another folder', () => {
    expect(chosenFolders(['*'], [folder('Trash', { use: '\\Trash', delimiter: '' }), folder('Trash/x', { delimiter: '' })])).toEqual([
      'Trash/x',
    ]);
  });
});
