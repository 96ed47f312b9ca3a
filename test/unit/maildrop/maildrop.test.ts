import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { holds } from '../../support/holds.ts';
import { snapshotOf, uids } from '../../support/fake-maildrop.ts';
import type { Maildrop, MaildropEntry } from '../../../src/maildrop/maildrop.ts';

function entryOf(maildrop: Maildrop, number: number): MaildropEntry {
  const entry = maildrop.lookup(number);
  if (entry === undefined) throw new Error(`no message ${number}`);
  return entry;
}

function numbersOf(maildrop: Maildrop): number[] {
  return Array.from(maildrop.scanListing(), (entry) => entry.number);
}

/** Marks messages by number; a number not there is passed over. */
function marking(maildrop: Maildrop, numbers: readonly number[], mark: (on: Maildrop, entry: MaildropEntry) => Maildrop): Maildrop {
  return numbers.reduce((on, number) => {
    const entry = on.lookup(number);
    return entry === undefined ? on : mark(on, entry);
  }, maildrop);
}

const deleting = (on: Maildrop, entry: MaildropEntry): Maildrop => on.withDeleted(entry);
const sizes = fc.array(fc.nat(5_000_000_000), { maxLength: 8 });
const numbers = fc.array(fc.nat(9), { maxLength: 10 });

describe('a maildrop', () => {
  test('shows a message with its number, UID, octets and unique-id', () => {
    expect(snapshotOf([10, 20]).lookup(2)).toEqual({
      number: 2,
      mailbox: 0,
      uid: 102,
      octets: 20,
      uniqueId: '1234abcd.00000007.00000066',
    });
  });

  test.each([0, -1, 3, 1.5, Number.NaN, 4_294_967_297])('has no message %d of two', (number) => {
    expect(snapshotOf([10, 20]).lookup(number)).toBeUndefined();
  });

  test('without messages has an empty drop listing', () => {
    const empty = snapshotOf([]);
    expect([empty.dropListing, numbersOf(empty), empty.updatePlan()]).toEqual([
      { count: 0, octets: 0 },
      [],
      { mailboxes: [], removeCount: 0, removeOctets: 0 },
    ]);
  });

  test('neither lists nor finds nor counts what is deleted; numbers do not shift', () => {
    const maildrop = marking(snapshotOf([10, 20, 30]), [2], deleting);
    expect([numbersOf(maildrop), maildrop.dropListing, maildrop.lookup(2)]).toEqual([[1, 3], { count: 2, octets: 40 }, undefined]);
  });

  test('is a value: marking makes another one', () => {
    const before = snapshotOf([10, 20]);
    before.withDeleted(entryOf(before, 1));
    before.withRetrieved(entryOf(before, 2));
    expect([numbersOf(before), before.updatePlan()]).toEqual([[1, 2], { mailboxes: [], removeCount: 0, removeOctets: 0 }]);
  });

  test('plans to remove what is deleted, and to see what was retrieved and is kept', () => {
    const retrieved = marking(snapshotOf([1, 1, 1]), [1, 2], (on, entry) => on.withRetrieved(entry));
    expect(marking(retrieved, [2, 3], deleting).updatePlan()).toEqual({
      mailboxes: [{ mailbox: 0, remove: uids(102, 103), seen: uids(101) }],
      removeCount: 2,
      removeOctets: 2,
    });
  });

  test('forgets both kinds of mark at RSET', () => {
    const retrieved = marking(snapshotOf([1, 2]), [1], (on, entry) => on.withRetrieved(entry));
    expect(marking(retrieved, [2], deleting).withoutMarks().updatePlan()).toEqual({ mailboxes: [], removeCount: 0, removeOctets: 0 });
  });
});

test('the drop listing is the sum of the scan listing', () => {
  holds(
    fc.property(sizes, numbers, (octets, deleted) => {
      const maildrop = marking(snapshotOf(octets), deleted, deleting);
      const entries = [...maildrop.scanListing()];
      expect(maildrop.dropListing).toEqual({ count: entries.length, octets: entries.reduce((sum, entry) => sum + entry.octets, 0) });
    }),
  );
});

test('a message is listed or removed, never both, never neither', () => {
  holds(
    fc.property(sizes, numbers, (octets, deleted) => {
      const maildrop = marking(snapshotOf(octets), deleted, deleting);
      const listed = Array.from(maildrop.scanListing(), (entry) => entry.uid);
      const all = [...listed, ...maildrop.updatePlan().mailboxes.flatMap(({ remove }) => remove)].sort((one, other) => one - other);
      expect(all).toEqual(octets.map((_, index) => 101 + index));
    }),
  );
});

test('RSET restores the snapshot', () => {
  holds(
    fc.property(sizes, numbers, (octets, deleted) => {
      const before = snapshotOf(octets);
      const after = marking(before, deleted, deleting).withoutMarks();
      expect([after.dropListing, [...after.scanListing()]]).toEqual([before.dropListing, [...before.scanListing()]]);
    }),
  );
});
