import { describe, expect, test } from 'vitest';
import { isSameMessage, type Found, type Recorded } from '../../../src/maildrop/verification.ts';
import { UNIDENTIFIED, type Identity } from '../../../src/maildrop/rematch.ts';

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
