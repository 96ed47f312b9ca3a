import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { holds } from '../../support/holds.ts';
import { formulaOf, newIds, uid, uidValidity } from '../../support/fake-maildrop.ts';
import { withDeleted, withTrueOctets } from '../../../src/maildrop/map-changes.ts';
import type { Uid } from '../../../src/maildrop/numbers.ts';
import { reconcile, type Inherited } from '../../../src/maildrop/reconcile.ts';
import {
  UNTOUCHED,
  deletedIn,
  idFrom,
  idSource,
  knownMessage,
  segmentNumber,
  uidsIn,
  uniqueIdsIn,
  type UidMap,
} from '../../../src/maildrop/uid-map.ts';
import { isVerbatim } from '../../../src/maildrop/unique-id.ts';
import { listing, reconciled } from './listing.ts';
import { idsIn, lower, steps, stepped, type Step } from './reconcile.ts';

/** UIDs around the borders of segments, ascending. */
const uidSet = fc
  .uniqueArray(fc.oneof(fc.integer({ min: 1, max: 12 }), fc.integer({ min: 1020, max: 1030 }), fc.integer({ min: 1, max: 0xffff_ffff })), {
    maxLength: 25,
  })
  .map((list) => list.sort((one, other) => one - other));

function learning(map: UidMap, learned: readonly number[]): UidMap {
  return learned.reduce((next, one) => withTrueOctets(next, uid(one), one * 10 + 1), map);
}

/** What the map holds, message by message. */
function contents(map: UidMap): unknown[] {
  return [...map.segments]
    .sort(([one], [other]) => one - other)
    .flatMap(([, segment]) => Array.from(segment.uids, (one) => knownMessage(map, uid(one))));
}

function newOnes(before: readonly number[], after: readonly number[]): number[] {
  return after.filter((one) => !before.includes(one));
}

test('after reconciling, the map holds exactly what was listed', () => {
  holds(
    fc.property(uidSet, uidSet, (before, after) => {
      const map = reconciled(reconciled(undefined, listing(7, before)), listing(7, after, newOnes(before, after)));
      expect(contents(map)).toEqual(
        after.map((one) => ({ uid: one, declaredOctets: one * 10, trueOctets: undefined, arrival: one * 1000, state: UNTOUCHED })),
      );
      for (const [number, segment] of map.segments) {
        expect(segment.uids.length).toBeGreaterThan(0);
        expect(segment.uids.every((one) => segmentNumber(one) === number)).toBe(true);
      }
    }),
  );
});

test('reconciling is idempotent: a second time gives the very same map', () => {
  holds(
    fc.property(uidSet, uidSet, (before, after) => {
      const first = learning(reconciled(undefined, listing(7, before)), before.slice(0, 3));
      const once = reconciled(first, listing(7, after, newOnes(before, after)));
      expect(reconciled(once, listing(7, after, []))).toBe(once);
      expect(reconciled(once, listing(7, after, after))).toBe(once);
    }),
  );
});

test('a known true size is never lost while UIDVALIDITY holds, whatever vanishes and comes', () => {
  holds(
    fc.property(uidSet, uidSet, uidSet, fc.boolean(), (before, come, gone, sendsAllRows) => {
      const learned = before.filter((_, index) => index % 2 === 0);
      const map = learning(reconciled(undefined, listing(7, before)), learned);
      const after = [...new Set([...before, ...come])].filter((one) => !gone.includes(one)).sort((one, other) => one - other);
      const next = reconciled(map, listing(7, after, sendsAllRows ? after : newOnes(before, after)));
      for (const one of learned) {
        if (after.includes(one)) expect(knownMessage(next, uid(one))?.trueOctets).toBe(one * 10 + 1);
      }
    }),
  );
});

test('another UIDVALIDITY starts afresh, as if nothing had been stored', () => {
  holds(
    fc.property(uidSet, uidSet, (before, after) => {
      const map = learning(reconciled(undefined, listing(7, before)), before);
      expect(reconciled(map, listing(8, after))).toEqual(reconciled(undefined, listing(8, after)));
    }),
  );
});

test('segments in which nothing changed are the same objects', () => {
  holds(
    fc.property(uidSet, uidSet, (before, after) => {
      const map = reconciled(undefined, listing(7, before));
      const next = reconciled(map, listing(7, after, newOnes(before, after)));
      for (const [number, segment] of next.segments) {
        const old = map.segments.get(number);
        if (old !== undefined && old.uids.join() === segment.uids.join()) expect(segment).toBe(old);
      }
    }),
  );
});

describe('with ids that are inherited, given by the server, taken, or had elsewhere', () => {
  const history = fc.array(steps, { minLength: 1, maxLength: 4 });

  function after(all: readonly Step[]): UidMap | undefined {
    let map: UidMap | undefined;
    for (const step of all) map = stepped(map, step).map;
    return map;
  }

  test('no two messages share an id, not even ignoring case', () => {
    holds(
      fc.property(history, steps, fc.boolean(), (before, step, isNewEpoch) => {
        const ids = idsIn(stepped(after(before), step, [], isNewEpoch).map).map(lower);
        expect(new Set(ids).size).toBe(ids.length);
      }),
      { usual: 1_000 },
    );
  });

  test('no message gets an id that one in another mailbox of the maildrop has', () => {
    holds(
      fc.property(history, history, steps, (before, others, step) => {
        const other = after(others);
        fc.pre(other !== undefined);
        // Its ids are made of other formulas than those of the mailbox that is reconciled: that is what {folder} is for.
        const elsewhere = inOtherFolder(other);
        const stored = before.reduce<UidMap | undefined>((map, one) => stepped(map, one, [elsewhere]).map, undefined);
        const all = [stepped(stored, step, [elsewhere]).map, elsewhere].flatMap(idsIn).map(lower);
        expect(new Set(all).size).toBe(all.length);
      }),
      { usual: 1_000 },
    );
  });

  test('reconciling the same listing again changes nothing, though template, taken ids and what the server gives are others', () => {
    holds(
      fc.property(history, steps, steps, (before, step, other) => {
        const once = stepped(after(before), step).map;
        expect(stepped(once, { ...other, uids: step.uids }).map).toBe(once);
      }),
    );
  });

  test('the id of a message that stays never changes', () => {
    holds(
      fc.property(history, steps, (before, step) => {
        const map = after(before);
        fc.pre(map !== undefined);
        const next = stepped(map, step).map;
        for (const one of uidsIn(next)) {
          if (knownMessage(map, one) !== undefined) expect(uniqueIdsIn(next)(one)).toBe(uniqueIdsIn(map)(one));
        }
      }),
    );
  });

  test('a new message inherits exactly what it is to inherit, and else gets no id that was taken', () => {
    holds(
      fc.property(history, steps, fc.boolean(), (before, step, isNewEpoch) => {
        const map = after(before);
        const { map: next, ids, inherited } = stepped(map, step, [], isNewEpoch);
        for (const one of uidsIn(next)) {
          const isOld = !isNewEpoch && map !== undefined && knownMessage(map, one) !== undefined;
          const uniqueId = uniqueIdsIn(next)(one);
          const from = inherited.get(one);
          if (from !== undefined) expect(uniqueId).toBe(idFrom(from));
          else if (!isOld) expect(ids.taken.has(lower(uniqueId))).toBe(false);
        }
      }),
    );
  });

  test('a new message with no higher UID than one before never gets the id that the template gives for that UID', () => {
    holds(
      fc.property(steps, (step) => {
        const { map, ids, inherited } = stepped(undefined, { ...step, given: new Map() });
        for (const one of uidsIn(map)) {
          if (one <= step.highestUid && !inherited.has(one))
            expect(uniqueIdsIn(map)(one)).not.toBe(idFrom({ formula: ids.formula, idUid: one }));
        }
      }),
    );
  });

  test('in a new epoch every message keeps its id and its state, whatever UIDs they have now', () => {
    holds(
      fc.property(history, fc.func(fc.integer()), fc.integer({ min: 0, max: 30 }), (before, rank, shift) => {
        const map = after(before);
        fc.pre(map !== undefined && map.segments.size > 0);
        const old = uidsIn(map);
        const deleted = withDeleted(map, old.slice(0, 3), 1_000, 2_000);
        const permuted = [...old].sort((one, other) => rank(one) - rank(other));
        const inherited = new Map(permuted.map((from, index) => [uid(index + 1 + shift), heir(deleted, from)]));
        const listed = listing(8, [...inherited.keys()]);
        const ids = { ...newIds(listed.uidValidity), taken: new Set(idsIn(map).map(lower)) };
        const next = reconcile(deleted, listed, ids, inherited);
        expect(idsIn(next)).toEqual(permuted.map(uniqueIdsIn(map)));
        expect(deletedIn(next).length).toBe(Math.min(3, old.length));
        for (const [index, from] of permuted.entries())
          expect(knownMessage(next, uid(index + 1 + shift))?.state).toEqual(knownMessage(deleted, from)?.state);
      }),
    );
  });

  test('nor where that mailbox has its ids of the very same formula', () => {
    const elsewhere = reconciled(undefined, listing(7, [10]), 'uw');
    const next = reconcile(undefined, listing(7, [10]), { ...newIds(elsewhere.uidValidity, 'uw'), elsewhere: [elsewhere] });
    expect(idsIn(next)).not.toEqual(idsIn(elsewhere));
  });

  test('an id that the server gives is not that of another message under the template', () => {
    const ids = {
      ...newIds(reconciled(undefined, listing(7, [])).uidValidity, 'cyrus'),
      given: (one: number) => (one === 4 ? '7.3' : undefined),
    };
    expect(idsIn(reconcile(undefined, listing(7, [3, 4]), ids))).not.toEqual(['7.3', '7.3']);
  });

  /** The fallbacks for messages that would get the id of another look like this template's. */
  test('a template that looks like the fallback gives no UID an id it had before', () => {
    const template = '{folder:08x}.{uidvalidity:08x}.{uid:08x}.2';
    const before = idsIn(reconciled(undefined, listing(7, [5]), template));
    const next = reconcile(undefined, listing(7, [5]), {
      ...newIds(reconciled(undefined, listing(7, [])).uidValidity, template),
      used: [{ formula: formulaOf(template, uidValidity(7)), highestUid: 5 }],
    });
    expect(idsIn(next)).not.toEqual(before);
  });
});

/** The same mailbox as if it had another name: formulas that hold the folder's tag hold another one. */
function inOtherFolder(map: UidMap): UidMap {
  const renamed = (formula: string): string =>
    isVerbatim(formula) ? formula : formula.replace('1234abcd', '99999999').replace(/^(?!9{8})/, 'x');
  const segments = [...map.segments].map(([number, segment]) => [number, { ...segment, formulas: segment.formulas.map(renamed) }] as const);
  return { ...map, segments: new Map(segments) };
}

function heir(map: UidMap, from: Uid): Inherited {
  const { state = UNTOUCHED, trueOctets } = knownMessage(map, from) ?? {};
  const source = idSource(map, from);
  if (source === undefined) throw new Error(`no message ${from}`);
  return { ...source, state, trueOctets };
}
