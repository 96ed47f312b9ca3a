/**
 * A local OAuth 2.0 provider (oidc-provider) with everything popbridge may meet: PKCE, the device flow, client credentials, refresh tokens that
 * rotate, revocation; and token introspection as Dovecot asks for it. Faults of its token endpoint can be ordered.
 */
import { generateKeyPairSync } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Provider } from 'oidc-provider';
import { noteSecrets } from './secrets-used.ts';

/** How the token endpoint answers instead of the provider. */
export type TokenFault = { readonly status: number; readonly body: string } | 'hang' | 'hang up';

/** Public, as for programs on a user's machine. */
export const PUBLIC_CLIENT = 'popbridge-desktop';
/** For itself, with a secret. */
export const CONFIDENTIAL_CLIENT = 'popbridge-service';
export const CLIENT_SECRET = 'the secret of the client itself';
/** Whom tokens of client credentials are good for. */
const SERVED_BY_CLIENT = 'shared';

export class AuthorizationServer implements AsyncDisposable {
  readonly issuer: string;
  /** grant_type of every request to the token endpoint. */
  readonly grants: string[] = [];
  /** Seconds that access tokens given from now on are good for. */
  accessSeconds = 3_600;
  /** Every access token and refresh token given so far. */
  readonly tokens: string[] = [];
  /** Before each answer of the token endpoint. */
  delayMs = 0;
  #faults: TokenFault[] = [];
  readonly #ended = new Set<string>();
  readonly #grantIds = new Map<string, Set<string>>();
  readonly #server: Server;
  readonly #provider: Provider;

  private constructor(server: Server, issuer: string) {
    this.#server = server;
    this.issuer = issuer;
    noteSecrets(CLIENT_SECRET);
    this.#provider = new Provider(issuer, this.#configuration());
    this.#provider.on('grant.success', ({ oidc: { entities } }) => {
      const user = entities.Account?.accountId;
      if (user === undefined || entities.Grant === undefined) return;
      this.#grantIds.set(user, (this.#grantIds.get(user) ?? new Set()).add(entities.Grant.jti));
    });
    const handle = this.#provider.callback();
    server.on('request', (request: IncomingMessage, response: ServerResponse) => void this.#serve(request, response, handle));
  }

  static async start(): Promise<AuthorizationServer> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return new AuthorizationServer(server, `http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  }

  /** What Dovecot asks whether a token is good, and whose it is. */
  get introspectionUrl(): string {
    return `${this.issuer}/introspect-for-dovecot`;
  }

  /** The next answers of the token endpoint. */
  fail(...faults: readonly TokenFault[]): void {
    this.#faults = [...faults];
  }

  /** Every access token given so far ends; refresh tokens are still good. */
  endAccess(): void {
    for (const token of this.tokens) this.#ended.add(token);
  }

  /** The user takes all consent back: access tokens and refresh tokens are worth nothing any more. */
  async revoke(user: string): Promise<void> {
    for (const grantId of this.#grantIds.get(user) ?? []) {
      await this.#provider.AccessToken.revokeByGrantId(grantId);
      await this.#provider.RefreshToken.revokeByGrantId(grantId);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #serve(
    request: IncomingMessage,
    response: ServerResponse,
    handle: (request: IncomingMessage, response: ServerResponse) => void,
  ): Promise<void> {
    const { pathname } = new URL(request.url ?? '', this.issuer);
    if (pathname === '/introspect-for-dovecot') return this.#introspect(request, response);
    if (pathname !== '/token') return handle(request, response);
    const body = await bodyOf(request);
    this.grants.push(body.get('grant_type') ?? '');
    if (this.delayMs > 0) await new Promise((resolve) => setTimeout(resolve, this.delayMs));
    const fault = body.get('grant_type')?.includes('device_code') === true ? undefined : this.#faults.shift();
    if (fault === 'hang') return;
    if (fault === 'hang up') return void request.socket.destroy();
    if (fault !== undefined) return void response.writeHead(fault.status, { 'content-type': 'application/json' }).end(fault.body);
    this.#noteTokens(response);
    // Parsed already; the provider takes that.
    handle(Object.assign(request, { body: Object.fromEntries(body) }), response);
  }

  #noteTokens(response: ServerResponse): void {
    const end = response.end.bind(response) as (chunk?: unknown) => ServerResponse;
    response.end = ((chunk?: unknown) => {
      const given = /"(?:access|refresh)_token":"([^"]+)"/g;
      for (const [, token = ''] of textOf(chunk).matchAll(given)) {
        this.tokens.push(token);
        noteSecrets(token);
      }
      return end(chunk);
    }) as typeof response.end;
  }

  async #introspect(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const token = (await bodyOf(request)).get('token') ?? '';
    const ofUser = (await this.#provider.AccessToken.find(token))?.accountId;
    const ofClient =
      ofUser === undefined && (await this.#provider.ClientCredentials.find(token)) !== undefined ? SERVED_BY_CLIENT : undefined;
    const user = this.#ended.has(token) ? undefined : (ofUser ?? ofClient);
    const answer =
      user === undefined ? { active: 'false' } : { active: 'true', email: `${user}@example.com`, username: user, scope: 'mail' };
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(answer));
  }

  #configuration(): Record<string, unknown> {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const native = {
      client_id: PUBLIC_CLIENT,
      application_type: 'native',
      token_endpoint_auth_method: 'none',
      redirect_uris: ['http://127.0.0.1/', 'http://localhost/'],
      grant_types: ['authorization_code', 'refresh_token', 'urn:ietf:params:oauth:grant-type:device_code'],
      response_types: ['code'],
      scope: 'openid offline_access mail',
    };
    const service = {
      client_id: CONFIDENTIAL_CLIENT,
      client_secret: CLIENT_SECRET,
      token_endpoint_auth_method: 'client_secret_post',
      redirect_uris: [],
      grant_types: ['client_credentials'],
      response_types: [],
      scope: 'mail',
    };
    return {
      clients: [native, service],
      jwks: { keys: [{ ...privateKey.export({ format: 'jwk' }), use: 'sig', alg: 'ES256' }] },
      cookies: { keys: ['one key for cookies'] },
      scopes: ['openid', 'offline_access', 'mail'],
      clientDefaults: { id_token_signed_response_alg: 'ES256' },
      findAccount: (_context: unknown, accountId: string) => ({ accountId, claims: () => ({ sub: accountId }) }),
      features: {
        devInteractions: { enabled: true },
        deviceFlow: { enabled: true },
        clientCredentials: { enabled: true },
        revocation: { enabled: true },
      },
      pkce: { required: () => true },
      issueRefreshToken: () => true,
      rotateRefreshToken: true,
      ttl: {
        AccessToken: () => this.accessSeconds,
        ClientCredentials: () => this.accessSeconds,
        RefreshToken: 86_400,
        DeviceCode: 600,
        Grant: 86_400,
        Interaction: 600,
        Session: 600,
      },
    };
  }
}

async function bodyOf(request: IncomingMessage): Promise<URLSearchParams> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return new URLSearchParams(Buffer.concat(chunks).toString());
}

function textOf(chunk: unknown): string {
  if (Buffer.isBuffer(chunk)) return chunk.toString();
  return typeof chunk === 'string' ? chunk : '';
}
