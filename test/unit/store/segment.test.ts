import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { holds } from '../../support/holds.ts';
import type { Segment } from '../../../src/maildrop/uid-map.ts';
import { decodeSegment, encodeSegment } from '../../../src/store/segment.ts';

const FORMULAS = ['83ecb521.5f5e1000.{uid:08x}', '{uid:08x}5f5e1000', '=<imported@id>'];

const time = fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 0xffff_ffff }));
const size = fc.oneof(fc.nat(100_000), fc.integer({ min: 0, max: 2 ** 48 }));

const messages = fc.uniqueArray(
  fc.record({
    uid: fc.integer({ min: 1, max: 0xffff_ffff }),
    declared: size,
    true: fc.option(size, { nil: undefined }),
    isAsDeclared: fc.boolean(),
    arrival: fc.integer({ min: -(2 ** 40), max: 2 ** 40 }),
    formula: fc.nat(FORMULAS.length - 1),
    idUid: fc.option(fc.integer({ min: 1, max: 0xffff_ffff }), { nil: undefined }),
    times: fc.tuple(time, time, time),
  }),
  { selector: (row) => row.uid, maxLength: 30 },
);

const segments: fc.Arbitrary<Segment> = fc.tuple(messages, fc.boolean()).map(([unordered, isTouched]) => {
  const rows = unordered.sort((one, other) => one.uid - other.uid);
  return {
    uids: Uint32Array.from(rows, (row) => row.uid),
    declaredOctets: Float64Array.from(rows, (row) => row.declared),
    trueOctets: Float64Array.from(rows, (row) => (row.isAsDeclared ? row.declared : (row.true ?? -1))),
    arrivals: Float64Array.from(rows, (row) => row.arrival),
    formulas: FORMULAS,
    formulaOf: Uint16Array.from(rows, (row) => row.formula),
    idUids: Uint32Array.from(rows, (row) => row.idUid ?? row.uid),
    states: isTouched
      ? {
          retrievedAt: Uint32Array.from(rows, (row) => row.times[0]),
          deletedAt: Uint32Array.from(rows, (row) => row.times[1]),
          dueAt: Uint32Array.from(rows, (row) => row.times[2]),
        }
      : undefined,
  };
});

/** A mailbox as they are: UIDs with small gaps, some kilobytes, a message an hour. */
function ordinary(count: number): Segment {
  const indices = Array.from({ length: count }, (_, index) => index);
  const uids = Uint32Array.from(indices, (index) => 50_000 + index * 2);
  return {
    uids,
    declaredOctets: Float64Array.from(indices, (index) => 4_000 + ((index * 7919) % 60_000)),
    trueOctets: Float64Array.from(indices, (index) => (index % 3 === 0 ? 4_000 + ((index * 7919) % 60_000) : -1)),
    arrivals: Float64Array.from(indices, (index) => 1_700_000_000 + index * 3_600),
    formulas: count === 0 ? [] : FORMULAS.slice(0, 1),
    formulaOf: new Uint16Array(count),
    idUids: uids,
    states: undefined,
  };
}

describe('a segment of the UID map', () => {
  test('comes back from its octets as it was, with sizes beyond 2^32', () => {
    holds(
      fc.property(segments, (segment) => {
        expect(decodeSegment(encodeSegment(segment))).toEqual(segment);
      }),
    );
  });

  test.each([0, 1, -1, 2 ** 31, 2 ** 32, 2 ** 32 + 1, 2 ** 50])('keeps a true size of %d (-1: unknown)', (octets) => {
    const segment: Segment = { ...ordinary(1), declaredOctets: Float64Array.of(2 ** 32 + 5), trueOctets: Float64Array.of(octets) };
    expect(decodeSegment(encodeSegment(segment))).toEqual(segment);
  });

  test('takes at most nine octets a message', () => {
    expect(encodeSegment(ordinary(1024)).length / 1024).toBeLessThanOrEqual(9);
  });

  test('without messages is four octets', () => {
    expect(encodeSegment(ordinary(0))).toHaveLength(4);
  });

  test('cut short anywhere throws RangeError', () => {
    holds(
      fc.property(segments, fc.nat(), (segment, at) => {
        const octets = encodeSegment(segment);
        expect(() => decodeSegment(octets.subarray(0, at % octets.length))).toThrow(RangeError);
      }),
    );
  });

  test('with octets too many throws RangeError', () => {
    holds(
      fc.property(segments, fc.uint8Array({ minLength: 1, maxLength: 5 }), (segment, more) => {
        expect(() => decodeSegment(Buffer.concat([encodeSegment(segment), more]))).toThrow(RangeError);
      }),
    );
  });

  test.each([
    ['nothing', []],
    ['another version', [1, 0]],
    ['version zero', [0, 0]],
    ['a number that never ends', [2, ...Array.from({ length: 20 }, () => 0xff)]],
    ['a UID of zero', [2, 1, 1, 61, 1, 0, 0, 0, 0, 0]],
    ['a formula that is not there', [2, 1, 1, 61, 1, 1, 1, 0, 0, 0, 1, 0]],
    ['too many formulas', [2, 0xff, 0xff, 0x7f]],
    ['a UID beyond 32 bits', [2, 1, 1, 61, 1, 0, 0x80, 0x80, 0x80, 0x80, 0x10, 0, 0, 0]],
    ['a count beyond the octets', [2, 1, 1, 61, 0xff, 0x07, 0, 1, 0, 0, 0]],
  ])('made of %s throws RangeError', (_, octets) => {
    expect(() => decodeSegment(Uint8Array.from(octets))).toThrow(RangeError);
  });

  test('out of any octets is a RangeError or a segment whose arrays match', () => {
    const octets = fc.oneof(
      fc.uint8Array({ maxLength: 40 }),
      fc.uint8Array({ maxLength: 40 }).map((rest) => Uint8Array.of(2, 1, 1, 61, 2, ...rest)),
    );
    holds(
      fc.property(octets, (input) => {
        try {
          const segment = decodeSegment(input);
          const lengths = [segment.uids, segment.declaredOctets, segment.trueOctets, segment.arrivals].map((array) => array.length);
          expect(new Set(lengths).size).toBe(1);
        } catch (error) {
          expect(error).toBeInstanceOf(RangeError);
        }
      }),
    );
  });
});
