/** Tokens of accounts before a provider whose clock, disk and moods are the test's. */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Account } from '../../../src/accounts/accounts.ts';
import { TokenKeeper } from '../../../src/accounts/oauth/token-keeper.ts';
import { isStale } from '../../../src/accounts/oauth/tokens.ts';
import type { OAuthConfig } from '../../../src/config/oauth-config.ts';
import { CredentialsError } from '../../../src/errors.ts';
import { SqliteAccountStore } from '../../../src/store/sqlite-account-store.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { until } from '../../support/until.ts';

const ACCOUNT: Account = { upstream: 'mail', user: 'alice', upstreamUser: 'alice', source: { kind: 'oauth' }, isDeclared: false };
const HOUR = 3_600;

let provider: Server;
let config: OAuthConfig;
let asked: URLSearchParams[];
type Answer = { readonly status?: number; readonly body: object };
let answer: (request: URLSearchParams) => Answer | Promise<Answer>;
let clock: FakeClock;
let store: SqliteAccountStore;
let told: string[];
let isDiskFull: boolean;

/** Gives T1, R1, then T2, R2 …; takes each refresh token once. */
function rotating(): (request: URLSearchParams) => Answer {
  let given = 1;
  return (request) => {
    if (request.get('refresh_token') !== `R${given}`) return { status: 400, body: { error: 'invalid_grant' } };
    given += 1;
    return { body: { access_token: `T${given}`, refresh_token: `R${given}`, token_type: 'bearer', expires_in: HOUR } };
  };
}

beforeEach(async () => {
  asked = [];
  told = [];
  isDiskFull = false;
  answer = rotating();
  clock = new FakeClock();
  store = new SqliteAccountStore(':memory:');
  provider = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const body = new URLSearchParams(Buffer.concat(chunks).toString());
      asked.push(body);
      void Promise.resolve(answer(body)).then(({ status = 200, body: said }) =>
        response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(said)),
      );
    });
  });
  await new Promise<void>((resolve) => provider.listen(0, '127.0.0.1', resolve));
  const issuer = `http://127.0.0.1:${(provider.address() as AddressInfo).port}`;
  const endpoints = { authorization: `${issuer}/auth`, token: `${issuer}/token`, device: undefined };
  config = {
    clientId: 'mine',
    clientSecretFile: undefined,
    flow: 'code',
    scopes: [],
    issuer,
    endpoints,
    redirectHost: '127.0.0.1',
    parameters: {},
  };
});

afterEach(async () => {
  provider.closeAllConnections();
  await new Promise((resolve) => provider.close(resolve));
  await store[Symbol.asyncDispose]();
});

const keeper = (): TokenKeeper =>
  new TokenKeeper({
    store,
    clock,
    seal: (secret) => {
      if (isDiskFull) throw new Error('no space left');
      return Buffer.from(secret);
    },
    open: (sealed) => Buffer.from(sealed).toString(),
    config: () => config,
    events: { renewed: () => told.push('renewed'), signInNeeded: (_, reason) => told.push(reason) },
  });
const now = (): number => Math.floor(clock.now() / 1000);
const signIn = async (tokens: TokenKeeper, lifetime = HOUR): Promise<void> =>
  tokens.signedIn(ACCOUNT, { accessToken: 'T1', refreshToken: 'R1', issuedAt: now(), expiresAt: now() + lifetime });
const AFTER_AN_HOUR = HOUR * 1000;

test('a token is used until shortly before its end, and then renewed', async () => {
  const tokens = keeper();
  await signIn(tokens);
  await clock.advance(AFTER_AN_HOUR - 301_000);
  expect(await tokens.current(ACCOUNT)).toBe('T1');
  expect(asked).toHaveLength(0);
  await clock.advance(2_000);
  expect(await tokens.current(ACCOUNT)).toBe('T2');
  expect(told).toEqual(['renewed']);
  expect(await tokens.current(ACCOUNT)).toBe('T2');
  expect(asked.map((request) => [request.get('grant_type'), request.get('refresh_token'), request.get('client_id')])).toEqual([
    ['refresh_token', 'R1', 'mine'],
  ]);
});

test('where the wall clock jumps a day ahead a token is renewed; a day back, the server has the say, and one that it refuses is renewed', async () => {
  const tokens = keeper();
  await signIn(tokens);
  clock.jump(24 * AFTER_AN_HOUR);
  expect(await tokens.current(ACCOUNT)).toBe('T2');
  clock.jump(-48 * AFTER_AN_HOUR);
  expect(await tokens.current(ACCOUNT)).toBe('T2');
  expect(await tokens.after(ACCOUNT, 'T2')).toBe('T3');
  expect(await tokens.current(ACCOUNT)).toBe('T3');
  expect(asked).toHaveLength(2);
  expect(told).toEqual(['renewed', 'renewed']);
});

test('fifty that want one at the same time cost one request, and get the same', async () => {
  const tokens = keeper();
  await signIn(tokens);
  await clock.advance(AFTER_AN_HOUR);
  const given = await Promise.all(Array.from({ length: 50 }, () => tokens.current(ACCOUNT)));
  expect(new Set(given)).toEqual(new Set(['T2']));
  expect(asked).toHaveLength(1);
});

test('what was rotated is there after a restart', async () => {
  const tokens = keeper();
  await signIn(tokens);
  await clock.advance(AFTER_AN_HOUR);
  await tokens.current(ACCOUNT);
  const again = keeper();
  expect(await again.current(ACCOUNT)).toBe('T2');
  await clock.advance(AFTER_AN_HOUR);
  expect(await again.current(ACCOUNT)).toBe('T3');
});

test('a rotation that can not be written down is an error, is not forgotten, and is written later', async () => {
  const tokens = keeper();
  await signIn(tokens);
  await clock.advance(AFTER_AN_HOUR);
  isDiskFull = true;
  await expect(tokens.current(ACCOUNT)).rejects.toThrow('no space left');
  await expect(tokens.current(ACCOUNT)).rejects.toThrow('no space left');
  isDiskFull = false;
  expect(await tokens.current(ACCOUNT)).toBe('T2');
  expect(await keeper().current(ACCOUNT)).toBe('T2');
  expect(asked).toHaveLength(1);
});

test('a token that the server refuses is renewed, once for all who were refused', async () => {
  const tokens = keeper();
  await signIn(tokens);
  const given = await Promise.all([tokens.after(ACCOUNT, 'T1'), tokens.after(ACCOUNT, 'T1')]);
  expect(given).toEqual(['T2', 'T2']);
  expect(await tokens.after(ACCOUNT, 'T1')).toBe('T2');
  expect(asked).toHaveLength(1);
});

test('a grant that was taken back is asked for once, and again only after a sign-in', async () => {
  const tokens = keeper();
  await signIn(tokens);
  await clock.advance(AFTER_AN_HOUR);
  answer = () => ({ status: 400, body: { error: 'invalid_grant', error_description: 'Token has been expired or revoked: R1' } });
  const needed = expect.objectContaining({ code: 'AUTH_SIGN_IN_NEEDED', message: expect.stringContaining('invalid_grant') });
  for (let times = 0; times < 3; times += 1) await expect(tokens.current(ACCOUNT)).rejects.toEqual(needed);
  await expect(keeper().current(ACCOUNT)).rejects.toEqual(needed);
  expect(asked).toHaveLength(1);
  // What the provider repeats of a secret is struck out.
  expect(told).toEqual(['the token was not renewed: invalid_grant, Token has been expired or revoked: [secret]']);
  expect(await store.signIn(ACCOUNT)).toMatchObject({ state: 'needed' });
  answer = rotating();
  await signIn(tokens);
  expect(await tokens.current(ACCOUNT)).toBe('T1');
  expect(await store.signIn(ACCOUNT)).toMatchObject({ state: 'ok', reason: '' });
});

test.each([
  ['an overloaded provider', 503, { error: 'temporarily_unavailable' }],
  ['an answer that is no error of OAuth', 502, { oops: true }],
  ['an answer without a token', 200, { token_type: 'bearer' }],
  ['a token with a line end in it', 200, { access_token: 'T\r\nT', token_type: 'bearer' }],
])('%s passes: the sign-in is left as it is, and the next one who wants a token asks again', async (_, status, body) => {
  const tokens = keeper();
  await signIn(tokens);
  await clock.advance(AFTER_AN_HOUR);
  answer = () => ({ status, body });
  await expect(tokens.current(ACCOUNT)).rejects.toEqual(expect.objectContaining({ code: 'UPSTREAM_PROVIDER_UNAVAILABLE' }));
  expect(await tokens.signIn(ACCOUNT)).toMatchObject({ state: 'ok' });
  answer = rotating();
  expect(await tokens.current(ACCOUNT)).toBe('T2');
});

test.each([
  ['a client that is not known', 401, { error: 'invalid_client' }],
  ['a scope that is not given', 400, { error: 'invalid_scope' }],
])('%s leaves the sign-in as it is, is told, and asked for after 1, 2, 4 minutes only', async (_, status, body) => {
  const tokens = keeper();
  await signIn(tokens);
  await clock.advance(AFTER_AN_HOUR);
  answer = () => ({ status, body });
  const refused = (): Promise<void> =>
    expect(tokens.current(ACCOUNT)).rejects.toEqual(expect.objectContaining({ code: 'UPSTREAM_PROVIDER_REFUSED' }));
  const askedAfter: number[] = [];
  for (let second = 0; second < 500; second += 10) {
    await refused();
    if (asked.length > askedAfter.length) askedAfter.push(second);
    await clock.advance(10_000);
  }
  expect(askedAfter).toEqual([0, 60, 180, 420]);
  expect(await store.signIn(ACCOUNT)).toMatchObject({ state: 'ok' });
  expect(await tokens.signIn(ACCOUNT)).toMatchObject({ state: 'failing', reason: expect.stringContaining(body.error) });
  // Somebody has changed the file.
  config = { ...config };
  answer = rotating();
  expect(await tokens.current(ACCOUNT)).toBe('T2');
  expect(await tokens.signIn(ACCOUNT)).toMatchObject({ state: 'ok', reason: '' });
});

test('an answer without an end is no answer, and is not kept', async () => {
  const tokens = keeper();
  await signIn(tokens);
  await clock.advance(AFTER_AN_HOUR);
  answer = () => ({ body: { access_token: 'T2', token_type: 'bearer', padding: 'x'.repeat(300 * 1024) } });
  await expect(tokens.current(ACCOUNT)).rejects.toMatchObject({
    code: 'UPSTREAM_PROVIDER_UNAVAILABLE',
    message: expect.stringContaining('the answer is too long'),
  });
});

test('a token that can not be renewed early is good to its end', async () => {
  const tokens = keeper();
  await signIn(tokens);
  answer = () => ({ status: 503, body: {} });
  await clock.advance(AFTER_AN_HOUR - 1_000);
  expect(await tokens.current(ACCOUNT)).toBe('T1');
  await clock.advance(1_000);
  await expect(tokens.current(ACCOUNT)).rejects.toMatchObject({ code: 'UPSTREAM_PROVIDER_UNAVAILABLE' });
});

test('a token that nothing renews is good to its end; then somebody has to sign in, which is told once', async () => {
  const tokens = keeper();
  await tokens.signedIn(ACCOUNT, { accessToken: 'T1', refreshToken: undefined, issuedAt: now(), expiresAt: now() + HOUR });
  await clock.advance(AFTER_AN_HOUR - 1_000);
  expect(await tokens.current(ACCOUNT)).toBe('T1');
  await clock.advance(1_000);
  for (let times = 0; times < 2; times += 1)
    await expect(tokens.current(ACCOUNT)).rejects.toMatchObject({
      code: 'AUTH_SIGN_IN_NEEDED',
      message: expect.stringContaining('no refresh'),
    });
  expect(told).toEqual(['the access token has ended, and no refresh token was given']);
  expect(await tokens.signIn(ACCOUNT)).toMatchObject({ state: 'needed' });
  expect(asked).toHaveLength(0);
});

test('tokens that the mail server refuses are told once, until it takes one', async () => {
  const tokens = keeper();
  await signIn(tokens);
  const refusal = new CredentialsError('AUTH_REFUSED', 'invalid_token');
  for (let times = 0; times < 2; times += 1) expect(tokens.refused(ACCOUNT, refusal)).toMatchObject({ code: 'AUTH_SIGN_IN_NEEDED' });
  expect(told).toEqual(['the mail server refuses the access token: invalid_token']);
  expect(await tokens.signIn(ACCOUNT)).toMatchObject({ state: 'failing', reason: told[0] });
  tokens.accepted(ACCOUNT);
  expect(await tokens.signIn(ACCOUNT)).toMatchObject({ state: 'ok' });
});

test('another sign-in is another grant, a renewal is not: it decides whom a kept connection serves', async () => {
  const tokens = keeper();
  await signIn(tokens);
  const first = tokens.grant(ACCOUNT);
  await clock.advance(AFTER_AN_HOUR);
  expect(await tokens.current(ACCOUNT)).toBe('T2');
  expect(tokens.grant(ACCOUNT)).toBe(first);
  await signIn(tokens);
  const second = tokens.grant(ACCOUNT);
  tokens.forget(ACCOUNT);
  expect(new Set([first, second, tokens.grant(ACCOUNT)]).size).toBe(3);
});

describe('of the client itself', () => {
  beforeEach(() => {
    config = { ...config, flow: 'client-credentials' };
  });

  test('tokens need nobody to sign in, and it stands well with them', async () => {
    const tokens = keeper();
    expect(await tokens.signIn(ACCOUNT)).toEqual({ state: 'ok', expiresAt: 0, reason: '' });
    answer = () => ({ body: { access_token: 'C1', token_type: 'bearer', expires_in: HOUR } });
    expect(await tokens.current(ACCOUNT)).toBe('C1');
    expect(await tokens.signIn(ACCOUNT)).toEqual({ state: 'ok', expiresAt: now() + HOUR, reason: '' });
  });

  test('what the provider or the server refuses is an administrator’s to mend, and no sign-in is asked for', async () => {
    const tokens = keeper();
    answer = () => ({ status: 400, body: { error: 'access_denied' } });
    await expect(tokens.current(ACCOUNT)).rejects.toMatchObject({ code: 'UPSTREAM_PROVIDER_REFUSED' });
    expect(await tokens.signIn(ACCOUNT)).toMatchObject({ state: 'failing', reason: expect.stringContaining('access_denied') });
    expect(tokens.refused(ACCOUNT, new CredentialsError('AUTH_REFUSED', 'no'))).toMatchObject({ code: 'UPSTREAM_FORBIDDEN' });
    expect(told).toEqual([]);
  });
});

describe.each([true, false])('during a renewal (that is refused: %s)', (isRefused) => {
  /** Renews, and does that before the provider answers. */
  const renewWhile = async (tokens: TokenKeeper, meanwhile: () => Promise<void>): Promise<string> => {
    await signIn(tokens);
    await clock.advance(AFTER_AN_HOUR);
    const slow = Promise.withResolvers<void>();
    const renew = rotating();
    answer = async (request) => {
      await slow.promise;
      return isRefused ? { status: 400, body: { error: 'invalid_grant' } } : renew(request);
    };
    const renewed = tokens.current(ACCOUNT);
    await until(() => asked.length > 0);
    await meanwhile();
    slow.resolve();
    return renewed;
  };

  test('a sign-in stands', async () => {
    const tokens = keeper();
    const again = { accessToken: 'N1', refreshToken: 'RN', issuedAt: now() + HOUR, expiresAt: now() + 2 * HOUR };
    expect(await renewWhile(tokens, () => tokens.signedIn(ACCOUNT, again))).toBe('N1');
    expect(await keeper().current(ACCOUNT)).toBe('N1');
    expect(await store.signIn(ACCOUNT)).toMatchObject({ state: 'ok' });
    expect(told).toEqual([]);
  });

  test('an account that is removed leaves nothing behind', async () => {
    const tokens = keeper();
    const remove = async (): Promise<void> => {
      await store.removeAccount(ACCOUNT);
      tokens.forget(ACCOUNT);
    };
    await expect(renewWhile(tokens, remove)).rejects.toMatchObject({ code: 'AUTH_SIGN_IN_NEEDED' });
    expect(await store.secrets()).toEqual([]);
    expect(await store.signIn(ACCOUNT)).toBeUndefined();
    expect(told).toEqual([]);
  });
});

test('nobody who has not signed in is asked for', async () => {
  await expect(keeper().current(ACCOUNT)).rejects.toEqual(
    expect.objectContaining({ code: 'AUTH_SIGN_IN_NEEDED', message: 'nobody has signed in' }),
  );
  expect(asked).toHaveLength(0);
});

test.each([
  [3_600, 3_299, false],
  [3_600, 3_300, true],
  [60, 47, false],
  [60, 48, true],
  [0, 99_999, false],
])('a token for %d seconds (0: nobody knows) is stale after %d seconds: %s', (lifetime, age, expected) => {
  const issuedAt = 1_000_000;
  const tokens = { accessToken: 'T', refreshToken: 'R', issuedAt, expiresAt: lifetime === 0 ? 0 : issuedAt + lifetime };
  expect(isStale(tokens, issuedAt + age)).toBe(expected);
});
