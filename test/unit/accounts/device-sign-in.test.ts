/** The device flow (RFC 8628) before a provider that makes the user wait, changes its mind, fails, and is never answered. */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Provider } from '../../../src/accounts/oauth/provider.ts';
import { systemClock } from '../../../src/clock.ts';
import { patience } from '../../support/patience.ts';

const DEVICE = {
  device_code: 'D1',
  user_code: 'ABCD-EFGH',
  verification_uri: 'https://example.com/device',
  expires_in: 600,
  interval: 0.05,
};
const TOKENS = { access_token: 'T1', refresh_token: 'R1', token_type: 'bearer', expires_in: 3600 };
const refusing = (error: string): Answer => ({ status: 400, body: { error } });

interface Answer {
  readonly status: number;
  readonly body: object;
}

let server: Server;
/** What the token endpoint answers, one after the other; the last for ever. */
let answers: Answer[];
let polls: number;

beforeEach(async () => {
  polls = 0;
  server = createServer((request, response) => {
    const isPoll = request.url === '/token';
    const { status, body } = isPoll ? (answers[Math.min(polls, answers.length - 1)] ?? refusing('none')) : { status: 200, body: DEVICE };
    if (isPoll) polls += 1;
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
});

afterEach(() => {
  server.close();
  server.closeAllConnections();
});

async function signIn(...given: readonly Answer[]): Promise<unknown> {
  answers = [...given];
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const provider = await Provider.open(
    {
      clientId: 'mine',
      clientSecretFile: undefined,
      flow: 'device',
      scopes: [],
      issuer,
      endpoints: { authorization: `${issuer}/auth`, token: `${issuer}/token`, device: `${issuer}/device` },
      redirectHost: '127.0.0.1',
      parameters: {},
    },
    systemClock,
  );
  const { granted } = await provider.requestDeviceCode();
  return granted(AbortSignal.timeout(patience(20_000)));
}

test('waits until the user has agreed', async () => {
  const pending = refusing('authorization_pending');
  expect(await signIn(pending, pending, { status: 200, body: TOKENS })).toMatchObject({ accessToken: 'T1', refreshToken: 'R1' });
  expect(polls).toBe(3);
});

test('survives a provider that fails meanwhile', async () => {
  expect(await signIn({ status: 503, body: {} }, { status: 200, body: TOKENS })).toMatchObject({ accessToken: 'T1' });
});

test.for([
  ['says no', 'access_denied'],
  ['is too late', 'expired_token'],
])('ends at once when the user %s', async ([, code = '']) => {
  const failure = { code: 'AUTH_SIGN_IN_NEEDED', message: expect.stringContaining(`the sign-in failed: ${code}`) };
  await expect(signIn(refusing('authorization_pending'), refusing(code))).rejects.toMatchObject(failure);
  expect(polls).toBe(2);
});

test('ends at once when the provider does not know the program', async () => {
  await expect(signIn(refusing('invalid_client'))).rejects.toMatchObject({ kind: 'provider-refused' });
  expect(polls).toBe(1);
});
