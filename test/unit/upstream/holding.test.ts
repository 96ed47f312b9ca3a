import { expect, test } from 'vitest';
import { Holding, type Holder } from '../../../src/upstream/holding.ts';
import { FakeClock } from '../../support/fake-clock.ts';

interface Client extends Holder {
  readonly asked: string[];
}

const client = (): Client => {
  const asked: string[] = [];
  return { asked, giveWay: () => void asked.push('give way'), giveUp: () => void asked.push('give up') };
};

const flow = { hold: () => {}, letGo: () => {} };

test('who holds gives way to whoever comes to wait, and to who waits already', () => {
  const holding = new Holding(new FakeClock(), flow);
  const early = client();
  holding.hold(early);
  expect(early.asked).toEqual([]);
  holding.wait();
  expect(early.asked).toEqual(['give way']);
  const late = client();
  holding.hold(late);
  expect(late.asked).toEqual(['give way']);
});

test('nobody gives way to himself', async () => {
  const clock = new FakeClock();
  const holding = new Holding(clock, flow);
  const reader = client();
  holding.wait(reader);
  holding.hold(reader);
  await clock.advance(300_000);
  expect(reader.asked).toEqual([]);
});

test('after half a minute a holder gives up for others, for as long as there are any', async () => {
  const clock = new FakeClock();
  const holding = new Holding(clock, flow);
  const reader = client();
  holding.hold(reader);
  await clock.advance(29_000);
  const answered = holding.wait();
  await clock.advance(500);
  expect(reader.asked).toEqual(['give way']);
  await clock.advance(600);
  expect(reader.asked).toEqual(['give way', 'give up']);
  answered();
  await clock.advance(300_000);
  expect(reader.asked).toHaveLength(2);
});

test('half a minute is counted from when nothing was read any more', async () => {
  const clock = new FakeClock();
  const holding = new Holding(clock, flow);
  const reader = client();
  holding.wait();
  for (let second = 0; second < 120; second += 1) {
    holding.hold(reader);
    await clock.advance(900);
    holding.letGo(reader);
    await clock.advance(100);
  }
  expect(reader.asked).not.toContain('give up');
  expect(clock.pending).toBeLessThanOrEqual(1);
  await clock.advance(60_000);
  expect(clock.pending).toBe(0);
});
