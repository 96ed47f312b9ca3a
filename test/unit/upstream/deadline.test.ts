import { describe, expect, test } from 'vitest';
import { withDeadline, type Deadline } from '../../../src/upstream/deadline.ts';
import { FakeClock } from '../../support/fake-clock.ts';

function setup(options: Partial<Deadline> = {}) {
  const clock = new FakeClock();
  let expired = 0;
  const deadline: Deadline = { clock, ms: 1000, signal: new AbortController().signal, onExpire: () => (expired += 1), ...options };
  return { clock, deadline, expirations: () => expired };
}

const never = (): Promise<never> => new Promise(() => {});

describe('a deadline', () => {
  test('gives what the call gives, and leaves no timer behind', async () => {
    const { clock, deadline, expirations } = setup();
    expect(await withDeadline(deadline, () => Promise.resolve(7))).toBe(7);
    await clock.advance(10_000);
    expect(expirations()).toBe(0);
  });

  test("passes the call's own failure on", async () => {
    const { deadline } = setup();
    await expect(withDeadline(deadline, () => Promise.reject(new Error('mine')))).rejects.toThrow('mine');
  });

  test('ends a call that takes too long, and its connection', async () => {
    const { clock, deadline, expirations } = setup();
    const call = expect(withDeadline(deadline, never)).rejects.toMatchObject({ kind: 'timeout' });
    await clock.advance(1000);
    await call;
    expect(expirations()).toBe(1);
  });

  test('is put off while there is progress, but not for ever', async () => {
    let octets = 0;
    const { clock, deadline, expirations } = setup({ progress: () => octets });
    const call = withDeadline(deadline, never);
    const outcome = expect(call).rejects.toMatchObject({ kind: 'timeout' });
    for (let turn = 0; turn < 15; turn += 1) {
      octets += 1;
      await clock.advance(1000);
    }
    expect(expirations()).toBe(0);
    for (let turn = 0; turn < 15; turn += 1) {
      octets += 1;
      await clock.advance(1000);
    }
    await outcome;
    expect(expirations()).toBe(1);
  });

  test('does not begin a call that is cancelled already, and ends one that is cancelled', async () => {
    const before = new AbortController();
    before.abort();
    const { deadline } = setup({ signal: before.signal });
    await expect(withDeadline(deadline, () => Promise.resolve(1))).rejects.toMatchObject({ kind: 'unreachable' });
    const during = new AbortController();
    const { deadline: running, expirations } = setup({ signal: during.signal });
    const call = withDeadline(running, never);
    during.abort();
    await expect(call).rejects.toMatchObject({ kind: 'unreachable' });
    expect(expirations()).toBe(1);
  });
});
