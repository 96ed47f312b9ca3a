/**
 * The floor: reads a mailbox over IMAP with everything pipelined behind the greeting, and throws the octets away. It finds the end by the tag of the
 * last command, which is random, so that no message can contain it.
 */
import { randomBytes } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';

const LF = 0x0a;
/** More than a tagged answer is long. */
const TAIL = 400;

/** Where to read, and as whom. */
export interface RawLogin {
  readonly port: number;
  readonly tls: boolean;
  readonly user: string;
  readonly password: string;
}

/** Sends LOGIN, SELECT, these commands and LOGOUT at once; gives the number of octets that came. */
export async function readRaw(login: RawLogin, commands: readonly string[]): Promise<number> {
  const tag = `z${randomBytes(6).toString('hex')}`;
  const before = [`LOGIN ${login.user} ${login.password}`, 'SELECT INBOX', ...commands.slice(0, -1)];
  const lines = [...before.map((command, index) => `a${index} ${command}`), `${tag} ${commands.at(-1)}`, 'q LOGOUT'];
  const target = { port: login.port, host: '127.0.0.1', noDelay: true };
  const socket = login.tls ? connectTls({ ...target, rejectUnauthorized: false }) : connect(target);
  try {
    await firstLine(socket);
    socket.write(`${lines.join('\r\n')}\r\n`);
    return await untilTagged(socket, tag);
  } finally {
    socket.destroy();
  }
}

function firstLine(socket: Socket): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once('data', () => resolve());
    socket.once('error', reject);
  });
}

function untilTagged(socket: Socket, tag: string): Promise<number> {
  const answer = new RegExp(`^${tag} (.*)\\r\\n`, 'm');
  let octets = 0;
  let tail: Buffer = Buffer.alloc(0);
  return new Promise((resolve, reject) => {
    socket.removeAllListeners('error');
    socket.on('error', reject);
    socket.on('close', () => reject(new Error(`the server closed: ${tail.toString('latin1')}`)));
    socket.on('data', (chunk: Buffer) => {
      octets += chunk.length;
      tail = chunk.length >= TAIL ? chunk.subarray(-TAIL) : Buffer.concat([tail, chunk]).subarray(-TAIL);
      if (chunk.at(-1) !== LF) return;
      const status = answer.exec(tail.toString('latin1'))?.[1];
      if (status?.startsWith('OK') === true) resolve(octets);
      else if (status !== undefined) reject(new Error(status));
    });
  });
}
