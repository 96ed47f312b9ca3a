/**
 * An OAuth 2.0 provider, by openid-client: endpoints and grants. What it answers becomes tokens or an error that says whose fault it is; the
 * texts it sends are for the log.
 */
import { readFile } from 'node:fs/promises';
import * as oauth from 'openid-client';
import { pause, type Clock } from '../../clock.ts';
import type { OAuthConfig } from '../../config/oauth-config.ts';
import { CredentialsError, StoreError, UpstreamError, type BridgeError } from '../../errors.ts';
import { boundedText } from '../bounded-body.ts';
import type { TokenSet } from './tokens.ts';

const TIMEOUT_SECONDS = 15;
const MOST_TEXT = 200;
/** RFC 6750 section 2.1, and what else is in use: it goes into a line of SASL. */
const BEARER = /^[\x21-\x7e]+$/;
/** Between two questions whether a user has agreed, where the provider does not say (RFC 8628 section 3.2). */
const POLL_SECONDS = 5;
/** In a row. */
const MOST_FAILURES = 5;
/** These are not rights on mail; providers leave them out of what they say was given. */
const NO_RIGHTS: ReadonlySet<string> = new Set(['offline_access', 'openid', 'profile', 'email']);

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
      client[oauth.customFetch] = boundedFetch;
      if (isInsecure) oauth.allowInsecureRequests(client);
      return new Provider(config, client, clock, secret === undefined ? [] : [secret]);
    }
    try {
      const options = {
        timeout: TIMEOUT_SECONDS,
        [oauth.customFetch]: boundedFetch,
        ...(isInsecure ? { execute: [oauth.allowInsecureRequests] } : {}),
      };
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
    const { searchParams } = returned;
    if (searchParams.get('state') !== state)
      throw new UpstreamError('provider-refused', 'the sign-in failed: that is the answer to another one');
    if (!searchParams.has('code') && !searchParams.has('error'))
      throw new UpstreamError('provider-refused', 'the sign-in failed: the browser came back without a code');
    return this.#signedIn([verifier], () =>
      oauth.authorizationCodeGrant(this.#client, returned, { expectedState: state, pkceCodeVerifier: verifier }),
    );
  }

  /** Rejects with BridgeError. */
  async requestDeviceCode(): Promise<DeviceRequest> {
    if (this.#client.serverMetadata().device_authorization_endpoint === undefined) {
      throw new UpstreamError('provider-refused', 'the provider gives no device codes; use --flow code or --flow paste');
    }
    const asked = await oauth.initiateDeviceAuthorization(this.#client, this.#scope()).catch((error: unknown) => {
      throw failureOf(error, 'no device code is given', this.#secrets);
    });
    return {
      uri: asked.verification_uri,
      code: asked.user_code,
      expiresIn: asked.expires_in,
      granted: (signal) => this.#deviceGranted(asked, signal),
    };
  }

  /** A provider that fails now and then is asked again (RFC 8628 section 3.5). */
  async #deviceGranted(asked: oauth.DeviceAuthorizationResponse, signal: AbortSignal): Promise<TokenSet> {
    for (let failures = 1; ; failures += 1) {
      try {
        return await this.#signedIn([asked.device_code], () =>
          oauth.pollDeviceAuthorizationGrant(this.#client, asked, undefined, { signal }),
        );
      } catch (error) {
        const isPassing = error instanceof UpstreamError && error.kind === 'provider-unavailable';
        if (!isPassing || signal.aborted || failures === MOST_FAILURES) throw error;
        await pause(this.#clock, failures * (asked.interval ?? POLL_SECONDS) * 1000, signal);
      }
    }
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

  /** Of a user who has just signed in, and may have been asked for less than we need. */
  #signedIn(secrets: readonly string[], ask: () => Promise<oauth.TokenEndpointResponse>): Promise<TokenSet> {
    return this.#granted('the sign-in failed', secrets, async () => {
      const given = await ask();
      const missing = missingScopes(this.#config.scopes, given.scope);
      if (missing.length === 0) return given;
      throw new UpstreamError(
        'provider-refused',
        `the sign-in gives no right to ${missing.join(' ')}, only to ${shown(given.scope ?? '')}`,
      );
    });
  }

  #scope(): Record<string, string> {
    const { scopes } = this.#config;
    return scopes.length === 0 ? {} : { scope: scopes.join(' ') };
  }

  async #granted(what: string, secrets: readonly string[], ask: () => Promise<oauth.TokenEndpointResponse>): Promise<TokenSet> {
    const issuedAt = Math.floor(this.#clock.now() / 1000);
    const given = await ask().catch((error: unknown) => {
      throw error instanceof UpstreamError ? error : failureOf(error, what, [...secrets, ...this.#secrets]);
    });
    const { access_token: accessToken, refresh_token: refreshToken, expires_in: lifetime } = given;
    if (!BEARER.test(accessToken)) throw new UpstreamError('provider-unavailable', `${what}: the provider gave a token that is none`);
    return { accessToken, refreshToken, issuedAt, expiresAt: lifetime === undefined ? 0 : issuedAt + lifetime };
  }
}

/** All that a provider says is short, and read whole. */
const boundedFetch: oauth.CustomFetch = async (url, { body, ...options }) => {
  const response = await fetch(url, { ...options, ...(body === undefined ? {} : { body }) });
  const { status, statusText, headers } = response;
  const text = await boundedText(response);
  return new Response(text === '' ? null : text, { status, statusText, headers });
};

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
    return new UpstreamError(isPassing ? 'provider-unavailable' : 'provider-refused', text);
  }
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  if (code === 'OAUTH_TIMEOUT' || code === 'OAUTH_ABORT')
    return new UpstreamError('provider-unavailable', `${what}: the provider did not answer in time`);
  // A server that fails, and one that speaks something else.
  if (code.startsWith('OAUTH_'))
    return new UpstreamError(
      'provider-unavailable',
      `${what}: the provider's answer makes no sense (${harmless(messageOf(error), secrets)})`,
    );
  return new UpstreamError('provider-unavailable', `${what}: the provider can not be reached (${harmless(messageOf(error), secrets)})`);
}

/** Where the provider says what it gave, and none of what was asked for is in it (RFC 6749 section 5.1): what was asked for. */
function missingScopes(asked: readonly string[], given: string | undefined): readonly string[] {
  const wanted = asked.filter((scope) => !NO_RIGHTS.has(scope));
  const rights = new Set((given ?? '').toLowerCase().split(' '));
  return given === undefined || wanted.some((scope) => rights.has(scope.toLowerCase())) ? [] : wanted;
}

function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? `${error.message}: ${error.cause.message}` : error.message;
}

/** A provider may repeat what it was sent. */
function harmless(text: string, secrets: readonly string[]): string {
  return shown(secrets.reduce((left, secret) => (secret === '' ? left : left.replaceAll(secret, '[secret]')), text));
}

function shown(text: string): string {
  return text.replace(/[^\x20-\x7e]+/g, ' ').slice(0, MOST_TEXT);
}
