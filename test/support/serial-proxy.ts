/** Stands before an IMAP server and makes it a strictly serial one: what comes while a command is at work is refused, or lost. */
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';

export class SerialProxy implements AsyncDisposable {
  readonly port: number;
  /** Commands that came too early, without their tags. */
  readonly refused: string[] = [];
  readonly #listener: Server;
  readonly #sockets = new Set<Socket>();
  readonly #first = Promise.withResolvers<void>();

  private constructor(listener: Server, port: number, imapPort: number, manner: 'refuses' | 'loses') {
    this.#listener = listener;
    this.port = port;
    listener.on('connection', (client) => this.#serve(client, connect(imapPort, '127.0.0.1'), manner));
  }

  static async start(imapPort: number, manner: 'refuses' | 'loses'): Promise<SerialProxy> {
    const listener = createServer().listen(0, '127.0.0.1');
    await once(listener, 'listening');
    const address = listener.address();
    if (address === null || typeof address === 'string') throw new Error('not listening on TCP');
    return new SerialProxy(listener, address.port, imapPort, manner);
  }

  /** Resolves when a command has come too early. */
  get firstRefusal(): Promise<void> {
    return this.#first.promise;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#listener, 'close');
    this.#listener.close();
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  #serve(client: Socket, server: Socket, manner: 'refuses' | 'loses'): void {
    let atWork: string | undefined;
    /** The server waits for the rest of a command. */
    let isAsked = false;
    for (const [one, other] of [
      [client, server],
      [server, client],
    ] as const) {
      this.#sockets.add(one);
      one.on('error', () => {});
      one.on('close', () => other.end());
    }
    inLines(client, (line) => {
      if (isAsked) {
        isAsked = false;
        server.write(line, 'latin1');
        return;
      }
      const [tag = '', ...words] = line.trimEnd().split(' ');
      if (atWork === undefined) {
        atWork = tag;
        server.write(line, 'latin1');
        return;
      }
      this.refused.push(words.join(' '));
      this.#first.resolve();
      if (manner === 'refuses') client.write(`${tag} BAD one command at a time\r\n`);
    });
    inLines(server, (line) => {
      if (atWork !== undefined && line.startsWith(`${atWork} `)) atWork = undefined;
      isAsked = line.startsWith('+');
      client.write(line, 'latin1');
    });
  }
}

/** Gives each line with its line end, one octet a character. */
function inLines(socket: Socket, take: (line: string) => void): void {
  let rest = '';
  socket.on('data', (chunk: Buffer) => {
    const lines = (rest + chunk.toString('latin1')).split(/(?<=\n)/);
    rest = lines.at(-1)?.endsWith('\n') === false ? (lines.pop() ?? '') : '';
    for (const line of lines) take(line);
  });
}
