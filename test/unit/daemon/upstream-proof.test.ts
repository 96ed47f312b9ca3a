/** A password that worked before, and a server that refuses it without a response code. */
import { beforeEach, describe, expect, test } from 'vitest';
import { BackgroundWork } from '../../../src/daemon/background-work.ts';
import { LiveSecrets, type Log } from '../../../src/daemon/logging.ts';
import type { UpstreamService } from '../../../src/daemon/login.ts';
import { LoginThrottle } from '../../../src/daemon/login-throttle.ts';
import { passedOn, proveUpstream, type ProofParts } from '../../../src/daemon/upstream-proof.ts';
import { BridgeError, CredentialsError } from '../../../src/errors.ts';
import type { UpstreamLogin, UpstreamSession } from '../../../src/upstream/upstream.ts';
import { FakeClock } from '../../support/fake-clock.ts';

const MINUTE_MS = 60_000;
const { signal } = new AbortController();
const until = { client: signal, attempt: signal };
const UNCODED = new CredentialsError('AUTH_REFUSED', 'LOGIN failed', { isCoded: false });
const CODED = new CredentialsError('AUTH_REFUSED', 'Authentication failed');

let clock: FakeClock;
let parts: ProofParts;
/** What the server says to the next logins; undefined is OK. */
let answer: BridgeError | undefined;
let asked: number;

beforeEach(() => {
  clock = new FakeClock();
  answer = undefined;
  asked = 0;
  const ignore = (): void => {};
  const log: Log = { debug: ignore, info: ignore, warn: ignore, error: ignore, withSecrets: () => log };
  parts = {
    background: new BackgroundWork(clock),
    throttle: new LoginThrottle(clock),
    secrets: new LiveSecrets(),
    tokens: new LiveSecrets(),
    log,
  };
});

const session = { onEnd: () => {}, isKept: false } as unknown as UpstreamSession;
const service = {
  id: 'test',
  upstream: {
    login: async () => {
      asked += 1;
      if (answer !== undefined) throw answer;
      return session;
    },
    retire: async () => {},
  },
} as unknown as UpstreamService;

/** The code of what came of it, or OK. */
async function tryLogin(login: Partial<UpstreamLogin> = {}): Promise<string> {
  const proof = proveUpstream(parts, service, 'alice', passedOn({ user: 'alice', password: 'secret', ...login }), until);
  return proof.then(
    () => 'OK',
    (error: unknown) => (error instanceof BridgeError ? error.code : String(error)),
  );
}

describe('a password that worked before, refused without a code,', () => {
  test('is not called wrong, and goes to the server again at once', async () => {
    expect(await tryLogin()).toBe('OK');
    answer = UNCODED;
    for (let times = 0; times < 3; times += 1) expect(await tryLogin()).toBe('UPSTREAM_REFUSED');
    expect(asked).toBe(4);
    answer = undefined;
    expect(await tryLogin()).toBe('OK');
  });

  test('is wrong at the third time, each a minute after the one before, and is then put off as any other', async () => {
    expect(await tryLogin()).toBe('OK');
    answer = UNCODED;
    expect(await tryLogin()).toBe('UPSTREAM_REFUSED');
    await clock.advance(MINUTE_MS);
    expect(await tryLogin()).toBe('UPSTREAM_REFUSED');
    await clock.advance(MINUTE_MS);
    expect(await tryLogin()).toBe('AUTH_REFUSED');
    expect(await tryLogin()).toBe('AUTH_REFUSED_BEFORE');
    expect(asked).toBe(4);
    await clock.advance(MINUTE_MS);
    expect(await tryLogin()).toBe('AUTH_REFUSED');
  });

  test('is doubted as long again after it worked meanwhile', async () => {
    for (let round = 0; round < 2; round += 1) {
      answer = undefined;
      expect(await tryLogin()).toBe('OK');
      answer = UNCODED;
      for (let times = 0; times < 2; times += 1) {
        await clock.advance(MINUTE_MS);
        expect(await tryLogin()).toBe('UPSTREAM_REFUSED');
      }
    }
  });
});

test.for([
  ['with a code', CODED, {}],
  ['another password', UNCODED, { password: 'other' }],
] as const)('a refusal is believed at once: %s', async ([, refusal, login]) => {
  expect(await tryLogin()).toBe('OK');
  answer = refusal;
  expect(await tryLogin(login)).toBe('AUTH_REFUSED');
  expect(await tryLogin(login)).toBe('AUTH_REFUSED_BEFORE');
});

test('so is that of a password that never worked', async () => {
  answer = UNCODED;
  expect(await tryLogin()).toBe('AUTH_REFUSED');
  expect(await tryLogin()).toBe('AUTH_REFUSED_BEFORE');
});

test('and that of a token: the next one is asked for', async () => {
  expect(await tryLogin({ isToken: true })).toBe('OK');
  answer = UNCODED;
  expect(await tryLogin({ isToken: true })).toBe('AUTH_REFUSED');
});
