import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { expect, test } from 'vitest';
import { DelayProxy } from '../../../bench/proxy/delay-proxy.ts';

/** More than the proxy keeps for a receiver that is busy. */
const OCTETS = 24 * 1024 * 1024;

/** Sends everything back, and ends when its client has. */
async function echo(): Promise<Server> {
  const server = createServer({ allowHalfOpen: true }, (socket) => socket.pipe(socket)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

test.for([0, 4])('at RTT %i ms everything arrives in order and is counted, and so is the end', async (rttMs) => {
  const server = await echo();
  const proxy = await DelayProxy.listen((server.address() as AddressInfo).port);
  proxy.rttMs = rttMs;
  const sent = Buffer.alloc(OCTETS, 'a1 NOOP\r\n');
  const client = connect({ port: proxy.port, host: '127.0.0.1', allowHalfOpen: true });
  client.end(sent);
  const received = await buffer(client);
  expect(received.equals(sent)).toBe(true);
  expect(proxy.traffic()).toMatchObject({
    connections: 1,
    octetsUp: OCTETS,
    octetsDown: OCTETS,
    commands: { NOOP: Math.floor(OCTETS / 9) },
  });
  proxy.close();
  server.close();
});

test('a client whose server is not there is cut off', async () => {
  const server = await echo();
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  const proxy = await DelayProxy.listen(port);
  const client = connect(proxy.port, '127.0.0.1');
  client.on('error', () => {});
  await once(client, 'close');
  expect(proxy.traffic()).toMatchObject({ connections: 1, octetsDown: 0 });
  proxy.close();
});
