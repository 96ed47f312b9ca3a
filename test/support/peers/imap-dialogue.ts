/**
 * Just enough IMAP to prepare and inspect a mailbox behind the bridge's back: one command at a time, answers as text. It knows no grammar and is
 * not what the bridge is tested against.
 */
import { randomBytes } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import { patience } from '../patience.ts';

const REPLY_MS = 10_000;

/** A logged-in plain-text IMAP connection of a test. */
export class ImapDialogue implements AsyncDisposable {
  readonly #socket: Socket;
  #received = '';
  #waiting: (() => void) | undefined;
  #failure: Error | undefined;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.setEncoding('latin1');
    socket.on('data', (chunk: string) => {
      this.#received += chunk;
      this.#waiting?.();
    });
    const fail = (error: Error): void => {
      this.#failure ??= error;
      this.#waiting?.();
    };
    socket.on('error', fail);
    socket.on('close', () => fail(new Error('IMAP connection closed')));
  }

  /** Connects to 127.0.0.1 and logs in; rejects when the server refuses. */
  static async login(port: number, user: string, password: string): Promise<ImapDialogue> {
    const dialogue = new ImapDialogue(connect(port, '127.0.0.1'));
    try {
      await dialogue.#until(/^\* OK .*\r\n/);
      await dialogue.command(`LOGIN ${quoted(user)} ${quoted(password)}`);
      return dialogue;
    } catch (error) {
      dialogue.#socket.destroy();
      throw error;
    }
  }

  /** Sends one command, with an optional literal at its end, and returns everything up to its tagged OK; NO and BAD are thrown. */
  async command(text: string, literal?: Buffer): Promise<string> {
    // Random, so that no message that is fetched can contain the end of the answer.
    const tag = `t${randomBytes(6).toString('hex')}`;
    this.#received = '';
    if (literal === undefined) {
      this.#socket.write(`${tag} ${text}\r\n`);
    } else {
      this.#socket.write(`${tag} ${text} {${literal.length}}\r\n`);
      await this.#until(new RegExp(`^\\+|^${tag} `, 'm'));
      if (this.#received.includes(`${tag} `)) throw new Error(`IMAP refused ${text}: ${this.#received.trim()}`);
      this.#socket.write(Buffer.concat([literal, Buffer.from('\r\n')]));
    }
    await this.#until(new RegExp(`^${tag} .*\\r\\n`, 'm'));
    if (!this.#received.includes(`${tag} OK`)) throw new Error(`IMAP refused ${text.split(' ')[0]}: ${this.#received.trim()}`);
    return this.#received.slice(0, this.#received.lastIndexOf(tag));
  }

  /** Logs out. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#failure === undefined) await this.command('LOGOUT').catch(() => '');
    this.#socket.destroy();
  }

  async #until(pattern: RegExp): Promise<void> {
    const limit = patience(REPLY_MS);
    const deadline = performance.now() + limit;
    while (!pattern.test(this.#received)) {
      if (this.#failure !== undefined) throw this.#failure;
      const left = deadline - performance.now();
      if (left <= 0) throw new Error(`no answer from IMAP within ${limit} ms, got ${JSON.stringify(this.#received.slice(-200))}`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, left);
        this.#waiting = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }
}

/** An IMAP quoted string (RFC 3501 section 4.3). */
export function quoted(text: string): string {
  return `"${text.replaceAll(/["\\]/g, String.raw`\$&`)}"`;
}
