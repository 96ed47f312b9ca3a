import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { uid } from '../../support/fake-maildrop.ts';
import type { Segment } from '../../../src/maildrop/uid-map.ts';
import { decodeSegment, encodeSegment } from '../../../src/store/segment.ts';

const FORMULA = 'popbridge';

const size = fc.oneof(fc.nat(100_000), fc.integer({ min: 0, max: 2 ** 48 }));

const segments: fc.Arbitrary<Segment> = fc
  .uniqueArray(
    fc.record({
      uid: fc.integer({ min: 1, max: 0xffff_ffff }),
      declared: size,
      true: fc.option(size, { nil: undefined }),
      isAsDeclared: fc.boolean(),
      arrival: fc.integer({ min: -(2 ** 40), max: 2 ** 40 }),
    }),
    { selector: (row) => row.uid, maxLength: 30 },
  )
  .map((unordered) => {
    const rows = unordered.sort((one, other) => one.uid - other.uid);
    return {
      formula: FORMULA,
      uids: rows.map((row) => uid(row.uid)),
      declaredOctets: rows.map((row) => row.declared),
      trueOctets: rows.map((row) => (row.isAsDeclared ? row.declared : (row.true ?? -1))),
      arrivals: rows.map((row) => row.arrival),
    };
  });

/** A mailbox as they are: UIDs with small gaps, some kilobytes, a message an hour. */
function ordinary(count: number): Segment {
  const indices = Array.from({ length: count }, (_, index) => index);
  return {
    formula: FORMULA,
    uids: indices.map((index) => uid(50_000 + index * 2)),
    declaredOctets: indices.map((index) => 4_000 + ((index * 7919) % 60_000)),
    trueOctets: indices.map((index) => (index % 3 === 0 ? 4_000 + ((index * 7919) % 60_000) : -1)),
    arrivals: indices.map((index) => 1_700_000_000 + index * 3_600),
  };
}

describe('a segment of the UID map', () => {
  test('comes back from its octets as it was, with sizes beyond 2^32', () => {
    fc.assert(
      fc.property(segments, (segment) => {
        expect(decodeSegment(encodeSegment(segment), FORMULA)).toEqual(segment);
      }),
    );
  });

  test.each([0, 1, -1, 2 ** 31, 2 ** 32, 2 ** 32 + 1, 2 ** 50])('keeps a true size of %d (-1: unknown)', (octets) => {
    const segment: Segment = { formula: FORMULA, uids: [uid(1)], declaredOctets: [2 ** 32 + 5], trueOctets: [octets], arrivals: [0] };
    expect(decodeSegment(encodeSegment(segment), FORMULA)).toEqual(segment);
  });

  test('takes at most nine octets a message', () => {
    expect(encodeSegment(ordinary(1024)).length / 1024).toBeLessThanOrEqual(9);
  });

  test('without messages is two octets', () => {
    expect(encodeSegment(ordinary(0))).toHaveLength(2);
  });

  test('cut short anywhere throws RangeError', () => {
    fc.assert(
      fc.property(segments, fc.nat(), (segment, at) => {
        const octets = encodeSegment(segment);
        expect(() => decodeSegment(octets.subarray(0, at % octets.length), FORMULA)).toThrow(RangeError);
      }),
    );
  });

  test('with octets too many throws RangeError', () => {
    fc.assert(
      fc.property(segments, fc.uint8Array({ minLength: 1, maxLength: 5 }), (segment, more) => {
        expect(() => decodeSegment(Buffer.concat([encodeSegment(segment), more]), FORMULA)).toThrow(RangeError);
      }),
    );
  });

  test.each([
    ['nothing', []],
    ['another version', [2, 0]],
    ['version zero', [0, 0]],
    ['a number that never ends', [1, ...Array.from({ length: 20 }, () => 0xff)]],
    ['a UID of zero', [1, 1, 0, 0, 0, 0]],
    ['a UID beyond 32 bits', [1, 1, 0x80, 0x80, 0x80, 0x80, 0x10, 0, 0, 0]],
    ['a count beyond the octets', [1, 0xff, 0xff, 0xff, 0xff, 0x7f, 1, 0, 0, 0]],
  ])('made of %s throws RangeError', (_, octets) => {
    expect(() => decodeSegment(Uint8Array.from(octets), FORMULA)).toThrow(RangeError);
  });

  test('out of any octets is a RangeError or a segment whose arrays match', () => {
    const octets = fc.oneof(
      fc.uint8Array({ maxLength: 40 }),
      fc.uint8Array({ maxLength: 40 }).map((rest) => Uint8Array.of(1, 2, ...rest)),
    );
    fc.assert(
      fc.property(octets, (input) => {
        try {
          const segment = decodeSegment(input, FORMULA);
          const lengths = [segment.uids, segment.declaredOctets, segment.trueOctets, segment.arrivals].map((array) => array.length);
          expect(new Set(lengths).size).toBe(1);
        } catch (error) {
          expect(error).toBeInstanceOf(RangeError);
        }
      }),
    );
  });
});
