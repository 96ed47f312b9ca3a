/** Faults a test may script: a rule sees each command before it is run and may have it answered otherwise. */

/** What a rule may know of the session. */
export interface SessionView {
  readonly phase: 'not-authenticated' | 'authenticated' | 'selected';
  readonly user: string | undefined;
  readonly mailbox: string | undefined;
  readonly isSecured: boolean;
}

export interface CommandEvent {
  /** 1 for the first connection the server accepted. */
  readonly connection: number;
  readonly session: SessionView;
  readonly tag: string;
  /** `FETCH`, `UID FETCH`. */
  readonly verb: string;
  /** Without the tag, as in `ImapServer.commands`. */
  readonly command: string;
  /** The how many-th command of this verb the server got, from 1. */
  readonly count: number;
}

export type ImapRule = (event: CommandEvent) => Fault | undefined;

/** One rule, or several of which the first that answers wins. */
export type ImapScript = ImapRule | readonly ImapRule[];

export type Fault =
  /** Not run: this tagged answer, such as `NO [UNAVAILABLE] try later`, after these untagged lines (without their line ends). */
  | { readonly reply: string; readonly untagged?: string | readonly string[] }
  /** Exactly these octets, `$TAG` being replaced by the tag. Next: nothing more (they are the whole answer), run the command, close, or never answer. */
  | { readonly raw: string | Buffer; readonly next?: 'continue' | 'close' | 'hang' }
  /** These pieces, made as fast as they are taken; they are the whole answer. */
  | { readonly pieces: Iterable<Buffer> }
  | { readonly close: true }
  /** Never answers this session again, though the connection stays open until the client has destroyed it; to end its own half is not enough. */
  | { readonly hang: true }
  | { readonly bye: string }
  /** Run, but the whole answer is lost, or the tagged one is this. */
  | { readonly runThen: 'close' | 'hang' }
  | { readonly runThen: 'reply'; readonly reply: string }
  /** Run, and told otherwise: what this makes of each piece of the untagged responses; literals and the tagged response stay as they are. */
  | { readonly rewrite: (text: string) => string }
  /** Run, and the connection closes when that many octets of the answer were sent. A shorter answer is not cut. */
  | { readonly cutAfter: number }
  /** Waits before it runs the command. */
  | { readonly delayMs: number }
  /** Runs the command when this has happened. */
  | { readonly after: Promise<unknown> }
  /** FETCH leaves out the last rows and answers OK all the same. */
  | { readonly omitRows: number }
  /** FETCH answers rows without their body, or with NIL for it. */
  | { readonly emptyBody: true | 'NIL' };

export function evaluateScript(script: ImapScript | undefined, event: CommandEvent): Fault | undefined {
  if (script === undefined) return undefined;
  if (typeof script === 'function') return script(event);
  for (const rule of script) {
    const fault = rule(event);
    if (fault !== undefined) return fault;
  }
  return undefined;
}
