import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { SelectAnswer } from '../../../src/imap/select-answer.ts';
import { holds } from '../../support/holds.ts';

function answerOf(...lines: readonly string[]): SelectAnswer {
  const answer = new SelectAnswer();
  for (const line of lines) answer.take(Buffer.from(line, 'latin1'));
  return answer;
}

function told({ exists, uidValidity, uidNext }: SelectAnswer): (number | string | undefined)[] {
  return [exists, uidValidity, uidNext];
}

const USUAL = [
  '* 172 EXISTS',
  '* 1 RECENT',
  '* OK [UNSEEN 12] Message 12 is first unseen',
  '* OK [UIDVALIDITY 3857529045] UIDs valid',
  '* OK [UIDNEXT 4392] Predicted next UID',
  '* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft)',
  '* OK [PERMANENTFLAGS (\\Deleted \\Seen \\*)] Limited',
];

describe('SELECT', () => {
  test('tells how many messages there are, and the numbers that unique-ids are made of', () => {
    expect(told(answerOf(...USUAL))).toEqual([172, '3857529045', 4392]);
    expect(told(answerOf(...USUAL.toReversed()))).toEqual([172, '3857529045', 4392]);
  });

  test('leaves unknown what it does not tell', () => {
    expect(told(answerOf())).toEqual([undefined, undefined, undefined]);
    expect(told(answerOf(...USUAL.filter((line) => !line.includes('EXISTS'))))).toEqual([undefined, '3857529045', 4392]);
    expect(told(answerOf(...USUAL.filter((line) => !line.includes('UIDVALIDITY'))))).toEqual([172, undefined, 4392]);
    expect(told(answerOf(...USUAL.filter((line) => !line.includes('UIDNEXT'))))).toEqual([172, '3857529045', undefined]);
  });

  test('may write in capitals or not, with more blanks, and say NO for a mere remark', () => {
    expect(told(answerOf('*  0  exists', '* ok [uidvalidity 7]', '* NO [UidNext   9  ] as you like'))).toEqual([0, '7', 9]);
  });

  test('corrects what it told before', () => {
    expect(told(answerOf('* 3 EXISTS', '* OK [UIDNEXT 4]', '* 5 EXISTS', '* OK [UIDNEXT 6]'))).toEqual([5, undefined, 6]);
  });

  test('tells of the mailbox before until CLOSED, and nothing of that counts', () => {
    expect(told(answerOf(...USUAL, '* OK [CLOSED] Previous mailbox closed.'))).toEqual([undefined, undefined, undefined]);
    const answer = answerOf('* OK [READ-ONLY]', ...USUAL, '* OK [CLOSED]', '* 1 EXISTS', '* OK [UIDVALIDITY 8]');
    expect([...told(answer), answer.isReadOnly('done')]).toEqual([1, '8', undefined, false]);
  });
});

describe('a UIDNEXT', () => {
  test.for(['0', '-1', 'soon', '', '1.5', '9007199254740993', '1 2'])('of %j is unknown', (value) => {
    expect(answerOf(`* OK [UIDNEXT ${value}]`).uidNext).toBeUndefined();
  });

  test('may lie one beyond the highest UID, after which no message comes any more', () => {
    expect(answerOf('* OK [UIDNEXT 4294967296]').uidNext).toBe(4_294_967_296);
  });
});

test.for(['0', '4294967296', '-7', 'abc', '1 2'])(
  'a UIDVALIDITY of %j is kept as it was written, for the failure that names it',
  (value) => {
    expect(answerOf(`* OK [UIDVALIDITY ${value}] hm`).uidValidity).toBe(value);
  },
);

test('a UIDVALIDITY without a value is not one that was not told', () => {
  expect(answerOf('* OK [UIDVALIDITY]').uidValidity).toBe('');
});

describe('a number of messages', () => {
  test.for(['* 99999999999 EXISTS', '* -1 EXISTS', '* x EXISTS', '* EXISTS', '* 1 EXISTSX', '* 1 RECENT', 'a 1 EXISTS'])(
    'is not told by %j',
    (line) => {
      const answer = new SelectAnswer();
      expect(answer.take(Buffer.from(line))).toBe(false);
      expect(answer.exists).toBeUndefined();
    },
  );

  test('may be larger than any mailbox: whether it is believed is decided elsewhere', () => {
    expect(answerOf('* 4294967296 EXISTS').exists).toBe(4_294_967_296);
  });
});

describe('a mailbox is read-only', () => {
  test.for<[string[], string, boolean]>([
    [[], '[READ-ONLY] Select completed.', true],
    [[], '[read-only] done', true],
    [['* OK [READ-ONLY] no writing here'], 'Select completed.', true],
    [['* OK [READ-ONLY]'], '[READ-WRITE] Select completed.', false],
    [[], '[READ-WRITE] Select completed.', false],
    [[], 'Select completed, not [READ-ONLY]', false],
    [[], '', false],
  ])('after %j and the answer %j: %j', ([lines, text, expected]) => {
    expect(answerOf(...lines).isReadOnly(text)).toBe(expected);
  });
});

test.for([
  ['* OK [HIGHESTMODSEQ 715194045007] Highest', '715194045007'],
  ['* OK [HIGHESTMODSEQ 9223372036854775807]', '9223372036854775807'],
  ['* ok [highestmodseq 3]', '3'],
  ['* OK [NOMODSEQ] Sorry', undefined],
  ['* OK [HIGHESTMODSEQ 0]', undefined],
  ['* OK [HIGHESTMODSEQ -3]', undefined],
  ['* OK [HIGHESTMODSEQ NIL]', undefined],
] as const)('%s tells the HIGHESTMODSEQ, or none: %s', ([line, modSeq]) => {
  expect(answerOf(...USUAL, line).highestModSeq).toBe(modSeq);
});

test('only lines that tell of the mailbox are taken; all others are left to whom they concern', () => {
  const answer = new SelectAnswer();
  const isTaken = (line: string): boolean => answer.take(Buffer.from(line, 'latin1'));
  expect(USUAL.map(isTaken)).toEqual([true, false, true, true, true, false, true]);
  const others = ['* BYE [UIDNEXT 3] gone', '* BAD [UIDNEXT 3]', '* LIST () "/" "1 EXISTS"', '* 1 FETCH (FLAGS ())', '* OK still here', ''];
  for (const line of others) expect(isTaken(line), line).toBe(false);
});

test('what stands far behind in a long line is not looked for', () => {
  const answer = new SelectAnswer();
  expect(answer.take(Buffer.from(`* OK ${' '.repeat(1_000_000)}[UIDNEXT 5]`))).toBe(false);
  expect(answer.take(Buffer.from(`* OK [UIDNEXT 5] ${'x'.repeat(1_000_000)}`))).toBe(true);
  expect(answer.uidNext).toBe(5);
});

test('no octets make it throw, and its numbers are whole and not negative', () => {
  const odd = fc.oneof(
    fc.uint8Array({ maxLength: 60 }).map((octets) => Buffer.from(octets)),
    fc
      .tuple(fc.constantFrom('* OK [UIDNEXT', '* OK [UIDVALIDITY', '*'), fc.string(), fc.constantFrom(']', ' EXISTS'))
      .map((parts) => Buffer.from(parts.join(' '))),
  );
  holds(
    fc.property(fc.array(odd, { maxLength: 4 }), (lines) => {
      const answer = new SelectAnswer();
      for (const line of lines) answer.take(line);
      for (const number of [answer.exists ?? 0, answer.uidNext ?? 1]) expect(Number.isSafeInteger(number) && number >= 0).toBe(true);
    }),
  );
});
