/** What an -ERR of an old POP3 server means for us: response codes of RFC 2449 and RFC 3206 first, then texts. Pure. */
import { CredentialsError, UpstreamError, type BridgeError, type UpstreamFailureKind } from '../errors.ts';
import { classifyLoginRefusal } from '../imap/upstream-failure.ts';
import type { Status } from './old-pop3-answers.ts';

export type Refusal = Extract<Status, { readonly isOk: false }>;

const BY_CODE: ReadonlyMap<string, UpstreamFailureKind> = new Map([
  ['SYS/TEMP', 'refused'],
  ['SYS/PERM', 'forbidden'],
  ['IN-USE', 'refused'],
  ['LOGIN-DELAY', 'throttled'],
]);

/** Servers say so with the code AUTH too, Dovecot among them; another password would not help. */
const NEEDS_TLS = /plaintext|non-secure|\b(?:ssl|tls)\b/i;
/** Without a code: another session holds the maildrop, and the password was right. */
const LOCKED = /\b(?:lock(?:ed)?|in use|busy|another session)\b/i;

const STRUCK_OUT = '[secret]';
const MAX_TEXT = 300;

/** The refusal of USER or PASS: CredentialsError where user or password are wrong, as without a code and a telling text they are. */
export function loginRefusal(refusal: Refusal, password: string): BridgeError {
  const text = `the login was refused: ${readable(refusal.text, password)}`;
  const kind = BY_CODE.get(refusal.code ?? '');
  if (kind !== undefined) return new UpstreamError(kind, text);
  if (NEEDS_TLS.test(refusal.text)) return new UpstreamError('forbidden', text);
  if (refusal.code === 'AUTH') return new CredentialsError('AUTH_REFUSED', text);
  if (LOCKED.test(refusal.text)) return new UpstreamError('refused', text);
  const classified = classifyLoginRefusal({ status: 'NO', code: undefined, text: refusal.text });
  if (classified.kind === 'credentials') return new CredentialsError('AUTH_REFUSED', text);
  return new UpstreamError(classified.kind, text, { retryAfterMs: classified.retryAfterMs });
}

/** The refusal of anything else; `command` names it for the message. */
export function commandRefusal(command: string, refusal: Refusal): UpstreamError {
  const what = refusal.text === '' ? 'without a reason' : readable(refusal.text);
  return new UpstreamError(BY_CODE.get(refusal.code ?? '') ?? 'refused', `${command} was refused: ${what}`);
}

/** True where the code says that the server is in trouble, not that it can't or won't do this. */
export function isServerTrouble(refusal: Refusal): boolean {
  return refusal.code !== undefined && BY_CODE.has(refusal.code);
}

/** Text of others for the log: short, visible, without the password, which a server may repeat; its octets came in as latin1. */
export function readable(text: string, password = ''): string {
  const secret = Buffer.from(password).toString('latin1');
  const safe = secret === '' ? text : text.replaceAll(secret, STRUCK_OUT);
  return safe.replace(/[^\x20-\x7e]+/g, ' ').slice(0, MAX_TEXT);
}
