/**
 * The one table from what an IMAP server answered (response codes of RFC 5530, texts of the big providers) to what it means
 * for us. Codes are trusted before texts: many servers and libraries call every refused login a bad password.
 */
import type { UpstreamFailureKind } from '../errors.ts';

/** What the server said: `status` NO or BAD or BYE, the response code without brackets, the human text. */
export interface ServerRefusal {
  readonly status: string | undefined;
  readonly code: string | undefined;
  readonly text: string;
}

export interface ClassifiedFailure {
  readonly kind: UpstreamFailureKind | 'credentials';
  readonly retryAfterMs?: number;
}

type Kind = ClassifiedFailure['kind'];

const BY_CODE: Readonly<Record<string, Kind>> = {
  AUTHENTICATIONFAILED: 'credentials',
  AUTHORIZATIONFAILED: 'credentials',
  EXPIRED: 'credentials',
  WEBALERT: 'credentials',
  UNAVAILABLE: 'refused',
  INUSE: 'refused',
  LIMIT: 'refused',
  SERVERBUG: 'refused',
  CLIENTBUG: 'refused',
  OVERQUOTA: 'refused',
  THROTTLED: 'throttled',
  PRIVACYREQUIRED: 'forbidden',
  CONTACTADMIN: 'forbidden',
  NOPERM: 'forbidden',
  CANNOT: 'forbidden',
  // The mail is elsewhere (RFC 2221): never followed; whoever configures has to say where.
  REFERRAL: 'forbidden',
  NONEXISTENT: 'missing',
  TRYCREATE: 'missing',
};

/** Texts seen where no code, or only ALERT, was given. The first match wins. */
const BY_TEXT: readonly (readonly [RegExp, Kind])[] = [
  [/throttled|suggested backoff|rate limit|exceeded command or bandwidth|bandwidth limits/i, 'throttled'],
  [/server unavailable/i, 'throttled'],
  [/too many (simultaneous )?connections|maximum number of connections|too many logins/i, 'refused'],
  [/authenticated but not connected/i, 'forbidden'],
  [/imap (access )?(is )?(disabled|not enabled|switched off)|not enabled for imap|enable imap/i, 'forbidden'],
  [/unsafe login/i, 'forbidden'],
  [/too many (login|auth)[a-z]* failures|login denied|account (is )?(temporarily )?locked/i, 'refused'],
  [
    /invalid credentials|(bad|wrong|incorrect|invalid) (user ?name|password|login)|password (is )?(incorrect|wrong|invalid)/i,
    'credentials',
  ],
  [/temporar|try again|try later|unavailable|internal (server )?error|timed? ?out|overload|maintenance/i, 'refused'],
  [/(mailbox|folder) (does not|doesn't) exist|no such (mailbox|folder)|unknown mailbox/i, 'missing'],
];

/** Classifies a refused login: without code or telling text a NO means the credentials, a BAD or BYE does not. */
export function classifyLoginRefusal(refusal: ServerRefusal): ClassifiedFailure {
  const known = classify(refusal);
  if (known !== undefined) return known;
  return { kind: refusal.status?.toUpperCase() === 'NO' ? 'credentials' : 'refused' };
}

/** Classifies a refused command after login; credentials are never the reason there. */
export function classifyRefusal(refusal: ServerRefusal): { readonly kind: UpstreamFailureKind; readonly retryAfterMs?: number } {
  const known = classify(refusal);
  if (known === undefined || known.kind === 'credentials') return { kind: 'refused' };
  return { ...known, kind: known.kind };
}

function classify(refusal: ServerRefusal): ClassifiedFailure | undefined {
  const code = refusal.code?.toUpperCase().split(' ')[0] ?? '';
  const byText = BY_TEXT.find(([pattern]) => pattern.test(refusal.text))?.[1];
  // A full mailbox, to most servers; Gmail says so of bandwidth too (RFC 5530 section 3).
  const kind = code === 'OVERQUOTA' && byText === 'throttled' ? byText : (BY_CODE[code] ?? byText);
  if (kind === undefined) return undefined;
  const retryAfterMs = kind === 'throttled' ? backoffMs(refusal.text) : undefined;
  return retryAfterMs === undefined ? { kind } : { kind, retryAfterMs };
}

/** Microsoft: "Suggested Backoff Time: 299961 milliseconds", "Server Unavailable. 15" (seconds). */
function backoffMs(text: string): number | undefined {
  const milliseconds = /backoff time:?\s*(\d{1,9})/i.exec(text)?.[1];
  if (milliseconds !== undefined) return Number(milliseconds);
  const seconds = /server unavailable\.?\s*(\d{1,5})/i.exec(text)?.[1];
  return seconds === undefined ? undefined : Number(seconds) * 1000;
}

const CERTIFICATE_CODES = /^(ERR_TLS_CERT|CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO_|HOSTNAME_MISMATCH|CERTIFICATE)/;
/** A handshake that went wrong, or bytes smuggled in before it: not the certificate's fault, and perhaps an attack that passes. */
const HANDSHAKE_CODES = /^(ERR_SSL|ERR_TLS|STARTTLS_)/;
const UNREACHABLE_CODES = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ECONNRESET',
  'EPIPE',
  'EADDRNOTAVAIL',
]);
const TIMEOUT_CODES = new Set(['ETIMEDOUT', 'ETIMEOUT', 'CONNECT_TIMEOUT', 'GREETING_TIMEOUT', 'UPGRADE_TIMEOUT', 'LockTimeout']);
const PROTOCOL_CODES =
  /^(Parser|LineTooLarge|LiteralTooLarge|ResponseTooLarge|TooMany|UnexpectedTag|MissingTag|InvalidResponse|ResponseProcessing)/;

/** Classifies a failure of the connection itself by its error code (Node, OpenSSL, imapflow); a lost one is unreachable. */
export function classifyConnectionFailure(code: string | undefined): UpstreamFailureKind {
  if (code === undefined || UNREACHABLE_CODES.has(code)) return 'unreachable';
  if (TIMEOUT_CODES.has(code)) return 'timeout';
  if (code === 'ETHROTTLE') return 'throttled';
  if (CERTIFICATE_CODES.test(code)) return 'tls';
  if (HANDSHAKE_CODES.test(code)) return 'refused';
  if (PROTOCOL_CODES.test(code)) return 'protocol';
  return 'unreachable';
}
