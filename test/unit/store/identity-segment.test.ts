import fc from 'fast-check';
import { expect, test } from 'vitest';
import { holds } from '../../support/holds.ts';
import { uid } from '../../support/fake-maildrop.ts';
import { decodeIdentities, encodeIdentities } from '../../../src/store/identity-segment.ts';

const keys = (...kinds: readonly string[]): fc.Arbitrary<string> =>
  fc.oneof(
    fc.constant(''),
    fc
      .tuple(fc.constantFrom(...kinds), fc.uint8Array({ minLength: 16, maxLength: 16 }))
      .map(([kind, hash]) => kind + Buffer.from(hash).toString('base64url')),
  );
const identity = fc.record({ given: keys('e', 'g'), messageId: fc.option(keys('m'), { nil: undefined }) });
const identities = fc
  .array(fc.tuple(fc.integer({ min: 1, max: 0xffff_ffff }).map(uid), identity), { maxLength: 30 })
  .map((entries) => new Map(entries));

test('identities come back from their octets as they were', () => {
  holds(
    fc.property(identities, (map) => {
      expect([...decodeIdentities(encodeIdentities(map))]).toEqual([...map].sort(([one], [other]) => one - other));
    }),
  );
});

test('octets that are no identities are none, whatever they are', () => {
  holds(
    fc.property(fc.uint8Array({ maxLength: 60 }), (octets) => {
      expect(decodeIdentities(octets)).toBeInstanceOf(Map);
    }),
  );
  expect(decodeIdentities(encodeIdentities(new Map([[uid(1), { given: '', messageId: '' }]])).subarray(0, 2))).toEqual(new Map());
});

test('identities of version 1 are read: one key a message, of either kind', () => {
  const key = Buffer.alloc(16, 7);
  const octets = Uint8Array.from([1, 3, 1, 'e'.charCodeAt(0), ...key, 1, 'm'.charCodeAt(0), ...key, 1, 0]);
  expect([...decodeIdentities(octets).values()]).toEqual([
    { given: `e${key.toString('base64url')}`, messageId: undefined },
    { given: '', messageId: `m${key.toString('base64url')}` },
    { given: '', messageId: '' },
  ]);
});
