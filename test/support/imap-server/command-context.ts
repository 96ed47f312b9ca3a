/** What the handlers of commands are given, and what they answer. */
import type { Account } from './account.ts';
import type { MailboxView } from './mailbox-view.ts';
import type { ResponseWriter } from './response-writer.ts';
import type { Arguments } from './syntax.ts';

export type SessionState =
  | { readonly phase: 'not-authenticated' }
  | { readonly phase: 'authenticated'; readonly account: Account }
  | { readonly phase: 'selected'; readonly account: Account; readonly view: MailboxView };

/** How FETCH is to misbehave. */
export interface FetchFault {
  readonly omitRows?: number;
  readonly emptyBody?: true | 'NIL';
}

export interface CommandContext {
  readonly tag: string;
  readonly out: ResponseWriter;
  readonly fetchFault: FetchFault;
  readonly canStartTls: boolean;
  readonly isLoginDisabled: boolean;
  /** Capabilities as they are now, in the order of the answer. */
  readonly capabilities: readonly string[];
  /** Whether the server has a capability at all. */
  has(capability: string): boolean;
  authenticate(user: string, password: Buffer): Account | undefined;
  enter(state: SessionState): void;
  /** Sends a continuation request and reads one line; nothing when the client left. */
  ask(prompt: string): Promise<string | undefined>;
  /** Adds a line to the log of commands. */
  note(line: string): void;
  /** Sends news of the selected mailbox as they come, until the answer is called. */
  watchMailbox(): () => void;
}

/** The tagged answer without its tag. */
export type Completion = string | { readonly text: string; readonly next: 'close' | 'start-tls' };

interface RowCommon {
  /** Without it in the list of the server the command doesn't exist. */
  readonly capability?: string;
  /** Set where EXPUNGE must not be told (RFC 3501 section 7.4.1). */
  readonly forbidsExpunge?: true;
}

type Answer = Completion | Promise<Completion>;

/** A command: where it is legal and what it does. */
export type CommandRow = RowCommon &
  (
    | { readonly in: 'any' | 'not-authenticated'; readonly run: (context: CommandContext, args: Arguments) => Answer }
    | { readonly in: 'authenticated'; readonly run: (context: CommandContext, args: Arguments, account: Account) => Answer }
    | {
        readonly in: 'selected';
        readonly run: (context: CommandContext, args: Arguments, view: MailboxView, account: Account) => Answer;
      }
  );

export type CommandRows = Readonly<Record<string, CommandRow>>;
