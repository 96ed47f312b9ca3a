import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { holds } from '../../support/holds.ts';
import { differ, rematch, type Identity, type Recognisable } from '../../../src/maildrop/rematch.ts';

interface Message extends Recognisable {
  readonly uid: number;
}

/** From "e:a", "m:b" or both in a text. */
function identityOf(keys: string | undefined): Identity {
  const all = keys?.split(' ') ?? [];
  return { given: all.find((key) => !key.startsWith('m')) ?? '', messageId: all.find((key) => key.startsWith('m')) };
}

const message = (uid: number, identity: string | undefined, arrival = 1000, octets = 100): Message => ({
  uid,
  identity: identityOf(identity),
  arrival,
  octets,
});

/** What was matched, as [new UID, old UID]. */
function pairs(old: readonly Message[], fresh: readonly Message[], isWholeMailbox = false): (readonly [number, number])[] {
  return [...rematch(old, fresh, isWholeMailbox).matches]
    .map(([one, other]) => [one.uid, other.uid] as const)
    .sort(([one], [other]) => one - other);
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

describe('of a whole mailbox, a message is found again', () => {
  test('on a product of another kind: by Message-ID, though both give identities of their own', () => {
    expect(pairs([message(1, 'e:a m:a')], [message(9, 'g:7 m:a')], true)).toEqual([[9, 1]]);
  });

  test('where arrivals were not kept: by Message-ID and size, then by a Message-ID that is unique on both sides', () => {
    const old = [message(1, 'm:a', 1, 10), message(2, 'm:a', 2, 20), message(3, 'm:b', 3, 30)];
    expect(pairs(old, [message(11, 'm:a', 9, 20), message(12, 'm:a', 9, 10), message(13, 'm:b', 9, 31)], true)).toEqual([
      [11, 2],
      [12, 1],
      [13, 3],
    ]);
  });

  test('without an identity: by arrival and size, where these are unique and nothing speaks against it', () => {
    expect(pairs([message(1, undefined, 5, 6)], [message(9, 'e:z', 5, 6)], true)).toEqual([[9, 1]]);
    expect(pairs([message(1, 'e:a', 5, 6)], [message(9, 'e:z', 5, 6)], true)).toEqual([]);
    expect(pairs([message(1, undefined, 5, 6), message(2, undefined, 5, 6)], [message(9, undefined, 5, 6)], true)).toEqual([]);
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
    expect(rematch(old, fresh, false).ambiguous).toHaveLength(ambiguous);
  });
});

const identities = fc.constantFrom(undefined, 'e:a', 'e:b', 'g:1', 'm:a', 'm:b', 'm:c', 'e:a m:a', 'e:c m:a').map(identityOf);
const mailbox = fc
  .array(fc.record({ identity: identities, arrival: fc.nat(2), octets: fc.nat(2) }), { maxLength: 12 })
  .map((rows) => rows.map((row, index): Message => ({ ...row, uid: index + 1 })));

describe('matching', () => {
  test('is one to one, of equal identities, and gives each new message once', () => {
    holds(
      fc.property(mailbox, mailbox, (old, fresh) => {
        const { matches, ambiguous } = rematch(old, fresh, false);
        expect(new Set(matches.values()).size).toBe(matches.size);
        for (const [one, other] of matches) expect(differ(one.identity, other.identity)).toBe(false);
        expect(ambiguous.filter((one) => matches.has(one))).toEqual([]);
      }),
    );
  });

  test('of a mailbox with itself in any order loses nothing that has an identity', () => {
    holds(
      fc.property(mailbox, fc.func(fc.nat(1_000)), (old, rank) => {
        const fresh = [...old].sort((one, other) => rank(one.uid) - rank(other.uid)).map((one) => ({ ...one, uid: one.uid + 100 }));
        const { matches, ambiguous } = rematch(old, fresh, false);
        expect(matches.size).toBe(old.filter(({ identity }) => identity.given !== '' || identity.messageId !== undefined).length);
        expect(ambiguous).toEqual([]);
        for (const [one, other] of matches)
          expect([differ(one.identity, other.identity), one.arrival, one.octets]).toEqual([false, other.arrival, other.octets]);
      }),
    );
  });
});
