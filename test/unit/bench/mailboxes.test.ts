import fc from 'fast-check';
import { expect, test } from 'vitest';
import { holds } from '../../support/holds.ts';
import { SampleMessages } from '../../bench/sample-message.ts';
import { lognormalSizes, seededRandom } from '../../bench/seeded-random.ts';

test('a seed gives the same numbers again, between 0 and 1', () => {
  const draw = (seed: number): number[] => Array.from({ length: 1000 }, seededRandom(seed));
  const numbers = draw(7);
  expect(draw(7)).toEqual(numbers);
  expect(draw(8)).not.toEqual(numbers);
  expect(numbers.every((number) => number >= 0 && number < 1)).toBe(true);
});

test('sizes make the total, and are those of mail: half of them small, one huge', () => {
  const sizes = lognormalSizes(seededRandom(1), 500, 190_000_000, 1500).toSorted((one, other) => one - other);
  expect(sizes.reduce((sum, size) => sum + size)).toBe(190_000_000);
  expect(sizes[0]).toBeGreaterThanOrEqual(1500);
  expect(sizes[250]).toBeLessThan(200_000);
  expect(sizes[499]).toBeGreaterThan(3_000_000);
});

test('a message has the size that was asked for, whole lines with CRLF, and is the same again', () => {
  holds(
    fc.property(fc.integer({ min: 512, max: 20_000 }), (size) => {
      const message = new SampleMessages(3).next(size);
      const text = message.toString('latin1');
      expect(message.length).toBe(size);
      expect(text).toMatch(/^Received: [^]*\r\n\r\n[^]*\r\n$/);
      expect(text.replaceAll('\r\n', '')).not.toMatch(/[\r\n]/);
      expect(new SampleMessages(3).next(size).equals(message)).toBe(true);
    }),
  );
});

test('some lines begin with a dot', () => {
  expect(new SampleMessages(3).next(100_000).toString('latin1')).toContain('\r\n.');
});
