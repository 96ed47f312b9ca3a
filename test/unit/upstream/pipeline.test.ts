import { describe, expect, test } from 'vitest';
import { UpstreamError } from '../../../src/errors.ts';
import type { Gate } from '../../../src/upstream/gated-socket.ts';
import { Pipeline } from '../../../src/upstream/pipeline.ts';
import { ServerHabits } from '../../../src/upstream/server-habits.ts';
import { FakeClock } from '../../support/fake-clock.ts';

const TIMEOUT_MS = 60_000;

class FakeGate implements Gate {
  readonly sent: string[] = [];
  readonly #holders = new Set<object>();

  send(octets: string): void {
    this.sent.push(octets);
  }

  hold(holder: object): void {
    this.#holders.add(holder);
  }

  letGo(holder: object): void {
    this.#holders.delete(holder);
  }

  get isHeld(): boolean {
    return this.#holders.size > 0;
  }
}

interface Wire {
  readonly clock: FakeClock;
  readonly gate: FakeGate;
  readonly pipeline: Pipeline;
  readonly state: { isDestroyed: boolean };
  readonly says: (text: string) => void;
}

function wire(): Wire {
  const clock = new FakeClock();
  const gate = new FakeGate();
  const state = { isDestroyed: false };
  const pipeline = new Pipeline({
    clock,
    timeoutMs: TIMEOUT_MS,
    habits: new ServerHabits(),
    maxMessages: 1_000,
    destroy: () => (state.isDestroyed = true),
  });
  pipeline.attach(gate);
  return { clock, gate, pipeline, state, says: (text) => pipeline.receive(Buffer.from(text, 'latin1')) };
}

const failureOf = (promise: Promise<unknown>): Promise<UpstreamError> =>
  promise.then(
    () => new UpstreamError('refused', 'it did not fail'),
    (error: unknown) => (error instanceof UpstreamError ? error : new UpstreamError('refused', String(error))),
  );

describe('commands', () => {
  test('are sent at once, and their answers told apart by tag', async () => {
    const { gate, pipeline, says } = wire();
    const first = pipeline.command('NOOP');
    const second = pipeline.command('CHECK');
    expect(gate.sent).toEqual(['Z1 NOOP\r\n', 'Z2 CHECK\r\n']);
    says('Z2 OK second\r\nZ1 OK first\r\n');
    expect([(await first).text, (await second).text]).toEqual(['first', 'second']);
    expect(pipeline.isIdle).toBe(true);
  });

  test.for([
    ['NO [UNAVAILABLE] later', 'unreachable'],
    ['NO [OVERQUOTA] full', 'refused'],
    ['BAD what', 'refused'],
  ] as const)('answered %s fail', async ([answer]) => {
    const { pipeline, says, state } = wire();
    const failure = failureOf(pipeline.command('NOOP'));
    says(`Z1 ${answer}\r\n`);
    expect((await failure).message).not.toBe('it did not fail');
    expect(state.isDestroyed).toBe(false);
  });

  test('what nobody asked for is passed over, whatever it holds', async () => {
    const { pipeline, says } = wire();
    const others = '* OK hi\r\n* LIST () "/" {5}\r\nINBOX\r\n* 1 FETCH (UID 1 BODY[] {3}\r\nabc)\r\n7 OK done\r\n';
    for (const octet of others) says(octet);
    const answer = pipeline.command('NOOP');
    says('Z1 OK done\r\n');
    expect((await answer).status).toBe('OK');
  });

  test('an answer to a command that was not sent ends the connection, and with it all others', async () => {
    const { pipeline, says, state } = wire();
    const failure = failureOf(pipeline.command('NOOP'));
    says('Z9 OK\r\n');
    expect((await failure).kind).toBe('protocol');
    expect(state.isDestroyed).toBe(true);
    expect((await failureOf(pipeline.command('NOOP'))).kind).toBe('protocol');
  });

  test('BYE is the reason where the connection ends after it', async () => {
    const { pipeline, says } = wire();
    const failure = failureOf(pipeline.command('NOOP'));
    says('* BYE Request is throttled. Suggested Backoff Time: 1500 milliseconds\r\n');
    pipeline.lost(undefined);
    expect(await failure).toMatchObject({ kind: 'throttled', retryAfterMs: 1500 });
  });

  test('news of the mailbox are counted whoever asked for what', () => {
    const { pipeline, says } = wire();
    says('* 5 EXISTS\r\n* 2 EXPUNGE\r\n');
    expect([pipeline.news, pipeline.exists]).toEqual([2, 4]);
  });
});

describe('the deadline', () => {
  test('ends a connection that says nothing while an answer is due', async () => {
    const { clock, pipeline, state } = wire();
    const failure = failureOf(pipeline.command('NOOP'));
    await clock.advance(TIMEOUT_MS - 1);
    expect(state.isDestroyed).toBe(false);
    await clock.advance(1);
    expect((await failure).kind).toBe('timeout');
    expect(state.isDestroyed).toBe(true);
  });

  test('begins with the command, however long the connection was idle', async () => {
    const { clock, pipeline, state, says } = wire();
    const first = pipeline.command('NOOP');
    says('Z1 OK\r\n');
    await first;
    await clock.advance(10 * TIMEOUT_MS);
    void failureOf(pipeline.command('NOOP'));
    await clock.advance(TIMEOUT_MS - 1);
    expect(state.isDestroyed).toBe(false);
    await clock.advance(1);
    expect(state.isDestroyed).toBe(true);
  });

  test('starts anew with each half a kilobyte, not with each octet', async () => {
    const { clock, pipeline, state, says } = wire();
    const collector = { body: () => ({ write: () => {} }), row: () => true };
    void failureOf(pipeline.command('UID FETCH 1 (UID BODY.PEEK[])', collector));
    says('* 1 FETCH (UID 1 BODY[] {100000}\r\n');
    for (let minute = 0; minute < 10; minute += 1) {
      says('x'.repeat(512));
      await clock.advance(TIMEOUT_MS - 1);
    }
    expect(state.isDestroyed).toBe(false);
    for (let second = 0; second < 120 && !state.isDestroyed; second += 1) {
      says('x');
      await clock.advance(1_000);
    }
    expect(state.isDestroyed).toBe(true);
  });

  test.each([
    ['what nobody asked for', '* OK still here, and here, and here\r\n'.repeat(20)],
    ['news of flags', '* 1 FETCH (FLAGS (\\Seen))\r\n'.repeat(20)],
    ['bodies that nobody wants', `* 1 FETCH (UID 1 BODY[] {600}\r\n${'x'.repeat(600)})\r\n`],
    ['long lines of nothing', `* OK ${'x'.repeat(2_000)}\r\n`],
  ])('is not kept from running out by %s', async (_, said) => {
    const { clock, pipeline, says } = wire();
    const failure = failureOf(pipeline.command('UID SEARCH ALL', { found: () => {}, row: () => false }));
    let passed = 0;
    void failure.then(() => (passed = -1));
    for (; passed >= 0 && passed < 20 * TIMEOUT_MS; passed += 500) {
      says(said);
      await clock.advance(500);
    }
    expect(await Promise.race([failure, Promise.resolve('none')])).toMatchObject({ kind: 'timeout' });
  });

  test.for([
    ['lines', '* OK still here, and here, and here\r\n'],
    ['long lines', `* OK ${'x'.repeat(1_500)}\r\n`],
    ['rows', '* 1 FETCH (UID 1 FLAGS (\\Seen))\r\n'],
  ] as const)('is not put off by %s that nobody wants, cut anywhere', async ([, line]) => {
    const { clock, pipeline, says, state } = wire();
    void failureOf(pipeline.command('UID FETCH 1:* (UID RFC822.SIZE)', { row: () => false }));
    const flood = line.repeat(200);
    for (let at = 0; at < flood.length && clock.monotonic() < 3 * TIMEOUT_MS && !state.isDestroyed; at += 1_001) {
      says(flood.slice(at, at + 1_001));
      await clock.advance(TIMEOUT_MS / 5);
    }
    expect(state.isDestroyed).toBe(true);
    // What is cut off at first may be the beginning of a long line.
    expect(clock.monotonic()).toBeLessThan(2 * TIMEOUT_MS);
  });

  test('waits for a long line that comes slowly, though not for ever', async () => {
    const { clock, pipeline, state, says } = wire();
    void failureOf(pipeline.command('UID SEARCH ALL', { found: () => {} }));
    says('* SEARCH');
    const step = async (): Promise<void> => {
      says(' 1234567'.repeat(100));
      await clock.advance(TIMEOUT_MS - 1);
    };
    for (let count = 0; count < 3; count += 1) await step();
    expect(state.isDestroyed).toBe(false);
    for (let count = 0; count < 3; count += 1) await step();
    expect(state.isDestroyed).toBe(true);
  });

  test('and for the next one behind it', async () => {
    const { clock, pipeline, state, says } = wire();
    void failureOf(pipeline.command('UID SEARCH ALL', { found: () => {} }));
    for (let line = 0; line < 2; line += 1) {
      says('* SEARCH');
      for (let count = 0; count < 2; count += 1) {
        says(' 1'.repeat(400));
        await clock.advance(TIMEOUT_MS - 1);
      }
      says('\r\n');
    }
    expect(state.isDestroyed).toBe(false);
  });

  test('and no search is answered by lines without an end', async () => {
    const { pipeline, says, state } = wire();
    const failure = failureOf(pipeline.command('UID SEARCH ALL', { found: () => {} }));
    says('* SEARCH 1 2 3\r\n'.repeat(101));
    expect((await failure).kind).toBe('protocol');
    expect(state.isDestroyed).toBe(true);
  });

  test('does not run while a client keeps the server from being read', async () => {
    const { clock, pipeline, state } = wire();
    const failure = failureOf(pipeline.command('NOOP'));
    const client = {};
    pipeline.hold(client);
    await clock.advance(100 * TIMEOUT_MS);
    expect(state.isDestroyed).toBe(false);
    pipeline.letGo(client);
    await clock.advance(TIMEOUT_MS);
    expect((await failure).kind).toBe('timeout');
  });

  test('leaves no timer behind when the connection is lost', async () => {
    const { clock, pipeline } = wire();
    const failure = failureOf(pipeline.command('NOOP'));
    pipeline.lost(new Error('reset'));
    expect((await failure).kind).toBe('unreachable');
    expect(clock.pending).toBe(0);
  });
});

describe('what comes while no command waits for an answer', () => {
  const MIB = 1024 * 1024;
  const NEWS = '* 3 EXISTS\r\n'.repeat(5_000);

  test.for([
    ['lines', NEWS],
    ['a line without an end', 'x'.repeat(60_000)],
    ['rows', '* 1 FETCH (UID 1 FLAGS (\\Seen))\r\n'.repeat(1_500)],
  ] as const)('ends the connection where it is a flood of %s', async ([, said]) => {
    const { pipeline, says, state } = wire();
    let octets = 0;
    for (; octets < 16 * MIB && !state.isDestroyed; octets += said.length) says(said);
    expect(state.isDestroyed).toBe(true);
    expect(octets).toBeGreaterThan(MIB);
    expect((await failureOf(pipeline.command('NOOP'))).kind).toBe('protocol');
  });

  test('is no flood where a command waits for an answer', async () => {
    const { pipeline, says, state } = wire();
    const answer = pipeline.command('NOOP');
    for (let octets = 0; octets < 8 * MIB; octets += NEWS.length) says(NEWS);
    says('Z1 OK done\r\n');
    await answer;
    expect(state.isDestroyed).toBe(false);
  });

  test('is counted from command to command', async () => {
    const { gate, pipeline, says, state } = wire();
    for (let count = 0; count < 100; count += 1) {
      const answer = pipeline.command('NOOP');
      const [tag = ''] = gate.sent.at(-1)?.split(' ', 1) ?? [];
      says(`${NEWS}${tag} OK done\r\n`);
      await answer;
      says(NEWS);
    }
    expect(state.isDestroyed).toBe(false);
  });
});

describe('a mailbox kept open in silence', () => {
  test('is asked with NOOP whether the server is still there; no answer ends it', async () => {
    const { clock, gate, pipeline, says, state } = wire();
    pipeline.quiet();
    expect(gate.sent).toEqual(['Z1 NOOP\r\n']);
    says('Z1 OK\r\n');
    await clock.advance(0);
    pipeline.quiet();
    await clock.advance(TIMEOUT_MS);
    expect(state.isDestroyed).toBe(true);
  });
});
