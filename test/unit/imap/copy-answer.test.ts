import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { copiedUids } from '../../../src/imap/copy-answer.ts';
import { uidBatches } from '../../../src/imap/uid-set.ts';
import { uid, uids } from '../../support/fake-maildrop.ts';
import { holds } from '../../support/holds.ts';

const MAX_UID = 4_294_967_295;

function copied(text: string): number[] | undefined {
  return copiedUids(text)?.toUids(1_000);
}

describe('COPYUID', () => {
  test('tells which messages were copied, by their UIDs in the mailbox they came from', () => {
    expect(copied('[COPYUID 38505 304,319:320 3956:3958] Done')).toEqual([304, 319, 320]);
    expect(copied('[copyuid 38505 1 2]')).toEqual([1]);
  });

  test('may name ranges from either end, and messages in any order or twice', () => {
    expect(copied('[COPYUID 1 9:3 1:7]')).toEqual([3, 4, 5, 6, 7, 8, 9]);
    expect(copied('[COPYUID 1 7,3:5,4,7 1:4]')).toEqual([3, 4, 5, 7]);
  });

  test.for(['1:5 100:102', '1 100:4000000000', '1:2 7,7'])('that names not as many copies as messages tells nothing: %s', (sets) => {
    expect(() => copied(`[COPYUID 1 ${sets}]`)).toThrow(expect.objectContaining({ kind: 'protocol' }) as Error);
  });

  test('names any UIDs that a command may name, as they were asked for', () => {
    holds(
      fc.property(fc.uniqueArray(fc.integer({ min: 1, max: MAX_UID }), { minLength: 1, maxLength: 40 }), (numbers) => {
        const asked = numbers.sort((one, other) => one - other).map(uid);
        const [batch] = uidBatches(asked);
        expect(copiedUids(`[COPYUID 1 ${batch?.set} ${batch?.set}] Done`)?.toUids(asked.length)).toEqual(asked);
      }),
    );
  });

  test('with hundreds of thousands of ranges is counted', () => {
    const set = Array.from({ length: 200_000 }, (_, index) => `${4 * index + 1}:${4 * index + 2}`).join(',');
    const told = copiedUids(`[COPYUID 1 ${set} 1:400000]`);
    expect([told?.count, told?.has(3), told?.among(uids(1, 2, 3, 5))]).toEqual([400_000, false, [1, 2, 5]]);
  });
});

describe('an answer that does not tell which messages were copied', () => {
  test.for(['', 'Done', 'Copied [COPYUID 1 1 1]', '[APPENDUID 1 2]', '[ALREADYEXISTS] there'])('is %j', (text) => {
    expect(copiedUids(text)).toBeUndefined();
  });
});

test.for([
  '[COPYUID]',
  '[COPYUID 1]',
  '[COPYUID 1 1]',
  '[COPYUID 1 1 1',
  '[COPYUID x 1 1]',
  '[COPYUID 1 * 1]',
  '[COPYUID 1 1:* 1:2]',
  '[COPYUID 1 -1 1]',
  '[COPYUID 1  ]',
])('%j is no answer at all: nobody knows what was copied', (text) => {
  expect(() => copiedUids(text)).toThrow(expect.objectContaining({ kind: 'protocol' }) as Error);
});

/** Whoever asked compares the count with how many of his own are named. */
describe('COPYUID that names messages which nobody asked for', () => {
  test.for([
    ['a stranger', '3:6', 4],
    ['a stranger before and behind', '1,3:5,9', 5],
    ['every message that there can be', '1:4294967295', MAX_UID],
  ] as const)('counts them too: %s', ([, set, count]) => {
    const told = copiedUids(`[COPYUID 1 ${set} ${set}]`);
    expect([told?.count, told?.among(uids(3, 4, 5))]).toEqual([count, [3, 4, 5]]);
  });

  test.for([
    ['zero', '0,3:5'],
    ['a range from zero', '0:5'],
    ['nothing before a colon', ':5'],
    ['nothing behind a colon', '3:'],
    ['nothing between commas', '3,,4'],
    ['a range of three', '3:4:5'],
    ['a number of more than 32 bits', '3:5,4294967296'],
    ['a number that is rounded', '3:5,99999999999999999999'],
    ['a number that no double holds', `3:5,${'9'.repeat(400)}`],
    ['a range up to such a number', `3:${'9'.repeat(400)}`],
  ])('by what is no UID makes no sense: %s', ([, set]) => {
    expect(() => copiedUids(`[COPYUID 1 ${set} 1]`)).toThrow(expect.objectContaining({ kind: 'protocol' }) as Error);
  });
});
