import { expect, test } from 'vitest';
import { CredentialsError } from '../../../src/errors.ts';
import { ConnectionPool, type PoolParts } from '../../../src/upstream/connection-pool.ts';
import type { ImapConnection } from '../../../src/upstream/imap-connection.ts';
import type { UpstreamLogin } from '../../../src/upstream/upstream.ts';
import { FakeClock } from '../../support/fake-clock.ts';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const never = new AbortController().signal;
const login = (password = 'right', user = 'alice'): UpstreamLogin => ({ user, password });

interface FakeConnection {
  isUsable: boolean;
  readonly logouts: number[];
}

/** A server that takes the passwords "right" and "new". */
function poolOf(options: Partial<PoolParts> = {}) {
  const clock = new FakeClock();
  const opened: FakeConnection[] = [];
  const open = async ({ password }: UpstreamLogin): Promise<ImapConnection> => {
    await Promise.resolve();
    if (password === 'wrong') throw new CredentialsError('AUTH_REFUSED', 'no');
    const number = opened.length;
    const connection = {
      isUsable: true,
      canRest: true,
      rest: () => Promise.resolve(true),
      logouts: [] as number[],
      logout() {
        this.isUsable = false;
        this.logouts.push(number);
        return Promise.resolve();
      },
      destroy() {
        this.isUsable = false;
      },
    };
    opened.push(connection);
    return connection as unknown as ImapConnection;
  };
  const pool = new ConnectionPool({ clock, open, lingerMs: 5 * MINUTE_MS, connectionsPerAccount: 1, ...options });
  return { pool, clock, opened };
}

test('a connection stays for the next session of the same user and password', async () => {
  const { pool, opened } = poolOf();
  const first = await pool.take(login(), never);
  expect(first.isKept).toBe(false);
  await first.leave();
  const second = await pool.take(login(), never);
  expect(second).toMatchObject({ isKept: true, connection: first.connection });
  expect(opened).toHaveLength(1);
});

test('another password is proven by a login of its own, and refused without touching what is kept', async () => {
  const { pool, opened } = poolOf();
  await (await pool.take(login(), never)).leave();
  await expect(pool.take(login('wrong'), never)).rejects.toBeInstanceOf(CredentialsError);
  expect(opened).toHaveLength(1);
  expect(await pool.take(login(), never)).toMatchObject({ isKept: true });
});

test('a new password that works takes the place of the old one', async () => {
  const { pool, opened } = poolOf();
  await (await pool.take(login(), never)).leave();
  const fresh = await pool.take(login('new'), never);
  expect(fresh.isKept).toBe(false);
  expect(opened.map(({ isUsable }) => isUsable)).toEqual([false, true]);
  await fresh.leave();
  expect((await pool.take(login(), never)).isKept).toBe(false);
});

test('a password stands for an hour, however busy the connection is; then it is proven afresh', async () => {
  const { pool, clock, opened } = poolOf();
  await (await pool.take(login(), never)).leave();
  for (let minutes = 0; minutes < 60; minutes += 4) {
    const lease = await pool.take(login(), never);
    expect(lease.isKept).toBe(true);
    await lease.leave();
    await clock.advance(4 * MINUTE_MS);
  }
  await clock.advance(1000);
  expect((await pool.take(login(), never)).isKept).toBe(false);
  expect(opened.map(({ isUsable }) => isUsable)).toEqual([false, true]);
});

test('users do not share, whatever their passwords', async () => {
  const { pool, opened } = poolOf();
  await (await pool.take(login('right', 'alice'), never)).leave();
  expect((await pool.take(login('right', 'bob'), never)).isKept).toBe(false);
  expect(opened).toHaveLength(2);
});

test('without a session it is left after its time, and at once where none is wanted', async () => {
  const { pool, clock, opened } = poolOf();
  await (await pool.take(login(), never)).leave();
  await clock.advance(5 * MINUTE_MS - 1);
  expect(opened[0]?.isUsable).toBe(true);
  await clock.advance(1);
  expect(opened[0]?.logouts).toEqual([0]);
  const none = poolOf({ lingerMs: 0 });
  await (await none.pool.take(login(), never)).leave();
  expect(none.opened[0]?.logouts).toEqual([0]);
});

test('the time counts from the last session, not within one', async () => {
  const { pool, clock, opened } = poolOf();
  await (await pool.take(login(), never)).leave();
  await clock.advance(4 * MINUTE_MS);
  const again = await pool.take(login(), never);
  await clock.advance(20 * MINUTE_MS);
  expect(opened[0]?.isUsable).toBe(true);
  await again.leave();
  await again.leave();
  await clock.advance(5 * MINUTE_MS);
  expect(opened[0]?.isUsable).toBe(false);
});

test('one that broke is not given out', async () => {
  const { pool, opened } = poolOf();
  const lease = await pool.take(login(), never);
  lease.destroy();
  await lease.leave();
  expect((await pool.take(login(), never)).isKept).toBe(false);
  expect(opened).toHaveLength(2);
});

test('sessions beyond the limit share connections, also while these are opened', async () => {
  const { pool, opened } = poolOf({ connectionsPerAccount: 2 });
  const leases = await Promise.all([1, 2, 3, 4].map(() => pool.take(login(), never)));
  expect(opened).toHaveLength(2);
  expect(new Set(leases.map(({ connection }) => connection)).size).toBe(2);
  for (const lease of leases) await lease.leave();
  expect(opened.map(({ isUsable }) => isUsable)).toEqual([true, true]);
});

test('who left can end it no more for others, unless it was not to stay', async () => {
  const { pool, opened } = poolOf();
  const lease = await pool.take(login(), never);
  await lease.leave();
  lease.destroy();
  expect(opened[0]?.isUsable).toBe(true);
});

test('retired, it ends what is idle at once, and what is in use with its session', async () => {
  const { pool, opened } = poolOf();
  await (await pool.take(login('right', 'idle'), never)).leave();
  const busy = await pool.take(login(), never);
  await pool.retire();
  expect(opened.map(({ isUsable }) => isUsable)).toEqual([false, true]);
  await busy.leave();
  expect(opened.map(({ isUsable }) => isUsable)).toEqual([false, false]);
  await (await pool.take(login(), never)).leave();
  expect(opened[2]?.isUsable).toBe(false);
});

test('a connection past its hour that is in use is not given to others, and ends with its session', async () => {
  const { pool, clock, opened } = poolOf();
  const long = await pool.take(login(), never);
  await clock.advance(HOUR_MS + 1);
  expect((await pool.take(login(), never)).isKept).toBe(false);
  expect(opened[0]?.isUsable).toBe(true);
  await long.leave();
  expect(opened[0]?.isUsable).toBe(false);
});
