/** Commands and the daemon understand one another, whatever text they hand over and however the socket cuts it. */
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { askDaemon } from '../../../src/daemon/control-client.ts';
import { openControlSocket, type ControlRequests } from '../../../src/daemon/control-socket.ts';

let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'popbridge-control-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

/** Whatever somebody takes for the end of a line, and what takes more than one octet. */
const ODD = ['a\u2028b', 'a\u2029b', 'a\u0085b', 'a\rb', 'a\nb', 'a\r\nb', 'a\vb', 'a\fb', '\ufeffa', 'Entwürfe', '\u{1f4ec}'];

const requests: ControlRequests = {
  echo: (params) => params,
  many: async function* (params) {
    for (const part of params as unknown[]) yield part;
  },
  working: (params, progress) => {
    progress(1, 2, String(params));
    return 'done';
  },
};

test.for(ODD)('%j goes to the daemon and comes back as it is', async (text) => {
  await using _socket = await openControlSocket(directory, requests);
  expect(await askDaemon(directory, 'echo', { text }, () => {})).toEqual({ result: { text } });
});

test('an answer in parts is the list of them, each as it is', async () => {
  await using _socket = await openControlSocket(directory, requests);
  expect(await askDaemon(directory, 'many', ODD, () => {})).toEqual({ result: ODD });
});

test('progress is told with the words for it', async () => {
  await using _socket = await openControlSocket(directory, requests);
  const told: unknown[] = [];
  expect(await askDaemon(directory, 'working', 'a\u2028b', (...progress) => told.push(progress))).toEqual({ result: 'done' });
  expect(told).toEqual([[1, 2, 'a\u2028b']]);
});

test('a long answer comes whole, though the socket cuts it within characters', async () => {
  await using _socket = await openControlSocket(directory, requests);
  const text = '\u2028ü\u{1f4ec}'.repeat(200_000);
  expect(await askDaemon(directory, 'echo', text, () => {})).toEqual({ result: text });
});

test.for(['', '{"part":1}\n', '{"result":"cut off', '{"result":"not ended"}'])(
  'a daemon that goes away after %j has not answered',
  async (said) => {
    const server = createServer((socket) => {
      socket.on('error', () => {});
      socket.once('data', () => socket.end(said));
    });
    await new Promise<void>((resolve) => server.listen(join(directory, 'control.sock'), resolve));
    try {
      await expect(askDaemon(directory, 'echo', 1, () => {})).rejects.toThrow('the daemon went away before it answered');
    } finally {
      server.close();
    }
  },
);
