import fc from 'fast-check';
import { expect, test } from 'vitest';
import { holds } from '../../support/holds.ts';
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

test('nothing is held against a server in the beginning, and what one does is not held against another', () => {
  const [one, other] = [new ServerHabits(), new ServerHabits()];
  const known = ({ isSerial, refusesUidExpunge, refusesMove, refusesSearchReturn }: ServerHabits): boolean[] => [
    isSerial,
    refusesUidExpunge,
    refusesMove,
    refusesSearchReturn,
  ];
  one.isSerial = one.refusesUidExpunge = one.refusesMove = one.refusesSearchReturn = true;
  one.noteLoginWay('AUTH=PLAIN');
  expect([known(one), known(other)]).toEqual([
    [true, true, true, true],
    [false, false, false, false],
  ]);
  expect(ways(ALL, ALICE, other)[0]).toBe('LOGIN');
});

test('the way that worked last counts', () => {
  const habits = new ServerHabits();
  habits.noteLoginWay('AUTH=LOGIN');
  habits.noteLoginWay('LOGIN');
  expect(ways(ALL, { user: 'alice', password: 'pässword' }, habits)).toEqual(['LOGIN', 'AUTH=PLAIN', 'AUTH=LOGIN']);
});

test('the way that worked is not taken where LOGIN is forbidden since', () => {
  const habits = new ServerHabits();
  habits.noteLoginWay('LOGIN');
  expect(ways(`${ALL} LOGINDISABLED`, ALICE, habits)).toEqual(['AUTH=PLAIN', 'AUTH=LOGIN']);
});

test('whoever logs in, each way that is announced is tried once, and no other', () => {
  const way = fc.constantFrom<LoginWay>('LOGIN', 'AUTH=PLAIN', 'AUTH=LOGIN');
  const announced = fc.subarray(['LOGINDISABLED', 'AUTH=PLAIN', 'AUTH=LOGIN', 'AUTH=XOAUTH2', 'IMAP4rev1']);
  const text = fc.string({ unit: 'binary' });
  holds(
    fc.property(announced, text, text, fc.option(way), (capabilities, user, password, worked) => {
      const habits = new ServerHabits();
      if (worked !== null) habits.noteLoginWay(worked);
      const usable = ['AUTH=LOGIN', 'AUTH=PLAIN'].filter((one) => capabilities.includes(one));
      if (!capabilities.includes('LOGINDISABLED')) usable.push('LOGIN');
      const tried = ways(capabilities.join(' '), { user, password }, habits);
      expect(tried.toSorted()).toEqual(usable);
      if (worked !== null && usable.includes(worked)) expect(tried[0]).toBe(worked);
    }),
  );
});
