/** What a server is told to be, with every default filled in, and what its sessions share. */
import type { Account } from './account.ts';
import type { CommandEvent, Fault } from './script.ts';

export interface TlsSettings {
  readonly key: string;
  readonly cert: string;
  readonly mode: 'implicit' | 'starttls';
  /** With `starttls`: LOGINDISABLED until TLS runs. */
  readonly requireTls?: boolean;
}

export const DEFAULT_CAPABILITIES: readonly string[] =
  'IMAP4rev1 SASL-IR LITERAL+ ID ENABLE IDLE NAMESPACE UIDPLUS MOVE ESEARCH CONDSTORE SPECIAL-USE UNSELECT CHILDREN AUTH=PLAIN'.split(' ');

/** A line, `hang` for none at all, `close`; or exactly these octets, and then the usual one or none. */
export type Greeting = string | { readonly raw: Buffer; readonly next: 'continue' | 'close' };

/** How a session asks and tells its server. */
export interface SessionHost {
  readonly capabilities: readonly string[];
  readonly tls: TlsSettings | undefined;
  greeting(): Greeting | undefined;
  /** Whom a PREAUTH greeting lets in. */
  readonly firstAccount: Account | undefined;
  authenticate(user: string, password: Buffer): Account | undefined;
  note(line: string): void;
  /** Came to a session that hangs. */
  drop(octets: Buffer): void;
  /** What the script wants done to a command. */
  fault(event: Omit<CommandEvent, 'count'>): Fault | undefined;
}
