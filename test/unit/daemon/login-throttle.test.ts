import { beforeEach, describe, expect, test } from 'vitest';
import { FakeClock, settled } from '../../support/fake-clock.ts';
import { LoginThrottle } from '../../../src/daemon/login-throttle.ts';
import { BridgeError, UpstreamError } from '../../../src/errors.ts';

const MINUTE_MS = 60_000;
const { signal } = new AbortController();
const DOWN = new UpstreamError('unreachable', 'down');

describe('the login throttle (CONTRACT section 5.7)', () => {
  let clock: FakeClock;
  let throttle: LoginThrottle;

  beforeEach(() => {
    clock = new FakeClock();
    throttle = new LoginThrottle(clock);
  });

  /** Tries a password that the upstream refuses; 'upstream' when it got there, else the code of the local refusal. */
  async function tryWrong(password: string, account = 'alice'): Promise<string> {
    return attempt(password, 'refused', account);
  }

  async function tryRight(password: string, account = 'alice'): Promise<string> {
    return attempt(password, 'succeeded', account);
  }

  async function attempt(password: string, outcome: 'refused' | 'succeeded', account: string): Promise<string> {
    try {
      (await throttle.admit(account, password, signal))[outcome]();
      return 'upstream';
    } catch (error) {
      if (error instanceof BridgeError) return error.code;
      throw error;
    }
  }

  test('answers a refused password locally for 1, 2, 4, 8, 16, then 30 minutes', async () => {
    for (const minutes of [1, 2, 4, 8, 16, 30, 30]) {
      expect(await tryWrong('stale')).toBe('upstream');
      await clock.advance(minutes * MINUTE_MS - 1);
      expect(await tryWrong('stale')).toBe('AUTH_REFUSED_BEFORE');
      await clock.advance(1);
    }
  });

  test('tries a new password at once', async () => {
    await tryWrong('stale');
    expect(await tryRight('new')).toBe('upstream');
  });

  test('lets five refused passwords of an account through to the upstream in ten minutes', async () => {
    for (const password of ['a', 'b', 'c', 'd', 'e']) expect(await tryWrong(password)).toBe('upstream');
    expect(await tryWrong('f')).toBe('LOGIN_BACKOFF');
    expect(await tryWrong('a', 'bob')).toBe('upstream');
    await clock.advance(10 * MINUTE_MS - 1);
    expect(await tryWrong('f')).toBe('LOGIN_BACKOFF');
    await clock.advance(1);
    expect(await tryWrong('f')).toBe('upstream');
  });

  test('takes spellings of a name for one user, as servers do that lock users out', async () => {
    const spellings = ['alice', 'Alice', 'ALICE', 'aLICE', 'alicE'];
    for (const [index, name] of spellings.entries()) expect(await tryWrong(`guess ${index}`, name)).toBe('upstream');
    expect(await tryWrong('another guess', 'ALice')).toBe('LOGIN_BACKOFF');
    // What one spelling's password is, is another matter.
    expect(throttle.isProven('alice', 'guess 0')).toBe(false);
  });

  test('is not made to forget a user, or a pause, by names that nobody has', async () => {
    await tryRight('proven');
    throttle.notePause('alice', new UpstreamError('throttled', 'later', { retryAfterMs: MINUTE_MS }));
    for (let index = 0; index < 25_000; index += 1) throttle.isProven(`nobody ${index}`, 'x');
    expect(throttle.isProven('alice', 'proven')).toBe(true);
    expect(() => throttle.checkPause('alice')).toThrow(/asked for a pause/);
  });

  test('lets the last password that worked through even then', async () => {
    await tryRight('proven');
    for (const password of ['a', 'b', 'c', 'd', 'e']) await tryWrong(password);
    expect(await tryRight('other')).toBe('LOGIN_BACKOFF');
    expect(await tryRight('proven')).toBe('upstream');
  });

  test('no longer favours a password once the upstream has refused it', async () => {
    await tryRight('proven');
    expect(await tryWrong('proven')).toBe('upstream');
    for (const password of ['a', 'b', 'c', 'd']) await tryWrong(password);
    await clock.advance(MINUTE_MS);
    expect(await tryRight('proven')).toBe('LOGIN_BACKOFF');
  });

  test('forgets all refusals of a password that works', async () => {
    await tryWrong('late');
    await clock.advance(MINUTE_MS);
    await tryRight('late');
    await tryWrong('late');
    await clock.advance(MINUTE_MS);
    expect(await tryRight('late')).toBe('upstream');
  });

  test('counts passwords in flight, so that six at once are not six tries', async () => {
    const admitted = await Promise.allSettled(['a', 'b', 'c', 'd', 'e', 'f'].map((password) => throttle.admit('alice', password, signal)));
    expect(admitted.map((one) => one.status)).toEqual(['fulfilled', 'fulfilled', 'fulfilled', 'fulfilled', 'fulfilled', 'rejected']);
  });

  test('holds back a password that is being tried, until its outcome is known', async () => {
    const first = await throttle.admit('alice', 'stale', signal);
    const outcomes: string[] = [];
    for (const name of ['second', 'third']) void tryWrong('stale').then((outcome) => outcomes.push(`${name}: ${outcome}`));
    await settled();
    expect(outcomes).toEqual([]);
    first.refused();
    await settled();
    expect(outcomes).toEqual(['second: AUTH_REFUSED_BEFORE', 'third: AUTH_REFUSED_BEFORE']);
  });

  test('lets the same password through where it works, and does not hold it back any more', async () => {
    const first = await throttle.admit('alice', 'right', signal);
    const others = [tryRight('right'), tryRight('right')];
    first.succeeded();
    expect(await Promise.all(others)).toEqual(['upstream', 'upstream']);
    const atOnce = await Promise.all(Array.from({ length: 10 }, () => throttle.admit('alice', 'right', signal)));
    for (const attempt of atOnce) attempt.succeeded();
    expect(await tryWrong('other')).toBe('upstream');
  });

  test('lets who waits for a try that comes to nothing fail with it, instead of each trying in turn', async () => {
    const first = await throttle.admit('alice', 'right', signal);
    const others = [tryRight('right'), tryRight('right')];
    first.undecided(DOWN);
    expect(await Promise.all(others)).toEqual([DOWN.code, DOWN.code]);
    expect(await tryRight('right')).toBe('upstream');
  });

  test('holds nobody who has left meanwhile', async () => {
    await throttle.admit('alice', 'right', signal);
    const client = new AbortController();
    const waiting = throttle.admit('alice', 'right', client.signal);
    client.abort();
    await expect(waiting).rejects.toMatchObject({ kind: 'unreachable' });
  });

  test('counts on, whatever logs in well in between: a busy account is no easier to guess', async () => {
    for (const password of ['a', 'b', 'c', 'd', 'e']) {
      expect(await tryWrong(password)).toBe('upstream');
      await tryRight('proven');
    }
    expect(await tryWrong('f')).toBe('LOGIN_BACKOFF');
    expect(await tryRight('proven')).toBe('upstream');
  });

  test('keeps a pause that the upstream asks for long after the login', async () => {
    await tryRight('right');
    throttle.notePause('alice', new UpstreamError('throttled', 'slow down', { retryAfterMs: 5_000 }));
    throttle.notePause('alice', DOWN);
    expect(() => throttle.checkPause('alice')).toThrow(expect.objectContaining({ kind: 'throttled', retryAfterMs: 5_000 }));
    expect(await tryRight('right')).toBe('UPSTREAM_THROTTLED');
    await clock.advance(5_000);
    expect(() => throttle.checkPause('alice')).not.toThrow();
  });

  test('holds no grudge where nothing was learned of the password', async () => {
    for (let times = 0; times < 10; times += 1) (await throttle.admit('alice', 'unknown', signal)).undecided(DOWN);
    expect(await tryRight('unknown')).toBe('upstream');
  });

  test.each([
    [299_961, 299_961],
    [undefined, 30_000],
  ])('waits out a pause of %s ms that the upstream asked for, whatever the password', async (retryAfterMs, pauseMs) => {
    (await throttle.admit('alice', 'right', signal)).undecided(new UpstreamError('throttled', 'slow down', { retryAfterMs }));
    await clock.advance(pauseMs - 1);
    await expect(throttle.admit('alice', 'other', signal)).rejects.toMatchObject({ kind: 'throttled', retryAfterMs: 1 });
    await expect(throttle.admit('alice', 'right', signal)).rejects.toBeInstanceOf(UpstreamError);
    expect(await tryRight('right', 'bob')).toBe('upstream');
    await clock.advance(1);
    expect(await tryRight('right')).toBe('upstream');
  });

  test('holds LOGIN-DELAY against a maildrop that was logged in to lately', async () => {
    throttle.noteLogin('alice');
    expect(() => throttle.checkDelay('alice', 60_000)).toThrow(expect.objectContaining({ code: 'LOGIN_DELAY' }));
    expect(() => throttle.checkDelay('bob', 60_000)).not.toThrow();
    expect(() => throttle.checkDelay('alice', 0)).not.toThrow();
    await clock.advance(60_000);
    expect(() => throttle.checkDelay('alice', 60_000)).not.toThrow();
  });

  test('knows the password that worked last', async () => {
    await tryRight('right');
    expect([throttle.isProven('alice', 'right'), throttle.isProven('alice', 'guess'), throttle.isProven('bob', 'right')]).toEqual([
      true,
      false,
      false,
    ]);
  });
});
