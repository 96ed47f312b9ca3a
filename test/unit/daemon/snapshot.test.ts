import { describe, expect, test } from 'vitest';
import { uid, uids, viewConfig } from '../../support/fake-maildrop.ts';
import type { MaildropConfig } from '../../../src/config/schema.ts';
import { snapshotOf, type Showing, type SnapshotRequest } from '../../../src/daemon/snapshot.ts';
import { withDeleted, withTrueOctets } from '../../../src/maildrop/map-changes.ts';
import type { UidMap } from '../../../src/maildrop/uid-map.ts';
import { listing, reconciled } from '../maildrop/listing.ts';

const DAY = 24 * 60 * 60;
const NOW = 1_000 * DAY;

/** Message n arrived n days ago, and has ten times n octets. */
function mapOf(...numbers: readonly number[]): UidMap {
  const listed = listing(7, numbers);
  return reconciled(undefined, {
    ...listed,
    added: { ...listed.added, arrivals: numbers.map((number) => (number === 999 ? 0 : NOW - number * DAY)) },
  });
}

const showing = (map: UidMap, fields: Partial<Showing> = {}): Showing => ({
  map,
  mailbox: { isReadOnly: false },
  hidden: new Set(),
  unseen: undefined,
  ...fields,
});

function shown(
  mailboxes: readonly Showing[],
  maildrop: Partial<MaildropConfig> = {},
  fields: Partial<SnapshotRequest> = {},
): (readonly number[])[] {
  const request = { maildrop: viewConfig({ maildrop }).maildrop, action: 'trash', isRecent: false, now: NOW, ...fields } as const;
  return snapshotOf(mailboxes, request).map((mailbox) => mailbox.uids);
}

describe('a maildrop shows', () => {
  test('every message of its mailboxes, oldest UID first', () => {
    expect(shown([showing(mapOf(1, 2, 1500)), showing(mapOf(7))])).toEqual([[1, 2, 1500], [7]]);
  });

  test('nothing that is flagged \\Deleted or about to be removed, and nothing that a client deleted', () => {
    const map = withDeleted(mapOf(1, 2, 3, 4), uids(3), NOW, NOW + DAY);
    expect(shown([showing(map, { hidden: new Set(uids(1)) })])).toEqual([[2, 4]]);
  });

  test('only what nobody read, where that matters', () => {
    expect(shown([showing(mapOf(1, 2, 3), { unseen: new Set(uids(2)) })])).toEqual([[2]]);
    expect(shown([showing(mapOf(1, 2, 3), { unseen: new Set() })])).toEqual([[]]);
  });

  test('only what arrived within "since", to the second; what arrived nobody knows when may be new', () => {
    expect(shown([showing(mapOf(1, 5, 6, 999))], { sinceSeconds: 5 * DAY })).toEqual([[1, 5, 999]]);
    expect(shown([showing(mapOf(1, 5, 6))], { sinceSeconds: 5 * DAY - 1 })).toEqual([[1]]);
  });

  test('only the newest, by arrival over all mailboxes, in the order of their UIDs', () => {
    expect(shown([showing(mapOf(1, 2, 9)), showing(mapOf(3, 8)), showing(mapOf(20))], { newest: 4 })).toEqual([[1, 2], [3, 8], []]);
    expect(shown([showing(mapOf(1, 2))], { newest: 5 })).toEqual([[1, 2]]);
  });

  test('of those that arrived together the last ones, so that it is always the same', () => {
    const both = [showing(reconciled(undefined, { ...listing(7, [1, 2]), added: { uids: uids(1, 2), octets: [1, 1], arrivals: [5, 5] } }))];
    expect(shown([...both, ...both], { newest: 3 })).toEqual([[2], [1, 2]]);
  });

  test('the newest of what is shown at all', () => {
    const map = withDeleted(mapOf(1, 2, 3, 4), uids(1), NOW, NOW + DAY);
    expect(shown([showing(map, { hidden: new Set(uids(2)) })], { newest: 1 })).toEqual([[3]]);
  });
});

describe('under "recent:" a maildrop shows', () => {
  test('the last 30 days, whatever "since", "newest" and deletions say', () => {
    const map = withDeleted(mapOf(1, 2, 30, 31, 999), uids(1), NOW, NOW + DAY);
    expect(shown([showing(map)], { sinceSeconds: DAY, newest: 1 }, { isRecent: true })).toEqual([[1, 2, 30, 999]]);
  });

  test('still nothing that is about to be removed', () => {
    expect(shown([showing(mapOf(1, 2), { hidden: new Set(uids(1)) })], {}, { isRecent: true })).toEqual([[2]]);
  });
});

describe('a listing tells', () => {
  const map = withTrueOctets(mapOf(1, 2, 999), uid(2), 21);
  const octets = (sizes: MaildropConfig['sizes']): number[] => {
    const request = { maildrop: viewConfig({ maildrop: { sizes } }).maildrop, action: 'trash', isRecent: false, now: NOW } as const;
    return snapshotOf([showing(map)], request).flatMap((mailbox) => Array.from(mailbox.octets));
  };

  test('true sizes where they were learned, else those of the server', () => expect(octets('learn')).toEqual([10, 21, 9_990]));

  test('the sizes of the server where these are trusted', () => expect(octets('trust')).toEqual([10, 20, 9_990]));
});

test('a mailbox that can not be changed takes deletions only where they are hidden', () => {
  const isReadOnly = (action: SnapshotRequest['action']): boolean | undefined =>
    snapshotOf([showing(mapOf(1), { mailbox: { isReadOnly: true } })], {
      maildrop: viewConfig().maildrop,
      action,
      isRecent: false,
      now: NOW,
    })[0]?.isReadOnly;
  expect([isReadOnly('trash'), isReadOnly('flag'), isReadOnly('hide')]).toEqual([true, true, false]);
});
