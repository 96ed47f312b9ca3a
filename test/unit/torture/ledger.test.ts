import { describe, expect, test } from 'vitest';
import { Ledger, type Listed, Violation } from '../../torture/ledger.ts';

const OCTETS = Buffer.from('X-Torture: one\r\n\r\nbody\r\n');
const line = (id: string): Listed => ({ id, octets: OCTETS.length });

/** Two mails, shown as a and b. */
function ledger(): Ledger {
  const it = new Ledger();
  for (const [name, id] of [
    ['one', 'a'],
    ['two', 'b'],
  ] as const) {
    it.delivered(name, OCTETS);
    it.named(id, name);
  }
  it.listedWhole([line('a'), line('b')], false);
  return it;
}

/** The server has each of these once. */
function has(it: Ledger, ...names: readonly string[]): void {
  it.found({ inbox: new Map(names.map((name) => [name, { count: 1, isFlaggedDeleted: false }])), trash: undefined });
}

describe('a promise that is broken is told', () => {
  const broken: readonly (readonly [string, (it: Ledger) => void, RegExp])[] = [
    ['mail that vanished from the server', (it) => has(it, 'one'), /two is 0 times/],
    [
      'mail that vanished although QUIT was not sent',
      (it) => {
        it.asked(['one']);
        has(it, 'one');
      },
      /two is 0 times/,
    ],
    [
      'mail that is still there after +OK to QUIT',
      (it) => {
        it.asked(['one']);
        it.done(['one']);
        has(it, 'one', 'two');
      },
      /still there/,
    ],
    [
      'mail that is shown again after +OK to QUIT',
      (it) => {
        it.asked(['one']);
        it.done(['one']);
        it.listed([line('a'), line('b')]);
      },
      /shown again/,
    ],
    ['mail that is not listed', (it) => void it.listedWhole([line('a')], false), /not in the maildrop: two/],
    ['a unique-id twice', (it) => void it.listed([line('a'), line('a')]), /twice in one listing/],
    ['a unique-id given to another message', (it) => it.named('a', 'two'), /of one was given to two/],
    [
      'another unique-id for a message',
      (it) => {
        it.named('c', 'two');
        it.listedWhole([line('a'), line('c')], false);
      },
      /two was b and is c/,
    ],
    [
      'a message shown under two unique-ids',
      (it) => {
        it.named('c', 'two');
        it.listedWhole([line('a'), line('b'), line('c')], true);
      },
      /shown twice/,
    ],
    ['no unique-id at all', (it) => void it.listed([line('')]), /not a unique-id/],
    ['a body cut short', (it) => it.retrieved('one', OCTETS.subarray(0, 10), 10), /gave 10 octets/],
    ['a size that is not that of the body', (it) => it.retrieved('one', OCTETS, 7), /LIST says 7/],
    [
      'mail that another client had removed and is shown all the same',
      (it) => {
        it.removed('one');
        it.listed([line('a')]);
      },
      /another client had removed it/,
    ],
    [
      'a flag that nobody asked for',
      (it) => it.found({ inbox: new Map(['one', 'two'].map((name) => [name, { count: 1, isFlaggedDeleted: true }])), trash: undefined }),
      /flagged as deleted/,
    ],
    [
      "another client's deleted mail expunged",
      (it) => {
        it.flagged('one', true);
        has(it, 'two');
      },
      /another client's to expunge/,
    ],
    [
      "another client's deleted mail shown",
      (it) => {
        it.flagged('one', true);
        it.listed([line('a')]);
      },
      /has flagged it as deleted/,
    ],
    [
      'a copy in the trash while the mail is still there',
      (it) => {
        it.asked(['one']);
        const inbox = new Map(['one', 'two'].map((name) => [name, { count: 1, isFlaggedDeleted: false }]));
        it.found({ inbox, trash: new Map([['one', 1]]) });
      },
      /1 times in the mailbox and 1 times in the trash/,
    ],
    [
      'mail that was to go to the trash and is nowhere',
      (it) => {
        it.asked(['one']);
        it.found({ inbox: new Map([['two', { count: 1, isFlaggedDeleted: false }]]), trash: new Map() });
      },
      /0 times in the mailbox and 0 times in the trash/,
    ],
  ];

  test.for(broken)('%s', ([, breakIt, message]) => {
    expect(() => breakIt(ledger())).toThrow(Violation);
    expect(() => breakIt(ledger())).toThrow(message);
  });
});

test('where nobody heard the answer to QUIT the mail may be there or not; once it is shown again it has to stay', () => {
  const it = ledger();
  it.asked(['one']);
  has(it, 'two');
  has(it, 'one', 'two');
  it.listed([line('a'), line('b')]);
  it.listedWhole([line('a'), line('b')], false);
  expect(() => has(it, 'two')).toThrow(/one is 0 times/);
});

test('a new unique-id is fine where UIDVALIDITY has changed, and is counted', () => {
  const it = ledger();
  expect(it.listed([line('a'), line('c')])).toEqual(['c']);
  it.named('c', 'two');
  expect(it.listedWhole([line('a'), line('c')], true)).toBe(1);
});
