import fc from 'fast-check';
import { expect, test } from 'vitest';
import { holds } from '../../support/holds.ts';
import { ServerHabits, type LoginWay } from '../../../src/upstream/server-habits.ts';

const ALL = 'IMAP4rev1 AUTH=PLAIN AUTH=LOGIN AUTH=CRAM-MD5';

function ways(capabilities: string, habits = new ServerHabits()): LoginWay[] {
  return habits.loginWays((capability) => capabilities.split(' ').includes(capability));
}

test.for<[string, LoginWay[]]>([
  ['IMAP4rev1', ['LOGIN']],
  ['IMAP4rev1 AUTH=PLAIN', ['AUTH=PLAIN', 'LOGIN']],
  ['IMAP4rev1 AUTH=LOGIN', ['LOGIN', 'AUTH=LOGIN']],
  [ALL, ['AUTH=PLAIN', 'LOGIN', 'AUTH=LOGIN']],
  ['IMAP4rev1 LOGINDISABLED AUTH=PLAIN', ['AUTH=PLAIN']],
  ['IMAP4rev1 LOGINDISABLED AUTH=LOGIN', ['AUTH=LOGIN']],
  ['IMAP4rev1 LOGINDISABLED AUTH=CRAM-MD5', []],
])('a server that announces %j is tried in the ways %j', ([capabilities, expected]) => {
  expect(ways(capabilities)).toEqual(expected);
});

test('a way that worked goes first from then on, as long as it is announced', () => {
  const habits = new ServerHabits();
  habits.noteSuccess('AUTH=LOGIN', []);
  expect(ways(ALL, habits)).toEqual(['AUTH=LOGIN', 'AUTH=PLAIN', 'LOGIN']);
  expect(ways('IMAP4rev1 AUTH=PLAIN', habits)).toEqual(['AUTH=PLAIN', 'LOGIN']);
});

test('a second way that works goes behind the first, unless that was refused as such', () => {
  const habits = new ServerHabits();
  habits.noteSuccess('LOGIN', []);
  habits.noteSuccess('AUTH=LOGIN', []);
  expect(ways(ALL, habits)).toEqual(['LOGIN', 'AUTH=LOGIN', 'AUTH=PLAIN']);
  habits.noteSuccess('AUTH=LOGIN', ['LOGIN']);
  expect(ways(ALL, habits)).toEqual(['AUTH=LOGIN', 'AUTH=PLAIN', 'LOGIN']);
  expect([habits.isProven('LOGIN'), habits.isProven('AUTH=LOGIN')]).toEqual([false, true]);
});

test('while no way is proven, one that found a password wrong goes to the end, in turn', () => {
  const habits = new ServerHabits();
  const firsts = Array.from({ length: 6 }, () => {
    const [first = 'LOGIN'] = ways(ALL, habits);
    habits.noteWrongPassword(first);
    return first;
  });
  expect(firsts).toEqual(['AUTH=PLAIN', 'LOGIN', 'AUTH=LOGIN', 'AUTH=PLAIN', 'LOGIN', 'AUTH=LOGIN']);
});

test('several logins at once that found a password wrong in the same way are no turn more', () => {
  const habits = new ServerHabits();
  habits.noteWrongPassword('AUTH=PLAIN');
  habits.noteWrongPassword('AUTH=PLAIN');
  expect(ways(ALL, habits)).toEqual(['LOGIN', 'AUTH=LOGIN', 'AUTH=PLAIN']);
});

test('once a way is proven it stays first, whatever wrong passwords come', () => {
  const habits = new ServerHabits();
  habits.noteSuccess('AUTH=PLAIN', []);
  for (const way of ['AUTH=PLAIN', 'AUTH=PLAIN', 'LOGIN'] as const) habits.noteWrongPassword(way);
  expect(ways(ALL, habits)).toEqual(['AUTH=PLAIN', 'LOGIN', 'AUTH=LOGIN']);
  expect(habits.isProven('AUTH=PLAIN')).toBe(true);
});

test('nothing is held against a server in the beginning, and what one does is not held against another', () => {
  const [one, other] = [new ServerHabits(), new ServerHabits()];
  one.isSerial = one.refusesUidExpunge = one.refusesMove = one.refusesSearchReturn = true;
  one.noteSuccess('LOGIN', []);
  const { isSerial, refusesUidExpunge, refusesMove, refusesSearchReturn } = other;
  expect([isSerial, refusesUidExpunge, refusesMove, refusesSearchReturn]).toEqual([false, false, false, false]);
  expect(ways(ALL, other)[0]).toBe('AUTH=PLAIN');
});

test('whatever was found out, each way that is announced is tried once, and no other', () => {
  const way = fc.constantFrom<LoginWay>('LOGIN', 'AUTH=PLAIN', 'AUTH=LOGIN');
  const announced = fc.subarray(['LOGINDISABLED', 'AUTH=PLAIN', 'AUTH=LOGIN', 'AUTH=XOAUTH2', 'IMAP4rev1']);
  const event = fc.record({ way, refused: fc.option(fc.subarray<LoginWay>(['LOGIN', 'AUTH=PLAIN', 'AUTH=LOGIN'])) });
  holds(
    fc.property(announced, fc.array(event, { maxLength: 6 }), (capabilities, events) => {
      const habits = new ServerHabits();
      for (const { way: one, refused } of events) {
        if (refused === null) habits.noteWrongPassword(one);
        else habits.noteSuccess(one, refused);
      }
      const usable = ['AUTH=LOGIN', 'AUTH=PLAIN'].filter((one) => capabilities.includes(one));
      if (!capabilities.includes('LOGINDISABLED')) usable.push('LOGIN');
      const tried = ways(capabilities.join(' '), habits);
      expect(tried.toSorted()).toEqual(usable);
      const provenFirst = [...tried.filter((one) => habits.isProven(one)), ...tried.filter((one) => !habits.isProven(one))];
      expect(tried).toEqual(provenFirst);
    }),
  );
});
