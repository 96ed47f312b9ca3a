import { beforeEach, expect, test } from 'vitest';
import { RefusalDoubts } from '../../../src/daemon/refusal-doubts.ts';
import { FakeClock } from '../../support/fake-clock.ts';

const MINUTE_MS = 60_000;
let clock: FakeClock;
let doubts: RefusalDoubts;

beforeEach(() => {
  clock = new FakeClock();
  doubts = new RefusalDoubts(clock);
});

test('three refusals in a row, each a minute after the one before, are believed', async () => {
  expect(doubts.isBelieved('alice')).toBe(false);
  await clock.advance(MINUTE_MS);
  expect(doubts.isBelieved('Alice')).toBe(false);
  await clock.advance(MINUTE_MS);
  expect(doubts.isBelieved('alice')).toBe(true);
});

test('however many come within a minute, they are one', async () => {
  for (let times = 0; times < 20; times += 1) expect(doubts.isBelieved('alice')).toBe(false);
  await clock.advance(MINUTE_MS - 1);
  expect(doubts.isBelieved('alice')).toBe(false);
  await clock.advance(1);
  expect(doubts.isBelieved('alice')).toBe(false);
  await clock.advance(MINUTE_MS);
  expect(doubts.isBelieved('alice')).toBe(true);
});

test('a login between them makes them begin afresh, as does having been believed', async () => {
  const refuse = async (): Promise<boolean> => {
    await clock.advance(MINUTE_MS);
    return doubts.isBelieved('alice');
  };
  expect([await refuse(), await refuse()]).toEqual([false, false]);
  doubts.forget('ALICE');
  expect([await refuse(), await refuse(), await refuse()]).toEqual([false, false, true]);
  expect([await refuse(), await refuse(), await refuse()]).toEqual([false, false, true]);
});

test('each account has doubts of its own', async () => {
  for (let times = 0; times < 2; times += 1) {
    expect(doubts.isBelieved('alice')).toBe(false);
    await clock.advance(MINUTE_MS);
  }
  expect(doubts.isBelieved('bob')).toBe(false);
  expect(doubts.isBelieved('alice')).toBe(true);
});
