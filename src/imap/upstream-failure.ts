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

type Row<V> = readonly [pattern: RegExp, verdict: V];

const THROTTLING: readonly Row<Kind>[] = [
  [/throttled|suggested backoff|rate limit|exceeded command or bandwidth|bandwidth limits/i, 'throttled'],
  // Microsoft, with the seconds to wait.
  [/server unavailable\.?\s*\d/i, 'throttled'],
];

/** Texts of known servers that mean the same at a login and after it. */
const KNOWN: readonly Row<Kind>[] = [
  [/too many (?:simultaneous )?connections|maximum number of connections|too many logins/i, 'refused'],
  [/authenticated but not connected/i, 'forbidden'],
  [/imap (?:access )?(?:is )?(?:disabled|not enabled|switched off)|not enabled for imap|enable imap/i, 'forbidden'],
  [/unsafe login/i, 'forbidden'],
  [/too many (?:login|auth)[a-z]* failures|login denied|account (?:is )?(?:temporarily )?locked/i, 'refused'],
];

const MISSING: Row<Kind> = [/(?:mailbox|folder) (?:does not|doesn't) exist|no such (?:mailbox|folder)|unknown mailbox/i, 'missing'];

const AFTER_LOGIN: readonly Row<Kind>[] = [
  ...THROTTLING,
  ...KNOWN,
  [/temporar|try again|try later|unavailable|internal (?:server )?error|timed? ?out|overload|maintenance/i, 'refused'],
  MISSING,
];

/** `other-way` is `forbidden` too, but what is forbidden is the command or the mechanism: another one may still be allowed. */
type LoginVerdict = Kind | 'other-way';

const CREDENTIAL = String.raw`(?:pass ?(?:word|wd|phrase|code)s?|credentials?|user ?(?:name|id)?|log[io]n(?: name| id)?|account(?: name)?)`;
const LINKING_WORDS = String.raw`(?:(?:is|was|are|has|have|been|does|do|did|or|and|the|your|you|given|entered|provided|name|login|user|username|password)\W+){0,5}`;

/** "Invalid user name or password", "the password you entered is incorrect", "no such user". */
const WRONG_CREDENTIALS = new RegExp(
  [
    String.raw`\b(?:wrong|incorrect|invalid|bad|unknown|unrecogni[sz]ed|mismatched)\W+(?:\w+\W+){0,2}?${CREDENTIAL}\b(?!\W+(?:command|mechanism|method|type|state|error))`,
    String.raw`\b${CREDENTIAL}\W+${LINKING_WORDS}(?:wrong|incorrect|invalid|unknown|mismatch|expired|rejected|not (?:match|valid|correct|found|exist|known|recogni|accepted))`,
    String.raw`\bpassword error\b|\bno such (?:user|account|login)\b|\bpassword required\b`,
    String.raw`\bcheck (?:that )?(?:your|the) (?:\w+\W+){0,4}(?:password|credentials|user ?name)`,
  ].join('|'),
  'i',
);

const SAID_TO_PASS =
  /temporar|\blater\b|\bin (?:a few|a moment|a minute|some|\d+) ?|\bretry\b|please wait|come back|maintenance|\bbusy\b|overload/i;

const WAY_REFUSED = new RegExp(
  [
    String.raw`mechanism|\b(?:sasl|auth\w*|log[io]n)\W+(?:method|type|scheme|mode)\b|unsupported|not supported|(?:not |un)implemented`,
    String.raw`\b(?:unknown|unrecogni[sz]ed|invalid|bad|illegal)\W+(?:\w+\W+)?command`,
    String.raw`clear ?-?text|plain ?-?text|\blayer\b|privacy`,
    String.raw`\b(?:ssl|tls|starttls|encrypt\w*|secured?)\b.{0,40}\b(?:required|needed|mandatory|first|only|must)\b`,
    String.raw`\b(?:requires?|needs?|must|use|without|only)\b.{0,40}\b(?:ssl|tls|starttls|encrypt\w*|secure)\b`,
    String.raw`\b(?:log[io]ns?|auth\w*|plain|passwords?)\W+(?:(?:command|is|are|was|has|have|been|currently)\W+){0,4}(?:disabled|disallowed|not (?:allowed|permitted|enabled|available))`,
  ].join('|'),
  'i',
);

const SERVER_TROUBLE = new RegExp(
  [
    String.raw`\b(?:system|server|internal|database|db|sql|i/o|io|input/output|fatal|unexpected|generic|unknown|network|protocol|service)\W+(?:\w+\W+)?(?:error|failure|fault|exception|problem|trouble)`,
    String.raw`back ?-?end|\bldap\b|database|\bsql\b|directory service|unavailable|not available|timed? ?-?out|internal|exception`,
    String.raw`(?:cannot|can't|can not|could not|couldn't|unable to|failed to|failure to|error)\W+(?:\w+\W+)?(?:connect|contact|reach|communicat|open|access|read|write|lock|load|start|creat|fork|bind|allocat|look ?up|process)`,
    String.raw`connection (?:to|with|is|was|has|refused|failed|lost|closed|reset|error|timed)|lookup failed|\b(?:is|are) (?:currently )?down\b|an (?:\w+ )?error (?:has )?occurred|(?:server|service|daemon|proxy) (?:is |are )?(?:currently )?(?:down|offline|not (?:ready|running|responding))`,
    String.raw`isn't responding|not responding|no response|shutting down|starting up|restart|technical|overquota|quota|disk (?:is )?full|no space|out of (?:memory|space|resources)|resource|load (?:is )?too high`,
    String.raw`not accepting|frequency|(?:login|user|session|connection|licen[cs]e)s? limit|\block(?:ed)?\b|\bin use\b`,
  ].join('|'),
  'i',
);

/** Only an administrator can mend these. */
const BARRED =
  /disabled|disallowed|not (?:yet )?(?:allowed|permitted|enabled|active|activated|open|licen[cs]ed)|suspended|deactivated|inactive|blocked|banned|terminated|prohibited|forbidden|account (?:has )?expired/i;

/** Texts of a NO to a login that has no code, or only ALERT. The first match wins; a text that nothing here matches says nothing. */
const AT_LOGIN: readonly Row<LoginVerdict>[] = [
  ...THROTTLING,
  [/too many (?:\w+ ){0,3}(?:attempts|failures|tries|errors|connections|sessions|log[io]ns)/i, 'refused'],
  // Servers that list every reason they know of name the password among them.
  [WRONG_CREDENTIALS, 'credentials'],
  ...KNOWN,
  [SAID_TO_PASS, 'refused'],
  [WAY_REFUSED, 'other-way'],
  [SERVER_TROUBLE, 'refused'],
  [BARRED, 'forbidden'],
  MISSING,
];

const OTHER_WAY_CODES: ReadonlySet<string> = new Set(['CANNOT', 'PRIVACYREQUIRED']);

/**
 * Classifies a refused login. A NO that has neither a code nor a telling text means the credentials: that is how most servers refuse a wrong
 * password. A BAD or BYE like that does not.
 */
export function classifyLoginRefusal(refusal: ServerRefusal): ClassifiedFailure {
  const verdict = verdictOf(refusal, AT_LOGIN);
  if (verdict !== undefined) return classified(verdict === 'other-way' ? 'forbidden' : verdict, refusal);
  return { kind: refusal.status?.toUpperCase() === 'NO' ? 'credentials' : 'refused' };
}

/**
 * True where a refused login speaks of the command or the mechanism, and not of the user, the password or the state of the server: another
 * command may then be tried with the same password, for this one was not judged.
 */
export function refusesTheWay(refusal: ServerRefusal): boolean {
  const code = codeOf(refusal);
  const status = refusal.status?.toUpperCase();
  // A BYE is no answer to the command.
  if (status === 'BYE') return false;
  if (BY_CODE[code] !== undefined) return OTHER_WAY_CODES.has(code);
  const verdict = verdictOf(refusal, AT_LOGIN);
  return verdict === 'other-way' || (verdict === undefined && status === 'BAD');
}

/** True where a response code (RFC 5530) says why; a text alone may mean something else than it seems to. */
export function isCoded(refusal: ServerRefusal): boolean {
  return BY_CODE[codeOf(refusal)] !== undefined;
}

/** Classifies a refused command after login; credentials are never the reason there. */
export function classifyRefusal(refusal: ServerRefusal): { readonly kind: UpstreamFailureKind; readonly retryAfterMs?: number } {
  const kind = verdictOf(refusal, AFTER_LOGIN);
  if (kind === undefined || kind === 'credentials') return { kind: 'refused' };
  return { ...classified(kind, refusal), kind };
}

function verdictOf<V>(refusal: ServerRefusal, texts: readonly Row<V>[]): V | Kind | undefined {
  const code = codeOf(refusal);
  const byText = texts.find(([pattern]) => pattern.test(refusal.text))?.[1];
  // A full mailbox, to most servers; Gmail says so of bandwidth too (RFC 5530 section 3).
  if (code === 'OVERQUOTA' && byText === 'throttled') return byText;
  return BY_CODE[code] ?? byText;
}

function codeOf({ code }: ServerRefusal): string {
  return code?.toUpperCase().split(' ')[0] ?? '';
}

function classified(kind: Kind, { text }: ServerRefusal): ClassifiedFailure {
  const retryAfterMs = kind === 'throttled' ? backoffMs(text) : undefined;
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
