import fc from 'fast-check';
import { expect, test } from 'vitest';
import { holds } from '../../support/holds.ts';
import { Turnstile } from '../../../src/upstream/turnstile.ts';

const turns = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('work on one lane runs side by side, work on another waits until all of it is done', async () => {
  const turnstile = new Turnstile();
  const first = await turnstile.enter('INBOX');
  const second = await turnstile.enter('INBOX');
  let hasEntered = false;
  const third = turnstile.enter({}).finally(() => (hasEntered = true));
  first();
  first();
  await turns();
  expect([hasEntered, turnstile.isWantedByOthers]).toEqual([false, true]);
  second();
  (await third)();
  expect(turnstile.isWantedByOthers).toBe(false);
});

test('who waits is not passed by later ones, though they could go at once', async () => {
  const turnstile = new Turnstile();
  const order: string[] = [];
  const work = async (name: string, lane: unknown): Promise<void> => {
    const leave = await turnstile.enter(lane);
    order.push(name);
    await turns();
    leave();
  };
  const leave = await turnstile.enter('INBOX');
  const all = [work('control', {}), work('read 1', 'INBOX'), work('read 2', 'INBOX'), work('other', 'Sent')];
  await turns();
  leave();
  await Promise.all(all);
  expect(order).toEqual(['control', 'read 1', 'read 2', 'other']);
});

test('whatever the order: never two lanes at once, all come to their turn, nobody is passed by another lane', async () => {
  const arrivals = fc.array(fc.record({ lane: fc.constantFrom('a', 'b', 'c'), turns: fc.nat({ max: 3 }), pause: fc.nat({ max: 2 }) }), {
    maxLength: 20,
  });
  await holds(
    fc.asyncProperty(arrivals, async (all) => {
      const turnstile = new Turnstile();
      const inside = new Map<string, number>();
      const entered: number[] = [];
      const work = async (index: number, lane: string, stay: number): Promise<void> => {
        const leave = await turnstile.enter(lane);
        entered.push(index);
        inside.set(lane, (inside.get(lane) ?? 0) + 1);
        expect([...inside.values()].filter((count) => count > 0)).toHaveLength(1);
        for (let turn = 0; turn < stay; turn += 1) await turns();
        inside.set(lane, (inside.get(lane) ?? 0) - 1);
        leave();
      };
      const running: Promise<void>[] = [];
      for (const [index, { lane, turns: stay, pause }] of all.entries()) {
        running.push(work(index, lane, stay));
        for (let turn = 0; turn < pause; turn += 1) await turns();
      }
      await Promise.all(running);
      expect(entered).toEqual(all.map((_one, index) => index));
    }),
  );
});
