/**
 * A strict POP3 client for the bench, one command and one answer at a time, that costs next to nothing: it looks at the first line and at the last
 * five octets. A dot-stuffed body can't contain the end of the answer, and nothing comes after the end before the next command.
 */
import { connect, type Socket } from 'node:net';

const RECEIVE = 256 * 1024;
const LF = 0x0a;
const MINUS = 0x2d;
const END = Buffer.from('\r\n.\r\n');

/** What an answer was, without its text. */
export interface Answer {
  /** All its octets, status line and end included. */
  readonly octets: number;
  /** The first of them, without line end. */
  readonly status: string;
  /** Milliseconds from the command to the first octet behind the status line; NaN when there is none. */
  readonly firstOctetMs: number;
}

interface Waiting {
  readonly command: string;
  readonly isMulti: boolean;
  readonly begunAt: number;
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: Error) => void;
}

/** A connection. */
export class PopClient {
  readonly #socket: Socket;
  readonly #tail = Buffer.alloc(END.length);
  #waiting: Waiting | undefined;
  #failure: Error | undefined;
  #octets = 0;
  #status: string | undefined;
  #firstOctetMs = NaN;

  private constructor(port: number) {
    const buffer = Buffer.allocUnsafe(RECEIVE);
    this.#socket = connect({
      port,
      host: '127.0.0.1',
      noDelay: true,
      onread: {
        buffer,
        callback: (octets) => {
          this.#take(buffer, octets);
          return true;
        },
      },
    });
    this.#socket.on('error', (error) => this.#fail(error));
    this.#socket.on('close', () => this.#fail(new Error('the server closed the connection')));
  }

  /** Connects, logs in, and has the maildrop open; the greeting and each answer are waited for. */
  static async login(port: number, user: string, password: string): Promise<PopClient> {
    const client = new PopClient(port);
    await client.#expect('connect', false);
    await client.command(`USER ${user}`);
    await client.command(`PASS ${password}`);
    return client;
  }

  /** A command with an answer of one line; -ERR is thrown. */
  command(command: string): Promise<Answer> {
    return this.#send(command, false);
  }

  /** A command with an answer of many lines; -ERR is thrown. */
  multi(command: string): Promise<Answer> {
    return this.#send(command, true);
  }

  /** QUIT, and away. */
  async quit(): Promise<void> {
    await this.command('QUIT');
    this.close();
  }

  /** Away without QUIT. */
  close(): void {
    this.#failure = new Error('closed');
    this.#socket.destroy();
  }

  #send(command: string, isMulti: boolean): Promise<Answer> {
    const answer = this.#expect(command, isMulti);
    this.#socket.write(`${command}\r\n`, 'latin1');
    return answer;
  }

  #expect(command: string, isMulti: boolean): Promise<Answer> {
    this.#octets = 0;
    this.#status = undefined;
    this.#firstOctetMs = NaN;
    return new Promise((resolve, reject) => {
      if (this.#failure !== undefined) return reject(this.#failure);
      this.#waiting = { command, isMulti, begunAt: performance.now(), resolve, reject };
    });
  }

  #take(buffer: Uint8Array, octets: number): void {
    const waiting = this.#waiting;
    if (waiting === undefined) return this.#fail(new Error('octets that nobody asked for'));
    const chunk = Buffer.from(buffer.buffer, buffer.byteOffset, octets);
    this.#octets += octets;
    this.#status ??= statusOf(chunk);
    if (Number.isNaN(this.#firstOctetMs) && this.#octets > this.#status.length + 2)
      this.#firstOctetMs = performance.now() - waiting.begunAt;
    this.#keepTail(chunk);
    if (!this.#isComplete(waiting.isMulti)) return;
    this.#waiting = undefined;
    if (this.#status.charCodeAt(0) === MINUS) waiting.reject(new Error(`${waiting.command.replace(/^PASS.*/, 'PASS')}: ${this.#status}`));
    else waiting.resolve({ octets: this.#octets, status: this.#status, firstOctetMs: this.#firstOctetMs });
  }

  #keepTail(chunk: Buffer): void {
    if (chunk.length < END.length) this.#tail.copyWithin(0, chunk.length);
    chunk.copy(this.#tail, Math.max(0, END.length - chunk.length), Math.max(0, chunk.length - END.length));
  }

  #isComplete(isMulti: boolean): boolean {
    if (!isMulti || this.#status?.charCodeAt(0) === MINUS) return this.#tail[END.length - 1] === LF;
    return this.#tail.equals(END);
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    this.#waiting?.reject(this.#failure);
    this.#waiting = undefined;
  }
}

/** The first line; no server sends it in pieces. */
function statusOf(chunk: Buffer): string {
  const end = chunk.indexOf(LF);
  return chunk.toString('latin1', 0, end < 0 ? chunk.length : end).trimEnd();
}
