/** What `popbridge account` prints. Pure. */
import type { ListenConfig } from '../config/schema.ts';
import type { AccountRow, Issued } from '../daemon/account-admin.ts';
import { harmless, table } from './maildrop-text.ts';

export function accountLines(rows: readonly AccountRow[]): string[] {
  if (rows.length === 0) return ['there are no local accounts'];
  const head = ['UPSTREAM', 'USER', 'UPSTREAM USER', 'CREDENTIALS', 'SIGN-IN', 'DEVICES'];
  return table([head, ...rows.map((row) => [row.upstream, row.user, row.upstreamUser, credentialsOf(row), signInOf(row), devicesOf(row)])]);
}

/** An app password that was made is shown this once. */
export function issuedLines({ user, device, password }: Issued): string[] {
  if (password === undefined) return [harmless(`${user} may log in with that app password (${device})`)];
  return [harmless(`app password of ${user} (${device}), shown once:`), '', `    ${password}`, ''];
}

/** What that user types into a mail program, a line for each address that clients connect to. */
export function settingsLines(user: string, listen: readonly Pick<ListenConfig, 'host' | 'port' | 'security'>[]): string[] {
  return listen.map(({ host, port, security }) => {
    const server = ANY_HOST.has(host) ? 'the name of this machine' : host;
    const where = port === 0 ? 'the port that the log names' : `port ${port}`;
    return harmless(`settings of the mail program: POP3, server ${server}, ${where}, ${ENCRYPTION[security]}, user name ${user}`);
  });
}

const ANY_HOST: ReadonlySet<string> = new Set(['0.0.0.0', '::']);
const ENCRYPTION = { none: 'no encryption', starttls: 'STARTTLS', tls: 'SSL/TLS' } as const;

function credentialsOf({ source, isDeclared }: AccountRow): string {
  if (source === 'leftover') return 'left of an account that is gone';
  const named = source === 'stored' ? 'password' : source;
  return isDeclared ? `${named}, in the file` : named;
}

function signInOf({ signIn, source }: AccountRow): string {
  if (source !== 'oauth') return '-';
  if (signIn === undefined) return 'needed: nobody has signed in';
  if (signIn.state !== 'ok') return `${signIn.state}: ${signIn.reason}`;
  return signIn.expiresAt === 0 ? 'ok' : `ok, token until ${timeOf(signIn.expiresAt)}`;
}

function devicesOf({ devices, isDeclared }: AccountRow): string {
  if (isDeclared) return 'in the file';
  return devices.map(({ name, usedAt }) => (usedAt === 0 ? `${name} (never used)` : `${name} (used ${timeOf(usedAt)})`)).join(', ') || '-';
}

function timeOf(seconds: number): string {
  return new Date(seconds * 1000).toISOString().replace(/:\d\d\.\d+Z$/, 'Z');
}
