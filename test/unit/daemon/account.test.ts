import { describe, expect, test } from 'vitest';
import { chooseUpstream, imapUser, splitUser, type UserRule } from '../../../src/daemon/account.ts';

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
