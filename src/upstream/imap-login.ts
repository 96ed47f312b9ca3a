/** Connects and logs in: one way after the other, where the server refuses a way and not the user. */
import type { Clock } from '../clock.ts';
import { CredentialsError, UpstreamError } from '../errors.ts';
import { withDeadline } from './deadline.ts';
import { ImapflowClient, type UpstreamEndpoint } from './imapflow-client.ts';
import { isWayRefused, loginFailure } from './imapflow-failure.ts';
import type { LoginWay, ServerHabits } from './server-habits.ts';
import type { UpstreamLogin } from './upstream.ts';

export interface LoginParts {
  readonly endpoint: UpstreamEndpoint;
  readonly clock: Clock;
  readonly habits: ServerHabits;
}

/**
 * A client that is logged in. Every attempt has a connection of its own, for imapflow gives a connection up with its first refusal; `endsAt`,
 * on the monotonic clock in milliseconds, holds for all of them. Rejects with UpstreamError, or CredentialsError.
 */
export async function logIn(
  { endpoint, clock, habits }: LoginParts,
  login: UpstreamLogin,
  endsAt: number,
  signal: AbortSignal,
): Promise<ImapflowClient> {
  if (/[\0\r\n]/.test(login.user + login.password)) {
    throw new CredentialsError('AUTH_REFUSED', 'user and password may not hold NUL, CR or LF: they would end a field or a command');
  }
  const refused: LoginWay[] = [];
  for (;;) {
    const client = new ImapflowClient(endpoint, login, {
      waysOf: (announces) => habits.loginWays(announces).filter((way) => !refused.includes(way)),
      mayAnswerUnasked: () => habits.isProven('AUTH=PLAIN'),
    });
    const deadline = { clock, ms: endsAt - clock.monotonic(), signal, onExpire: () => client.destroy() };
    try {
      await withDeadline(deadline, () => client.connect(clock));
    } catch (error) {
      client.destroy();
      const { hasSentSecret, transport } = client;
      const failure = client.throttled(error) ?? loginFailure(error, login, { hasSentSecret, certificate: transport.shownCertificate });
      const [way, ...others] = client.loginWays;
      if (way !== undefined && failure instanceof CredentialsError) habits.noteWrongPassword(way);
      if (way === undefined || others.length === 0 || !isWayRefused(error, hasSentSecret)) throw failure;
      refused.push(way);
      continue;
    }
    client.forgetPassword();
    if (client.wasPreauthenticated) {
      // We would be served somebody's mail, and nobody proved whose.
      client.destroy();
      throw new UpstreamError('refused', 'the server greeted with PREAUTH, so the password was never checked');
    }
    if (!client.hasSentSecret) {
      client.destroy();
      throw new UpstreamError('refused', 'the server said OK to a login before it was sent the password, so that was never checked');
    }
    const [way] = client.loginWays;
    if (way !== undefined) habits.noteSuccess(way, refused);
    return client;
  }
}
