import fc from 'fast-check';
import { expect, test } from 'vitest';
import { uid } from '../../support/fake-maildrop.ts';
import { withTrueOctets } from '../../../src/maildrop/map-changes.ts';
import { UNTOUCHED, knownMessage, segmentNumber, type UidMap } from '../../../src/maildrop/uid-map.ts';
import { listing, reconciled } from './listing.ts';

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
  fc.assert(
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
  fc.assert(
    fc.property(uidSet, uidSet, (before, after) => {
      const first = learning(reconciled(undefined, listing(7, before)), before.slice(0, 3));
      const once = reconciled(first, listing(7, after, newOnes(before, after)));
      expect(reconciled(once, listing(7, after, []))).toBe(once);
      expect(reconciled(once, listing(7, after, after))).toBe(once);
    }),
  );
});

test('a known true size is never lost while UIDVALIDITY holds, whatever vanishes and comes', () => {
  fc.assert(
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
  fc.assert(
    fc.property(uidSet, uidSet, (before, after) => {
      const map = learning(reconciled(undefined, listing(7, before)), before);
      expect(reconciled(map, listing(8, after))).toEqual(reconciled(undefined, listing(8, after)));
    }),
  );
});

test('segments in which nothing changed are the same objects', () => {
  fc.assert(
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
