import { Duplex } from 'node:stream';
import { TLSSocket } from 'node:tls';
import { describe, expect, test } from 'vitest';
import { UpstreamError } from '../../../src/errors.ts';
import { GatedSocket, type GateKeeper } from '../../../src/upstream/gated-socket.ts';
import { LoginShortcuts } from '../../../src/upstream/imapflow-shortcuts.ts';

/** TLS that is never spoken: the test gives the octets that would have been in its records. */
function tlsSocket(): TLSSocket {
  return new TLSSocket(new Duplex({ read: () => {}, write: (_chunk, _encoding, done) => done() }));
}

function gateOn(raw: TLSSocket): { readonly gate: GatedSocket; readonly seen: string[] } {
  const seen: string[] = [];
  const keeper: GateKeeper = {
    receive: (chunk) => seen.push(chunk.length > 100 ? `${chunk.length} octets` : chunk.toString('latin1')),
    lost: () => seen.push('lost'),
    quiet: () => {},
  };
  const gate = new GatedSocket(raw, new LoginShortcuts(() => false));
  gate.keep(keeper);
  return { gate, seen };
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('TLS records that come at once are handed on at once, in order', async () => {
  const raw = tlsSocket();
  const { gate, seen } = gateOn(raw);

  for (const record of ['* 1 FETCH', ' (UID 7)', '\r\n']) raw.emit('data', Buffer.from(record));
  await turn();
  raw.emit('data', Buffer.from('a OK\r\n'));
  await turn();

  expect(seen).toEqual(['* 1 FETCH (UID 7)\r\n', 'a OK\r\n']);
  gate.destroy();
});

test('many of them do not wait for the last: what is handed on may have to be held back', () => {
  const raw = tlsSocket();
  const { gate, seen } = gateOn(raw);

  for (let record = 0; record < 40; record += 1) raw.emit('data', Buffer.alloc(4096));

  expect(seen).toEqual(['65536 octets', '65536 octets']);
  gate.destroy();
});

test('what came before the end of the connection is handed on before the end is told', () => {
  const raw = tlsSocket();
  const { gate, seen } = gateOn(raw);

  raw.emit('data', Buffer.from('* BYE\r\n'));
  gate.destroy();

  expect(seen).toEqual(['* BYE\r\n', 'lost']);
});

describe('before the login', () => {
  const SAID = Buffer.from('* OK still here\r\n'.repeat(1_000));
  const MOST = 1024 * 1024;

  test('a flood ends the connection, however much of it is read', async () => {
    const raw = tlsSocket();
    const gate = new GatedSocket(raw, new LoginShortcuts(() => false));
    let failure: unknown;
    gate.once('error', (error) => (failure = error));
    gate.resume();
    let octets = 0;
    for (; octets < 4 * MOST && !gate.destroyed; octets += SAID.length) {
      raw.emit('data', SAID);
      await turn();
    }
    expect(failure).toBeInstanceOf(UpstreamError);
    expect(failure).toMatchObject({ kind: 'protocol' });
    expect(octets).toBeLessThan(MOST);
  });

  test('is over with the keeper, who may be told as much as there is', () => {
    const raw = tlsSocket();
    const { gate } = gateOn(raw);
    for (let octets = 0; octets < 4 * MOST; octets += SAID.length) raw.emit('data', SAID);
    expect(gate.destroyed).toBe(false);
    gate.destroy();
  });
});
