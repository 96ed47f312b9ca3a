import fc from 'fast-check';
import { expect, test } from 'vitest';
import { uid } from '../../support/fake-maildrop.ts';
import { decodeGone, encodeGone } from '../../../src/store/gone-messages.ts';
import { decodeIdentities, encodeIdentities } from '../../../src/store/identity-segment.ts';

const keys = fc.oneof(
  fc.constant(''),
  fc
    .tuple(fc.constantFrom('e', 'g', 'm'), fc.uint8Array({ minLength: 16, maxLength: 16 }))
    .map(([kind, hash]) => kind + Buffer.from(hash).toString('base64url')),
);
const identities = fc
  .array(fc.tuple(fc.integer({ min: 1, max: 0xffff_ffff }).map(uid), keys), { maxLength: 30 })
  .map((entries) => new Map(entries));

test('identities come back from their octets as they were', () => {
  fc.assert(
    fc.property(identities, (map) => {
      expect([...decodeIdentities(encodeIdentities(map))]).toEqual([...map].sort(([one], [other]) => one - other));
    }),
  );
});

test('octets that are no identities are none, whatever they are', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), (octets) => {
      expect(decodeIdentities(octets)).toBeInstanceOf(Map);
    }),
  );
  expect(decodeIdentities(encodeIdentities(new Map([[uid(1), '']])).subarray(0, 2))).toEqual(new Map());
});

test('messages that went come back as they were, and text that makes no sense is none', () => {
  const gone = [
    { formula: '83ecb521.5f5e1000.{uid:08x}', idUid: 7, identity: 'mAAAAAAAAAAAAAAAAAAAAAA', arrival: 1, octets: 2 },
    { formula: '=<old@id>', idUid: 8, identity: undefined, arrival: -1, octets: 2 ** 40 },
  ];
  expect(decodeGone(encodeGone(gone))).toEqual(gone);
  for (const text of ['', '{', '7', '[7]', '[["a"]]', '[[1,2,3,4,5]]']) expect(decodeGone(text)).toEqual([]);
});
