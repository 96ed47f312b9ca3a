import { expect, test } from 'vitest';
import { patience, patienceText, slowness, slownessFrom } from '../../support/patience.ts';

test('a slow round stretches the limits, a quick machine does not shorten them', () => {
  expect(slownessFrom([20, 25])).toBe(1);
  expect(slownessFrom([40, 240, 60])).toBe(4);
});

test('the measure is taken once, and every limit is a multiple of it', () => {
  const measured = slowness();
  expect(measured).toBeGreaterThanOrEqual(1);
  expect(slowness()).toBe(measured);
  expect(process.env['TEST_SLOWNESS']).toBe(String(measured));
  expect(patience(1_000)).toBe(Math.ceil(1_000 * measured));
  expect(patienceText(1_000)).toBe(`${patience(1_000)}ms`);
});
