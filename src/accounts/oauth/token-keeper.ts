/**
 * Keeps the access tokens of accounts fresh: renewed before their end, by one request an account however many sessions want one, and what a
 * renewal gives is on disk before it is used. Once the provider has taken a grant back, it is asked no more until somebody signs in again.
 */
import type { Clock } from '../../clock.ts';
import type { OAuthConfig } from '../../config/oauth-config.ts';
import { CredentialsError, StoreError, UpstreamError } from '../../errors.ts';
import type { AccountKey, AccountStore } from '../../store/account-store.ts';
import { secretContext, type Account, type Tokens } from '../accounts.ts';
import type { Provider } from './provider.ts';
import { decodeTokens, encodeTokens, isStale, type TokenSet } from './tokens.ts';

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

const NOBODY = 'nobody has signed in';

export class TokenKeeper implements Tokens {
  readonly #parts: TokenKeeperParts;
  readonly #renewals = new Map<string, Promise<TokenSet>>();
  /** Of accounts used since the start. */
  readonly #known = new Map<string, KnownTokens>();
  /** One provider a configuration: a reload makes another. */
  readonly #providers = new WeakMap<OAuthConfig, Promise<Provider>>();

  constructor(parts: TokenKeeperParts) {
    this.#parts = parts;
  }

  async current(account: Account): Promise<string> {
    const tokens = await this.#load(account);
    if (tokens !== undefined && !isStale(tokens, this.#now())) return tokens.accessToken;
    return (await this.#renewal(account)).accessToken;
  }

  async after(account: Account, refused: string): Promise<string | undefined> {
    const tokens = await this.#load(account);
    // Another session has renewed it meanwhile.
    if (tokens !== undefined && tokens.accessToken !== refused) return tokens.accessToken;
    const { accessToken } = await this.#renewal(account);
    return accessToken === refused ? undefined : accessToken;
  }

  /** Somebody has signed in. */
  async signedIn(key: AccountKey, tokens: TokenSet): Promise<void> {
    const known = { tokens, isSaved: false };
    this.#known.set(nameOf(key), known);
    await this.#save(key, known);
  }

  forget(key: AccountKey): void {
    this.#known.delete(nameOf(key));
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
    const isOfClient = config.flow === 'client-credentials';
    if (!isOfClient) await this.#load(account);
    const before = this.#known.get(nameOf(owner));
    const refreshToken = isOfClient ? '' : before?.tokens.refreshToken;
    if (refreshToken === undefined)
      throw new CredentialsError('AUTH_SIGN_IN_NEEDED', state === undefined ? NOBODY : 'no refresh token was given');
    const provider = await this.#provider(config);
    const outcome = await settled(isOfClient ? provider.clientCredentials() : provider.refresh(refreshToken));
    const known = this.#known.get(nameOf(owner));
    // Somebody has signed in meanwhile, or the account is gone: whatever became of this renewal changes nothing.
    if (known !== before) return tokensOf(known);
    if ('error' in outcome) {
      const { error } = outcome;
      if (error instanceof CredentialsError && !isOfClient) await this.#noteRefused(account, error);
      throw error;
    }
    const renewed = { tokens: outcome.value, isSaved: isOfClient };
    // Kept also where it can't be written down now: the old refresh token may be worth nothing any more.
    this.#known.set(nameOf(owner), renewed);
    if (!isOfClient) await this.#save(owner, renewed);
    this.#parts.events.renewed(account, outcome.value.expiresAt);
    return outcome.value;
  }

  async #noteRefused(account: Account, error: CredentialsError): Promise<void> {
    this.#parts.events.signInNeeded(account, error.message);
    await this.#parts.store.putSignIn(this.#owner(account), { state: 'needed', expiresAt: 0, reason: error.message });
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
  #owner({ upstream, user }: Account): AccountKey {
    return this.#parts.config(upstream)?.flow === 'client-credentials' ? { upstream, user: '' } : { upstream, user };
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
