import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { holds } from '../../support/holds.ts';
import { awaitOffer, offersProtocol } from '../../../src/daemon/client-hello.ts';

const LONGEST = 16 * 1024;

/** The first octets of a client of Node's that offers these protocols. */
async function helloOf(protocols: readonly string[] | undefined): Promise<Buffer> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const accepted = once(server, 'connection') as Promise<[Socket]>;
  const client = connectTls({
    port,
    host: '127.0.0.1',
    servername: 'mail.example.com',
    ...(protocols && { ALPNProtocols: [...protocols] }),
  });
  client.on('error', () => {});
  const [socket] = await accepted;
  const pieces: Buffer[] = [];
  for (;;) {
    const [piece] = (await once(socket, 'data')) as [Buffer];
    pieces.push(piece);
    const octets = Buffer.concat(pieces);
    if (octets.length >= 5 && octets.length >= 5 + octets.readUInt16BE(3)) {
      for (const end of [client, socket]) end.destroy();
      server.close();
      return octets;
    }
  }
}

/** The same handshake message in records of at most so many octets. */
function inRecordsOf(size: number, hello: Buffer): Buffer {
  const message = hello.subarray(5);
  const records: Buffer[] = [];
  for (let at = 0; at < message.length; at += size) {
    const piece = message.subarray(at, at + size);
    const length = Buffer.alloc(2);
    length.writeUInt16BE(piece.length);
    records.push(hello.subarray(0, 3), length, piece);
  }
  return Buffer.concat(records);
}

const OFFERS: readonly (readonly [protocols: readonly string[] | undefined, isOffered: boolean])[] = [
  [undefined, false],
  [['pop3'], true],
  [['h2', 'http/1.1', 'pop3'], true],
  [['h2'], false],
  [['http/1.1', 'imap'], false],
  [['pop3s'], false],
  [['pop'], false],
  [['xpop3'], false],
];

describe('a ClientHello', () => {
  test.for(OFFERS)(
    'that offers %j is read, whole or in small records, and not before all of it has come',
    async ([protocols, isOffered]) => {
      const hello = await helloOf(protocols);
      for (const octets of [hello, inRecordsOf(100, hello), inRecordsOf(1, hello)]) {
        const tooShort = Array.from({ length: 50 }, (_, place) => Math.floor((place * octets.length) / 50));
        for (const length of [...tooShort, octets.length - 1]) {
          expect(offersProtocol(octets.subarray(0, length), 'pop3')).toBeUndefined();
        }
        expect(offersProtocol(octets, 'pop3')).toBe(isOffered);
        expect(offersProtocol(Buffer.concat([octets, Buffer.from('more')]), 'pop3')).toBe(isOffered);
      }
    },
  );

  test('is not waited for where the octets are none, or more than one has', async () => {
    const hello = await helloOf(['pop3']);
    const none = [
      'GET / HTTP/1.1\r\n',
      'USER alice\r\n',
      '\x80\x2e\x01\x03\x01',
      '\x15\x03\x01\x00\x02\x02\x28',
      '\x16\x03\x01\x00\x04\x02\x00\x00\x00',
      '\x16\x03\x01\x00\x04\x01\x00\x00\x00',
    ];
    for (const text of none) expect(offersProtocol(Buffer.from(text, 'latin1'), 'pop3')).toBe(false);
    const endless = Buffer.concat([hello.subarray(0, 5), Buffer.from([1, 0xff, 0xff, 0xff]), Buffer.alloc(LONGEST)]);
    endless.writeUInt16BE(0xffff, 3);
    expect(offersProtocol(endless.subarray(0, LONGEST - 1), 'pop3')).toBeUndefined();
    expect(offersProtocol(endless, 'pop3')).toBe(false);
  });

  test('may be damaged in any way', async () => {
    const hello = await helloOf(['pop3']);
    const damage = fc.array(fc.tuple(fc.nat(hello.length - 1), fc.integer({ min: 0, max: 255 })), { maxLength: 20 });
    holds(
      fc.property(damage, fc.nat(hello.length), (changes, length) => {
        const octets = Buffer.from(hello);
        for (const [at, octet] of changes) octets[at] = octet;
        expect([true, false, undefined]).toContain(offersProtocol(octets.subarray(0, length), 'pop3'));
      }),
    );
  });
});

describe('the socket of a client', () => {
  let server: ReturnType<typeof createServer>;

  beforeAll(async () => {
    server = createServer({ allowHalfOpen: true, pauseOnConnect: true }).listen(0, '127.0.0.1');
    await once(server, 'listening');
  });

  afterAll(() => server.close());

  async function pair(): Promise<readonly [client: Socket, socket: Socket]> {
    const accepted = once(server, 'connection') as Promise<[Socket]>;
    const client = connect({ port: (server.address() as AddressInfo).port, host: '127.0.0.1' });
    client.on('error', () => {});
    const [socket] = await accepted;
    socket.on('error', () => {});
    return [client, socket];
  }

  test('keeps every octet for whoever reads next', async () => {
    const hello = await helloOf(['pop3']);
    const [client, socket] = await pair();
    const offer = awaitOffer(socket, 'pop3');
    client.write(hello.subarray(0, 50));
    client.write(hello.subarray(50));
    client.end('and more');
    expect(await offer).toBe(true);
    const read: Buffer[] = [];
    socket.on('data', (chunk: Buffer) => read.push(chunk));
    socket.resume();
    await once(socket, 'end');
    expect(Buffer.concat(read)).toEqual(Buffer.concat([hello, Buffer.from('and more')]));
    client.destroy();
    socket.destroy();
  });

  test.for(['before', 'behind'] as const)('that is gone %s its first octet offers nothing', async (when) => {
    const [client, socket] = await pair();
    const offer = awaitOffer(socket, 'pop3');
    if (when === 'behind') client.write('\x16');
    client.end();
    expect(await offer).toBeUndefined();
    socket.destroy();
    expect(await awaitOffer(socket, 'pop3')).toBeUndefined();
    const [, destroyed] = await pair();
    const other = awaitOffer(destroyed, 'pop3');
    destroyed.destroy();
    expect(await other).toBeUndefined();
    client.destroy();
  });
});
