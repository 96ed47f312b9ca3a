/**
 * The types of the POP3 session: states that carry their own data, inputs, and the effects they cause (RFC 1939 sections
 * 3 to 6). Only TRANSACTION has a maildrop. At most one slow effect is in flight: its states accept nothing but its end.
 */
import type { BridgeError } from '../errors.ts';
import type { Maildrop, MaildropEntry } from '../maildrop/maildrop.ts';
import type { UpdateOutcome, UpdatePlan } from '../maildrop/update-plan.ts';
import type { Reply } from './reply.ts';
import type { Credentials, SaslExchange } from './sasl.ts';

/** What a session knows of its listener and configuration; constant for the connection. */
export interface SessionPolicy {
  /** STLS is offered. */
  readonly offersTls: boolean;
  /** A login is taken on a connection without TLS. */
  readonly allowsCleartextLogin: boolean;
  /** LOGIN-DELAY in whole seconds, the largest that applies; undefined when there is none. */
  readonly loginDelaySeconds: number | undefined;
  /** Shown by CAPA after login (RFC 2449 section 6.9). */
  readonly implementation: string;
}

export interface Authorization {
  readonly phase: 'AUTHORIZATION';
  readonly isSecured: boolean;
  readonly user: string | undefined;
  readonly exchange: SaslExchange | undefined;
  readonly loginFailures: number;
  readonly badCommands: number;
}

export interface Transaction {
  readonly phase: 'TRANSACTION';
  readonly isSecured: boolean;
  readonly maildrop: Maildrop;
  /** Exact LOGIN-DELAY of this user, in seconds. */
  readonly loginDelaySeconds: number | undefined;
  /** Octets of the largest message RETR gives; 0 = any. */
  readonly maxMessageOctets: number;
  /** The highest message-number retrieved (LAST, RFC 1460); 0 = none. */
  readonly highestRetrieved: number;
  readonly badCommands: number;
}

export type SessionState =
  | Authorization
  | { readonly phase: 'AUTHENTICATING'; readonly before: Authorization }
  | { readonly phase: 'SECURING' }
  | Transaction
  | { readonly phase: 'RETRIEVING'; readonly before: Transaction; readonly entry: MaildropEntry; readonly isWhole: boolean }
  | { readonly phase: 'UPDATE' }
  | { readonly phase: 'CLOSED' };

/** What a login opened, and what holds for its TRANSACTION state. */
export type OpenedMaildrop = Pick<Transaction, 'maildrop' | 'loginDelaySeconds' | 'maxMessageOctets'>;

export type SessionInput =
  | { readonly on: 'line'; readonly line: Uint8Array }
  | { readonly on: 'line-too-long' }
  | { readonly on: 'secured' }
  | { readonly on: 'maildrop-opened'; readonly opened: OpenedMaildrop }
  | { readonly on: 'retrieved' }
  | { readonly on: 'updated'; readonly outcome: UpdateOutcome }
  /** The effect in flight failed. `begun` says that octets of its reply were sent already. */
  | { readonly on: 'failed'; readonly error: BridgeError; readonly begun: boolean }
  | { readonly on: 'shutdown' };

/** The status line before a message; `octets` where they are known before the first one is sent. */
export type RetrieveReply = (octets: number | undefined) => Reply;

export type Effect =
  | { readonly do: 'reply'; readonly reply: Reply }
  | { readonly do: 'challenge'; readonly challenge: string }
  | { readonly do: 'authenticate'; readonly credentials: Credentials }
  | { readonly do: 'start-tls' }
  /** Send `reply` and the message, or its top when `lines` is given; nothing is sent before the first octets are there. */
  | { readonly do: 'retrieve'; readonly entry: MaildropEntry; readonly lines: number | undefined; readonly reply: RetrieveReply }
  | { readonly do: 'update'; readonly plan: UpdatePlan }
  /** `refused`: why this client is not served, for the log; it gets no answer. */
  | { readonly do: 'close'; readonly refused?: string };

/** A transition: the state after, and what has to be done, in order. */
export type Step = readonly [SessionState, readonly Effect[]];

export const CLOSED: SessionState = { phase: 'CLOSED' };

export function initialState(isSecured: boolean): Authorization {
  return { phase: 'AUTHORIZATION', isSecured, user: undefined, exchange: undefined, loginFailures: 0, badCommands: 0 };
}

export function replying(reply: Reply): Effect {
  return { do: 'reply', reply };
}
