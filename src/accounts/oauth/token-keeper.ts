/**
 * Keeps the access tokens of accounts fresh: renewed before their end, by one request an account however many sessions want one, and what a
 * renewal gives is on disk before it is used. Once the provider has taken a grant back, it is asked no more until somebody signs in again.
 */
import type { Clock } from '../../clock.ts';
import type { OAuthConfig } from '../../config/oauth-config.ts';
import { CredentialsError, StoreError, UpstreamError, type BridgeError } from '../../errors.ts';
import type { AccountKey, AccountStore, SignIn } from '../../store/account-store.ts';
import { secretContext, type Account, type SignInState, type Tokens } from '../accounts.ts';
import type { Provider } from './provider.ts';
import { decodeTokens, encodeTokens, hasEnded, isStale, type TokenSet } from './tokens.ts';

export interface TokenKeeperParts {
  readonly store: AccountStore;
  readonly clock: Clock;
  readonly seal: (secret: string, context: readonly string[]) => Uint8Array;
  readonly open: (sealed: Uint8Array, context: readonly string[]) => string;
  /** Of one upstream. */
  readonly config: (upstream: string) => OAuthConfig | undefined;
  readonly events: TokenEvents;
}

/** What an operator wants to know. */
export interface TokenEvents {
  /** `expiresAt`: seconds since 1970, 0 where unknown. */
  readonly renewed: (key: AccountKey, expiresAt: number) => void;
  readonly signInNeeded: (key: AccountKey, reason: string) => void;
}

interface KnownTokens {
  readonly tokens: TokenSet;
  /** On disk. */
  isSaved: boolean;
}

/** The provider refuses this client registration; asking again at each poll would not help. */
interface Failure {
  readonly config: OAuthConfig;
  readonly times: number;
  /** On the clock that never jumps. */
  readonly until: number;
  readonly error: BridgeError;
}

const NOBODY = 'nobody has signed in';
const MINUTE_MS = 60_000;
const MAX_PAUSE_MINUTES = 30;

export class TokenKeeper implements Tokens {
  readonly #parts: TokenKeeperParts;
  readonly #renewals = new Map<string, Promise<TokenSet>>();
  /** Of accounts used since the start. */
  readonly #known = new Map<string, KnownTokens>();
  /** Sign-ins so far, by account: a removed one counts too. */
  readonly #grants = new Map<string, number>();
  readonly #failures = new Map<string, Failure>();
  /** Why the mail server refused the tokens of an account. */
  readonly #refusals = new Map<string, string>();
  /** One provider a configuration: a reload makes another. */
  readonly #providers = new WeakMap<OAuthConfig, Promise<Provider>>();

  constructor(parts: TokenKeeperParts) {
    this.#parts = parts;
  }

  async current(account: Account): Promise<string> {
    const tokens = await this.#load(account);
    if (tokens !== undefined && !isStale(tokens, this.#now())) return tokens.accessToken;
    try {
      return (await this.#renewal(account)).accessToken;
    } catch (error) {
      // It was to be renewed early, for the case that this fails.
      if (tokens !== undefined && error instanceof UpstreamError && !hasEnded(tokens, this.#now())) return tokens.accessToken;
      throw error;
    }
  }

  async after(account: Account, refused: string): Promise<string | undefined> {
    const tokens = await this.#load(account);
    // Another session has renewed it meanwhile.
    if (tokens !== undefined && tokens.accessToken !== refused) return tokens.accessToken;
    const { accessToken } = await this.#renewal(account);
    return accessToken === refused ? undefined : accessToken;
  }

  grant(account: Account): string {
    const { upstream, user } = account;
    return JSON.stringify([upstream, user, this.#grants.get(nameOf(this.#owner(account))) ?? 0]);
  }

  accepted(account: Account): void {
    this.#refusals.delete(nameOf(this.#owner(account)));
  }

  /** Nobody has to sign in where the client itself is given tokens: then it is not the user's to mend. */
  refused(account: Account, error: CredentialsError): BridgeError {
    const name = nameOf(this.#owner(account));
    const reason = `the mail server refuses the access token: ${error.message}`;
    const isOfClient = this.#isOfClient(account);
    if (!isOfClient && !this.#refusals.has(name)) this.#parts.events.signInNeeded(account, reason);
    this.#refusals.set(name, reason);
    return isOfClient
      ? new UpstreamError('forbidden', reason, { cause: error })
      : new CredentialsError('AUTH_SIGN_IN_NEEDED', reason, { cause: error });
  }

  async signIn(account: Account): Promise<SignInState | undefined> {
    const owner = this.#owner(account);
    const name = nameOf(owner);
    const reason = this.#failures.get(name)?.error.message ?? this.#refusals.get(name);
    const expiresAt = this.#known.get(name)?.tokens.expiresAt ?? 0;
    const stored = this.#isOfClient(account) ? { state: 'ok' as const, expiresAt, reason: '' } : await this.#parts.store.signIn(owner);
    return stored?.state === 'ok' && reason !== undefined ? { ...stored, state: 'failing', reason } : stored;
  }

  /** Somebody has signed in. */
  async signedIn(key: AccountKey, tokens: TokenSet): Promise<void> {
    this.forget(key);
    const known = { tokens, isSaved: false };
    this.#known.set(nameOf(key), known);
    await this.#save(key, known);
  }

  forget(key: AccountKey): void {
    const name = nameOf(key);
    this.#known.delete(name);
    this.#failures.delete(name);
    this.#refusals.delete(name);
    this.#grants.set(name, (this.#grants.get(name) ?? 0) + 1);
  }

  async #load(account: Account): Promise<TokenSet | undefined> {
    const owner = this.#owner(account);
    const known = this.#known.get(nameOf(owner));
    if (known !== undefined) {
      if (!known.isSaved) await this.#save(owner, known);
      return known.tokens;
    }
    const sealed = await this.#parts.store.secret(owner, 'tokens');
    if (sealed === undefined) return undefined;
    const tokens = decoded(this.#parts.open(sealed, secretContext(owner, 'tokens')));
    this.#known.set(nameOf(owner), { tokens, isSaved: true });
    return tokens;
  }

  /** Who asks while one is under way waits for that one. */
  #renewal(account: Account): Promise<TokenSet> {
    const name = nameOf(this.#owner(account));
    const running = this.#renewals.get(name) ?? this.#renew(account).finally(() => this.#renewals.delete(name));
    this.#renewals.set(name, running);
    return running;
  }

  async #renew(account: Account): Promise<TokenSet> {
    const owner = this.#owner(account);
    const config = this.#config(account);
    const state = await this.#parts.store.signIn(owner);
    if (state?.state === 'needed') throw new CredentialsError('AUTH_SIGN_IN_NEEDED', state.reason);
    const isOfClient = this.#isOfClient(account);
    if (!isOfClient) await this.#load(account);
    const name = nameOf(owner);
    const before = this.#known.get(name);
    const refreshToken = isOfClient ? '' : before?.tokens.refreshToken;
    if (refreshToken === undefined) throw await this.#ended(account, state);
    this.#checkPause(name, config);
    const outcome = await settled(this.#provider(config).then((one) => (isOfClient ? one.clientCredentials() : one.refresh(refreshToken))));
    const known = this.#known.get(name);
    // Somebody has signed in meanwhile, or the account is gone: whatever became of this renewal changes nothing.
    if (known !== before) return tokensOf(known);
    if ('error' in outcome) {
      if (!(outcome.error instanceof CredentialsError)) throw this.#noteFailure(name, config, outcome.error);
      // There is nobody who could sign in.
      if (isOfClient) throw this.#noteFailure(name, config, new UpstreamError('provider-refused', outcome.error.message));
      throw await this.#noteNeeded(account, outcome.error);
    }
    this.#failures.delete(name);
    const renewed = { tokens: outcome.value, isSaved: isOfClient };
    // Kept also where it can't be written down now: the old refresh token may be worth nothing any more.
    this.#known.set(nameOf(owner), renewed);
    if (!isOfClient) await this.#save(owner, renewed);
    this.#parts.events.renewed(account, outcome.value.expiresAt);
    return outcome.value;
  }

  /** There is nothing to renew the access token with. */
  async #ended(account: Account, state: SignIn | undefined): Promise<CredentialsError> {
    if (state === undefined) return new CredentialsError('AUTH_SIGN_IN_NEEDED', NOBODY);
    return this.#noteNeeded(
      account,
      new CredentialsError('AUTH_SIGN_IN_NEEDED', 'the access token has ended, and no refresh token was given'),
    );
  }

  async #noteNeeded(account: Account, error: CredentialsError): Promise<CredentialsError> {
    this.#parts.events.signInNeeded(account, error.message);
    await this.#parts.store.putSignIn(this.#owner(account), { state: 'needed', expiresAt: 0, reason: error.message });
    return error;
  }

  /** Throws what the provider said before, while it is not asked again. Another configuration may be a better one. */
  #checkPause(name: string, config: OAuthConfig): void {
    const failure = this.#failures.get(name);
    if (failure?.config === config && this.#parts.clock.monotonic() < failure.until) throw failure.error;
  }

  /** What passes is asked again at the next poll; a refusal for good after 1, 2, 4 … 30 minutes. */
  #noteFailure(name: string, config: OAuthConfig, error: unknown): unknown {
    if (!(error instanceof UpstreamError) || error.kind !== 'provider-refused') return error;
    const times = (this.#failures.get(name)?.times ?? 0) + 1;
    const minutes = Math.min(2 ** (times - 1), MAX_PAUSE_MINUTES);
    this.#failures.set(name, { config, times, until: this.#parts.clock.monotonic() + minutes * MINUTE_MS, error });
    return error;
  }

  async #save(owner: AccountKey, known: KnownTokens): Promise<void> {
    const { upstream, user } = owner;
    const sealed = this.#parts.seal(encodeTokens(known.tokens), secretContext(owner, 'tokens'));
    const signIn = { upstream, user, state: 'ok', expiresAt: known.tokens.expiresAt, reason: '' } as const;
    await this.#parts.store.putSecrets([{ upstream, user, purpose: 'tokens', sealed }], signIn);
    known.isSaved = true;
  }

  #provider(config: OAuthConfig): Promise<Provider> {
    const known = this.#providers.get(config);
    if (known !== undefined) return known;
    // Only who uses OAuth 2.0 pays for its library.
    const opened = import('./provider.ts').then(({ Provider }) => Provider.open(config, this.#parts.clock));
    this.#providers.set(config, opened);
    // Asked again the next time.
    opened.catch(() => this.#providers.delete(config));
    return opened;
  }

  /** With client credentials all accounts of an upstream have one token. */
  #owner(account: Account): AccountKey {
    const { upstream, user } = account;
    return this.#isOfClient(account) ? { upstream, user: '' } : { upstream, user };
  }

  #isOfClient({ upstream }: Account): boolean {
    return this.#parts.config(upstream)?.flow === 'client-credentials';
  }

  #config({ upstream }: Account): OAuthConfig {
    const config = this.#parts.config(upstream);
    if (config === undefined) throw new UpstreamError('forbidden', `the file of ${upstream} has no table [oauth]`);
    return config;
  }

  #now(): number {
    return Math.floor(this.#parts.clock.now() / 1000);
  }
}

function tokensOf(known: KnownTokens | undefined): TokenSet {
  if (known === undefined) throw new CredentialsError('AUTH_SIGN_IN_NEEDED', NOBODY);
  return known.tokens;
}

function settled<T>(work: Promise<T>): Promise<{ readonly value: T } | { readonly error: unknown }> {
  return work.then(
    (value) => ({ value }),
    (error: unknown) => ({ error }),
  );
}

function decoded(text: string): TokenSet {
  try {
    return decodeTokens(text);
  } catch {
    throw new StoreError('SECRETS_UNREADABLE', 'stored tokens make no sense');
  }
}

function nameOf({ upstream, user }: AccountKey): string {
  return JSON.stringify([upstream, user]);
}
