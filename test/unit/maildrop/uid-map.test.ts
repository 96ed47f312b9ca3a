import { describe, expect, test } from 'vitest';
import { uid, uids, uidValidity } from '../../support/fake-maildrop.ts';
import { withoutMessages, withTrueOctets } from '../../../src/maildrop/map-changes.ts';
import {
  UNTOUCHED,
  emptyMap,
  knownMessage,
  lastUidsIn,
  segmentNumber,
  uidsIn,
  uniqueIdsIn,
  type UidMap,
} from '../../../src/maildrop/uid-map.ts';
import { listing, reconciled } from './listing.ts';

const MAP: UidMap = reconciled(undefined, listing(7, [1, 2, 1023, 1024, 5000]));

describe('the UID map', () => {
  test('knows what was listed: the size the server declared, no true one yet', () => {
    expect(knownMessage(MAP, uid(1024))).toEqual({
      uid: 1024,
      declaredOctets: 10_240,
      trueOctets: undefined,
      arrival: 1_024_000,
      state: UNTOUCHED,
    });
  });

  test.each([3, 1022, 1025, 4999, 5001, 0xffff_ffff])('does not know %d', (number) => {
    expect(knownMessage(MAP, uid(number))).toBeUndefined();
  });

  test('keeps segments of 1,024 UIDs', () => {
    expect([...MAP.segments.keys()]).toEqual([0, 1, 4]);
    expect([segmentNumber(uid(1023)), segmentNumber(uid(1024))]).toEqual([0, 1]);
  });

  test.for([
    [1, [5000]],
    [2, [1024, 5000]],
    [4, [2, 1023, 1024, 5000]],
    [99, [1, 2, 1023, 1024, 5000]],
  ] as const)('gives its last messages, %s of them at most', ([most, last]) => {
    expect(lastUidsIn(MAP, most)).toEqual(last);
    expect(lastUidsIn(emptyMap(uidValidity(7)), most)).toEqual([]);
  });

  test('is the very same object after the same listing', () => {
    expect(reconciled(MAP, listing(7, [1, 2, 1023, 1024, 5000], []))).toBe(MAP);
  });

  test('keeps segments without a change as the same objects', () => {
    const next = reconciled(MAP, listing(7, [1, 2, 1023, 1024, 5000, 5001], [5001]));
    expect(next.segments.get(0)).toBe(MAP.segments.get(0));
    expect(next.segments.get(1)).toBe(MAP.segments.get(1));
    expect([...(next.segments.get(4)?.uids ?? [])]).toEqual([5000, 5001]);
  });

  test('drops what vanished, and segments that became empty', () => {
    const next = reconciled(MAP, listing(7, [2, 1023, 5000], []));
    expect([knownMessage(next, uid(1)), [...next.segments.keys()]]).toEqual([undefined, [0, 4]]);
  });

  test('of a mailbox that became empty has no segments', () => {
    expect(reconciled(MAP, listing(7, []))).toEqual(emptyMap(uidValidity(7)));
  });

  test('starts afresh under another UIDVALIDITY: nothing known counts', () => {
    const learned = withTrueOctets(MAP, uid(1), 11);
    const next = reconciled(learned, listing(8, [1, 2], [1, 2]));
    expect(next.uidValidity).toBe(8);
    expect(knownMessage(next, uid(1))?.trueOctets).toBeUndefined();
    expect(knownMessage(next, uid(5000))).toBeUndefined();
  });

  test('keeps a learned size when its segment changes, also where the server sent the row again', () => {
    const learned = withTrueOctets(MAP, uid(2), 21);
    for (const rows of [[3], [2, 3], [1, 2, 3]]) {
      const next = reconciled(learned, listing(7, [2, 3, 1023], rows));
      expect(knownMessage(next, uid(2))).toEqual({ uid: 2, declaredOctets: 20, trueOctets: 21, arrival: 2000, state: UNTOUCHED });
    }
  });

  test('learns a true size once, and changes nothing for an unknown message', () => {
    const learned = withTrueOctets(MAP, uid(1), 11);
    expect(knownMessage(learned, uid(1))?.trueOctets).toBe(11);
    expect(withTrueOctets(learned, uid(1), 11)).toBe(learned);
    expect(withTrueOctets(learned, uid(3), 11)).toBe(learned);
    expect(knownMessage(MAP, uid(1))?.trueOctets).toBeUndefined();
  });

  test('takes a true size of zero for a size', () => {
    expect(knownMessage(withTrueOctets(MAP, uid(1), 0), uid(1))?.trueOctets).toBe(0);
  });

  test('takes arrivals and sizes from the rows, in whatever order they came', () => {
    const { uids: listed } = listing(7, [1, 2]);
    const added = { uids: uids(2, 1), octets: [22, 11], arrivals: [2000, 1000] };
    const segment = reconciled(undefined, { uidValidity: uidValidity(7), uidNext: 0, server: '', uids: listed, added }).segments.get(0);
    expect([segment?.declaredOctets, segment?.arrivals].map((array) => [...(array ?? [])])).toEqual([
      [11, 22],
      [1000, 2000],
    ]);
  });

  test('without messages that were removed is as if they had never been listed', () => {
    expect(withoutMessages(MAP, uids(2, 1023, 5000))).toEqual(reconciled(undefined, listing(7, [1, 1024])));
    expect(withoutMessages(MAP, uids(3, 7000))).toEqual(MAP);
  });

  test('gives its UIDs in order', () => {
    expect(uidsIn(MAP)).toEqual([1, 2, 1023, 1024, 5000]);
  });

  describe('when the template is changed', () => {
    const idsOf = (map: UidMap): string[] => uidsIn(map).map(uniqueIdsIn(map));
    const cyrus = reconciled(MAP, listing(7, [1, 2, 3, 1023, 1024, 5000, 9000], [3, 9000]), 'cyrus');

    test('gives what was shown the same ids as before, and only new messages those of the new template', () => {
      const before = idsOf(MAP);
      expect(idsOf(cyrus)).toEqual([before[0], before[1], '7.3', ...before.slice(2), '7.9000']);
    });

    test('keeps every id through further changes, also where a segment is written anew', () => {
      const again = reconciled(cyrus, listing(7, [2, 3, 4, 1024, 9000, 9001], [4, 9001]), 'uw');
      expect(idsOf(again)).toEqual([
        ...idsOf(MAP).slice(1, 2),
        '7.3',
        '0000000700000004',
        ...idsOf(MAP).slice(3, 4),
        '7.9000',
        '0000000700002329',
      ]);
    });

    test('never gives a new message the id of another', () => {
      const first = reconciled(undefined, listing(9, [2]), '1{uid}-{uidvalidity}');
      const second = reconciled(first, listing(9, [2, 11, 12], [11, 12]), '{uid}-{uidvalidity}');
      expect(idsOf(second)).toEqual(['12-9', '11-9', '1234abcd.00000009.0000000c.2']);
      expect(idsOf(reconciled(second, listing(9, [11, 12, 13], [13]), '{uid}-{uidvalidity}'))[1]).toBe('1234abcd.00000009.0000000c.2');
    });
  });
});
