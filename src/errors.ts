/**
 * The catalogue of errors. One class a decider: what a caller does next depends on the class and on `temporary`,
 * never on a message. How a failure is worded for a POP3 client is decided in pop3/reply-for-error.ts alone.
 */

/** Every error popbridge throws on purpose. `code` is stable and logged; `temporary` says whether trying again may help. */
export abstract class BridgeError extends Error {
  abstract readonly code: string;
  abstract readonly temporary: boolean;
}

/** One fault of a configuration file: which file, which key path ("listen[0].address"), what is wrong and what is allowed. */
export interface ConfigFault {
  readonly file: string;
  readonly key: string;
  readonly problem: string;
}

/** The operator's configuration can't be used. Holds every fault of every file (exit code 78). */
export class ConfigError extends BridgeError {
  readonly code = 'CONFIG_INVALID';
  readonly temporary = false;
  readonly faults: readonly ConfigFault[];

  constructor(faults: readonly ConfigFault[], options?: ErrorOptions) {
    super(faults.map(describeFault).join('\n'), options);
    this.name = 'ConfigError';
    this.faults = faults;
  }
}

/** One line for one fault: `FILE: key.path: what is wrong; what is allowed`. */
export function describeFault(fault: ConfigFault): string {
  return [fault.file, fault.key, fault.problem].filter((part) => part !== '').join(': ');
}

export type CredentialsCode =
  | 'AUTH_REFUSED'
  | 'AUTH_REFUSED_BEFORE'
  | 'AUTH_UNKNOWN_USER'
  | 'AUTH_UNKNOWN_VIEW'
  /** The client's password was right; what is stored for the upstream is not. */
  | 'AUTH_STORED_REFUSED'
  /** The same, where the password comes from what a configuration file names. */
  | 'AUTH_DECLARED_REFUSED'
  | 'AUTH_SIGN_IN_NEEDED';

/**
 * The user name or the password is wrong. A client may ask its user for a new one. `isCoded` is false where a server gave no response code
 * (RFC 5530) with its refusal, which may then mean something else.
 */
export class CredentialsError extends BridgeError {
  readonly code: CredentialsCode;
  readonly temporary = false;
  readonly isCoded: boolean;

  constructor(code: CredentialsCode, message: string, options?: ErrorOptions & { readonly isCoded?: boolean }) {
    super(message, options);
    this.name = 'CredentialsError';
    this.code = code;
    this.isCoded = options?.isCoded ?? true;
  }
}

export type BusyCode =
  'MAILDROP_IN_USE' | 'LOGIN_DELAY' | 'SESSION_LIMIT' | 'LOGIN_BACKOFF' | 'LOGIN_QUEUE' | 'STATE_IN_USE' | 'SIZES_UNMEASURED';

/** Not now: another session, a limit or a delay stands in the way. */
export class BusyError extends BridgeError {
  readonly code: BusyCode;
  readonly temporary = true;

  constructor(code: BusyCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'BusyError';
    this.code = code;
  }
}

/** What went wrong upstream; the table that decides it is imap/upstream-failure.ts. */
export const UPSTREAM_FAILURE_KINDS = [
  'unreachable',
  'timeout',
  'tls',
  'refused',
  'throttled',
  'forbidden',
  'missing',
  'protocol',
  'incomplete',
  // The server ended the connection over the listing; on another one the mailbox may be listed in parts.
  'cut-while-listing',
  // What the server gives can never be served: no trying again helps.
  'unsupported',
  'message-gone',
  'message-unreadable',
  // Not the mail server: the OAuth 2.0 provider whose tokens it wants.
  'provider-refused',
  'provider-unavailable',
] as const;

export type UpstreamFailureKind = (typeof UPSTREAM_FAILURE_KINDS)[number];

const PERMANENT_KINDS: ReadonlySet<UpstreamFailureKind> = new Set([
  'tls',
  'forbidden',
  'missing',
  'unsupported',
  'message-gone',
  'provider-refused',
]);

/** The upstream server failed us. `retryAfterMs` is the pause it asked for, if it named one. */
export class UpstreamError extends BridgeError {
  readonly kind: UpstreamFailureKind;
  readonly retryAfterMs: number | undefined;

  constructor(kind: UpstreamFailureKind, message: string, options?: ErrorOptions & { readonly retryAfterMs?: number | undefined }) {
    super(message, options);
    this.name = 'UpstreamError';
    this.kind = kind;
    this.retryAfterMs = options?.retryAfterMs;
  }

  get code(): string {
    return `UPSTREAM_${this.kind.toUpperCase().replaceAll('-', '_')}`;
  }

  get temporary(): boolean {
    return !PERMANENT_KINDS.has(this.kind);
  }
}

export type StoreCode =
  | 'STORE_FAILED'
  | 'STORE_LOCKED'
  | 'STORE_TOO_NEW'
  | 'STORE_CORRUPT'
  /** A file or folder of the state belongs to another user, or is a link. */
  | 'STATE_UNSAFE'
  | 'SECRETS_UNREADABLE';

const REFUSAL_KINDS: ReadonlySet<UpstreamFailureKind> = new Set(['refused', 'forbidden', 'missing']);

/** True where the server answered, and will not do what it was asked: the connection is good for everything else. */
export function isRefusal(error: unknown): error is UpstreamError {
  return error instanceof UpstreamError && REFUSAL_KINDS.has(error.kind);
}

/** The state on disk can't be read or written. */
export class StoreError extends BridgeError {
  readonly code: StoreCode;
  readonly temporary = true;

  constructor(code: StoreCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'StoreError';
    this.code = code;
  }
}

/** A promise the code makes to itself was broken: our fault, that session ends. */
export class InvariantError extends BridgeError {
  readonly code = 'BUG_INVARIANT';
  readonly temporary = true;

  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'InvariantError';
  }
}

/** The error as a BridgeError: itself, or an InvariantError that holds what should never have got here. */
export function toBridgeError(error: unknown): BridgeError {
  return error instanceof BridgeError ? error : new InvariantError('unexpected failure', { cause: error });
}
