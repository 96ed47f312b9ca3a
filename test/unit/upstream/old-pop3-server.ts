/** An old POP3 server that says what a test wants, on 127.0.0.1. */
import { once } from 'node:events';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer, TLSSocket } from 'node:tls';

/** What it says to a command: octets as they are; or some of them and then the connection's end, or no word more. */
export type Answer = string | { readonly text: string; readonly and: 'cut' | 'silence' };

export interface OldServerScript {
  readonly greeting?: Answer;
  /** By command line, else by its first word; what is in neither is refused. */
  readonly answers: Readonly<Record<string, Answer>>;
  readonly isOctetByOctet?: boolean;
  /** PEM, for TLS from the first octet or after STLS. */
  readonly tls?: { readonly key: Buffer; readonly cert: Buffer; readonly isImplicit?: boolean };
}

export class OldServer implements AsyncDisposable {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  /** Command lines as they came. */
  readonly commands: string[] = [];
  /** Chunks with commands: fewer than commands where they were sent ahead. */
  chunks = 0;

  private constructor(script: OldServerScript) {
    const take = (socket: Socket): void => this.#take(socket, script);
    this.#server = script.tls?.isImplicit === true ? createTlsServer(script.tls, take) : createServer(take);
    this.#server.on('connection', (socket) => this.#sockets.add(socket));
    this.#server.on('tlsClientError', () => {});
  }

  static async start(script: OldServerScript): Promise<OldServer> {
    const server = new OldServer(script);
    server.#server.listen(0, '127.0.0.1');
    await once(server.#server, 'listening');
    return server;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get connections(): number {
    return this.#sockets.size;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  #take(socket: Socket, script: OldServerScript): void {
    socket.setNoDelay(true);
    void this.#say(socket, script.greeting ?? '+OK ready\r\n', script);
    this.#listen(socket, script);
  }

  #listen(socket: Socket, script: OldServerScript): void {
    let received = '';
    let last = Promise.resolve();
    socket.on('error', () => {});
    socket.on('data', (chunk: Buffer) => {
      this.chunks += 1;
      received += chunk.toString('latin1');
      for (let end = received.indexOf('\r\n'); end >= 0; end = received.indexOf('\r\n')) {
        const command = received.slice(0, end);
        received = received.slice(end + 2);
        this.commands.push(command);
        const answer = script.answers[command] ?? script.answers[command.split(' ')[0] ?? ''] ?? '-ERR what?\r\n';
        last = last.then(() => this.#say(socket, answer, script));
        if (command === 'STLS' && script.tls !== undefined) last = last.then(() => this.#secure(socket, script));
      }
    });
  }

  #secure(socket: Socket, script: OldServerScript): void {
    socket.removeAllListeners('data');
    this.#listen(new TLSSocket(socket, { ...script.tls, isServer: true }), script);
  }

  async #say(socket: Socket, answer: Answer, { isOctetByOctet }: OldServerScript): Promise<void> {
    const { text, and } = typeof answer === 'string' ? { text: answer, and: undefined } : answer;
    for (const piece of isOctetByOctet === true ? Array.from(text) : [text]) {
      if (piece !== '') await new Promise<void>((resolve) => void socket.write(piece, 'latin1', () => resolve()));
      if (isOctetByOctet === true) await new Promise<void>((resolve) => void setImmediate(resolve));
    }
    if (and === 'cut') socket.end();
  }
}
