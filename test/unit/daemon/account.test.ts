import { describe, expect, test } from 'vitest';
import { splitUser } from '../../../src/config/user-name.ts';
import { chooseUpstream, imapUser, maildropName, viewNamed, type UserRule } from '../../../src/daemon/account.ts';

function rule(fields: Partial<UserRule> = {}): UserRule {
  return { username: '{user}', domains: [], takesTheRest: false, views: new Map([['', {}]]), ...fields };
}

describe('a user name', () => {
  test.each([
    ['alice', { local: 'alice', domain: '' }],
    ['Alice@Example.COM', { local: 'Alice', domain: 'example.com' }],
    ['a@b@c.org', { local: 'a@b', domain: 'c.org' }],
    ['@example.com', { local: '', domain: 'example.com' }],
  ])('%s has the local part as typed and the domain in lower case', (user, parts) => {
    expect(splitUser(user)).toEqual(parts);
  });

  test.each([
    ['{user}', 'Alice@Example.COM', 'Alice@example.com'],
    ['{user}', 'alice', 'alice'],
    ['{user}', 'alice@', 'alice@'],
    ['{user}', 'alice@Example.COM@', 'alice@Example.COM@'],
    ['{local}', 'alice@example.com', 'alice'],
    ['{local}%{domain}', 'alice@example.com', 'alice%example.com'],
    ['shared', 'alice', 'shared'],
    ['{user}', '{domain}$&$1@example.com', '{domain}$&$1@example.com'],
    ['{other}', 'alice', '{other}'],
    ['{user}', 'user%host', 'user%host'],
    ['{user}', 'host:user', 'host:user'],
  ])('under %s, %s is %s upstream: nothing else in it has a meaning', (username, user, expected) => {
    expect(imapUser(rule({ username }), user)).toBe(expected);
  });
});

describe('the upstream of a user', () => {
  const one = rule({ domains: ['Example.com'] });
  const other = rule({ domains: ['example.org', 'example.net'] });
  const rest = rule({ takesTheRest: true });

  test('is the only one there is, whatever the domain', () => {
    expect(chooseUpstream([one], 'alice@elsewhere.example')).toBe(one);
  });

  test.each([
    ['alice@example.com', one],
    ['alice@EXAMPLE.NET', other],
    ['alice@elsewhere.example', rest],
    ['alice', rest],
  ])('of %s goes by the domain, exactly, else to the default', (user, chosen) => {
    expect(chooseUpstream([rest, one, other], user)).toBe(chosen);
  });

  test.each(['alice', 'alice@', 'alice@sub.example.com', 'alice@example.com.evil.example'])('nobody takes %s', (user) => {
    expect(() => chooseUpstream([one, other], user)).toThrow(expect.objectContaining({ code: 'AUTH_UNKNOWN_USER' }));
  });
});

const VIEWS = new Map<string, string>([
  ['', 'base'],
  ['laptop', 'of the laptop'],
  ['B\u00fcro', 'of the office'],
]);

describe('with views, a user name', () => {
  test.each([
    ['alice', { user: 'alice', view: undefined, isRecent: false }],
    ['alice/laptop', { user: 'alice', view: 'laptop', isRecent: false }],
    ['a/b/laptop', { user: 'a/b', view: 'laptop', isRecent: false }],
    ['alice/', { user: 'alice', view: '', isRecent: false }],
    ['alice@example.com/laptop', { user: 'alice@example.com', view: 'laptop', isRecent: false }],
    ['recent:alice', { user: 'alice', view: undefined, isRecent: true }],
    ['recent:alice/laptop', { user: 'alice', view: 'laptop', isRecent: true }],
    ['recent:recent:alice', { user: 'recent:alice', view: undefined, isRecent: true }],
    ['Recent:alice', { user: 'Recent:alice', view: undefined, isRecent: false }],
  ])('%s names user and view', (typed, name) => expect(maildropName({ views: VIEWS }, typed)).toEqual(name));

  test('without views keeps every slash', () => {
    expect(maildropName(rule(), 'alice/laptop')).toEqual({ user: 'alice/laptop', view: undefined, isRecent: false });
    expect(maildropName(rule(), 'recent:a/b')).toEqual({ user: 'a/b', view: undefined, isRecent: true });
  });

  test('that names a view gets that one, and else the tables of the file', () => {
    const view = (typed: string): string => viewNamed(VIEWS, maildropName({ views: VIEWS }, typed));
    expect([view('alice'), view('alice/laptop'), view('alice/B\u00fcro')]).toEqual(['base', 'of the laptop', 'of the office']);
  });

  test.each(['alice/', 'alice/Laptop', 'alice/nothing', 'alice/laptop/', 'alice/__proto__'])('%s names no view', (typed) => {
    expect(() => viewNamed(VIEWS, maildropName({ views: VIEWS }, typed))).toThrow(expect.objectContaining({ code: 'AUTH_UNKNOWN_VIEW' }));
  });

  test('goes to the upstream of its domain, with a view or a prefix', () => {
    const one = rule({ domains: ['example.com'], views: VIEWS });
    const other = rule({ domains: ['example.org'] });
    for (const typed of ['alice@example.com/laptop', 'recent:alice@example.com/laptop', 'recent:alice@example.com'])
      expect(chooseUpstream([other, one], typed)).toBe(one);
    expect(() => chooseUpstream([other, one], 'alice@example.org/laptop')).toThrow(expect.objectContaining({ code: 'AUTH_UNKNOWN_USER' }));
  });
});
