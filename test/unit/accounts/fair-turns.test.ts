/** Whose turn it is when many ask. */
import { describe, expect, test } from 'vitest';
import { FairTurns, type Asker } from '../../../src/accounts/fair-turns.ts';
import { FakeClock } from '../../support/fake-clock.ts';

const STAYS = new AbortController().signal;

/** Work that lasts until it is told to end; `begun` names what was begun, in order. */
class Work {
  readonly clock = new FakeClock();
  readonly turns: FairTurns;
  readonly begun: string[] = [];
  readonly #ends: (() => void)[] = [];

  constructor(atATime: number) {
    this.turns = new FairTurns(atATime, this.clock);
  }

  ask(name: string, address: string, signal: AbortSignal = STAYS): Promise<string> {
    const asker: Asker = { address, signal };
    return this.turns.run(asker, async () => {
      this.begun.push(name);
      await new Promise<void>((resolve) => this.#ends.push(resolve));
      return name;
    });
  }

  /** The one that was begun first ends. */
  async end(): Promise<void> {
    this.#ends.shift()?.();
    for (let turn = 0; turn < 10; turn += 1) await Promise.resolve();
  }
}

describe('turns', () => {
  test('are taken address by address: who asks a lot holds up itself alone', async () => {
    const work = new Work(1);
    for (const name of ['guess 1', 'guess 2', 'guess 3', 'guess 4']) void work.ask(name, 'guesser');
    void work.ask('owner', 'home');
    void work.ask('other guess', 'other guesser');
    for (let count = 0; count < 6; count += 1) await work.end();
    expect(work.begun).toEqual(['guess 1', 'guess 2', 'owner', 'other guess', 'guess 3', 'guess 4']);
  });

  test('so many are taken at a time', async () => {
    const work = new Work(2);
    const first = work.ask('first', 'a');
    for (const name of ['second', 'third', 'fourth']) void work.ask(name, 'a');
    expect(work.begun).toEqual(['first', 'second']);
    await work.end();
    expect(await first).toBe('first');
    expect(work.begun).toEqual(['first', 'second', 'third']);
    await work.end();
    await work.end();
    await work.end();
    const again = [work.ask('fifth', 'a'), work.ask('sixth', 'a'), work.ask('seventh', 'a')];
    expect(work.begun.slice(4)).toEqual(['fifth', 'sixth']);
    for (let count = 0; count < 3; count += 1) await work.end();
    expect(await Promise.all(again)).toEqual(['fifth', 'sixth', 'seventh']);
  });

  test('of somebody who has left are nobody’s', async () => {
    const work = new Work(1);
    void work.ask('first', 'a');
    const leaving = new AbortController();
    const left = work.ask('left', 'a', leaving.signal);
    const gone = work.ask('gone before', 'a', AbortSignal.abort());
    void work.ask('last', 'a');
    leaving.abort();
    await expect(left).rejects.toMatchObject({ code: 'UPSTREAM_UNREACHABLE' });
    await expect(gone).rejects.toMatchObject({ code: 'UPSTREAM_UNREACHABLE' });
    await work.end();
    expect(work.begun).toEqual(['first', 'last']);
  });

  test('are waited for half a minute at most', async () => {
    const work = new Work(1);
    void work.ask('first', 'a');
    const late = work.ask('late', 'b');
    const refused = expect(late).rejects.toMatchObject({ code: 'LOGIN_QUEUE' });
    await work.clock.advance(30_000);
    await refused;
    void work.ask('next', 'b');
    await work.end();
    expect(work.begun).toEqual(['first', 'next']);
  });

  test('go on where work fails', async () => {
    const { turns } = new Work(1);
    const asker: Asker = { address: 'a', signal: STAYS };
    await expect(turns.run(asker, () => Promise.reject(new Error('no')))).rejects.toThrow('no');
    expect(await turns.run(asker, async () => 'yes')).toBe('yes');
  });
});
