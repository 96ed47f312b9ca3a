import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { holds } from '../../support/holds.ts';
import { isPattern, isSameMailbox, matchesFolder } from '../../../src/maildrop/folder-name.ts';

test('INBOX alone ignores case', () => {
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
  ])('%j: %j, where levels are parted by %j', (pattern, path, delimiter) => expect(matchesFolder(pattern, path, delimiter)).toBe(false));
});

test('a pattern may hold a hyphen', () => {
  expect(matchesFolder('my-lists/*', 'my-lists/a', '/')).toBe(true);
});

test.each(['__proto__', 'constructor', 'toString'])('a pattern may begin with %s', (name) => {
  expect(matchesFolder(`${name}*`, name, '/')).toBe(true);
});

test('every folder matches itself, "*", and itself with "?" for a character; those of the faults above apart', () => {
  const paths = fc
    .string({ unit: 'grapheme', minLength: 1 })
    .filter((path) => !['-', ...Object.getOwnPropertyNames(Object.prototype)].some((part) => path.includes(part)));
  holds(
    fc.property(paths, fc.nat(), fc.constantFrom('/', '.', ''), (path, at, delimiter) => {
      const characters = Array.from(path);
      const masked = characters.with(at % characters.length, '?').join('');
      expect([path, '*', masked, `${path}*`].map((pattern) => matchesFolder(pattern, path, delimiter))).toEqual([true, true, true, true]);
    }),
  );
});
