/** What the tests use of oidc-provider, which has no types of its own. */
declare module 'oidc-provider' {
  import type { IncomingMessage, ServerResponse } from 'node:http';

  interface Token {
    readonly accountId: string | undefined;
    readonly clientId: string;
    readonly grantId: string;
  }

  interface TokenModel {
    find(value: string): Promise<Token | undefined>;
    revokeByGrantId(grantId: string): Promise<void>;
  }

  interface GrantContext {
    readonly oidc: { readonly entities: { readonly Grant?: { readonly jti: string }; readonly Account?: { readonly accountId: string } } };
  }

  export class Provider {
    constructor(issuer: string, configuration: Readonly<Record<string, unknown>>);
    readonly AccessToken: TokenModel;
    readonly RefreshToken: TokenModel;
    readonly ClientCredentials: Pick<TokenModel, 'find'>;
    callback(): (request: IncomingMessage, response: ServerResponse) => void;
    on(event: 'grant.success', listener: (context: GrantContext) => void): this;
    on(event: 'server_error', listener: (context: unknown, error: Error) => void): this;
  }
}
