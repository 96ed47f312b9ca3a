/** What a POP3 connection is put together from. */
import type { Socket } from 'node:net';
import type { SecureContext } from 'node:tls';
import type { Clock } from '../clock.ts';
import type { BridgeError } from '../errors.ts';
import type { Credentials } from '../pop3/sasl.ts';
import type { OpenedMaildrop, SessionPolicy } from '../pop3/session-state.ts';
import type { LockHolder } from './maildrop-lock.ts';
import type { MaildropSession } from './maildrop-session.ts';
import type { SessionSummary } from './session-tally.ts';

/** What a connection needs of the maildrop that a login opened. */
export type OpenSession = Pick<MaildropSession, 'operations' | 'fetch' | 'retrieved' | 'commit' | 'close'>;

/** What a login gives. */
export interface LoggedIn {
  readonly session: OpenSession;
  readonly opened: OpenedMaildrop;
}

/** How the connection reports to the log; one summary at the end. */
export interface ConnectionLog {
  error(error: BridgeError, what: string): void;
  tlsFailed(error: unknown): void;
  /** The client is not served, because of what it said. */
  refused(reason: string): void;
  /** `tlsVersion` as ClientSocket gives it. */
  end(summary: SessionSummary & { readonly tlsVersion: string }): void;
}

export interface ConnectionParts {
  readonly socket: Socket;
  readonly clock: Clock;
  readonly policy: SessionPolicy;
  /** The certificate for STLS or implicit TLS, asked for at each handshake so that a renewed one is used. */
  readonly secureContext: () => SecureContext | undefined;
  readonly isImplicitTls: boolean;
  readonly timeouts: { readonly loginMs: number; readonly idleMs: number; readonly writeMs: number };
  readonly logIn: (credentials: Credentials, holder: LockHolder, tlsVersion: string, signal: AbortSignal) => Promise<LoggedIn>;
  readonly log: ConnectionLog;
  /** The connection and all that belonged to it is gone. */
  readonly onEnd: () => void;
}
