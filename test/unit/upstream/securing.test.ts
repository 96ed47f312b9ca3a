/** The way to a secured connection has a deadline of its own: whoever stands between must not hold up a login for as long as a slow server may. */
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { once } from 'node:events';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { BridgeError } from '../../../src/errors.ts';
import { replyForError } from '../../../src/pop3/reply-for-error.ts';
import { AccountMemory } from '../../../src/upstream/account-memory.ts';
import { ImapConnection } from '../../../src/upstream/imap-connection.ts';
import { ServerHabits } from '../../../src/upstream/server-habits.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { plainEndpoint } from '../../support/plain-endpoint.ts';
import { until } from '../../support/until.ts';

const GREETING = '* OK [CAPABILITY IMAP4rev1 STARTTLS AUTH=PLAIN] hi\r\n';

let server: Server;
let clock: FakeClock;
/** Of the server. */
let sockets: Socket[];
let heard: string;

beforeEach(async () => {
  clock = new FakeClock();
  sockets = [];
  heard = '';
  server = createServer((socket) => {
    sockets.push(socket);
    socket.on('error', () => {});
    socket.on('data', (chunk: Buffer) => (heard += chunk.toString('latin1')));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
});

afterEach(() => {
  for (const socket of sockets) socket.destroy();
  server.close();
});

/** Begins to log in; what comes of it. */
function logIn(security: 'tls' | 'starttls' | 'none'): Promise<unknown> {
  const { port } = server.address() as AddressInfo;
  const endpoint = { ...plainEndpoint(port, 45_000), security };
  const login = { user: 'alice', password: 'a very secret password' };
  const parts = { endpoint, clock, habits: new ServerHabits(), limits: { messages: 1_000 }, memory: new AccountMemory() };
  return ImapConnection.open(parts, login, new AbortController().signal).catch((error: unknown) => error);
}

/** The server's side, when the client is there. */
async function accepted(): Promise<Socket> {
  await until(() => sockets.length > 0);
  const [socket] = sockets;
  if (socket === undefined) throw new Error('nobody came');
  return socket;
}

/** As LOGIN sends it, and as AUTHENTICATE does. */
const SECRETS = ['a very secret password', Buffer.from('a very secret password').toString('base64').slice(4, -4)];

describe('a server that', () => {
  test.for<['tls' | 'starttls', string, (socket: Socket) => Promise<void>]>([
    ['tls', 'takes the connection and never shakes hands', async () => until(() => heard.length > 0)],
    [
      'starttls',
      'says "go on" to STARTTLS',
      async (socket) => {
        socket.write(GREETING);
        await until(() => heard.includes('STARTTLS'));
        socket.write('+ go on\r\n');
      },
    ],
    [
      'starttls',
      'talks on and never answers STARTTLS',
      async (socket) => {
        socket.write(GREETING);
        await until(() => heard.includes('STARTTLS'));
        for (let line = 0; line < 100; line += 1) socket.write('* OK still here\r\n');
      },
    ],
    [
      'starttls',
      'answers STARTTLS and never shakes hands',
      async (socket) => {
        socket.write(GREETING);
        await until(() => heard.includes('STARTTLS'));
        const before = heard.length;
        socket.write(`${/^(\S+) STARTTLS/m.exec(heard)?.[1]} OK go\r\n`);
        await until(() => heard.length > before);
      },
    ],
  ])('%s: %s is given up after 15 s, its connection too, and no password went out', async ([security, , play]) => {
    const outcome = logIn(security);
    const socket = await accepted();
    await play(socket);
    const closed = once(socket, 'close');
    await clock.advance(14_900);
    expect(socket.destroyed).toBe(false);
    await clock.advance(100);
    expect(await outcome).toMatchObject({ kind: 'timeout' });
    await closed;
    for (const secret of SECRETS) expect(heard).not.toContain(secret);
  });

  test('speaks in clear behind its OK to STARTTLS, in a segment of its own, never gets the password', async () => {
    const outcome = logIn('starttls');
    const socket = await accepted();
    socket.write(GREETING);
    await until(() => heard.includes('STARTTLS'));
    const before = heard.length;
    socket.write(`${/^(\S+) STARTTLS/m.exec(heard)?.[1]} OK go\r\n`);
    await until(() => heard.length > before);
    socket.write('* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\n3 OK you are in\r\n');
    expect(replyForError((await outcome) as BridgeError).code).toBe('SYS/TEMP');
    for (const secret of SECRETS) expect(heard).not.toContain(secret);
  });

  test.for([
    ['no end of a line', '* OK ', 'x'],
    ['no end of lines', '* OK hi\r\n', '* OK still here\r\n'],
    ['no end of answers', '* OK hi\r\n', 'A1 OK done\r\n'],
    ['no end of capabilities', '* OK hi\r\n* CAPABILITY IMAP4rev1', ' X1'],
  ] as const)('has %s before the login is given up at once', async ([, greeting, said]) => {
    const outcome = logIn('none');
    const socket = await accepted();
    socket.write(greeting);
    const chunk = said.repeat(10_000);
    const more = (): void => {
      while (!socket.destroyed && socket.write(chunk));
    };
    socket.on('drain', more);
    more();
    expect(await outcome).toMatchObject({ kind: 'protocol' });
    for (const secret of SECRETS) expect(heard).not.toContain(secret);
  });

  test('needs no TLS has the time of a command: 15 s are nothing special then', async () => {
    const outcome = logIn('none');
    const socket = await accepted();
    socket.write('* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN] hi\r\n');
    await until(() => heard.includes('AUTHENTICATE'));
    await clock.advance(44_000);
    expect(socket.destroyed).toBe(false);
    await clock.advance(1_000);
    expect(await outcome).toMatchObject({ kind: 'timeout' });
  });
});
