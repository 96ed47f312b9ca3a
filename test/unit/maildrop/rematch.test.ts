import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { rematch, type Recognisable } from '../../../src/maildrop/rematch.ts';

interface Message extends Recognisable {
  readonly uid: number;
}

const message = (uid: number, identity: string | undefined, arrival = 1000, octets = 100): Message => ({ uid, identity, arrival, octets });

/** What was matched, as [new UID, old UID]. */
function pairs(old: readonly Message[], fresh: readonly Message[]): (readonly [number, number])[] {
  return [...rematch(old, fresh).matches].map(([one, other]) => [one.uid, other.uid] as const).sort(([one], [other]) => one - other);
}

describe('a message is found again', () => {
  test('by identity, arrival and size, in whatever order the new mailbox has them', () => {
    const old = [message(1, 'm:a'), message(2, 'm:b'), message(3, 'm:c')];
    expect(pairs(old, [message(11, 'm:c'), message(12, 'm:a'), message(13, 'm:b')])).toEqual([
      [11, 3],
      [12, 1],
      [13, 2],
    ]);
  });

  test('by what the server calls it, though arrival and size are told differently', () => {
    expect(pairs([message(1, 'e:a', 1, 1)], [message(9, 'e:a', 2, 2)])).toEqual([[9, 1]]);
  });

  test('by Message-ID and arrival where another product counts octets differently', () => {
    expect(pairs([message(1, 'm:a', 7, 100)], [message(9, 'm:a', 7, 104)])).toEqual([[9, 1]]);
  });

  test('in its copies: as many as there were, each once', () => {
    const old = [message(1, 'm:a'), message(2, 'm:a'), message(3, 'm:a')];
    expect(pairs(old, [message(11, 'm:a'), message(12, 'm:a')])).toEqual([
      [11, 1],
      [12, 2],
    ]);
    expect(pairs(old.slice(0, 1), [message(11, 'm:a'), message(12, 'm:a')])).toEqual([[11, 1]]);
  });
});

describe('a message is not taken for another', () => {
  test.each([
    ['another Message-ID', [message(1, 'm:a')], [message(9, 'm:b')], 0],
    ['the same Message-ID, another arrival: resent or resembled', [message(1, 'm:a', 1)], [message(9, 'm:a', 2)], 1],
    [
      'two that differ in size alone, both told differently now',
      [message(1, 'm:a', 7, 1), message(2, 'm:a', 7, 2)],
      [message(9, 'm:a', 7, 3)],
      1,
    ],
    ['without identity, whatever else is the same', [message(1, undefined)], [message(9, undefined)], 0],
    ['of another kind', [message(1, 'e:a')], [message(9, 'm:a')], 0],
  ])('%s', (_, old, fresh, ambiguous) => {
    expect(pairs(old, fresh)).toEqual([]);
    expect(rematch(old, fresh).ambiguous).toHaveLength(ambiguous);
  });
});

const identities = fc.constantFrom(undefined, 'e:a', 'e:b', 'g:1', 'm:a', 'm:b', 'm:c');
const mailbox = fc
  .array(fc.record({ identity: identities, arrival: fc.nat(2), octets: fc.nat(2) }), { maxLength: 12 })
  .map((rows) => rows.map((row, index): Message => ({ ...row, uid: index + 1 })));

describe('matching', () => {
  test('is one to one, of equal identities, and gives each new message once', () => {
    fc.assert(
      fc.property(mailbox, mailbox, (old, fresh) => {
        const { matches, ambiguous } = rematch(old, fresh);
        expect(new Set(matches.values()).size).toBe(matches.size);
        for (const [one, other] of matches) expect(one.identity).toBe(other.identity);
        expect(ambiguous.filter((one) => matches.has(one))).toEqual([]);
      }),
    );
  });

  test('of a mailbox with itself in any order loses nothing that has an identity', () => {
    fc.assert(
      fc.property(mailbox, fc.func(fc.nat(1_000)), (old, rank) => {
        const fresh = [...old].sort((one, other) => rank(one.uid) - rank(other.uid)).map((one) => ({ ...one, uid: one.uid + 100 }));
        const { matches, ambiguous } = rematch(old, fresh);
        expect(matches.size).toBe(old.filter(({ identity }) => identity !== undefined).length);
        expect(ambiguous).toEqual([]);
        for (const [one, other] of matches)
          expect([one.identity, one.arrival, one.octets]).toEqual([other.identity, other.arrival, other.octets]);
      }),
    );
  });
});
