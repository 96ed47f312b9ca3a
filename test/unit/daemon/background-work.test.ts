import { beforeEach, describe, expect, test } from 'vitest';
import { FakeClock } from '../../support/fake-clock.ts';
import { BackgroundWork } from '../../../src/daemon/background-work.ts';

describe('work between the sessions of an account', () => {
  let clock: FakeClock;
  let background: BackgroundWork;
  let log: string[];

  beforeEach(() => {
    clock = new FakeClock();
    background = new BackgroundWork(clock);
    log = [];
  });

  /** Work that goes on until it is told to end. */
  const untilEnded =
    (name: string) =>
    async (signal: AbortSignal): Promise<void> => {
      log.push(`${name}: ${signal.aborted ? 'not begun' : 'begun'}`);
      if (!signal.aborted) await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
      log.push(`${name}: ended`);
    };

  test('is ended by a login of that account, which waits for its end, and by no other', async () => {
    background.start('alice', untilEnded('alice'));
    await background.end('bob');
    expect(log).toEqual(['alice: begun']);
    await background.end('alice');
    expect(log).toEqual(['alice: begun', 'alice: ended']);
  });

  test('is not begun for a client that has just come back at once, and again when it has calmed down', async () => {
    background.start('alice', untilEnded('first'));
    await background.end('alice');
    background.start('alice', untilEnded('second'));
    await background.end('alice');
    await clock.advance(10_000);
    background.start('alice', untilEnded('third'));
    expect(log).toEqual(['first: begun', 'first: ended', 'second: not begun', 'second: ended', 'third: begun']);
    await background.end('alice');
  });

  test('is ended, and never begun again, when the daemon stops', async () => {
    background.start('alice', untilEnded('alice'));
    await background.endAll();
    background.start('bob', untilEnded('bob'));
    expect(log).toEqual(['alice: begun', 'alice: ended', 'bob: not begun', 'bob: ended']);
  });
});
