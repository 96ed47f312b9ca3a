import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { holds } from '../../support/holds.ts';
import { formulaOf, uid, UIDVALIDITY, uidValidity } from '../../support/fake-maildrop.ts';
import { adopt, adoptedState, type Adopter, type Adoption, type KnownId, type Place } from '../../../src/maildrop/adoption.ts';
import { differ, UNIDENTIFIED, type Identity } from '../../../src/maildrop/rematch.ts';
import { NEVER_DUE } from '../../../src/maildrop/uid-map.ts';
import type { UniqueIdFormula } from '../../../src/maildrop/unique-id.ts';

const SERVER = 'imap.test:993';

/** A message in INBOX whose id is "now-UID"; nothing is known of it but that. */
function message(number: number, fields: Partial<Adopter> = {}): Adopter {
  const place = { server: SERVER, path: 'INBOX', uidValidity: UIDVALIDITY, uid: uid(number) };
  return { ...place, uniqueId: `now-${number}`, identity: UNIDENTIFIED, arrival: 0, octets: 0, ...fields };
}

/** An id as a file of a client holds it: nothing is known of its message. */
function known(uniqueId: string, fields: Partial<KnownId> = {}): KnownId {
  return { uniqueId, place: undefined, isMeasured: false, identity: UNIDENTIFIED, arrival: 0, octets: 0, ...fields };
}

/** An id as an old POP3 server tells it: with the message's octets and Message-ID. */
function measured(uniqueId: string, messageId: string | undefined, octets: number, fields: Partial<KnownId> = {}): KnownId {
  return known(uniqueId, { isMeasured: true, identity: byMessageId(messageId), octets, ...fields });
}

function byMessageId(messageId: string | undefined): Identity {
  return { given: '', messageId };
}

function placeAt(number: number): Place {
  return { server: SERVER, path: 'INBOX', uidValidity: UIDVALIDITY, uid: number };
}

const CYRUS = (): readonly UniqueIdFormula[] => [formulaOf('cyrus', UIDVALIDITY)];
const NONE = (): readonly UniqueIdFormula[] => [];

/** What came of it: UIDs with the ids they get, and the ids that nobody gets. */
function outcome({ matches, unmatched, ambiguous }: Adoption): unknown {
  return {
    matches: Object.fromEntries([...matches].map(([adopter, id]) => [adopter.uid, id.uniqueId])),
    unmatched: unmatched.map(({ uniqueId }) => uniqueId),
    ambiguous: ambiguous.map(({ uniqueId }) => uniqueId),
  };
}

const adopted = (ids: readonly KnownId[], messages: readonly Adopter[], formulasOf = NONE): unknown =>
  outcome(adopt(ids, messages, formulasOf));

describe('a message takes over an id that clients know', () => {
  test('which it has already', () => {
    expect(adopted([known('now-2')], [message(1), message(2)])).toEqual({ matches: { 2: 'now-2' }, unmatched: [], ambiguous: [] });
  });

  test('which was at its place when it was exported', () => {
    const ids = [
      known('x', { place: placeAt(2) }),
      known('y', { place: { ...placeAt(1), path: 'Old' } }),
      known('z', { place: placeAt(3) }),
    ];
    expect(adopted(ids, [message(1), message(2)])).toEqual({ matches: { 2: 'x' }, unmatched: ['y', 'z'], ambiguous: [] });
  });

  test('but not at the same place under another UIDVALIDITY', () => {
    expect(adopted([known('x', { place: { ...placeAt(1), uidValidity: 8 } })], [message(1)])).toMatchObject({
      matches: {},
      unmatched: ['x'],
    });
  });

  test('which another server would make of its UID and UIDVALIDITY', () => {
    expect(adopted([known('7.2'), known('7.3'), known('8.1')], [message(1), message(2)], CYRUS)).toEqual({
      matches: { 2: '7.2' },
      unmatched: ['7.3', '8.1'],
      ambiguous: [],
    });
  });

  test('only octet for octet as that server would', () => {
    const uw = (): readonly UniqueIdFormula[] => [formulaOf('uw', UIDVALIDITY)];
    const messages = [message(0xab), message(0xcd)];
    expect(adopted([known('00000007000000AB'), known('00000007000000cd')], messages, uw)).toMatchObject({
      matches: { [0xcd]: '00000007000000cd' },
    });
  });

  test('by Message-ID and size, where an old server tells no arrival', () => {
    const ids = [measured('x', 'm:a', 10), measured('y', 'm:a', 20)];
    const messages = [
      message(1, { identity: byMessageId('m:a'), octets: 20, arrival: 5 }),
      message(2, { identity: byMessageId('m:a'), octets: 10 }),
    ];
    expect(adopted(ids, messages)).toEqual({ matches: { 1: 'y', 2: 'x' }, unmatched: [], ambiguous: [] });
  });

  test('by a Message-ID that is unique on both sides, where the old server counts octets otherwise', () => {
    expect(adopted([measured('x', 'm:a', 10)], [message(1, { identity: byMessageId('m:a'), octets: 12 })])).toMatchObject({
      matches: { 1: 'x' },
    });
  });

  test('by what the server calls it, in an export from there', () => {
    const identity = { given: 'e:a', messageId: undefined };
    const id = known('x', { isMeasured: true, identity, arrival: 1, octets: 1, place: { ...placeAt(1), uidValidity: 8 } });
    expect(adopted([id], [message(9, { identity, arrival: 2, octets: 2 })])).toMatchObject({ matches: { 9: 'x' } });
  });

  test('by arrival and size alone only where an arrival was told', () => {
    const dated = known('x', { isMeasured: true, arrival: 5, octets: 6 });
    expect(adopted([dated], [message(1, { arrival: 5, octets: 6 })])).toMatchObject({ matches: { 1: 'x' } });
    expect(adopted([{ ...dated, arrival: 0 }], [message(1, { arrival: 0, octets: 6 })])).toMatchObject({ matches: {}, unmatched: ['x'] });
  });

  test('in its copies: each once', () => {
    const copies = [1, 2].map((number) => message(number, { identity: byMessageId('m:a'), octets: 10 }));
    expect(adopted([measured('x', 'm:a', 10), measured('y', 'm:a', 10), measured('z', 'm:a', 10)], copies)).toMatchObject({
      matches: { 1: 'x', 2: 'y' },
      ambiguous: [],
      unmatched: ['z'],
    });
  });
});

describe('no message takes over an id', () => {
  const other = message(1, { identity: byMessageId('m:b') });

  test.each([
    ['which it has already', measured('now-1', 'm:a', 0)],
    ['which was at its place', measured('x', 'm:a', 0, { place: placeAt(1) })],
    ['which another server would make', measured('7.1', 'm:a', 0)],
  ])('%s, where the Message-ID says that it is another one', (_, id) => {
    expect(adopted([id], [other], CYRUS)).toEqual({ matches: {}, unmatched: [id.uniqueId], ambiguous: [] });
  });

  test('at its place, where both tell an arrival, another one, and nothing better speaks for it', () => {
    const id = known('x', { place: placeAt(1), arrival: 5 });
    expect(adopted([id], [message(1, { arrival: 6 })])).toMatchObject({ matches: {} });
    expect(adopted([id], [message(1, { arrival: 5 })])).toMatchObject({ matches: { 1: 'x' } });
    expect(adopted([id], [message(1, { arrival: 0 })])).toMatchObject({ matches: { 1: 'x' } });
    const identified = { ...id, identity: byMessageId('m:a') };
    expect(adopted([identified], [message(1, { arrival: 6, identity: byMessageId('m:a') })])).toMatchObject({ matches: { 1: 'x' } });
  });

  test('that two messages could have: of the same UID and UIDVALIDITY in two folders', () => {
    const messages = [message(1), message(1, { path: 'Other', uniqueId: 'other' })];
    expect(adopted([known('7.1')], messages, CYRUS)).toEqual({ matches: {}, unmatched: [], ambiguous: ['7.1'] });
  });

  test('that two of the old server resemble and one here, of other sizes', () => {
    const ids = [measured('x', 'm:a', 10), measured('y', 'm:a', 20)];
    expect(adopted(ids, [message(1, { identity: byMessageId('m:a'), octets: 30 })])).toEqual({
      matches: {},
      unmatched: [],
      ambiguous: ['x', 'y'],
    });
  });

  test.each(['now-2', 'NOW-2'])('that another message has and keeps: %s', (uniqueId) => {
    const messages = [message(1, { identity: byMessageId('m:a') }), message(2, { identity: byMessageId('m:b') })];
    expect(adopted([measured(uniqueId, 'm:a', 0)], messages)).toEqual({ matches: {}, unmatched: [], ambiguous: [uniqueId] });
  });

  test('without a message like it', () =>
    expect(adopted([known('x')], [message(1)])).toEqual({ matches: {}, unmatched: ['x'], ambiguous: [] }));
});

test('two messages may exchange their ids', () => {
  const messages = [message(1, { identity: byMessageId('m:a') }), message(2, { identity: byMessageId('m:b') })];
  expect(adopted([measured('now-2', 'm:a', 0), measured('now-1', 'm:b', 0)], messages)).toMatchObject({
    matches: { 1: 'now-2', 2: 'now-1' },
  });
});

test('an id that is named twice counts once', () => {
  expect(adopted([known('now-1'), known('now-1'), known('x'), known('x')], [message(1)])).toEqual({
    matches: { 1: 'now-1' },
    unmatched: ['x'],
    ambiguous: [],
  });
});

test('an id stays with its message also where this message was to get one that a third keeps', () => {
  const identity = (name: string): Pick<Adopter, 'identity'> => ({ identity: byMessageId(name) });
  const messages = [message(1, identity('m:a')), message(2, identity('m:b')), message(3, identity('m:c'))];
  const { matches } = adopt([measured('now-2', 'm:a', 0), measured('now-3', 'm:b', 0)], messages, NONE);
  const ids = messages.map((one) => matches.get(one)?.uniqueId ?? one.uniqueId);
  expect(new Set(ids).size).toBe(ids.length);
});

test('of two ids that servers would make for one message the order in the file does not decide', () => {
  const formulas = (): readonly UniqueIdFormula[] => ['cyrus', 'courier'].map((template) => formulaOf(template, UIDVALIDITY));
  const ids = [known('7.1'), known('UID1-7')];
  for (const order of [ids, ids.toReversed()]) {
    const { matches, ambiguous } = adopt(order, [message(1)], formulas);
    expect([matches.size, ambiguous.map(({ uniqueId }) => uniqueId).toSorted()]).toEqual([0, ['7.1', 'UID1-7']]);
  }
});

test('two messages may get ids that differ in case alone: known ones are unique by octets', () => {
  const messages = ['m:a', 'm:b'].map((name, index) => message(index + 1, { identity: byMessageId(name) }));
  const { matches } = adopt([measured('Id', 'm:a', 0), measured('iD', 'm:b', 0)], messages, NONE);
  expect([...matches.values()].map(({ uniqueId }) => uniqueId)).toEqual(['Id', 'iD']);
});

describe('whatever is known and whatever is there,', () => {
  /** What the server calls a message goes together with its Message-ID, as on a real one. */
  const identities = fc
    .constantFrom(['', undefined], ['', ''], ['', 'm:a'], ['', 'm:b'], ['e:a', 'm:a'], ['e:b', 'm:b'], ['e:c', undefined])
    .map(([given = '', messageId]): Identity => ({ given, messageId }));
  const measures = { identity: identities, arrival: fc.nat(2), octets: fc.nat(2) };
  const messages = fc
    .uniqueArray(fc.record({ ...measures, number: fc.integer({ min: 1, max: 8 }), path: fc.constantFrom('INBOX', 'Other') }), {
      selector: ({ number, path }) => `${number} ${path}`,
      maxLength: 8,
    })
    .map((rows) => rows.map(({ number, path, ...rest }) => message(number, { ...rest, path, uniqueId: `now-${path}-${number}` })));
  const places = fc.record({
    server: fc.constant(SERVER),
    path: fc.constantFrom('INBOX', 'Other'),
    uidValidity: fc.constantFrom(7, 7, 8),
    uid: fc.integer({ min: 1, max: 8 }),
  });
  /** `own`: also ids that messages have now. */
  const ids = (own: readonly string[]): fc.Arbitrary<KnownId[]> =>
    fc
      .uniqueArray(
        fc.record({
          ...measures,
          uniqueId: fc.constantFrom(...own, '7.1', '7.2', '7.3', 'v', 'w', 'x', 'y', 'z'),
          place: fc.option(places, { nil: undefined }),
          isMeasured: fc.boolean(),
        }),
        { selector: ({ uniqueId }) => uniqueId, maxLength: 8 },
      )
      .map(withPlacesOnce);
  const OWN = ['INBOX', 'Other'].flatMap((path) => [1, 2, 3].map((number) => `now-${path}-${number}`));

  test('each id goes to one message at most, each message gets one, and none is lost', () => {
    holds(
      fc.property(ids(OWN), messages, (clients, all) => {
        const { matches, unmatched, ambiguous } = adopt(clients, all, CYRUS);
        const told = [...matches.values(), ...unmatched, ...ambiguous].map(({ uniqueId }) => uniqueId);
        expect(told.toSorted()).toEqual(clients.map(({ uniqueId }) => uniqueId).toSorted());
        for (const [adopter, id] of matches) expect([all.includes(adopter), clients.includes(id)]).toEqual([true, true]);
      }),
      { usual: 1_000 },
    );
  });

  test('nothing is matched that an identity speaks against', () => {
    holds(
      fc.property(ids(OWN), messages, (clients, all) => {
        for (const [adopter, id] of adopt(clients, all, CYRUS).matches) expect(differ(adopter.identity, id.identity)).toBe(false);
      }),
      { usual: 1_000 },
    );
  });

  test('no two messages have the same id afterwards', () => {
    holds(
      fc.property(ids([]), messages, (clients, all) => {
        const { matches } = adopt(clients, all, CYRUS);
        const after = all.map((one) => matches.get(one)?.uniqueId ?? one.uniqueId);
        expect(new Set(after).size).toBe(after.length);
      }),
      { usual: 1_000 },
    );
  });

  /** Copies that the server calls the same are matched in order, so that there the order decides. */
  test('the order in which ids are known does not matter for which messages are matched', () => {
    holds(
      fc.property(ids([]), messages, fc.func(fc.integer()), (some, all, rank) => {
        const clients = some.map((id) => ({ ...id, identity: byMessageId(id.identity.messageId) }));
        const shuffled = clients.toSorted((one, other) => rank(one.uniqueId) - rank(other.uniqueId));
        const uidsOf = ({ matches }: Adoption): string[] => [...matches.keys()].map(({ uniqueId }) => uniqueId).toSorted();
        expect(uidsOf(adopt(shuffled, all, CYRUS))).toEqual(uidsOf(adopt(clients, all, CYRUS)));
      }),
      { usual: 1_000 },
    );
  });

  test('a second time changes nothing: every message has its id then', () => {
    holds(
      fc.property(ids([]), messages, (clients, all) => {
        const first = adopt(clients, all, NONE);
        const after = all.map((one) => ({ ...one, uniqueId: first.matches.get(one)?.uniqueId ?? one.uniqueId }));
        const second = adopt([...first.matches.values()], after, NONE);
        const isOther = [...first.matches].some(
          ([one, id]) => id.identity.messageId === undefined && one.arrival > 0 && id.arrival > 0 && one.arrival !== id.arrival,
        );
        // What was found by identity alone, in spite of its arrival, is looked for in the same way again.
        fc.pre(!isOther);
        expect(second.matches.size).toBe(first.matches.size);
        for (const [one, id] of second.matches) expect(id.uniqueId).toBe(one.uniqueId);
      }),
    );
  });
});

/** Two ids of one place can't both be right; which one is, is not looked at here. */
function withPlacesOnce(clients: readonly KnownId[]): KnownId[] {
  const seen = new Set<string>();
  return clients.map((id) => (seen.size < seen.add(JSON.stringify(id.place)).size ? id : { ...id, place: undefined }));
}

test('a mailbox under another UIDVALIDITY has formulas of its own', () => {
  const formulasOf = (path: string, validity: number): readonly UniqueIdFormula[] => [`${path}.${validity}.{uid}`];
  const messages = [message(1), message(1, { path: 'Other', uidValidity: uidValidity(8), uniqueId: 'other' })];
  const { matches } = adopt([known('INBOX.7.1'), known('Other.8.1'), known('Other.7.1')], messages, formulasOf);
  expect([...matches].map(([one, id]) => [one.path, id.uniqueId])).toEqual([
    ['INBOX', 'INBOX.7.1'],
    ['Other', 'Other.8.1'],
  ]);
});

describe('a deletion that waits is taken over', () => {
  const waiting = { retrievedAt: 1, deletedAt: 2, dueAt: 3 };
  const hidden = { ...waiting, dueAt: NEVER_DUE };
  const shown = { retrievedAt: 1, deletedAt: 0, dueAt: 0 };
  const state = (id: KnownId, adopter: Adopter): unknown => adoptedState(waiting, id, adopter);

  test('whole by the message in the very place where it was promised', () => {
    expect(state(known('x', { place: placeAt(1) }), message(1))).toEqual(waiting);
  });

  test.each<readonly [string, Partial<Identity>]>([
    ['the server calls so', { given: 'eA' }],
    ['has that Message-ID', { messageId: 'mA' }],
  ])('by a message elsewhere that %s, to stay hidden and never to be removed', (_, fields) => {
    const identity = { ...UNIDENTIFIED, ...fields };
    for (const place of [undefined, { ...placeAt(1), server: 'other.test:993' }, { ...placeAt(1), server: '' }, placeAt(2)]) {
      expect(state(known('x', { identity, place }), message(1, { identity }))).toEqual(hidden);
    }
  });

  test.each<readonly [string, Partial<Place>]>([
    ['another server', { server: 'other.test:993' }],
    ['a server that nobody knows', { server: '' }],
    ['another UIDVALIDITY', { uidValidity: 8 }],
    ['another UID', { uid: 2 }],
    ['another folder', { path: 'Other' }],
  ])('not by a message in the same place but for %s, where no identity says that it is the same', (_, fields) => {
    const place = { ...placeAt(1), ...fields };
    expect(state(known('x', { place }), message(1, { identity: byMessageId('mA') }))).toEqual(shown);
    expect(state(known('x', { place, identity: byMessageId('') }), message(1, { identity: byMessageId('') }))).toEqual(shown);
    expect(state(known('x', { place, identity: byMessageId('mA') }), message(1))).toEqual(shown);
  });

  test('and what was only retrieved is so by whoever has the id', () => {
    expect(adoptedState(shown, known('x'), message(1))).toEqual(shown);
  });
});
