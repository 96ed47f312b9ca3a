/**
 * Round trips that imapflow makes while it logs in and that nobody needs: the gate answers them on the spot. ID goes out later, together
 * with the first SELECT; the namespace is asked for where a folder's path depends on it; a SASL exchange of one step takes one step.
 */

/** In place of a line that imapflow wrote. */
export interface Shortcut {
  /** What the server gets; '' for nothing. */
  readonly send: string;
  /** What imapflow gets at once. */
  readonly answer: string;
}

const AUTHENTICATE = /^\S+ AUTHENTICATE \S+\r\n$/;
const PLAIN = /^\S+ AUTHENTICATE PLAIN\r\n$/;
/** An answer to a challenge, which has no tag (`*` takes the login back), or a command that holds its secret itself. */
const WITH_SECRET = /^(?:[^\s*]*\r\n$|\S+ LOGIN |\S+ AUTHENTICATE \S+ )/;
const NEEDLESS = /^(\S+) (ID \(|NAMESPACE\r\n|LIST "" ""\r\n)/;
/** Two fields: of fewer imapflow thinks that they are more once logged in. */
const NOBODY = '* ID ("name" "unknown" "version" "unknown")\r\n';

export class LoginShortcuts {
  readonly #hasInitialResponse: () => boolean;
  /** A command that waits for its initial response (RFC 4959). */
  #held: string | undefined;
  #hasSentSecret = false;

  /** `hasInitialResponse`: an initial response may be sent with the command. */
  constructor(hasInitialResponse: () => boolean) {
    this.#hasInitialResponse = hasInitialResponse;
  }

  /** True once the server was sent a secret; false again when a mechanism is named to it without one. */
  get hasSentSecret(): boolean {
    return this.#hasSentSecret;
  }

  /** Undefined where the line is to go out as it is. */
  of(line: string): Shortcut | undefined {
    const shortcut = this.#shortcutOf(line);
    if (shortcut === undefined && AUTHENTICATE.test(line)) this.#hasSentSecret = false;
    else if (WITH_SECRET.test(line)) this.#hasSentSecret = true;
    return shortcut;
  }

  #shortcutOf(line: string): Shortcut | undefined {
    if (this.#held !== undefined) {
      const send = `${this.#held} ${line}`;
      this.#held = undefined;
      return { send, answer: '' };
    }
    if (PLAIN.test(line) && this.#hasInitialResponse()) {
      this.#held = line.trimEnd();
      return { send: '', answer: '+ \r\n' };
    }
    const [, tag, command] = NEEDLESS.exec(line) ?? [];
    if (tag === undefined) return undefined;
    return { send: '', answer: `${untagged(command ?? '')}${tag} OK\r\n` };
  }
}

function untagged(command: string): string {
  if (command.startsWith('ID')) return NOBODY;
  return command.startsWith('NAMESPACE') ? '* NAMESPACE (("" NIL)) NIL NIL\r\n' : '* LIST (\\Noselect) NIL ""\r\n';
}
