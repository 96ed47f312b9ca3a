import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Uid } from '../../../src/maildrop/numbers.ts';
import { halves, Isolation } from '../../../src/upstream/isolation.ts';
import { uid, uids } from '../../support/fake-maildrop.ts';
import { holds } from '../../support/holds.ts';

const ALL = uids(1, 2, 3, 4, 5, 6, 7, 8);

/** One connection: asks for one part after the other until the server dies over a poisonous message. True where it lived. */
function connection(isolation: Isolation, all: readonly Uid[], poisonous: ReadonlySet<number>): boolean {
  for (const part of isolation.partsOf(all)) {
    isolation.asks(part);
    if (part.some((one) => poisonous.has(one))) {
      isolation.lost();
      return false;
    }
    isolation.answered();
  }
  return true;
}

/** Loses connections over these messages. */
function loses(isolation: Isolation, asked: readonly Uid[], times: number): void {
  for (let time = 0; time < times; time += 1) {
    isolation.asks(asked);
    isolation.lost();
  }
}

describe('a connection that is lost while a mailbox is listed', () => {
  test('proves nothing the first time: any connection may be lost once', () => {
    const isolation = new Isolation();
    expect(isolation.isCareful).toBe(false);
    loses(isolation, ALL, 1);
    expect([isolation.isCareful, isolation.isWorthwhile, isolation.partsOf(ALL)]).toEqual([false, true, [ALL]]);
  });

  test('has all that was asked for asked in halves the second time', () => {
    const isolation = new Isolation();
    loses(isolation, ALL, 2);
    expect([isolation.isCareful, isolation.partsOf(ALL)]).toEqual([true, [uids(1, 2, 3, 4), uids(5, 6, 7, 8)]]);
  });

  test('counts anew after the server lived to answer', () => {
    const isolation = new Isolation();
    loses(isolation, ALL, 1);
    isolation.asks(ALL);
    isolation.answered();
    loses(isolation, ALL, 1);
    expect([isolation.isCareful, isolation.partsOf(ALL)]).toEqual([false, [ALL]]);
  });

  test('says nothing of messages when none were asked for', () => {
    const isolation = new Isolation();
    for (let time = 0; time < 4; time += 1) isolation.lost();
    expect(isolation.partsOf(ALL)).toEqual([ALL]);
    isolation.answered();
    isolation.lost();
    expect(isolation.partsOf(ALL)).toEqual([ALL]);
  });

  test('five times in a row is the trouble of the server and not of a message', () => {
    const isolation = new Isolation();
    loses(isolation, ALL, 4);
    expect(isolation.isWorthwhile).toBe(true);
    loses(isolation, ALL, 1);
    expect(isolation.isWorthwhile).toBe(false);
    isolation.answered();
    expect(isolation.isWorthwhile).toBe(true);
  });
});

describe('a suspected part', () => {
  test('is halved at once when the server chokes on it again', () => {
    const isolation = new Isolation();
    loses(isolation, ALL, 2);
    loses(isolation, uids(1, 2, 3, 4), 1);
    expect(isolation.partsOf(ALL)).toEqual([uids(5, 6, 7, 8), uids(1, 2), uids(3, 4)]);
  });

  test('is suspected no longer when the server answers for it', () => {
    const isolation = new Isolation();
    loses(isolation, ALL, 2);
    isolation.asks(uids(1, 2, 3, 4));
    isolation.answered();
    expect(isolation.partsOf(ALL)).toEqual([uids(1, 2, 3, 4), uids(5, 6, 7, 8)]);
    isolation.asks(uids(5, 6, 7, 8));
    isolation.answered();
    expect([isolation.isCareful, isolation.partsOf(ALL)]).toEqual([false, [ALL]]);
  });

  test('of one message cannot be listed, and is asked for no more', () => {
    const isolation = new Isolation();
    loses(isolation, uids(7), 2);
    expect([isolation.isUnlistable(uid(7)), isolation.isUnlistable(uid(8))]).toEqual([true, false]);
    expect(isolation.partsOf(ALL)).toEqual([uids(1, 2, 3, 4, 5, 6, 8)]);
    expect(isolation.isCareful).toBe(true);
  });

  test('comes after messages that nobody suspects, such as new ones', () => {
    const isolation = new Isolation();
    loses(isolation, ALL, 2);
    expect(isolation.partsOf([...ALL, uid(9)])).toEqual([uids(9), uids(1, 2, 3, 4), uids(5, 6, 7, 8)]);
  });

  test('is asked for without the messages that nobody wants, and not at all when none is left', () => {
    const isolation = new Isolation();
    loses(isolation, ALL, 2);
    expect(isolation.partsOf(uids(2, 3))).toEqual([uids(2, 3)]);
    expect(isolation.partsOf([])).toEqual([]);
  });

  test('is halved though some of its messages have gone meanwhile', () => {
    const isolation = new Isolation();
    loses(isolation, ALL, 2);
    const left = uids(1, 2, 4);
    loses(isolation, left, 1);
    expect(isolation.partsOf(left)).toEqual([uids(1, 2), uids(4)]);
  });

  test('is suspected no longer though some of its messages were gone when the server answered', () => {
    const isolation = new Isolation();
    loses(isolation, uids(1, 2, 3, 4), 2);
    const left = uids(1, 4);
    for (const part of isolation.partsOf(left)) {
      isolation.asks(part);
      isolation.answered();
    }
    expect(isolation.partsOf(left)).toEqual([left]);
  });

  test('is narrowed to what was asked for when a piece of it was enough to end the connection', () => {
    const isolation = new Isolation();
    loses(isolation, ALL, 2);
    isolation.asks(uids(5, 6, 7, 8));
    isolation.answered();
    loses(isolation, uids(2, 3), 1);
    expect(isolation.partsOf(ALL)).toEqual([uids(5, 6, 7, 8), uids(1, 4), uids(2), uids(3)]);
  });
});

describe('halves', () => {
  test.for<[number[], [number[], number[]]]>([
    [[], [[], []]],
    [[1], [[1], []]],
    [
      [1, 2, 3],
      [[1, 2], [3]],
    ],
  ])('of %j are %j', ([all, expected]) => {
    expect(halves(all)).toEqual(expected);
  });
});

describe('messages that were found while the server ended one connection after the other', () => {
  test('are asked for again, one by one, when it answers: it may have ended them over anything', () => {
    const isolation = new Isolation();
    loses(isolation, uids(1, 2), 2);
    loses(isolation, uids(1), 1);
    loses(isolation, uids(2), 1);
    expect([isolation.isUnlistable(uid(1)), isolation.isUnlistable(uid(2))]).toEqual([true, true]);
    isolation.asks(uids(3));
    isolation.answered();
    expect([isolation.isUnlistable(uid(1)), isolation.isUnlistable(uid(2))]).toEqual([false, false]);
    expect(isolation.partsOf(uids(1, 2, 3))).toEqual([uids(3), uids(1), uids(2)]);
  });

  test('stay as they are where it answered in between', () => {
    const isolation = new Isolation();
    loses(isolation, uids(1, 2), 2);
    loses(isolation, uids(1), 1);
    isolation.asks(uids(2));
    isolation.answered();
    expect([isolation.isUnlistable(uid(1)), isolation.isUnlistable(uid(2))]).toEqual([true, false]);
  });
});

test('no message is asked for twice or forgotten, whatever is asked, lost and answered', () => {
  const step = fc.tuple(fc.constantFrom('lost', 'answered'), fc.subarray([...ALL]), fc.nat(3));
  holds(
    fc.property(fc.array(step, { maxLength: 12 }), fc.subarray([...ALL]), (steps, wanted) => {
      const isolation = new Isolation();
      for (const [what, present, place] of steps) {
        const part = isolation.partsOf(present)[place];
        if (part !== undefined) isolation.asks(part);
        if (what === 'lost') isolation.lost();
        else isolation.answered();
      }
      const asked = isolation.partsOf(wanted).flat();
      const listable = wanted.filter((one) => !isolation.isUnlistable(one));
      expect(asked.sort((one, other) => one - other)).toEqual(listable);
    }),
    { usual: 500 },
  );
});

test('of a thousand messages just those are left out on which the server chokes, while others go away and come', () => {
  const MANY = 1_000;
  /** What finds one message in so many costs: a loss for each halving, and the first of all, which proves nothing. */
  const most = (poisonous: number): number => 1 + poisonous * (2 + Math.ceil(Math.log2(MANY)));
  const number = fc.integer({ min: 1, max: MANY });
  holds(
    fc.property(fc.uniqueArray(number, { maxLength: 3 }), fc.uniqueArray(number, { maxLength: 40 }), (bad, going) => {
      const isolation = new Isolation();
      const poisonous = new Set(bad);
      let all = Array.from({ length: MANY }, (_, index) => uid(index + 1));
      const leaving = going.filter((one) => !poisonous.has(one));
      let losses = 0;
      while (losses <= most(bad.length) && !connection(isolation, all, poisonous)) {
        losses += 1;
        const gone = new Set(leaving.splice(0, 4));
        all = [...all.filter((one) => !gone.has(one)), uid(MANY + losses)];
      }
      expect(losses).toBeLessThanOrEqual(most(bad.length));
      expect(all.filter((one) => isolation.isUnlistable(one))).toEqual([...poisonous].sort((one, other) => one - other));
    }),
    {
      examples: [
        [[3], [1, 2, 4, 5, 6, 7, 8, 9]],
        [[500, 501], []],
      ],
    },
  );
});
