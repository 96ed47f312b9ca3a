import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { UpstreamError } from '../../../src/errors.ts';
import { UidRanges, type UidRange } from '../../../src/imap/uid-ranges.ts';
import { uidBatches } from '../../../src/imap/uid-set.ts';
import { uid, uids } from '../../support/fake-maildrop.ts';
import { holds } from '../../support/holds.ts';

const MAX_UID = 4_294_967_295;
const MANY = 300_000;
/** UIDs of the model stay below this, so that ranges often touch and overlap. */
const HIGHEST = 60;

const range = fc
  .tuple(fc.integer({ min: 1, max: HIGHEST }), fc.integer({ min: 0, max: 8 }))
  .map(([first, more]): UidRange => [first, first + more]);
const ranges = fc.array(range, { maxLength: 12 });
const everyNumber = Array.from({ length: HIGHEST + 12 }, (_, number) => number);

function modelOf(all: readonly UidRange[]): Set<number> {
  return new Set(everyNumber.filter((number) => all.some(([first, last]) => first <= number && number <= last)));
}

function ascending(set: ReadonlySet<number>): number[] {
  return [...set].sort((one, other) => one - other);
}

describe('a set of UIDs', () => {
  test('holds, counts and lists what a plain set of the same numbers does, whatever the order of its ranges', () => {
    holds(
      fc.property(ranges, (all) => {
        const set = UidRanges.of(all);
        const model = modelOf(all);
        expect(set.count).toBe(model.size);
        expect(set.toUids(model.size)).toEqual(ascending(model));
        expect(everyNumber.filter((number) => set.has(number))).toEqual(ascending(model));
        expect(set.first).toBe(ascending(model)[0]);
      }),
      { examples: [[[]], [[[5, 9] as const, [1, 20] as const]], [[[1, 2] as const, [3, 4] as const]]] },
    );
  });

  test('joined with others holds what any of them holds', () => {
    holds(
      fc.property(fc.array(ranges, { maxLength: 5 }), (sets) => {
        const union = UidRanges.union(sets.map((all) => UidRanges.of(all)));
        expect(union.toUids(everyNumber.length)).toEqual(ascending(modelOf(sets.flat())));
      }),
    );
  });

  test('falls into what lies up to a number and what lies beyond it', () => {
    holds(
      fc.property(ranges, fc.integer({ min: 0, max: HIGHEST + 12 }), (all, last) => {
        const set = UidRanges.of(all);
        const model = ascending(modelOf(all));
        expect(set.upTo(last).toUids(model.length)).toEqual(model.filter((number) => number <= last));
        expect(set.beyond(last).toUids(model.length)).toEqual(model.filter((number) => number > last));
      }),
    );
  });

  test('picks out of ascending UIDs just those that both name', () => {
    holds(
      fc.property(ranges, ranges, (all, others) => {
        const asked = ascending(modelOf(others));
        const model = modelOf(all);
        expect(UidRanges.of(all).among(asked.map(uid))).toEqual(asked.filter((number) => model.has(number)));
      }),
    );
  });

  test('made of ascending UIDs names just them, and is the same after it was written as a command and read again', () => {
    holds(
      fc.property(ranges, (all) => {
        const list = ascending(modelOf(all)).map(uid);
        expect(UidRanges.ofUids(list).toUids(list.length)).toEqual(list);
        const written = uidBatches(list).flatMap(({ set }) => set.split(','));
        const read = written.map((part): UidRange => {
          const [first = 0, last = first] = part.split(':').map(Number);
          return [first, last];
        });
        expect(UidRanges.of(read).toUids(list.length)).toEqual(list);
      }),
    );
  });

  test('is not changed by ranges that are joined to it', () => {
    const all: UidRange[] = [
      [1, 3],
      [10, 12],
    ];
    const set = UidRanges.of(all);
    const union = UidRanges.union([set, UidRanges.of([[4, 9]])]);
    expect([union.count, set.count, set.has(5)]).toEqual([12, 6, false]);
    expect(all).toEqual([
      [1, 3],
      [10, 12],
    ]);
  });

  test('that is empty holds nothing and has no first UID', () => {
    for (const empty of [UidRanges.NONE, UidRanges.of([]), UidRanges.ofUids([]), UidRanges.union([])]) {
      expect([empty.count, empty.first, empty.has(1), empty.toUids(0), empty.among(uids(1, 2))]).toEqual([0, undefined, false, [], []]);
    }
  });
});

describe('a set that names every possible UID', () => {
  const every = UidRanges.of([[1, MAX_UID]]);

  test('is counted and asked without being written out', () => {
    expect([every.count, every.first, every.has(1), every.has(MAX_UID)]).toEqual([MAX_UID, 1, true, true]);
    expect(every.among(uids(1, 7, MAX_UID))).toEqual([1, 7, MAX_UID]);
  });

  test('holds neither 0 nor a number beyond 32 bits', () => {
    for (const number of [0, -1, MAX_UID + 1, 2 ** 53, Number.POSITIVE_INFINITY]) expect(every.has(number), String(number)).toBe(false);
  });

  test('becomes no list where there can be fewer messages', () => {
    expect(() => every.toUids(MAX_UID - 1)).toThrow(expect.objectContaining({ kind: 'protocol' }) as Error);
    expect(() => every.toUids(1_000)).toThrow(UpstreamError);
  });
});

test('a list is made up to the bound that is given, and not one beyond it', () => {
  const set = UidRanges.of([
    [1, 2],
    [7, 7],
  ]);
  expect(set.toUids(3)).toEqual([1, 2, 7]);
  expect(() => set.toUids(2)).toThrow('names 3 messages where there can be no more than 2');
});

describe('hundreds of thousands of UIDs', () => {
  const scattered = Array.from({ length: MANY }, (_, index) => uid(2 * index + 1));

  test('that are scattered stay apart, and each is found', () => {
    const set = UidRanges.ofUids(scattered);
    expect([set.count, set.first]).toEqual([MANY, 1]);
    expect(scattered.filter((one) => set.has(one)).length).toBe(MANY);
    expect(scattered.filter((one) => set.has(one + 1)).length).toBe(0);
    expect(set.among(scattered).length).toBe(MANY);
    expect(set.toUids(MANY)).toEqual(scattered);
  });

  test('that come backwards, or in several answers, are put together', () => {
    const backwards = scattered.toReversed().map((one): UidRange => [one, one]);
    const between = UidRanges.ofUids(scattered.map((one) => uid(one + 1)));
    const all = UidRanges.union([UidRanges.of(backwards), between]);
    expect([all.count, all.first, all.has(2 * MANY), all.has(2 * MANY + 1)]).toEqual([2 * MANY, 1, true, false]);
  });
});
