/**
 * The only place that words a failure for a client. Fixed texts: nothing an upstream said ever reaches a client
 * (CONTRACT section 5.8, RFC 3206, RFC 2449 section 8.1).
 */
import { BusyError, CredentialsError, StoreError, UpstreamError } from '../errors.ts';
import type { BridgeError, BusyCode, CredentialsCode, UpstreamFailureKind } from '../errors.ts';
import { err, type Reply, type ResponseCode } from './reply.ts';

const REFUSED = ['AUTH', 'user name or password refused'] as const;
const CREDENTIALS: { readonly [Code in CredentialsCode]: readonly [ResponseCode, string] } = {
  AUTH_REFUSED: REFUSED,
  AUTH_REFUSED_BEFORE: REFUSED,
  AUTH_UNKNOWN_USER: REFUSED,
  AUTH_UNKNOWN_VIEW: REFUSED,
  AUTH_STORED_REFUSED: ['AUTH', 'mail server refuses the stored password, run: popbridge account passwd USER --upstream-password'],
  AUTH_DECLARED_REFUSED: ['AUTH', 'mail server refuses the password that the configuration gives, see the log'],
  AUTH_SIGN_IN_NEEDED: ['AUTH', 'sign-in to the mail server has expired, run: popbridge account signin USER'],
};

const BUSY: { readonly [Code in BusyCode]: readonly [ResponseCode, string] } = {
  MAILDROP_IN_USE: ['IN-USE', 'maildrop is in use by another session'],
  LOGIN_DELAY: ['LOGIN-DELAY', 'last login was too recent, try later'],
  SESSION_LIMIT: ['SYS/TEMP', 'too many sessions, try later'],
  LOGIN_BACKOFF: ['SYS/TEMP', 'too many refused logins, try later'],
  LOGIN_QUEUE: ['SYS/TEMP', 'too many logins at a time, try later'],
  STATE_IN_USE: ['SYS/TEMP', 'not ready, try later'],
  SIZES_UNMEASURED: ['SYS/TEMP', 'sizes of messages are being measured, try later'],
};

const UPSTREAM: { readonly [Kind in UpstreamFailureKind]: readonly [ResponseCode | undefined, string] } = {
  unreachable: ['SYS/TEMP', 'mail server cannot be reached'],
  timeout: ['SYS/TEMP', 'mail server did not answer in time'],
  tls: ['SYS/PERM', 'mail server certificate or TLS is not acceptable, see the log'],
  refused: ['SYS/TEMP', 'mail server refused the request'],
  throttled: ['SYS/TEMP', 'mail server is throttling, try later'],
  forbidden: ['SYS/PERM', 'mail server does not permit this, ask its administrator'],
  missing: ['SYS/PERM', 'mailbox does not exist on the mail server'],
  protocol: ['SYS/TEMP', 'mail server gave an answer that makes no sense'],
  incomplete: ['SYS/TEMP', 'mail server gave an incomplete listing, try again'],
  'cut-while-listing': ['SYS/TEMP', 'mail server ended the connection while it listed the mailbox, try again'],
  unsupported: ['SYS/PERM', 'mail server gives what cannot be served, see the log'],
  'message-gone': [undefined, 'message is no longer on the server'],
  'message-unreadable': ['SYS/TEMP', 'message cannot be read now'],
  'provider-refused': ['SYS/PERM', 'sign-in provider refuses the client registration, see the log'],
  'provider-unavailable': ['SYS/TEMP', 'sign-in provider does not answer, try later'],
};

/** The reply for a failure that came before any octet of a positive reply. */
export function replyForError(error: BridgeError): Reply {
  if (error instanceof CredentialsError) return coded(CREDENTIALS[error.code]);
  if (error instanceof BusyError) return coded(BUSY[error.code]);
  if (error instanceof UpstreamError) {
    const [code, text] = UPSTREAM[error.kind];
    const seconds = error.retryAfterMs === undefined ? '' : ` (in ${Math.ceil(error.retryAfterMs / 1000)} s)`;
    return coded([code, text + seconds]);
  }
  if (error instanceof StoreError && error.code === 'SECRETS_UNREADABLE') {
    return err('credentials for the mail server cannot be read, see the log', 'SYS/TEMP');
  }
  return err('internal error, try again', 'SYS/TEMP');
}

function coded([code, text]: readonly [ResponseCode | undefined, string]): Reply {
  return err(text, code);
}
