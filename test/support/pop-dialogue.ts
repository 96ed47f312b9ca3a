/** A POP3 client for tests and the demo: one command, one answer, octets untouched. */
import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { isSilent, listenTo } from './last-words.ts';
import { noteSecrets } from './secrets-used.ts';

const CRLF = Buffer.from('\r\n');
const END = Buffer.from('\r\n.\r\n');
/** Of what either side said last, for reports. */
const LAST_OCTETS = 200;

/** The server closed the connection; what came before is in `received`. */
export class ConnectionClosed extends Error {
  readonly received: Buffer;

  constructor(received: Buffer) {
    super(`connection closed after ${JSON.stringify(received.toString('latin1').slice(-200))}`);
    this.received = received;
  }
}

export interface DialogueOptions {
  readonly host?: string;
  /** Of the client. */
  readonly localAddress?: string;
  /** Implicit TLS; the certificate is not checked. */
  readonly tls?: boolean;
}

export class PopDialogue {
  static readonly #open = new Set<PopDialogue>();
  readonly greeting: string;
  #socket: Socket;
  /** `received` is a part of it. */
  #room = Buffer.allocUnsafeSlow(0);
  #received = Buffer.alloc(0);
  #isClosed = false;
  #sent = '';
  #heard = '';
  #wake: () => void = () => {};

  private constructor(socket: Socket, greeting: string) {
    this.#socket = socket;
    this.greeting = greeting;
  }

  /** Connects and takes the greeting. */
  static async connect(port: number, options: DialogueOptions = {}): Promise<PopDialogue> {
    const target = {
      host: options.host ?? '127.0.0.1',
      port,
      ...(options.localAddress !== undefined && { localAddress: options.localAddress }),
    };
    const socket = options.tls === true ? connectTls({ ...target, rejectUnauthorized: false }) : connect(target);
    const dialogue = new PopDialogue(socket, '');
    PopDialogue.#open.add(dialogue);
    listenTo(dialogue, () => dialogue.#saidLast());
    dialogue.#listen();
    const greeting = await dialogue.line();
    return Object.assign(dialogue, { greeting });
  }

  /** Hangs up wherever a test left a client. */
  static closeAll(): void {
    for (const dialogue of PopDialogue.#open) dialogue.close();
    PopDialogue.#open.clear();
  }

  /** The socket, for tests that break the rules. */
  get socket(): Socket {
    return this.#socket;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  send(text: string | Buffer): void {
    noteSecrets(...passwordsSent(text.toString()));
    this.#sent = endOf(this.#sent, text);
    this.#socket.write(text);
  }

  /** Sends a command and gives its status line. */
  async command(line: string): Promise<string> {
    this.send(`${line}\r\n`);
    return this.line();
  }

  /** Sends a command that has a multi-line answer; gives its lines, unstuffed. Throws on -ERR. */
  async multi(line: string): Promise<string[]> {
    const text = (await this.multiOctets(line)).toString('latin1');
    return text === '' ? [] : text.slice(0, -2).split('\r\n');
  }

  /** The octets of a message as the server counts them: unstuffed. Throws on -ERR. */
  retrieve(message: number): Promise<Buffer> {
    return this.multiOctets(`RETR ${message}`);
  }

  async multiOctets(line: string): Promise<Buffer> {
    const status = await this.command(line);
    if (!status.startsWith('+OK')) throw new Error(`${line}: ${status}`);
    return unstuff(await this.untilEnd());
  }

  /** USER and PASS; throws when refused. */
  async login(user: string, password: string): Promise<void> {
    await this.command(`USER ${user}`);
    const status = await this.command(`PASS ${password}`);
    if (!status.startsWith('+OK')) throw new Error(`login: ${status}`);
  }

  /** Starts TLS after STLS; the certificate is not checked. */
  async startTls(): Promise<void> {
    const status = await this.command('STLS');
    if (!status.startsWith('+OK')) throw new Error(`STLS: ${status}`);
    this.#socket.removeAllListeners();
    const secured = connectTls({ socket: this.#socket, rejectUnauthorized: false });
    await new Promise<void>((resolve, reject) => {
      secured.once('secureConnect', resolve);
      secured.once('error', reject);
    });
    this.#socket = secured;
    this.#listen();
  }

  async line(): Promise<string> {
    const end = await this.#find(CRLF);
    const line = this.#received.subarray(0, end).toString('latin1');
    this.#received = this.#received.subarray(end + CRLF.length);
    return line;
  }

  /** Everything up to the terminating line, which is dropped; still stuffed. */
  async untilEnd(): Promise<Buffer> {
    if ((await this.#atLeast(3)) && this.#received.subarray(0, 3).equals(END.subarray(2))) {
      this.#received = this.#received.subarray(3);
      return Buffer.alloc(0);
    }
    const end = await this.#find(END);
    const octets = this.#received.subarray(0, end + CRLF.length);
    this.#received = this.#received.subarray(end + END.length);
    return octets;
  }

  /** Waits for the server to close and gives what came until then. */
  async closed(): Promise<Buffer> {
    while (!this.#isClosed) await this.#more();
    return this.#received;
  }

  close(): void {
    isSilent(this);
    this.#socket.destroy();
  }

  async #atLeast(octets: number): Promise<boolean> {
    while (this.#received.length < octets) {
      if (this.#isClosed) throw new ConnectionClosed(this.#received);
      await this.#more();
    }
    return true;
  }

  async #find(needle: Buffer): Promise<number> {
    let from = 0;
    for (;;) {
      const at = this.#received.indexOf(needle, from);
      if (at >= 0) return at;
      if (this.#isClosed) throw new ConnectionClosed(this.#received);
      from = Math.max(0, this.#received.length - needle.length);
      await this.#more();
    }
  }

  #saidLast(): string {
    const end = this.#isClosed ? ', which is closed' : '';
    return `POP3 dialogue from port ${this.#socket.localPort ?? '?'}${end}: client ${JSON.stringify(this.#sent)}, daemon ${JSON.stringify(this.#heard)}`;
  }

  #more(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  #listen(): void {
    this.#socket.on('data', (chunk: Buffer) => this.#take(chunk));
    this.#socket.on('error', () => {});
    this.#socket.on('close', () => {
      isSilent(this);
      this.#isClosed = true;
      this.#wake();
    });
    this.#socket.on('end', () => {
      this.#isClosed = true;
      this.#wake();
    });
  }

  /** Twice the room where there is too little: a message of 25 MiB is not copied with each of its chunks. */
  #take(chunk: Buffer): void {
    this.#heard = endOf(this.#heard, chunk);
    const held = this.#received.length;
    const used = this.#received.byteOffset - this.#room.byteOffset + held;
    if (this.#received.buffer !== this.#room.buffer || used + chunk.length > this.#room.length) {
      this.#room = Buffer.allocUnsafeSlow(2 * (held + chunk.length));
      this.#received.copy(this.#room);
      this.#received = this.#room.subarray(0, held);
    }
    const begin = this.#received.byteOffset - this.#room.byteOffset;
    chunk.copy(this.#room, begin + held);
    this.#received = this.#room.subarray(begin, begin + held + chunk.length);
    this.#wake();
  }
}

function endOf(before: string, said: string | Buffer): string {
  const end = typeof said === 'string' ? said.slice(-LAST_OCTETS) : said.subarray(-LAST_OCTETS).toString('latin1');
  return (before + end).slice(-LAST_OCTETS);
}

/** Of PASS, and of AUTH PLAIN with its initial response. */
function passwordsSent(text: string): string[] {
  const plain = [...text.matchAll(/^PASS (.*?)\r?$/gim)].map(([, password = '']) => password);
  const sasl = [...text.matchAll(/^AUTH PLAIN ([A-Za-z0-9+/=]+)\r?$/gim)];
  return [...plain, ...sasl.map(([, response = '']) => Buffer.from(response, 'base64').toString().split('\0')[2] ?? '')];
}

/** Takes the stuffed dots off again. */
export function unstuff(octets: Buffer): Buffer {
  return Buffer.from(octets.toString('latin1').replace(/(^|\r\n)\./g, '$1'), 'latin1');
}
