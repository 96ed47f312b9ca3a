import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { holds } from '../../support/holds.ts';
import { isPattern, isPlainName, isSameMailbox, matchesFolder, unescapedName } from '../../../src/maildrop/folder-name.ts';

test('INBOX alone ignores case, and only that of ASCII letters', () => {
  expect(['\u0131nbox', 'INBO\u0445', 'inbox\n'].map((name) => isSameMailbox(name, 'INBOX'))).toEqual([false, false, false]);
  expect([isSameMailbox('INBOX', 'inbox'), isSameMailbox('Inbox', 'iNBOX'), isSameMailbox('Trash', 'Trash')]).toEqual([true, true, true]);
  expect([isSameMailbox('Trash', 'trash'), isSameMailbox('INBOX/a', 'inbox/a'), isSameMailbox('INBOX', 'INBOX2')]).toEqual([
    false,
    false,
    false,
  ]);
});

test('a text with *, % or ? is a pattern', () => {
  expect(['*', 'a/%', 'a?'].map(isPattern)).toEqual([true, true, true]);
  expect(['', 'a', 'a.b', 'a+', '[a]', '\\'].map(isPattern)).toEqual([false, false, false, false, false, false]);
});

test('a text whose wildcards all have a backslash before them is none', () => {
  expect(['\\*', 'a\\%b\\?', '\\\\'].map(isPattern)).toEqual([false, false, false]);
  expect(['\\\\*', '\\**', 'a\\b*'].map(isPattern)).toEqual([true, true, true]);
});

test('a backslash is taken off before a wildcard or another backslash alone', () => {
  const taken = ['a\\*', 'Any questions\\?', '50\\% off', 'a\\\\b', '\\\\\\*', 'a\\b', 'a\\', ''].map(unescapedName);
  expect(taken).toEqual(['a*', 'Any questions?', '50% off', 'a\\b', '\\*', 'a\\b', 'a\\', '']);
});

test('a name is plain where there is one way to read it', () => {
  expect(['a', 'a\\b', 'a\\', 'INBOX'].map(isPlainName)).toEqual([true, true, true, true]);
  expect(['a*', 'a\\*', 'a\\\\b', '%'].map(isPlainName)).toEqual([false, false, false, false]);
});

describe('a folder matches', () => {
  test.each([
    ['INBOX', 'inbox', '/'],
    ['*', 'a/b/c', '/'],
    ['*', '', '/'],
    ['%', 'a', '/'],
    ['%', 'a/b', '.'],
    ['%', 'a/b', ''],
    ['Lists/%', 'Lists/a', '/'],
    ['Lists/*', 'Lists/a/b', '/'],
    ['%/b', 'a/b', '/'],
    ['a?c', 'abc', '/'],
    ['a?c', 'a\u{1f4e7}c', '/'],
    ['a.*', 'a.b', '.'],
    ['*[1]', 'a[1]', '/'],
    ['$(x)+{2}|^*', '$(x)+{2}|^y', '/'],
    ['*\\x', 'a\\x', '\\'],
    ['*', 'a\nb', '/'],
    ['100%', '100%', '/'],
    ['*\u00fc', 'x\u00fc', '/'],
    ['Any questions\\?', 'Any questions?', '/'],
    ['\\inbox', '\\inbox', '/'],
    ['*\\**', 'a*b', '/'],
    ['\\%%', '%x', '/'],
    ['a\\\\*', 'a\\b', '/'],
    ['%%*%', 'a/b', '/'],
    ['?*?', 'ab', '/'],
    ['%/a%/b', 'x/ay/b', '/'],
  ])('%j: %j, where levels are parted by %j', (pattern, path, delimiter) => expect(matchesFolder(pattern, path, delimiter)).toBe(true));
});

describe('a folder does not match', () => {
  test.each([
    ['Trash', 'trash', '/'],
    ['inbox*', 'INBOX', '/'],
    ['%', 'a/b', '/'],
    ['%', 'a.b', '.'],
    ['%', 'a\\b', '\\'],
    ['%', 'a^b', '^'],
    ['%', 'a-b', '-'],
    ['%', 'a]b', ']'],
    ['Lists/%', 'Lists/a/b', '/'],
    ['Lists/%', 'Lists', '/'],
    ['a?c', 'ac', '/'],
    ['a.*', 'axb', '/'],
    ['a*', 'ba', '/'],
    ['*a', 'ab', '/'],
    ['Any questions\\?', 'Any questionsX', '/'],
    ['*\\**', 'ab', '/'],
    ['a\\\\*', 'ab', '/'],
    ['%%', 'a/b', '/'],
    ['?*?', 'a', '/'],
  ])('%j: %j, where levels are parted by %j', (pattern, path, delimiter) => expect(matchesFolder(pattern, path, delimiter)).toBe(false));
});

test('a pattern may hold a hyphen', () => {
  expect(matchesFolder('my-lists/*', 'my-lists/a', '/')).toBe(true);
});

test.each(['__proto__', 'constructor', 'toString'])('a pattern may begin with %s', (name) => {
  expect(matchesFolder(`${name}*`, name, '/')).toBe(true);
});

test('every folder matches itself, "*", and itself with "?" for a character', () => {
  const escaped = (text: string): string => text.replaceAll(/[*%?\\]/g, '\\$&');
  holds(
    fc.property(fc.string({ unit: 'grapheme', minLength: 1 }), fc.nat(), fc.constantFrom('/', '.', ''), (path, at, delimiter) => {
      const characters = Array.from(path);
      const masked = characters.map((character, place) => (place === at % characters.length ? '?' : escaped(character))).join('');
      const patterns = [escaped(path), '*', masked, `${escaped(path)}*`];
      expect(patterns.map((pattern) => matchesFolder(pattern, path, delimiter))).toEqual([true, true, true, true]);
    }),
  );
});

/** Tries everything that each wildcard could stand for. */
function matchesSlowly(pattern: string, path: string): boolean {
  const [first = '', second = ''] = pattern;
  if (first === '') return path === '';
  if (first === '\\' && '*%?\\'.includes(second) && second !== '') {
    return path.startsWith(second) && matchesSlowly(pattern.slice(2), path.slice(1));
  }
  const rest = pattern.slice(1);
  if (first === '*' || first === '%') {
    const isTaken = path !== '' && (first === '*' || !path.startsWith('/'));
    return matchesSlowly(rest, path) || (isTaken && matchesSlowly(pattern, path.slice(1)));
  }
  return path !== '' && (first === '?' || path.startsWith(first)) && matchesSlowly(rest, path.slice(1));
}

test('a pattern matches what trying everything says', () => {
  const pattern = fc.string({ unit: fc.constantFrom('a', 'b', '/', '*', '%', '?', '\\'), maxLength: 9 });
  const path = fc.string({ unit: fc.constantFrom('a', 'b', '/', '*', '\\'), maxLength: 9 });
  holds(
    fc.property(pattern, path, (text, name) => {
      expect(matchesFolder(text, name, '/')).toBe(matchesSlowly(text, name));
    }),
    {
      usual: 5_000,
      examples: [
        ['%*a', 'b/a'],
        ['*a%b', 'aa/ab'],
        ['%/%a', 'a/b/a'],
        ['*%\\*', 'a/*'],
      ],
    },
  );
});

/** So many steps that a matcher which tries everything would not end in this year. */
test.each([
  ['*/20*/Inbox', '/20'.repeat(100_000)],
  ['*a%b', 'a'.repeat(300_000)],
  ['*/%2%/%0%/x*y', '/20'.repeat(100_000)],
  ['%a%a%a%a%a%a%a%a%a%b', 'a'.repeat(300_000)],
  ['?%*?%*?%*?%*?%*?%*?%*x', 'a'.repeat(300_000)],
  ['%'.repeat(1_000) + 'x', 'a'.repeat(300_000)],
])('%s is compared with a name of 300,000 characters', (pattern, path) => {
  expect(matchesFolder(pattern, path, '/')).toBe(false);
});
