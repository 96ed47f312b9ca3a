import { beforeEach, describe, expect, test } from 'vitest';
import { FakeClock, settled } from '../../support/fake-clock.ts';
import { LOCK_WAIT_MS, MaildropLocks, type LockHolder, type Release } from '../../../src/daemon/maildrop-lock.ts';

class Holder implements LockHolder {
  isStale = false;
  evictions = 0;
  release: Release = () => {};

  evict(): void {
    this.evictions += 1;
    this.release();
  }
}

const NEVER = new AbortController().signal;

describe('the lock of a maildrop', () => {
  let clock: FakeClock;
  let locks: MaildropLocks;
  let order: string[];

  beforeEach(() => {
    clock = new FakeClock();
    locks = new MaildropLocks(clock);
    order = [];
  });

  /** Asks for the lock; notes who got it, or why not. */
  async function ask(name: string, signal: AbortSignal = NEVER, key = 'alice'): Promise<Holder> {
    const holder = new Holder();
    void locks.acquire(key, holder, signal).then(
      (release) => {
        order.push(name);
        holder.release = release;
      },
      (error: unknown) => order.push(`${name}: ${error instanceof Error && 'code' in error ? String(error.code) : 'unknown'}`),
    );
    await settled();
    return holder;
  }

  test('is had at once where nobody holds it', async () => {
    await ask('first');
    await ask('other maildrop', NEVER, 'bob');
    expect(order).toEqual(['first', 'other maildrop']);
    expect(clock.pending).toBe(0);
  });

  test('is waited for, and had when it is released', async () => {
    const first = await ask('first');
    await ask('second');
    await clock.advance(9_000);
    expect(order).toEqual(['first']);
    first.release();
    await settled();
    expect(order).toEqual(['first', 'second']);
    expect(clock.pending).toBe(0);
  });

  test('is refused as in use after ten seconds, and not before', async () => {
    await ask('first');
    await ask('second');
    await clock.advance(LOCK_WAIT_MS - 1);
    expect(order).toEqual(['first']);
    await clock.advance(1);
    expect(LOCK_WAIT_MS).toBe(10_000);
    expect(order).toEqual(['first', 'second: MAILDROP_IN_USE']);
    expect(clock.pending).toBe(0);
  });

  test('is taken over at once from a session that is stale', async () => {
    const first = await ask('first');
    first.isStale = true;
    await ask('second');
    expect(order).toEqual(['first', 'second']);
    expect(first.evictions).toBe(1);
  });

  test('is taken over from a session that becomes stale meanwhile', async () => {
    const first = await ask('first');
    await ask('second');
    await clock.advance(3_000);
    first.isStale = true;
    await clock.advance(500);
    expect(order).toEqual(['first', 'second']);
  });

  test('waits for an evicted session to finish its work', async () => {
    const first = await ask('first');
    const { release } = first;
    first.release = () => {};
    first.isStale = true;
    await ask('second');
    expect(order).toEqual(['first']);
    release();
    await settled();
    expect(order).toEqual(['first', 'second']);
  });

  test('goes to those who wait in the order in which they came', async () => {
    const first = await ask('first');
    const second = await ask('second');
    await ask('third');
    first.release();
    await settled();
    expect(order).toEqual(['first', 'second']);
    second.release();
    await settled();
    expect(order).toEqual(['first', 'second', 'third']);
  });

  test('is not given to one who left', async () => {
    const first = await ask('first');
    const leaving = new AbortController();
    await ask('second', leaving.signal);
    await ask('third');
    leaving.abort();
    first.release();
    await settled();
    expect(order).toEqual(['first', 'second: MAILDROP_IN_USE', 'third']);
  });

  test('is not waited for by one who left before', async () => {
    await ask('first');
    await ask('second', AbortSignal.abort());
    expect(order).toEqual(['first', 'second: MAILDROP_IN_USE']);
    expect(clock.pending).toBe(0);
  });

  test('is released once: a second release does not take it from the next', async () => {
    const first = await ask('first');
    await ask('second');
    await ask('third');
    first.release();
    first.release();
    await settled();
    expect(order).toEqual(['first', 'second']);
  });

  test('is free again after the last', async () => {
    const first = await ask('first');
    first.release();
    await ask('second');
    expect(order).toEqual(['first', 'second']);
  });
});
