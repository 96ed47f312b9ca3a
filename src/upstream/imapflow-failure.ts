/** imapflow's errors as ours. Its `authenticationFailed` is not to be trusted: it is true for an overloaded server too. */
import { CredentialsError, UpstreamError, type BridgeError } from '../errors.ts';
import { classifyConnectionFailure, classifyLoginRefusal, isCoded, refusesTheWay, type ServerRefusal } from '../imap/upstream-failure.ts';
import type { UpstreamLogin } from './upstream.ts';

/** What imapflow puts on its errors; nothing of it is certain. */
interface ImapflowErrorFields {
  readonly code?: unknown;
  readonly responseStatus?: unknown;
  readonly responseText?: unknown;
  readonly serverResponseCode?: unknown;
  readonly response?: unknown;
  readonly reason?: unknown;
  readonly tlsFailed?: unknown;
  readonly authenticationFailed?: unknown;
  readonly throttleReset?: unknown;
}

const STRUCK_OUT = '[secret]';
/** As imapflow says it, without a code. */
const NO_MECHANISM = 'Unsupported authentication mechanism';

/** Of a certificate that no known authority has signed. */
const NOT_TRUSTED = /^(?:DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_)/;

/** Longest piece of upstream text kept for the log. */
const MAX_TEXT = 300;

/** What is known of an attempt that failed. */
export interface LoginAttempt {
  /** False where the server was told of a mechanism alone. */
  readonly hasSentSecret: boolean;
  /** SHA-256 of the certificate that the server showed. */
  readonly certificate: string | undefined;
}

/** A failure of connecting or logging in. A server may repeat what it was sent: the login's secrets are struck out first. */
export function loginFailure(error: unknown, login: UpstreamLogin, attempt: LoginAttempt): BridgeError {
  const fields = fieldsOf(error);
  const refusal = refusalOf(fields);
  // Node puts a `reason` on the error of a wrong name, where imapflow puts what a server said.
  if (fields.tlsFailed === true || isTlsFailure(fields)) return tlsFailure(error, fields, attempt.certificate);
  if (refusal === undefined) {
    // imapflow found no way to log in at all: LOGINDISABLED, or no mechanism in common.
    if (fields.authenticationFailed === true) return new UpstreamError('forbidden', describe(error, refusal), { cause: error });
    if (error instanceof Error && error.message === NO_MECHANISM) {
      const offered = login.isToken === true ? 'the server takes neither OAUTHBEARER nor XOAUTH2' : error.message;
      return new UpstreamError('forbidden', offered, { cause: error });
    }
    return connectionFailure(error, fields);
  }
  const { kind, retryAfterMs } = classifyLoginRefusal(refusal);
  const text = describe(error, { ...refusal, text: withoutSecrets(refusal.text, login) });
  if (kind === 'credentials') {
    // Whatever it says, it has not seen them.
    if (!attempt.hasSentSecret) return new UpstreamError('refused', text, { cause: error });
    return new CredentialsError('AUTH_REFUSED', text, { cause: error, isCoded: isCoded(refusal) });
  }
  return new UpstreamError(kind, text, { cause: error, retryAfterMs });
}

/** True where the server refused the command or mechanism of a login, and did not judge the user or the password. */
export function isWayRefused(error: unknown, hasSentSecret: boolean): boolean {
  const refusal = refusalOf(fieldsOf(error));
  if (refusal === undefined) return false;
  return refusesTheWay(refusal) || (!hasSentSecret && classifyLoginRefusal(refusal).kind === 'credentials');
}

/** Every form in which the password went over the line (RFC 3501 section 6.2.3, RFC 4616), and the one a person would write. */
function withoutSecrets(text: string, { user, password }: UpstreamLogin): string {
  const base64 = (value: string): string => Buffer.from(value).toString('base64');
  const quoted = password.replace(/["\\]/g, '\\$&');
  const forms = [base64(`\0${user}\0${password}`), base64(password), quoted, password];
  return forms.reduce((left, form) => (form === '' ? left : left.replaceAll(form, STRUCK_OUT)), text);
}

/** STARTTLS was not to be had, or the handshake failed: only a bad certificate is something an administrator must mend. */
function tlsFailure(error: unknown, fields: ImapflowErrorFields, shown: string | undefined): UpstreamError {
  if (error instanceof UpstreamError) return error;
  const text = describe(error, undefined);
  if (!isTlsFailure(fields)) return new UpstreamError('refused', text, { cause: error });
  if (shown === undefined || !NOT_TRUSTED.test(asText(fields.code))) return new UpstreamError('tls', text, { cause: error });
  // Behind a semicolon Node tells of options of its own.
  const [what] = text.split(';');
  const hint =
    "if, and only if, that is your own server's, pin it with upstream.certificate_sha256, or name its authority with upstream.ca_file";
  return new UpstreamError('tls', `${what}; the certificate has SHA-256 ${shown}: ${hint}`, { cause: error });
}

function isTlsFailure({ code }: ImapflowErrorFields): boolean {
  return classifyConnectionFailure(asText(code) || undefined) === 'tls';
}

/** Milliseconds imapflow wants to wait for a throttling server, if that is what it complains of. */
export function throttleHint(error: unknown): number | undefined {
  const { code, throttleReset } = fieldsOf(error);
  if (code !== 'ETHROTTLE') return undefined;
  return typeof throttleReset === 'number' ? throttleReset : 0;
}

function connectionFailure(error: unknown, fields: ImapflowErrorFields): UpstreamError {
  if (error instanceof UpstreamError) return error;
  const kind = classifyConnectionFailure(asText(fields.code) || undefined);
  return new UpstreamError(kind, describe(error, undefined), { cause: error });
}

function refusalOf(fields: ImapflowErrorFields): ServerRefusal | undefined {
  const status = asText(fields.responseStatus);
  const bye = asText(fields.reason);
  const text = asText(fields.responseText) || asText(fields.response) || bye;
  // What imapflow could not read is no refusal, though it comes with the answer.
  if (status === '' && bye === '') return undefined;
  return { status: status || 'BYE', code: asText(fields.serverResponseCode) || codeIn(text), text };
}

/** The response code at the head of a text such as "[UNAVAILABLE] try later" or "NO [UNAVAILABLE] …". */
function codeIn(text: string): string | undefined {
  return /^(?:\S+ (?:NO|BAD|BYE) )?\[([A-Z-]+)/i.exec(text)?.[1];
}

function describe(error: unknown, refusal: ServerRefusal | undefined): string {
  const text = refusal?.text ?? (error instanceof Error ? error.message : String(error));
  return text.replace(/[^\x20-\x7e]+/g, ' ').slice(0, MAX_TEXT);
}

function asText(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

function fieldsOf(error: unknown): ImapflowErrorFields {
  return typeof error === 'object' && error !== null ? error : {};
}
