/**
 * Logging in upstream: with what the POP3 client gave, or with what its local account has. Either way the server decides; refused
 * credentials are not repeated to it, and a pause it asks for is kept.
 */
import type { Accounts, UpstreamCredentials } from '../accounts/accounts.ts';
import type { Asker } from '../accounts/fair-turns.ts';
import { canonicalUser } from '../config/user-name.ts';
import { CredentialsError, toBridgeError, UpstreamError, type BridgeError } from '../errors.ts';
import type { UpstreamLogin, UpstreamSession } from '../upstream/upstream.ts';
import { imapUser } from './account.ts';
import type { BackgroundWork } from './background-work.ts';
import type { LiveSecrets, Log } from './logging.ts';
import type { LoginThrottle } from './login-throttle.ts';
import type { UpstreamService } from './login.ts';

export interface ProofParts {
  readonly background: BackgroundWork;
  readonly throttle: LoginThrottle;
  /** Of whoever logs in: struck out in the lines of this log until they are cleared, which is after the login's outcome was told. */
  readonly secrets: LiveSecrets;
  /** Tokens in use, which are struck out in every line. */
  readonly tokens: LiveSecrets;
  readonly log: Log;
}

/** When a try ends, and on what it is made. */
export interface Until {
  readonly client: AbortSignal;
  readonly attempt: AbortSignal;
  /** On a connection that nobody else uses. */
  readonly isApart?: boolean;
}

/** What a client or a command gave is what the server gets. */
export function passedOn(login: UpstreamLogin): UpstreamCredentials {
  return { user: login.user, current: async () => login, after: async () => undefined, refusal: (error) => error, accepted: () => {} };
}

/** What a user of POP3 logs in upstream with. With local accounts the password is proven here, before anything upstream; else by the server. */
export async function provenCredentials(
  accounts: Accounts,
  service: UpstreamService,
  { user, password, by }: { readonly user: string; readonly password: string; readonly by: Asker },
): Promise<UpstreamCredentials> {
  if (service.mode === 'upstream') return passedOn({ user: imapUser(service, user), password });
  return accounts.credentials(await accounts.prove({ upstream: service.id, user: canonicalUser(user) }, password, by));
}

/** Whose mail on the server a user of POP3 means. */
export async function upstreamUserOf(accounts: Accounts, service: UpstreamService, user: string): Promise<string> {
  const account = service.mode === 'accounts' ? await accounts.find({ upstream: service.id, user: canonicalUser(user) }) : undefined;
  return account?.upstreamUser ?? imapUser(service, user);
}

/**
 * A session of the account. A client that leaves does not end the try: it would have guessed without being counted. Rejects with
 * CredentialsError, UpstreamError, or StoreError where stored credentials can't be read.
 */
export async function proveUpstream(
  parts: ProofParts,
  service: UpstreamService,
  account: string,
  credentials: UpstreamCredentials,
  until: Until,
): Promise<UpstreamSession> {
  await parts.background.end(account);
  const first = await credentials.current(until.attempt);
  const session = await tryLogin(parts, service, account, first, until).catch(async (error: unknown) => {
    if (!(error instanceof CredentialsError)) throw error;
    // One that was refused lately is no reason to ask the provider again at each poll.
    if (error.code !== 'AUTH_REFUSED') throw credentials.refusal(error);
    // A token that the provider took back, or one that a clock held to be good for longer.
    const other = await credentials.after(first, until.attempt);
    if (other === undefined) throw credentials.refusal(error);
    return tryLogin(parts, service, account, other, until).catch((again: unknown) => {
      throw again instanceof CredentialsError ? credentials.refusal(again) : again;
    });
  });
  credentials.accepted();
  if (until.client.aborted) {
    void session.logout();
    throw new UpstreamError('unreachable', 'the client left during its login');
  }
  if (!session.isKept) parts.log.info('upstream-connected', { upstream: service.id, user: credentials.user });
  return session;
}

async function tryLogin(
  { throttle, secrets, tokens, log }: ProofParts,
  service: UpstreamService,
  account: string,
  login: UpstreamLogin,
  until: Until,
): Promise<UpstreamSession> {
  secrets.add(login.password);
  const attempt = await throttle.admit(account, login.password, until.client);
  try {
    const session = await service.upstream.login(login, until.attempt, { isApart: until.isApart ?? false });
    attempt.succeeded();
    throttle.doubts.forget(account);
    // The connection may serve another login with a newer token; the server may repeat this one even then.
    if (login.isToken === true) session.onEnd(tokens.add(login.password));
    return session;
  } catch (error) {
    const refused = toBridgeError(error);
    // A token is refused when it has ended, and another one is asked for.
    const isDoubtful = login.isToken !== true && isUncoded(refused) && throttle.isProven(account, login.password);
    const failure = isDoubtful && !throttle.doubts.isBelieved(account) ? doubted(refused) : refused;
    if (failure instanceof CredentialsError) attempt.refused();
    else attempt.undecided(failure);
    if (!(failure instanceof CredentialsError)) log.warn('upstream-failed', { upstream: service.id, error: failure });
    throw failure;
  }
}

function isUncoded(failure: BridgeError): boolean {
  return failure instanceof CredentialsError && failure.code === 'AUTH_REFUSED' && !failure.isCoded;
}

/** What a refusal is called that may mean the server and not the password. */
function doubted(refusal: BridgeError): UpstreamError {
  return new UpstreamError('refused', `the password worked before, and no response code says that it is wrong: ${refusal.message}`, {
    cause: refusal,
  });
}
