/** Clients that never close their side, or vanish without a word: ours ends all the same, in its time, and their places are given back. */
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { bridgeConfig } from '../support/bridge-config.ts';
import { allowInLog, BridgeProcess } from '../support/bridge-process.ts';
import { ImapServer } from '../support/imap-server.ts';
import { makeCertificates } from '../support/peers/certificates.ts';
import { PopDialogue } from '../support/pop-dialogue.ts';
import { openDescriptors } from '../support/process-holdings.ts';
import { TimeMachine } from '../support/time-machine.ts';
import { until, untilQuiet } from '../support/until.ts';

allowInLog('connection-refused');

const [CLEAR, TLS] = [0, 2];
const PER_ADDRESS = 2;
const IN_ALL = 4;
const BIG = `Subject: big\r\n\r\n${`${'x'.repeat(98)}\r\n`.repeat(300_000)}`;

const time = new TimeMachine();
let folder: string;
let imap: ImapServer;
let bridge: BridgeProcess;
let descriptors: number;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'popbridge-half-open-'));
  imap = await ImapServer.start();
  imap.mailbox('INBOX').append(BIG);
  const tables = `[limits]\nsessions = ${IN_ALL}\nsessions_per_address = ${PER_ADDRESS}\n`;
  const certificate = await makeCertificates(folder);
  // Whatever is under way with the server when time passes at once must not be late by that.
  const upstream = ['linger = "0s"', 'command_timeout = "30m"'];
  const config = bridgeConfig({ imapPort: imap.port, certificate, tables, upstream });
  bridge = await BridgeProcess.start({ config, variables: time.variables });
  // The store opens its files when it is first used.
  const client = await PopDialogue.connect(bridge.port());
  await client.login('alice', 'secret');
  await client.command('QUIT');
  await bridge.event('session-end');
  await until(() => imap.openConnections === 0);
  descriptors = await settledDescriptors();
});

afterAll(async () => {
  await bridge[Symbol.asyncDispose]();
  await imap.close();
  time[Symbol.dispose]();
  rmSync(folder, { recursive: true, force: true });
});

/** What stays open when nobody is there. */
async function settledDescriptors(): Promise<number> {
  for (let before = openDescriptors(bridge.pid); ;) {
    await new Promise((resolve) => setTimeout(resolve, 100));
    const now = openDescriptors(bridge.pid);
    if (now === before) return now;
    before = now;
  }
}

/** Says QUIT, hears the answer and the end, and never closes its own side. */
async function staying(listener: number, localAddress: string): Promise<Socket> {
  const target = { port: bridge.port(listener), host: '127.0.0.1', localAddress, allowHalfOpen: true };
  const socket = listener === TLS ? connectTls({ ...target, rejectUnauthorized: false }) : connect(target);
  let heard = '';
  socket.on('data', (chunk: Buffer) => (heard += chunk.toString()));
  socket.on('error', () => {});
  await once(socket, 'data');
  socket.write('QUIT\r\n');
  await once(socket, 'end');
  expect(heard).toBe('+OK POP3 server ready\r\n+OK bye\r\n');
  return socket;
}

async function greeting(listener: number, localAddress: string): Promise<string> {
  const client = await PopDialogue.connect(bridge.port(listener), { localAddress, tls: listener === TLS });
  client.close();
  return client.greeting;
}

describe.for([
  ['in clear', CLEAR, 1],
  ['by TLS', TLS, 2],
] as const)('a client, %s, that keeps its side open behind QUIT', ([, listener, network]) => {
  test('keeps its place for as long, but no more than five seconds, and not where its address needs it', async () => {
    const address = `127.0.${network}.1`;
    for (let place = 0; place < PER_ADDRESS; place += 1) await staying(listener, address);
    expect(openDescriptors(bridge.pid)).toBe(descriptors + PER_ADDRESS);
    await time.pass(bridge, 4);
    expect(await greeting(listener, address)).toMatch(/^\+OK/);
    await until(() => openDescriptors(bridge.pid) === descriptors + PER_ADDRESS - 1);
    await time.pass(bridge, 1);
    await until(() => openDescriptors(bridge.pid) === descriptors);
    expect(await greeting(listener, address)).toMatch(/^\+OK/);
    await until(() => openDescriptors(bridge.pid) === descriptors);
  });

  test('makes room for others, the first one first', async () => {
    const sockets: Socket[] = [];
    for (let place = 0; place < IN_ALL; place += 1) sockets.push(await staying(listener, `127.0.${network}.${2 + (place % 2)}`));
    const other = await PopDialogue.connect(bridge.port(listener), { localAddress: `127.0.${network}.9`, tls: listener === TLS });
    expect(other.greeting).toMatch(/^\+OK/);
    await until(() => openDescriptors(bridge.pid) === descriptors + IN_ALL);
    // Whoever is gone answers with a reset.
    await until(() => {
      for (const socket of sockets) if (!socket.destroyed) socket.write('x');
      return sockets.some(({ destroyed }) => destroyed);
    });
    expect(sockets.map(({ destroyed }) => destroyed)).toEqual([true, false, false, false]);
    other.close();
    await time.pass(bridge, 5);
    await until(() => openDescriptors(bridge.pid) === descriptors);
  });
});

test('a client that vanishes within RETR is given up after write_timeout, and leaves nothing behind', async () => {
  const client = await PopDialogue.connect(bridge.port(), { localAddress: '127.0.3.1' });
  await client.login('alice', 'secret');
  client.send('RETR 1\r\n');
  expect(await client.line()).toMatch(/^\+OK/);
  client.socket.pause();
  const ended = bridge.events('session-end').length;
  // Once more where the buffers of the system took something meanwhile.
  for (let times = 0; times < 10 && bridge.events('session-end').length === ended; times += 1) {
    await untilQuiet(bridge.pid);
    await time.pass(bridge, 121);
  }
  expect(await bridge.event('session-end', ended + 1)).toMatchObject({ outcome: 'no QUIT' });
  await until(() => openDescriptors(bridge.pid) === descriptors && imap.openConnections === 0);
  const next = await PopDialogue.connect(bridge.port(), { localAddress: '127.0.3.1' });
  await next.login('alice', 'secret');
  expect(await next.command('QUIT')).toBe('+OK bye');
  client.close();
});
