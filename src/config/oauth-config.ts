/** OAuth 2.0 as a configuration file has it, with what the preset knows. Pure. */
import type { OAuthTable } from './account-tables.ts';
import { presetNamed } from './presets/presets.ts';

/** How tokens are first had. */
export type OAuthFlow = 'code' | 'device' | 'paste' | 'client-credentials';

export interface OAuthConfig {
  readonly clientId: string;
  /** Absolute. */
  readonly clientSecretFile: string | undefined;
  readonly flow: OAuthFlow;
  readonly scopes: readonly string[];
  /** A URL. */
  readonly issuer: string;
  /** Undefined where they are to be discovered at the issuer (RFC 8414, OpenID Connect Discovery). */
  readonly endpoints: { readonly authorization: string; readonly token: string; readonly device: string | undefined } | undefined;
  /** Of the address to which a browser on this machine is sent back. */
  readonly redirectHost: '127.0.0.1' | 'localhost';
  /** Of an authorization request, besides. */
  readonly parameters: Readonly<Record<string, string>>;
}

/** Undefined where there is no client id, or no provider: then a fault says so. `preset` is the name in `upstream.preset`. */
export function oauthConfig(table: OAuthTable, preset: string, resolveFile: (path: string) => string | undefined): OAuthConfig | undefined {
  if (table === undefined || table.client_id === '') return undefined;
  const shared = { clientId: table.client_id, clientSecretFile: resolveFile(table.client_secret_file), flow: table.flow };
  const known = presetNamed(preset)?.oauth;
  const ownScopes = (table.flow === 'client-credentials' ? known?.applicationScopes : known?.scopes) ?? [];
  const wanted = {
    ...shared,
    scopes: table.scopes.length > 0 ? table.scopes : ownScopes,
    redirectHost: known?.redirectHost ?? ('127.0.0.1' as const),
    parameters: known?.parameters ?? {},
  };
  if (table.issuer !== '') return { ...wanted, issuer: table.issuer, endpoints: undefined };
  if (known === undefined) return undefined;
  const of = (url: string): string => url.replace('{tenant}', encodeURIComponent(table.tenant));
  const endpoints = { authorization: of(known.authorization), token: of(known.token), device: known.device && of(known.device) };
  return { ...wanted, issuer: of(known.issuer), endpoints };
}
