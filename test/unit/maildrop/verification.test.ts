import { describe, expect, test } from 'vitest';
import {
  hasAnotherDate,
  isDoubtfulByHeader,
  isListedAgain,
  isSameMessage,
  verdictOn,
  type Found,
  type Recorded,
  type Verdict,
} from '../../../src/maildrop/verification.ts';
import { UNIDENTIFIED, type Identity, type Recognisable } from '../../../src/maildrop/rematch.ts';

const recorded = (fields: Partial<Recorded> = {}): Recorded => ({
  declaredOctets: 100,
  trueOctets: undefined,
  arrival: 1_000,
  identity: UNIDENTIFIED,
  ...fields,
});
const found = (fields: Partial<Found> = {}): Found => ({ octets: 100, arrival: 1_000, identity: UNIDENTIFIED, ...fields });
const given = (name: string): Identity => ({ given: name, messageId: undefined });
const byMessageId = (messageId: string | undefined): Identity => ({ given: '', messageId });

describe('a message that is to be removed is still the one that was listed', () => {
  test.each<readonly [string, Recorded, Found]>([
    ['by arrival and size', recorded(), found()],
    ['by the size that was counted when it was sent', recorded({ trueOctets: 104 }), found({ octets: 104 })],
    ['by the size of the listing, though another was counted', recorded({ trueOctets: 104 }), found()],
    [
      'by what the server calls it, whatever else it tells',
      recorded({ identity: given('e:a') }),
      found({ identity: given('e:a'), arrival: 1, octets: 1 }),
    ],
    [
      'by Message-ID, whatever else it tells',
      recorded({ identity: byMessageId('m:a') }),
      found({ identity: byMessageId('m:a'), arrival: 1, octets: 1 }),
    ],
    [
      'by arrival and size, where only one side has an identity',
      recorded({ identity: given('e:a') }),
      found({ identity: byMessageId('m:a') }),
    ],
    ['by arrival and size, where neither has a Message-ID', recorded({ identity: byMessageId('') }), found({ identity: byMessageId('') })],
  ])('%s', (_, one, other) => expect(isSameMessage(one, other)).toBe(true));
});

describe('it is another one', () => {
  test.each<readonly [string, Recorded, Found]>([
    ['of another size', recorded(), found({ octets: 101 })],
    ['of another arrival', recorded(), found({ arrival: 1_001 })],
    [
      'that the server calls otherwise, though all else is the same',
      recorded({ identity: given('e:a') }),
      found({ identity: given('e:b') }),
    ],
    ['with another Message-ID', recorded({ identity: byMessageId('m:a') }), found({ identity: byMessageId('m:b') })],
    [
      'of another size, with a Message-ID where none was found',
      recorded({ identity: byMessageId('') }),
      found({ identity: byMessageId('m:a'), octets: 1 }),
    ],
    [
      'of another size, where neither has a Message-ID',
      recorded({ identity: byMessageId('') }),
      found({ identity: byMessageId(''), octets: 1 }),
    ],
    ['of another size and another kind of identity', recorded({ identity: given('e:a') }), found({ identity: given('g:a'), octets: 1 })],
  ])('%s', (_, one, other) => expect(isSameMessage(one, other)).toBe(false));
});

describe('the server has to be asked again', () => {
  test.each<readonly [string, Recorded, Found]>([
    ['about one without a size', recorded(), found({ octets: 0 })],
    ['about one without an arrival', recorded(), found({ arrival: 0 })],
    ['about one of which it never told anything', recorded({ declaredOctets: 0, arrival: 0 }), found()],
    ['about one whose Message-ID is known, and that came without its header', recorded({ identity: byMessageId('m:a') }), found()],
  ])('%s', (_, one, other) => expect(isSameMessage(one, other)).toBe(false));

  test.each<readonly [string, Recorded, Found]>([
    ['about one of which it never told an arrival', recorded({ arrival: 0 }), found()],
    ['about one of which it never told a size', recorded({ declaredOctets: 0 }), found()],
    ['about one whose size is known from RETR alone', recorded({ declaredOctets: 0, arrival: 0, trueOctets: 104 }), found({ octets: 104 })],
    [
      'about one that came without anything but its Message-ID',
      recorded({ identity: byMessageId('m:a') }),
      found({ octets: 0, arrival: 0, identity: byMessageId('m:a') }),
    ],
  ])('not %s', (_, one, other) => expect(isSameMessage(one, other)).toBe(true));
});

describe('two answers', () => {
  const nothing = byMessageId('');
  const named = byMessageId('m:x');
  interface Case {
    readonly before?: Partial<Recorded>;
    /** What both answers, or the first and the last, tell. */
    readonly now: Partial<Found> | readonly [Partial<Found>, Partial<Found>];
    readonly isListedNow?: boolean;
  }
  const verdict = ({ before = {}, now, isListedNow = false }: Case): Verdict => {
    const [first, last] = 'length' in now ? now : [now, now];
    return verdictOn(recorded(before), [found(first), found(last)], isListedNow);
  };

  test.each<readonly [string, Verdict, Case]>([
    ['an arrival and a size that were told only now', 'unsure', { before: { declaredOctets: 0, arrival: 0 }, now: {} }],
    ['no size any more', 'unsure', { now: { octets: 0 } }],
    ['no arrival any more', 'unsure', { now: { arrival: 0 } }],
    ['neither any more', 'unsure', { now: { octets: 0, arrival: 0 } }],
    ['a row without a size, then a whole one', 'same', { now: [{ octets: 0 }, {}] }],
    ['a size that changed, of a message without a telling header', 'same', { now: { octets: 112, identity: nothing } }],
    ['that, where it was looked at before', 'same', { before: { identity: nothing }, now: { octets: 112, identity: nothing } }],
    ['a size that changed, of one that was never looked at', 'unsure', { now: { octets: 112, identity: named } }],
    ['that, where the size was told in this session', 'other', { now: { octets: 112, identity: named }, isListedNow: true }],
    ['another size, and a header where none was', 'other', { before: { identity: nothing }, now: { octets: 112, identity: named } }],
    ['another size and no header at all', 'unsure', { now: { octets: 112 } }],
    ['another size, the only thing that was ever told', 'unsure', { before: { arrival: 0 }, now: { octets: 112, identity: nothing } }],
    ['another arrival', 'other', { now: { arrival: 1_001 } }],
    ['another arrival, with a telling header', 'other', { now: { arrival: 1_001, identity: named } }],
    ['another arrival, without one', 'same', { now: { arrival: 1_001, identity: nothing } }],
    ['another arrival and another size, without one', 'other', { now: { arrival: 1_001, octets: 112, identity: nothing } }],
    ['another arrival and no size', 'other', { now: { arrival: 1_001, octets: 0, identity: nothing } }],
    ['an arrival that wanders', 'same', { now: [{ arrival: 1_001 }, { arrival: 1_002 }] }],
    [
      'an arrival that wanders, and another size',
      'unsure',
      {
        now: [
          { arrival: 1_001, octets: 112 },
          { arrival: 1_002, octets: 112 },
        ],
      },
    ],
    ['a size that wanders', 'same', { now: [{ octets: 101 }, { octets: 102 }] }],
    [
      'a size that wanders, and another arrival',
      'other',
      {
        now: [
          { arrival: 1_001, octets: 101 },
          { arrival: 1_001, octets: 102 },
        ],
      },
    ],
    [
      'both that wander',
      'same',
      {
        now: [
          { arrival: 1_001, octets: 101 },
          { arrival: 1_002, octets: 102 },
        ],
      },
    ],
    [
      'both that wander, and a header that is gone',
      'unsure',
      {
        before: { identity: named },
        now: [
          { arrival: 1, octets: 1, identity: nothing },
          { arrival: 2, octets: 2, identity: nothing },
        ],
      },
    ],
    [
      'both that wander, and another Message-ID',
      'other',
      {
        before: { identity: byMessageId('m:a') },
        now: [
          { arrival: 1, octets: 1, identity: named },
          { arrival: 2, octets: 2, identity: named },
        ],
      },
    ],
    ['a Message-ID and no header', 'unsure', { before: { identity: named }, now: {} }],
    ['a Message-ID, then none in the header', 'same', { before: { identity: named }, now: { identity: nothing } }],
    ['another name by the server', 'other', { before: { identity: given('e:a') }, now: { identity: given('e:b') } }],
    [
      'the same name by the server, the second time',
      'same',
      { before: { identity: given('e:a') }, now: [{ octets: 1 }, { octets: 2, identity: given('e:a') }] },
    ],
  ])('that tell of %s: %s', (_, expected, one) => expect(verdict(one)).toBe(expected));
});

describe('the beginning of a message is read', () => {
  const known = recorded({ identity: byMessageId('m:a') });
  const both = (one: Found): readonly [Found, Found] => [one, one];

  test.each<readonly [string, Recorded, readonly [Found, Found], boolean]>([
    ['where its header did not come', known, both(found()), true],
    ['where its header reads otherwise', known, both(found({ identity: byMessageId('m:b') })), true],
    ['where that and its size are others', known, both(found({ identity: byMessageId('m:b'), octets: 1 })), true],
    ['not where its arrival says enough', known, both(found({ identity: byMessageId('m:b'), arrival: 1 })), false],
    ['but where its arrival wanders', known, [found({ arrival: 1 }), found({ identity: byMessageId('m:b'), arrival: 2 })], true],
    ['not where its Message-ID was never known', recorded(), both(found({ identity: byMessageId('m:b'), octets: 1 })), false],
    [
      'not where the server calls it something else',
      recorded({ identity: { given: 'e:a', messageId: 'm:a' } }),
      both(found({ identity: given('e:b') })),
      false,
    ],
  ])('%s', (_, one, answers, expected) => expect(isDoubtfulByHeader(one, answers)).toBe(expected));
});

describe('a message listed anew under a known UID', () => {
  const message = (fields: Partial<Recognisable> = {}): Recognisable => ({
    octets: 100,
    arrival: 1_000,
    identity: UNIDENTIFIED,
    ...fields,
  });
  const nothing = byMessageId('');

  test.each<readonly [string, boolean, Recognisable, Recognisable, boolean]>([
    ['of the same size and arrival is the known one', true, message(), message(), false],
    [
      'with the same Message-ID too',
      true,
      message({ identity: byMessageId('m:a') }),
      message({ identity: byMessageId('m:a'), octets: 1, arrival: 1 }),
      false,
    ],
    ['with another Message-ID is not', false, message({ identity: byMessageId('m:a') }), message({ identity: byMessageId('m:b') }), true],
    ['of another size is not', false, message(), message({ octets: 101 }), true],
    ['of another arrival is not', false, message(), message({ arrival: 1_001 }), true],
    [
      'of another arrival is, where neither has a telling header',
      true,
      message({ identity: nothing }),
      message({ arrival: 1_001, identity: nothing }),
      true,
    ],
    ['of another size is, where neither has one', true, message(), message({ octets: 101, identity: nothing }), true],
    ['that is so in the same mailbox alone', false, message({ identity: nothing }), message({ octets: 101, identity: nothing }), false],
    [
      'of another size and arrival is not',
      false,
      message({ identity: nothing }),
      message({ octets: 1, arrival: 1, identity: nothing }),
      true,
    ],
    [
      'with a header where none was is not',
      false,
      message({ identity: nothing }),
      message({ octets: 101, identity: byMessageId('m:a') }),
      true,
    ],
    [
      'without one where one was is not',
      false,
      message({ identity: byMessageId('m:a') }),
      message({ octets: 101, identity: nothing }),
      true,
    ],
  ])('%s', (_, expected, before, now, isSameMailbox) => expect(isListedAgain(before, now, isSameMailbox)).toBe(expected));
});

describe('a known message seems to be another one', () => {
  test.each<readonly [string, boolean, number, readonly [number, number]]>([
    ['with another date, twice', true, 1_000, [2_000, 2_000]],
    ['also where the second answer tells none', true, 1_000, [2_000, 0]],
    ['not with the same date', false, 1_000, [1_000, 1_000]],
    ['not with a date that wanders', false, 1_000, [2_000, 2_001]],
    ['not with one that came right', false, 1_000, [2_000, 1_000]],
    ['not where none is told', false, 1_000, [0, 2_000]],
    ['not where none was known', false, 0, [2_000, 2_000]],
  ])('%s', (_, expected, before, answers) => expect(hasAnotherDate(before, answers)).toBe(expected));
});
