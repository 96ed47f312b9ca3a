import { beforeEach, describe, expect, test } from 'vitest';
import { FakeClock } from '../../support/fake-clock.ts';
import { createLog, LiveSecrets, type Log } from '../../../src/daemon/logging.ts';
import { RepeatedEvents } from '../../../src/daemon/repeated-events.ts';

const FEW = 3;

describe('events of one address without a login', () => {
  let clock: FakeClock;
  let lines: Record<string, unknown>[];
  let log: Log;
  let repeated: RepeatedEvents;

  beforeEach(() => {
    clock = new FakeClock();
    lines = [];
    log = createLog({ level: 'info', pretty: false, write: (line) => lines.push(JSON.parse(line)) }, new LiveSecrets());
    repeated = new RepeatedEvents(clock, log, (event) => (event === 'login-failed' ? 2 * FEW : FEW));
  });

  const of = (client: string, hasLoggedIn = false): Log => repeated.logOf(log, client, () => hasLoggedIn);
  const told = (event: string): unknown[] => lines.filter((line) => line['event'] === event);

  test('are logged one by one as long as they are few, then as one line a minute with their numbers', async () => {
    for (let time = 0; time < 10; time += 1) of('192.0.2.1').info('session-end', { outcome: 'lost' });
    for (let time = 0; time < 10; time += 1) of('192.0.2.1').warn('login-failed');
    expect([told('session-end').length, told('login-failed').length, told('repeated').length]).toEqual([FEW, 2 * FEW, 0]);
    await clock.advance(59_999);
    of('192.0.2.1').info('session-end');
    await clock.advance(1);
    expect(told('repeated')).toMatchObject([
      { level: 'warn', client: '192.0.2.1', seconds: 60, counts: { 'session-end': 8, 'login-failed': 4 } },
    ]);
    of('192.0.2.1').info('session-end');
    expect(told('session-end')).toHaveLength(FEW + 1);
    await clock.advance(120_000);
    expect([told('repeated').length, clock.pending]).toEqual([1, 0]);
  });

  test('have a line of level info where none of them was a warning', async () => {
    for (let time = 0; time <= FEW; time += 1) of('192.0.2.1').info('session-end');
    await clock.advance(60_000);
    expect(told('repeated')).toMatchObject([{ level: 'info', counts: { 'session-end': 1 } }]);
  });

  test('count for each address, or IPv6 network of 64 bits, by itself', async () => {
    for (let time = 0; time < FEW; time += 1) for (const last of [1, 2]) of(`192.0.2.${last}`).warn('tls-failed');
    expect(told('tls-failed')).toHaveLength(2 * FEW);
    for (let time = 0; time < 2 * FEW; time += 1) of(`2001:db8::${time}`).warn('connection-refused');
    expect(told('connection-refused')).toHaveLength(FEW);
    await clock.advance(60_000);
    expect(told('repeated')).toMatchObject([{ client: '2001:db8:0:0::/64', counts: { 'connection-refused': FEW } }]);
  });

  test('are all written once the client has logged in, and other events at any time', () => {
    for (let time = 0; time < 10; time += 1) of('192.0.2.1', true).info('session-end');
    for (let time = 0; time < 10; time += 1) of('192.0.2.1').info('login');
    expect(lines).toHaveLength(20);
  });

  test('are struck out of like in the log itself', () => {
    const secrets = new LiveSecrets();
    secrets.add('wonderland');
    for (let time = 0; time < 10; time += 1) of('192.0.2.1').withSecrets(secrets).warn('login-failed', { user: 'wonderland' });
    expect(told('login-failed').map((line) => (line as { user: unknown }).user)).toEqual(Array(2 * FEW).fill('[secret]'));
  });

  test('are told at the end, and where there are too many addresses, so that no number is lost', async () => {
    for (let time = 0; time <= FEW; time += 1) of('192.0.2.1').info('session-end');
    for (let index = 0; index < 10_000; index += 1) of(`10.${index >> 8}.${index & 255}.1`).info('session-end');
    expect(told('repeated')).toMatchObject([{ client: '192.0.2.1', counts: { 'session-end': 1 } }]);
    for (let time = 0; time <= FEW; time += 1) of('192.0.2.9').info('session-end');
    repeated.flush();
    expect(told('repeated')).toHaveLength(2);
    repeated.flush();
    await clock.advance(60_000);
    expect([told('repeated').length, clock.pending]).toEqual([2, 0]);
  });
});
