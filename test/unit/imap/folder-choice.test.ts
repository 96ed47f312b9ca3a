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

  test('never the one that deleted mail goes to, unless it is named', () => {
    expect(chosenFolders(['%'], FOLDERS, 'Archive')).toEqual(['INBOX', 'Trashed', 'Work']);
    expect(chosenFolders(['Archive', '%'], FOLDERS, 'Archive')).toEqual(['Archive', 'INBOX', 'Trashed', 'Work']);
    expect(chosenFolders(['Old?'], [folder('Old?'), folder('Old1')], 'Old?')).toEqual(['Old?']);
  });
});

describe('a name that looks like a pattern means', () => {
  const lookalikes = ['Any questions?', 'Any questionsX', '50% off', '50x off', 'a*', 'ab', 'a\\*', 'c*', 'cd', 'e\\f', 'e\\\\f', 'g\\h'];
  const chosen = (...texts: readonly string[]): string[] =>
    chosenFolders(
      texts,
      lookalikes.map((path) => folder(path)),
    );

  test('the folder of exactly that name, where there is one', () => {
    expect(chosen('Any questions?', '50% off', 'a*')).toEqual(['Any questions?', '50% off', 'a*']);
  });

  test('also where it belongs to others, or patterns never match it', () => {
    const folders = [folder('Others/a?', { isPersonal: false }), folder('Sent?', { use: '\\Sent' }), folder('Others/ab')];
    expect(chosenFolders(['Others/a?', 'Sent?'], folders)).toEqual(['Others/a?', 'Sent?']);
  });

  test('what it matches, where there is none that can be opened', () => {
    expect(chosen('Any question?X', 'c?')).toEqual(['Any questionsX', 'c*', 'cd']);
    expect(chosenFolders(['a*'], [folder('a*', { isSelectable: false }), folder('ab')])).toEqual(['ab']);
  });

  test('that folder alone, where its wildcards have a backslash before them', () => {
    expect(chosen('Any questions\\?', '50\\% off', 'c\\*')).toEqual(['Any questions?', '50% off', 'c*']);
  });

  test('the folder as written before the one without backslashes', () => {
    expect(chosen('a\\*', 'e\\\\f', 'e\\f', 'g\\h', 'g\\\\h')).toEqual(['a\\*', 'e\\\\f', 'e\\f', 'g\\h']);
  });

  test('a folder that is not there, without its backslashes', () => expect(chosen('absent\\*', 'b\\b')).toEqual(['absent*', 'b\\b']));
});

test('many folders of which none is to be matched, and names of any length, are chosen from in passing', () => {
  const deep = Array.from({ length: 20_000 }, (_, place) => folder(`Trash/${'a/'.repeat(place % 500)}${place}`, { use: '\\Trash' }));
  expect(chosenFolders(['*', '*a*'], [...deep, folder('INBOX')])).toEqual(['INBOX']);
});
