/**
 * An OAuth 2.0 provider, by openid-client: endpoints and grants. What it answers becomes tokens or an error that says whose fault it is; the
 * texts it sends are for the log.
 */
import { readFile } from 'node:fs/promises';
import * as oauth from 'openid-client';
import type { Clock } from '../../clock.ts';
import type { OAuthConfig } from '../../config/oauth-config.ts';
import { CredentialsError, StoreError, UpstreamError, type BridgeError } from '../../errors.ts';
import type { TokenSet } from './tokens.ts';

const TIMEOUT_SECONDS = 15;
const MOST_TEXT = 200;

/** An authorization request that waits for its answer. */
export interface CodeRequest {
  readonly url: string;
  readonly redirectUri: string;
  readonly state: string;
  readonly verifier: string;
}

/** What a user types on another device (RFC 8628). */
export interface DeviceRequest {
  readonly uri: string;
  readonly code: string;
  /** Seconds. */
  readonly expiresIn: number;
  /** Resolves when the user has agreed. Rejects with BridgeError. */
  readonly granted: (signal: AbortSignal) => Promise<TokenSet>;
}

export class Provider {
  readonly #config: OAuthConfig;
  readonly #client: oauth.Configuration;
  readonly #clock: Clock;
  readonly #secrets: readonly string[];

  private constructor(config: OAuthConfig, client: oauth.Configuration, clock: Clock, secrets: readonly string[]) {
    this.#config = config;
    this.#client = client;
    this.#clock = clock;
    this.#secrets = secrets;
  }

  /** Reads the client's secret and discovers the endpoints where they are not known. Rejects with StoreError or UpstreamError. */
  static async open(config: OAuthConfig, clock: Clock): Promise<Provider> {
    const secret = config.clientSecretFile === undefined ? undefined : await clientSecret(config.clientSecretFile);
    const authentication = secret === undefined ? oauth.None() : oauth.ClientSecretPost(secret);
    // The configuration takes http:// for loopback hosts alone.
    const isInsecure = config.issuer.startsWith('http:');
    const { endpoints, clientId, issuer } = config;
    if (endpoints !== undefined) {
      const server = {
        issuer,
        authorization_endpoint: endpoints.authorization,
        token_endpoint: endpoints.token,
        ...(endpoints.device === undefined ? {} : { device_authorization_endpoint: endpoints.device }),
      };
      const client = new oauth.Configuration(server, clientId, undefined, authentication);
      client.timeout = TIMEOUT_SECONDS;
      if (isInsecure) oauth.allowInsecureRequests(client);
      return new Provider(config, client, clock, secret === undefined ? [] : [secret]);
    }
    try {
      const options = { timeout: TIMEOUT_SECONDS, ...(isInsecure ? { execute: [oauth.allowInsecureRequests] } : {}) };
      const client = await oauth.discovery(new URL(issuer), clientId, undefined, authentication, options);
      return new Provider(config, client, clock, secret === undefined ? [] : [secret]);
    } catch (error) {
      throw failureOf(error, `${issuer} can not be discovered`, []);
    }
  }

  /** The authorization code grant with PKCE (RFC 7636). */
  async requestCode(redirectUri: string): Promise<CodeRequest> {
    const verifier = oauth.randomPKCECodeVerifier();
    const state = oauth.randomState();
    const url = oauth.buildAuthorizationUrl(this.#client, {
      ...this.#config.parameters,
      ...this.#scope(),
      redirect_uri: redirectUri,
      code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
      code_challenge_method: 'S256',
      state,
    });
    return { url: url.href, redirectUri, state, verifier };
  }

  /** The tokens for the address that the browser was sent back to. Rejects with BridgeError. */
  async exchangeCode({ state, verifier }: CodeRequest, returned: URL): Promise<TokenSet> {
    if (returned.searchParams.get('state') !== state)
      throw new UpstreamError('refused', 'the sign-in failed: that is the answer to another one');
    return this.#granted('the sign-in failed', [verifier], () =>
      oauth.authorizationCodeGrant(this.#client, returned, { expectedState: state, pkceCodeVerifier: verifier }),
    );
  }

  /** Rejects with BridgeError. */
  async requestDeviceCode(): Promise<DeviceRequest> {
    if (this.#client.serverMetadata().device_authorization_endpoint === undefined) {
      throw new UpstreamError('forbidden', 'the provider gives no device codes; use --flow code or --flow paste');
    }
    const asked = await oauth.initiateDeviceAuthorization(this.#client, this.#scope()).catch((error: unknown) => {
      throw failureOf(error, 'no device code is given', this.#secrets);
    });
    return {
      uri: asked.verification_uri,
      code: asked.user_code,
      expiresIn: asked.expires_in,
      granted: (signal) =>
        this.#granted('the sign-in failed', [asked.device_code], () =>
          oauth.pollDeviceAuthorizationGrant(this.#client, asked, undefined, { signal }),
        ),
    };
  }

  /** New tokens for a refresh token. Rejects with AUTH_SIGN_IN_NEEDED where it is no longer good, else with another BridgeError. */
  async refresh(refreshToken: string): Promise<TokenSet> {
    const tokens = await this.#granted('the token was not renewed', [refreshToken], () =>
      oauth.refreshTokenGrant(this.#client, refreshToken),
    );
    // Most keep it; who rotates gives another one each time.
    return { ...tokens, refreshToken: tokens.refreshToken ?? refreshToken };
  }

  /** A token for this client itself, not for a user. Rejects with BridgeError. */
  clientCredentials(): Promise<TokenSet> {
    return this.#granted('no token is given to the client', [], () => oauth.clientCredentialsGrant(this.#client, this.#scope()));
  }

  #scope(): Record<string, string> {
    const { scopes } = this.#config;
    return scopes.length === 0 ? {} : { scope: scopes.join(' ') };
  }

  async #granted(what: string, secrets: readonly string[], ask: () => Promise<oauth.TokenEndpointResponse>): Promise<TokenSet> {
    const issuedAt = Math.floor(this.#clock.now() / 1000);
    const given = await ask().catch((error: unknown) => {
      throw failureOf(error, what, [...secrets, ...this.#secrets]);
    });
    const { access_token: accessToken, refresh_token: refreshToken, expires_in: lifetime } = given;
    return { accessToken, refreshToken, issuedAt, expiresAt: lifetime === undefined ? 0 : issuedAt + lifetime };
  }
}

async function clientSecret(path: string): Promise<string> {
  try {
    const [line = ''] = (await readFile(path, 'utf8')).split(/\r?\n/, 1);
    return line;
  } catch (error) {
    throw new StoreError('SECRETS_UNREADABLE', `the client secret ${path} can not be read`, { cause: error });
  }
}

/** Codes of RFC 6749 section 5.2 and 4.1.2.1, RFC 8628 section 3.5: a user can mend these by signing in again. */
const OF_THE_USER: ReadonlySet<string> = new Set([
  'invalid_grant',
  'access_denied',
  'expired_token',
  'interaction_required',
  'login_required',
]);
const PASSING: ReadonlySet<string> = new Set(['temporarily_unavailable', 'server_error', 'slow_down', 'authorization_pending']);

function failureOf(error: unknown, what: string, secrets: readonly string[]): BridgeError {
  if (error instanceof oauth.ResponseBodyError || error instanceof oauth.AuthorizationResponseError) {
    const told = [error.error, error.error_description].filter((part) => part !== undefined && part !== '').join(', ');
    const text = `${what}: ${harmless(told, secrets)}`;
    if (OF_THE_USER.has(error.error)) return new CredentialsError('AUTH_SIGN_IN_NEEDED', text);
    const isPassing = PASSING.has(error.error) || (error instanceof oauth.ResponseBodyError && error.status >= 500);
    return new UpstreamError(isPassing ? 'refused' : 'forbidden', text);
  }
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  if (code === 'OAUTH_TIMEOUT' || code === 'OAUTH_ABORT')
    return new UpstreamError('timeout', `${what}: the provider did not answer in time`);
  // A server that fails, and one that speaks something else.
  if (code.startsWith('OAUTH_'))
    return new UpstreamError('refused', `${what}: the provider's answer makes no sense (${harmless(messageOf(error), secrets)})`);
  return new UpstreamError('unreachable', `${what}: the provider can not be reached (${harmless(messageOf(error), secrets)})`);
}

function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? `${error.message}: ${error.cause.message}` : error.message;
}

/** A provider may repeat what it was sent. */
function harmless(text: string, secrets: readonly string[]): string {
  const struck = secrets.reduce((left, secret) => (secret === '' ? left : left.replaceAll(secret, '[secret]')), text);
  return struck.replace(/[^\x20-\x7e]+/g, ' ').slice(0, MOST_TEXT);
}
