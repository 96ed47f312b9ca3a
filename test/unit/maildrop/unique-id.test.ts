import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { uid, uidValidity } from '../../support/fake-maildrop.ts';
import { uniqueIdFormula } from '../../../src/maildrop/unique-id.ts';

const parts = fc.record({
  folder: fc.integer({ min: 0, max: 0xffff_ffff }),
  validity: fc.integer({ min: 1, max: 0xffff_ffff }),
  uid: fc.integer({ min: 1, max: 0xffff_ffff }),
});

type Parts = typeof parts extends fc.Arbitrary<infer Value> ? Value : never;

function uniqueId({ folder, validity, uid: number }: Parts): string {
  return uniqueIdFormula(folder, uidValidity(validity))(uid(number));
}

describe('a unique-id', () => {
  test.each([
    [{ folder: 0, validity: 1, uid: 1 }, '00000000.00000001.00000001'],
    [{ folder: 0xffff_ffff, validity: 0xffff_ffff, uid: 0xffff_ffff }, 'ffffffff.ffffffff.ffffffff'],
    [{ folder: 0x1234abcd, validity: 7, uid: 101 }, '1234abcd.00000007.00000065'],
  ])('of %j is %s, for ever', (of, id) => {
    expect(uniqueId(of)).toBe(id);
  });

  test('has 26 characters out of 0-9a-f and "." (RFC 1939 section 7; CONTRACT section 5.4)', () => {
    fc.assert(
      fc.property(parts, (of) => {
        expect(uniqueId(of)).toMatch(/^[0-9a-f]{8}\.[0-9a-f]{8}\.[0-9a-f]{8}$/);
        expect(uniqueId(of)).toHaveLength(26);
      }),
    );
  });

  test('is never shared, not even ignoring case, by two messages, epochs or folders', () => {
    const near = fc.record({ folder: fc.constantFrom(1, 0x11), validity: fc.constantFrom(1, 0x11), uid: fc.constantFrom(1, 0x11, 0x111) });
    fc.assert(
      fc.property(fc.oneof(parts, near), fc.oneof(parts, near), (one, other) => {
        const same = one.folder === other.folder && one.validity === other.validity && one.uid === other.uid;
        expect(uniqueId(one).toUpperCase() === uniqueId(other).toUpperCase()).toBe(same);
      }),
    );
  });
});
