import { expect, test } from 'vitest';
import { ServerHabits, type LoginWay } from '../../../src/upstream/server-habits.ts';

const ALICE = { user: 'alice', password: 'secret' };
const ALL = 'IMAP4rev1 AUTH=PLAIN AUTH=LOGIN AUTH=CRAM-MD5';

function ways(capabilities: string, login = ALICE, habits = new ServerHabits()): LoginWay[] {
  return habits.loginWays((capability) => capabilities.split(' ').includes(capability), login);
}

test.for<[string, LoginWay[]]>([
  ['IMAP4rev1', ['LOGIN']],
  ['IMAP4rev1 AUTH=PLAIN', ['LOGIN', 'AUTH=PLAIN']],
  [ALL, ['LOGIN', 'AUTH=PLAIN', 'AUTH=LOGIN']],
  ['IMAP4rev1 LOGINDISABLED AUTH=PLAIN', ['AUTH=PLAIN']],
  ['IMAP4rev1 LOGINDISABLED AUTH=LOGIN', ['AUTH=LOGIN']],
  ['IMAP4rev1 LOGINDISABLED AUTH=CRAM-MD5', []],
])('a server that announces %j is tried in the ways %j', ([capabilities, expected]) => {
  expect(ways(capabilities)).toEqual(expected);
});

test.for([
  ['alice', 'pässword', 'AUTH=PLAIN'],
  ['älice', 'password', 'AUTH=PLAIN'],
  ['alice', 'pass"word', 'AUTH=PLAIN'],
  ['alice', 'pass\\word', 'AUTH=PLAIN'],
  ['alice', 'pass\tword', 'AUTH=PLAIN'],
  ['DOMAIN\\alice', 'password', 'LOGIN'],
  ['alice', "a pass word with 'all' of {3} (that) * % /", 'LOGIN'],
] as const)('%j with %j goes by %s first', ([user, password, first]) => {
  expect(ways(ALL, { user, password })[0]).toBe(first);
  expect(ways('IMAP4rev1', { user, password })).toEqual(['LOGIN']);
});

test('the way that worked after another was refused goes first from then on, for everybody, as long as it is announced', () => {
  const habits = new ServerHabits();
  habits.noteLoginWay('AUTH=LOGIN');
  expect(ways(ALL, ALICE, habits)).toEqual(['AUTH=LOGIN', 'LOGIN', 'AUTH=PLAIN']);
  expect(ways(ALL, { user: 'bob', password: 'pässword' }, habits)).toEqual(['AUTH=LOGIN', 'AUTH=PLAIN', 'LOGIN']);
  expect(ways('IMAP4rev1 AUTH=PLAIN', ALICE, habits)).toEqual(['LOGIN', 'AUTH=PLAIN']);
});
