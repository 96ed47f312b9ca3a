import { beforeEach, describe, expect, test } from 'vitest';
import { FakeClock, settled } from '../../support/fake-clock.ts';
import { LoginGate, type LoginOutcome, type Settle } from '../../../src/daemon/login-gate.ts';
import { BridgeError } from '../../../src/errors.ts';

const MINUTE_MS = 60_000;
const HERE = '192.0.2.1';
const { signal } = new AbortController();

describe('the login gate', () => {
  let clock: FakeClock;
  let gate: LoginGate;
  let names: number;

  beforeEach(() => {
    clock = new FakeClock();
    gate = new LoginGate(clock, () => 5);
    names = 0;
  });

  const other = (): string => `other ${(names += 1)}`;

  /** A login that ends at once. Gives the seconds that it waited, or the code of its refusal. */
  async function logIn(outcome: LoginOutcome, { address = other(), account = other(), password = other() }): Promise<number | string> {
    const begun = clock.monotonic();
    try {
      const settle = await gate.admit({ address, account, password }, signal);
      settle(outcome);
      return Math.round((clock.monotonic() - begun) / 1000);
    } catch (error) {
      if (error instanceof BridgeError) return error.code;
      throw error;
    }
  }

  /** The same while time passes, no more than it needs. */
  async function waited(outcome: LoginOutcome, from: { address?: string; account?: string; password?: string }): Promise<number | string> {
    const answers: (number | string)[] = [];
    const login = logIn(outcome, from).then((answer) => answers.push(answer));
    await settled();
    while (answers.length === 0) await clock.advance(1_000);
    await login;
    return answers[0] ?? '';
  }

  async function refuse(times: number, from: { address?: string; account?: string }): Promise<void> {
    for (let time = 0; time < times; time += 1) await waited('wrong', from);
  }

  /** A client that hangs up before its login is tried. */
  async function askAndLeave(from: { address: string; account?: string }): Promise<void> {
    const client = new AbortController();
    const asked = gate.admit({ account: other(), password: other(), ...from }, client.signal);
    await settled();
    client.abort();
    await expect(asked).rejects.toMatchObject({ kind: 'unreachable' });
  }

  test('lets five refused logins of an address through; each further one waits before it is tried, ever longer', async () => {
    const waits: unknown[] = [];
    for (let time = 0; time < 13; time += 1) waits.push(await waited('wrong', { address: HERE }));
    expect(waits).toEqual([0, 0, 0, 0, 0, 1, 2, 4, 8, 16, 30, 30, 30]);
    expect(await logIn('wrong', { address: '192.0.2.2' })).toBe(0);
  });

  test('counts logins that are being tried: a hundred at once are no more than five, and one a second', async () => {
    const begun: number[] = [];
    for (let time = 0; time < 100; time += 1) {
      void gate.admit({ address: HERE, account: other(), password: other() }, signal).then(() => begun.push(clock.monotonic()));
    }
    await settled();
    expect(begun).toEqual([0, 0, 0, 0, 0]);
    await clock.advance(3_000);
    expect(begun.slice(5)).toEqual([1000, 2000, 3000]);
  });

  test('lets the next one go as soon as one of those succeeds', async () => {
    const tried = await Promise.all(
      Array.from({ length: 5 }, () => gate.admit({ address: HERE, account: other(), password: other() }, signal)),
    );
    const next = logIn('right', { address: HERE });
    tried[0]?.('right');
    expect(await next).toBe(0);
  });

  test('goes on with its delay whatever clients leave; those that leave are not tried', async () => {
    await refuse(7, { address: HERE });
    for (let time = 0; time < 50; time += 1) await askAndLeave({ address: HERE });
    expect(await waited('wrong', { address: HERE })).toBe(4);
    expect(clock.pending).toBe(0);
  });

  test('turns away who waits for 45 seconds, and goes on with the others', async () => {
    await refuse(12, { address: HERE });
    const waiting = [1, 2, 3].map(() => logIn('wrong', { address: HERE }));
    await clock.advance(45_000);
    expect(await Promise.all(waiting)).toEqual([30, 'LOGIN_BACKOFF', 'LOGIN_BACKOFF']);
    expect(clock.pending).toBe(0);
  });

  test('counts what was refused for one account from many addresses', async () => {
    const waits: unknown[] = [];
    for (let time = 0; time < 11; time += 1) waits.push(await waited('wrong', { account: 'alice' }));
    expect(waits).toEqual([0, 0, 0, 0, 0, 1, 2, 4, 8, 8, 8]);
    expect(await logIn('wrong', { account: 'bob' })).toBe(0);
  });

  test('tries at most twenty different passwords of an account in ten minutes, and the last one that worked', async () => {
    await logIn('right', { account: 'alice', password: 'proven' });
    const refused: unknown[] = [];
    for (let time = 0; time < 25; time += 1) refused.push(await waited('wrong', { account: 'alice' }));
    expect(refused.filter((wait) => wait === 'LOGIN_BACKOFF')).toHaveLength(5);
    expect(await logIn('right', { account: 'alice' })).toBe('LOGIN_BACKOFF');
    expect(await logIn('right', { account: 'alice', password: 'proven' })).toBe(0);
    await clock.advance(10 * MINUTE_MS);
    expect(await logIn('right', { account: 'alice' })).toBe(0);
  });

  test('tries no more than those where their outcomes are late', async () => {
    const tried: Settle[] = [];
    for (let time = 0; time < 60; time += 1) {
      void gate.admit({ address: other(), account: 'alice', password: other() }, signal).then(
        (settle) => tried.push(settle),
        () => {},
      );
    }
    await clock.advance(44_000);
    expect(tried).toHaveLength(20);
    for (const settle of tried) settle('wrong');
    expect(await logIn('right', { account: 'alice' })).toBe('LOGIN_BACKOFF');
  });

  test('counts a stale password of an account once, however often it comes', async () => {
    for (let time = 0; time < 100; time += 1) await waited('wrong', { account: 'alice', password: 'stale' });
    expect(await logIn('wrong', { account: 'alice' })).toBe(0);
  });

  test('does not keep a password waiting that was right from this address, nor from others at the account', async () => {
    await logIn('right', { address: HERE, account: 'alice', password: 'proven' });
    await refuse(11, { address: HERE });
    expect(await logIn('right', { address: HERE, account: 'alice', password: 'proven' })).toBe(0);
    await refuse(9, { account: 'alice' });
    expect(await logIn('right', { account: 'alice', password: 'proven' })).toBe(0);
  });

  test('keeps it waiting where the address guesses at this very account: hanging up is no way to ask often', async () => {
    const owner = { address: HERE, account: 'alice', password: 'proven' };
    await logIn('right', owner);
    await refuse(11, { address: HERE });
    for (let time = 0; time < 20; time += 1) await askAndLeave({ address: HERE, account: 'alice' });
    expect(await waited('right', owner)).toBe(30);
    await clock.advance(10 * MINUTE_MS);
    await refuse(11, { address: HERE });
    expect(await logIn('right', owner)).toBe(0);
  });

  test('counts a guess for its address where the client leaves while it waits at the account', async () => {
    await refuse(9, { account: 'alice' });
    for (let time = 0; time < 5; time += 1) await askAndLeave({ address: HERE, account: 'alice' });
    expect(await waited('undecided', { address: HERE })).toBe(1);
  });

  test('no longer favours a password that was refused since', async () => {
    const owner = { address: HERE, account: 'alice', password: 'old' };
    await logIn('right', owner);
    await logIn('wrong', owner);
    await refuse(5, { address: HERE });
    expect(await waited('wrong', owner)).toBe(2);
  });

  test('forgets refusals after ten minutes, and counts none where nothing was learned of the password', async () => {
    await refuse(8, { address: HERE });
    await clock.advance(10 * MINUTE_MS);
    expect(await logIn('wrong', { address: HERE })).toBe(0);
    for (let time = 0; time < 20; time += 1) expect(await logIn('undecided', { address: '192.0.2.9', account: 'bob' })).toBe(0);
  });

  test('a server that hangs keeps others at the address waiting a second each, no longer', async () => {
    for (let time = 0; time < 5; time += 1) void gate.admit({ address: HERE, account: other(), password: other() }, signal);
    await settled();
    const waits: unknown[] = [];
    for (let time = 0; time < 5; time += 1) waits.push(await waited('right', { address: HERE }));
    expect(waits).toEqual([1, 1, 1, 1, 1]);
  });

  test('follows a reload', async () => {
    let free = 1;
    gate = new LoginGate(clock, () => free);
    await logIn('wrong', { address: HERE });
    expect(await waited('wrong', { address: HERE })).toBe(1);
    free = 100;
    expect(await logIn('wrong', { address: HERE })).toBe(0);
  });
});
