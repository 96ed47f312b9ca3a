/** A strict POP3 client for the bench, one command and one answer at a time, that costs next to nothing. */
import { connect, type Socket } from 'node:net';
import { AnswerEnd } from './answer-end.ts';

const RECEIVE = 256 * 1024;

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
  readonly end: AnswerEnd;
  readonly begunAt: number;
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: Error) => void;
}

/** A connection. */
export class PopClient {
  readonly #socket: Socket;
  #waiting: Waiting | undefined;
  #failure: Error | undefined;
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
          this.#take(buffer.subarray(0, octets));
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
    this.#firstOctetMs = NaN;
    return new Promise((resolve, reject) => {
      if (this.#failure !== undefined) return reject(this.#failure);
      this.#waiting = { command, end: new AnswerEnd(isMulti), begunAt: performance.now(), resolve, reject };
    });
  }

  #take(chunk: Buffer): void {
    if (this.#waiting === undefined) return this.#fail(new Error('octets that nobody asked for'));
    const { command, end, begunAt, resolve, reject } = this.#waiting;
    const isComplete = end.push(chunk);
    if (Number.isNaN(this.#firstOctetMs) && end.hasBody) this.#firstOctetMs = performance.now() - begunAt;
    if (!isComplete) return;
    this.#waiting = undefined;
    if (end.isRefusal) reject(new Error(`${command.replace(/^PASS.*/, 'PASS')}: ${end.status}`));
    else resolve({ octets: end.octets, status: end.status, firstOctetMs: this.#firstOctetMs });
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    this.#waiting?.reject(this.#failure);
    this.#waiting = undefined;
  }
}
