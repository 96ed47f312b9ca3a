import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { holds } from '../../support/holds.ts';
import { formulaOf, uid, uids, UIDVALIDITY } from '../../support/fake-maildrop.ts';
import {
  withDeleted,
  withIdSources,
  withoutDeletion,
  withoutMessages,
  withRestoredStates,
  withRetrieved,
  withTrueOctets,
} from '../../../src/maildrop/map-changes.ts';
import type { Uid } from '../../../src/maildrop/numbers.ts';
import {
  deletedIn,
  firstDue,
  idSource,
  isIdUsed,
  knownMessage,
  messagesIn,
  NEVER_DUE,
  uidsIn,
  uniqueIdsIn,
  UNTOUCHED,
  verbatimSource,
  type MessageState,
  type UidMap,
} from '../../../src/maildrop/uid-map.ts';
import { listing, reconciled } from './listing.ts';

/** Three segments. */
const MAP = reconciled(undefined, listing(7, [1, 2, 3, 1024, 1025, 5000]));

const stateOf = (map: UidMap, number: number): MessageState | undefined => knownMessage(map, uid(number))?.state;

/** Every change of the map, for those UIDs. */
const CHANGES: readonly (readonly [string, (map: UidMap, ...numbers: number[]) => UidMap])[] = [
  ['retrieved', (map, ...numbers) => uids(...numbers).reduce((next, one) => withRetrieved(next, one, 9), map)],
  ['deleted', (map, ...numbers) => withDeleted(map, uids(...numbers), 10, 20)],
  ['undeleted', (map, ...numbers) => withoutDeletion(map, uids(...numbers))],
  [
    'restored',
    (map, ...numbers) => withRestoredStates(map, new Map(uids(...numbers).map((one) => [one, { retrievedAt: 1, deletedAt: 2, dueAt: 3 }]))),
  ],
  ['given other ids', (map, ...numbers) => withIdSources(map, new Map(uids(...numbers).map((one) => [one, verbatimSource(`id-${one}`)])))],
  ['measured', (map, ...numbers) => uids(...numbers).reduce((next, one) => withTrueOctets(next, one, 77), map)],
  ['removed', (map, ...numbers) => withoutMessages(map, uids(...numbers))],
];

describe.each(CHANGES)('when messages are %s', (what, change) => {
  test('segments that hold none of them are the same objects, and the map before is as it was', () => {
    const map = what === 'undeleted' ? withDeleted(MAP, uids(2, 5000), 10, 20) : MAP;
    const before = structuredClone(map);
    const next = change(map, 2, 5000);
    expect(next.segments.get(1)).toBe(map.segments.get(1));
    expect(next.segments.get(0)).not.toBe(map.segments.get(0));
    expect(map).toEqual(before);
  });

  test('nothing changes for messages that the map does not know, nor for none', () => {
    for (const next of [change(MAP, 4, 1026, 9999), change(MAP)]) {
      expect(next).toEqual(MAP);
      for (const [number, segment] of next.segments) expect(segment).toBe(MAP.segments.get(number));
    }
  });

  test('other messages of the same segment stay as they were', () => {
    const next = change(withDeleted(withRetrieved(MAP, uid(3), 5), uids(3), 6, 7), 2);
    expect(knownMessage(next, uid(3))).toEqual({ ...knownMessage(MAP, uid(3)), state: { retrievedAt: 5, deletedAt: 6, dueAt: 7 } });
    expect(uniqueIdsIn(next)(uid(3))).toBe(uniqueIdsIn(MAP)(uid(3)));
  });
});

describe('a message', () => {
  test('was retrieved when it was first', () => {
    const once = withRetrieved(MAP, uid(1), 100);
    expect(stateOf(once, 1)).toEqual({ ...UNTOUCHED, retrievedAt: 100 });
    expect(withRetrieved(once, uid(1), 200)).toBe(once);
  });

  test('was deleted when it was first, and stays due then', () => {
    const once = withDeleted(withRetrieved(MAP, uid(1), 50), uids(1), 100, 300);
    expect(stateOf(once, 1)).toEqual({ retrievedAt: 50, deletedAt: 100, dueAt: 300 });
    expect(stateOf(withDeleted(once, uids(1, 2), 200, 250), 1)).toEqual({ retrievedAt: 50, deletedAt: 100, dueAt: 300 });
    expect(stateOf(withDeleted(once, uids(1, 2), 200, 250), 2)).toEqual({ retrievedAt: 0, deletedAt: 200, dueAt: 250 });
  });

  test('that was deleted by mistake is as before, and retrieved nevertheless', () => {
    const deleted = withDeleted(withRetrieved(MAP, uid(1), 50), uids(1, 2), 100, 300);
    expect([1, 2].map((number) => stateOf(withoutDeletion(deleted, uids(1, 2)), number))).toEqual([
      { ...UNTOUCHED, retrievedAt: 50 },
      UNTOUCHED,
    ]);
  });

  test('gets a state again only where nobody deleted it here, and was retrieved when it was first here', () => {
    const states = new Map(uids(1, 2, 3).map((one): [Uid, MessageState] => [one, { retrievedAt: 5, deletedAt: 6, dueAt: NEVER_DUE }]));
    const here = withRetrieved(withDeleted(MAP, uids(1), 100, 300), uid(2), 50);
    const next = withRestoredStates(here, states);
    expect([1, 2, 3, 1024].map((number) => stateOf(next, number))).toEqual([
      { retrievedAt: 0, deletedAt: 100, dueAt: 300 },
      { retrievedAt: 50, deletedAt: 6, dueAt: NEVER_DUE },
      { retrievedAt: 5, deletedAt: 6, dueAt: NEVER_DUE },
      UNTOUCHED,
    ]);
  });

  test('has the id that it was given, of whatever kind, and keeps all else', () => {
    const cyrus = { formula: formulaOf('cyrus', UIDVALIDITY), idUid: 99 };
    const touched = withDeleted(withTrueOctets(MAP, uid(2), 21), uids(2), 100, 300);
    const next = withIdSources(
      touched,
      new Map([
        [uid(2), cyrus],
        [uid(1024), verbatimSource('<{uid}>')],
      ]),
    );
    expect(uidsIn(next).map(uniqueIdsIn(next))).toEqual(
      uidsIn(MAP).map((one) => ({ 2: '7.99', 1024: '<{uid}>' })[Number(one)] ?? uniqueIdsIn(MAP)(one)),
    );
    expect(idSource(next, uid(2))).toEqual(cyrus);
    expect(knownMessage(next, uid(2))).toEqual(knownMessage(touched, uid(2)));
  });

  test('that was removed takes nothing with it of the others', () => {
    const map = withDeleted(withRetrieved(withIdSources(MAP, new Map([[uid(3), verbatimSource('x')]])), uid(3), 5), uids(2, 3), 6, 7);
    const next = withoutMessages(map, uids(1, 2, 1024, 1025));
    expect(uidsIn(next)).toEqual([3, 5000]);
    expect([...next.segments.keys()]).toEqual([0, 4]);
    expect([uniqueIdsIn(next)(uid(3)), stateOf(next, 3)]).toEqual(['x', { retrievedAt: 5, deletedAt: 6, dueAt: 7 }]);
  });
});

describe('of a map is told', () => {
  const touched = withDeleted(withDeleted(withDeleted(MAP, uids(5000, 2), 100, 900), uids(1025), 100, NEVER_DUE), uids(1), 100, 500);

  test('which messages are deleted, ascending', () => {
    expect(deletedIn(touched).map((message) => [message.uid, message.state.dueAt])).toEqual([
      [1, 500],
      [2, 900],
      [1025, NEVER_DUE],
      [5000, 900],
    ]);
    expect(deletedIn(MAP)).toEqual([]);
  });

  test('when something is first to be removed; hidden for ever is never', () => {
    expect(firstDue(touched)).toBe(500);
    expect(firstDue(withoutDeletion(touched, uids(1)))).toBe(900);
    expect(firstDue(withDeleted(MAP, uids(1), 100, NEVER_DUE))).toBeUndefined();
    expect(firstDue(withRetrieved(MAP, uid(1), 100))).toBeUndefined();
    expect(firstDue(MAP)).toBeUndefined();
  });

  test('every message with its place, ascending, in whatever order the segments stand', () => {
    const turned = { ...MAP, segments: new Map([...MAP.segments].toReversed()) };
    const places = [...messagesIn(turned)];
    expect(places.map((place) => place.uid)).toEqual([1, 2, 3, 1024, 1025, 5000]);
    for (const { segment, index, uid: one } of places) expect(segment.uids[index]).toBe(one);
  });

  test('whether an id is used: by formula and UID in it, not by the UID of the message', () => {
    const formula = formulaOf('popbridge', UIDVALIDITY);
    const cyrus = formulaOf('cyrus', UIDVALIDITY);
    const map = withIdSources(
      MAP,
      new Map([
        [uid(2), { formula, idUid: 4000 }],
        [uid(3), { formula: cyrus, idUid: 3 }],
        [uid(1), verbatimSource('x')],
      ]),
    );
    const used = [{ formula, idUid: 4000 }, { formula, idUid: 1024 }, { formula: cyrus, idUid: 3 }, verbatimSource('x')];
    const free = [
      { formula, idUid: 1 },
      { formula, idUid: 2 },
      { formula, idUid: 3 },
      { formula, idUid: 9999 },
      { formula: cyrus, idUid: 1024 },
      verbatimSource('y'),
    ];
    expect([used.map((source) => isIdUsed(map, source)), free.map((source) => isIdUsed(map, source))]).toEqual([
      used.map(() => true),
      free.map(() => false),
    ]);
  });
});

test('every id that the map shows is used, and no other of the same formulas', () => {
  const numbers = fc.uniqueArray(fc.oneof(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1022, max: 1026 })), { maxLength: 8 });
  const formulas = ['popbridge', 'cyrus'].map((template) => formulaOf(template, UIDVALIDITY));
  holds(
    fc.property(numbers, fc.array(fc.tuple(fc.nat(7), fc.nat(1), fc.integer({ min: 1, max: 1026 })), { maxLength: 5 }), (list, moves) => {
      const map = reconciled(
        undefined,
        listing(
          7,
          list.toSorted((one, other) => one - other),
        ),
      );
      const sources = moves.flatMap(([at, place, idUid]) =>
        list[at] === undefined ? [] : [[uid(list[at]), { formula: formulas[place] ?? '', idUid }] as const],
      );
      const next = withIdSources(map, new Map(sources));
      const keys = new Set(uidsIn(next).map((one) => JSON.stringify(idSource(next, one))));
      for (const formula of formulas)
        for (const idUid of [1, 2, 3, 4, 5, 6, 7, 8, 9, 1022, 1023, 1024, 1025, 1026])
          expect(isIdUsed(next, { formula, idUid })).toBe(keys.has(JSON.stringify({ formula, idUid })));
    }),
  );
});
