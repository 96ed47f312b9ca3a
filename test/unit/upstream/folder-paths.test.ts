import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { ListedName } from '../../../src/imap/list-response.ts';
import { encodedName } from '../../../src/imap/mailbox-name.ts';
import { foldersByPath } from '../../../src/upstream/folder-paths.ts';
import { holds } from '../../support/holds.ts';

function listed(octets: string, delimiter = '/', attributes: readonly string[] = []): ListedName {
  return { attributes, delimiter, octets };
}

const isGood = ({ attributes }: ListedName): boolean => attributes.length === 0;

/** The octets by path of folders that are listed under these. */
function octetsByPath(...names: readonly (string | ListedName)[]): Record<string, string> {
  const byPath = foldersByPath(
    names.map((name) => (typeof name === 'string' ? listed(name) : name)),
    isGood,
  );
  return Object.fromEntries([...byPath].map(([path, { octets }]) => [path, octets]));
}

describe('the path of a folder', () => {
  test.for([
    ['as every server would write it', 'Entw&APw-rfe', 'Entwürfe'],
    ['in UTF-8', 'Entw\xc3\xbcrfe', 'Entwürfe'],
    ['in latin1', 'Entw\xfcrfe', 'Entw\xfcrfe'],
    ['in modified UTF-7 that is not canonical', '&AOQ-&APY-', '&AOQ-&APY-'],
    ['with an ampersand alone', 'R&D', 'R&D'],
    ['with the delimiter before it', '/Sent', 'Sent'],
    ['with the delimiter within it', 'a/b', 'a/b'],
    ['as the delimiter', '/', '/'],
  ] as const)('that is listed %s is its name', ([, octets, path]) => {
    expect(octetsByPath(octets)).toEqual({ [path]: octets });
  });

  test('keeps before it what is no delimiter', () => {
    expect([octetsByPath(listed('/a', '.')), octetsByPath(listed('/a', ''))]).toEqual([{ '/a': '/a' }, { '/a': '/a' }]);
  });

  test('that is taken gets its octets', () => {
    expect(octetsByPath('Entw\xc3\xbcrfe', 'Entw&APw-rfe')).toEqual({
      Entwürfe: 'Entw&APw-rfe',
      'Entwürfe (456e7477c3bc726665)': 'Entw\xc3\xbcrfe',
    });
  });

  test.for([
    ['/Sent', 'Sent'],
    ['Sent', '/Sent'],
  ])('belongs to the folder that every server would write so, listed as %j', (names) => {
    expect(octetsByPath(...names)).toEqual({ Sent: 'Sent', 'Sent (2f53656e74)': '/Sent' });
  });

  test('stays where a folder is called like another one with its octets', () => {
    const names = ['\xe4', encodedName('\xe4'), encodedName('\xe4 (e4)'), encodedName('\xe4 (e4) (e4)')];
    const expected = { ä: '&AOQ-', 'ä (e4)': '&AOQ- (e4)', 'ä (e4) (e4)': '&AOQ- (e4) (e4)', 'ä (e4) (e4) (e4)': '\xe4' };
    expect(octetsByPath(...names)).toEqual(expected);
    expect(octetsByPath(...names.toReversed())).toEqual(expected);
  });

  test('is its own, can be told from its octets, and is the same in whatever order folders are listed', () => {
    const piece = fc.constantFrom('/', 'a', '\xe4', '\xc3\xa4', '&AOQ-', '&', ' (e4)', ' (c3a4)', ' (2f61)', 'inbox', 'INBOX', '&ATE-nbox');
    const octets = fc.array(piece, { minLength: 1, maxLength: 3 }).map((pieces) => pieces.join(''));
    const names = fc.uniqueArray(octets, { maxLength: 12, selector: (name) => (/^inbox$/i.test(name) ? 'INBOX' : name) });
    const shuffled = names.chain((all) => fc.tuple(fc.constant(all), fc.shuffledSubarray(all, { minLength: all.length })));
    holds(
      fc.property(shuffled, ([all, other]) => {
        const byPath = octetsByPath(...all);
        expect(Object.values(byPath).toSorted()).toEqual(all.toSorted());
        expect(octetsByPath(...other)).toEqual(byPath);
        for (const name of all)
          if (!name.startsWith('/') && encodedName(name) === name) expect(byPath[/^inbox$/i.test(name) ? 'INBOX' : name]).toBe(name);
      }),
      { usual: 500 },
    );
  });
});

describe('INBOX', () => {
  test.for(['INBOX', 'inbox', 'Inbox'])('is INBOX where it is listed as %s, whatever else is', (octets) => {
    expect(octetsByPath(octets)).toEqual({ INBOX: octets });
    expect(octetsByPath('/inbox', octets)).toEqual({ INBOX: octets, 'INBOX (2f696e626f78)': '/inbox' });
  });

  test('is what another folder stands for that is listed so behind its delimiter, where nothing else does', () => {
    expect(octetsByPath('/inbox')).toEqual({ INBOX: '/inbox' });
  });

  test('is no part of a longer name, and no name that becomes it in capitals', () => {
    expect(octetsByPath('INBOX/Sent', 'INBOXES', '&ATE-nbox')).toEqual({
      'INBOX/Sent': 'INBOX/Sent',
      INBOXES: 'INBOXES',
      '\u0131nbox': '&ATE-nbox',
    });
  });
});

test.for([[true, false], [false, true], [false], [false, false]])(
  'of lines of one folder, be they good (%j), a good one counts',
  (good) => {
    const lines = good.map((isOne) => listed('Sent', '/', isOne ? [] : ['\\Noselect']));
    expect(foldersByPath(lines, isGood)).toEqual(new Map([['Sent', lines.find(isGood) ?? lines[0]]]));
  },
);
