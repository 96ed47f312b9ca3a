/** A POP3 server that says what a test wants, right or wrong, on a free loopback port. */
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { setTimeout } from 'node:timers/promises';

/**
 * What the server does on a command line ('' is the connection itself): text it sends (latin1), after which it may hang up (`cut`), or
 * nothing at all. Further lines of the client are answered too, one by one; never those behind STLS where it was agreed to, for they are octets of
 * a handshake, among which a line end may stand.
 */
type Reaction = string | { readonly text: string; readonly cut: true } | undefined;
export type Script = (command: string) => Reaction;

export interface ScriptedMessage {
  readonly uniqueId: string;
  readonly octets: number;
  /** As it goes over the line, stuffed, without the last line. */
  readonly header: string;
}

/** Answers in pieces of so many octets, with a pause after each. */
export interface Pieces {
  readonly octets: number;
  readonly pauseMs?: number;
}

export class ScriptedPop3 implements AsyncDisposable {
  /** Command lines in the order in which they came. */
  readonly commands: string[] = [];
  /** The most commands that came in one piece. */
  mostAtOnce = 0;
  closed = 0;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(script: Script, pieces: Pieces) {
    this.#server = createServer({ noDelay: true }, (socket) => this.#serve(socket, script, pieces));
  }

  /** Answers are sent whole unless `pieces` cuts them. */
  static async start(script: Script, pieces: Pieces = { octets: Infinity }): Promise<ScriptedPop3> {
    const scripted = new ScriptedPop3(script, pieces);
    await new Promise<void>((resolve) => scripted.#server.listen(0, '127.0.0.1', resolve));
    return scripted;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #serve(socket: Socket, script: Script, pieces: Pieces): void {
    this.#sockets.add(socket);
    let unread = '';
    let last: Promise<void> = Promise.resolve();
    let isInHandshake = false;
    const react = (command: string): void => {
      if (isInHandshake) return;
      const reaction = script(command);
      isInHandshake = command === 'STLS' && isPositive(reaction);
      last = last.then(() => send(socket, reaction, pieces));
    };
    socket.on('error', () => {});
    socket.on('close', () => (this.closed += 1));
    react('');
    socket.on('data', (chunk) => {
      const lines = (unread + chunk.toString('latin1')).split('\r\n');
      unread = lines.pop() ?? '';
      this.mostAtOnce = Math.max(this.mostAtOnce, lines.length);
      for (const line of lines) {
        this.commands.push(line);
        react(line);
      }
    });
  }
}

function isPositive(reaction: Reaction): boolean {
  return (typeof reaction === 'object' ? reaction.text : (reaction ?? '')).startsWith('+OK');
}

async function send(socket: Socket, reaction: Reaction, pieces: Pieces): Promise<void> {
  if (reaction === undefined || socket.destroyed) return;
  const octets = Buffer.from(typeof reaction === 'string' ? reaction : reaction.text, 'latin1');
  for (let at = 0; at < octets.length; at += pieces.octets) {
    socket.write(octets.subarray(at, at + pieces.octets));
    if (pieces.octets < octets.length) await setTimeout(pieces.pauseMs ?? 0);
  }
  if (typeof reaction !== 'string') socket.end();
}

/** A well-behaved server with these messages; `different` replaces its reaction to the commands that begin with a key. */
export function pop3Script(
  messages: readonly ScriptedMessage[],
  {
    capabilities = ['TOP', 'UIDL', 'PIPELINING'],
    different = {},
  }: { capabilities?: readonly string[]; different?: Readonly<Record<string, Reaction>> } = {},
): Script {
  const listing = (values: readonly (string | number)[]): string =>
    `+OK\r\n${values.map((value, index) => `${index + 1} ${value}\r\n`).join('')}.\r\n`;
  return (command) => {
    const key = Object.keys(different).find((start) => (start === '' ? command === '' : command.startsWith(start)));
    if (key !== undefined) return different[key];
    const [verb, number] = command.split(' ');
    switch (verb) {
      case 'CAPA':
        return `+OK\r\n${capabilities.map((line) => `${line}\r\n`).join('')}.\r\n`;
      case 'UIDL':
        return listing(messages.map(({ uniqueId }) => uniqueId));
      case 'LIST':
        return listing(messages.map(({ octets }) => octets));
      case 'TOP':
        return `+OK\r\n${messages[Number(number) - 1]?.header}.\r\n`;
      case 'QUIT':
        return { text: '+OK bye\r\n', cut: true };
      case '':
      case 'USER':
      case 'PASS':
        return '+OK\r\n';
      default:
        return '-ERR unknown\r\n';
    }
  };
}
