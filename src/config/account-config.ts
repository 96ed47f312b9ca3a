/** Local accounts as the configuration has them. Pure. */
import { canonicalUser, imapUserName } from './user-name.ts';
import type { AccountTable } from './account-tables.ts';

/** Where a password is to be read. */
export type PasswordSource =
  | { readonly kind: 'file'; readonly path: string }
  /** A program with its arguments; no shell. */
  | { readonly kind: 'command'; readonly command: readonly string[] }
  /** Of systemd, by name. */
  | { readonly kind: 'credential'; readonly name: string };

/** What a declared account logs in upstream with. */
export type DeclaredSource = PasswordSource | { readonly kind: 'oauth' };

/** An account that a configuration file declares. */
export interface DeclaredAccount {
  /** Domain in lower case. */
  readonly user: string;
  /** scrypt, in PHC form: one per device. */
  readonly hashes: readonly string[];
  readonly upstreamUser: string;
  readonly source: DeclaredSource;
}

/** The sources that a table names, by their keys: exactly one is right. */
export function namedSources(table: AccountTable): (keyof AccountTable)[] {
  const keys = ['upstream_password_file', 'upstream_password_command', 'upstream_credential', 'oauth'] as const;
  return keys.filter((key) => (key === 'oauth' ? table.oauth : table[key].length > 0));
}

/** `resolveFile` makes a path absolute; `username` is the template of upstream user names. */
export function declaredAccount(table: AccountTable, username: string, resolveFile: (path: string) => string | undefined): DeclaredAccount {
  const user = canonicalUser(table.user);
  return {
    user,
    hashes: table.password_hashes,
    upstreamUser: table.upstream_user === '' ? imapUserName(username, user) : table.upstream_user,
    source: sourceOf(table, resolveFile),
  };
}

function sourceOf(table: AccountTable, resolveFile: (path: string) => string | undefined): DeclaredSource {
  const path = resolveFile(table.upstream_password_file);
  if (path !== undefined) return { kind: 'file', path };
  if (table.upstream_password_command.length > 0) return { kind: 'command', command: table.upstream_password_command };
  return table.upstream_credential === '' ? { kind: 'oauth' } : { kind: 'credential', name: table.upstream_credential };
}
