/**
 * `control.sock` in the state directory: how other commands reach the running daemon. One JSON request a line; the answer is a line of
 * JSON, with lines of progress before it where the work takes long.
 */
import { chmodSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { toBridgeError } from '../errors.ts';
import { othersTurn } from '../slices.ts';
import { hasOwnSocket } from './own-files.ts';

/** How far long work has come. */
export type Progress = (done: number, total: number, what: string) => void;

/**
 * What can be asked; each answers with a value that JSON can hold, or with an async iterable of such values: then they are sent one by one,
 * as fast as they are read, so that no answer has to be in memory whole. `params` is what the request says besides its name.
 */
export type ControlRequests = Readonly<Record<string, (params: unknown, progress: Progress) => unknown>>;

/** Longest request taken: unique-ids of a large maildrop that are to be imported. */
const MAX_REQUEST_OCTETS = 64 * 1024 * 1024;
/** Who asks nothing for so long is not kept. */
const REQUEST_TIMEOUT_MS = 10_000;

/** Listens, for the owner alone. The caller holds the daemon's lock, so a socket left behind is nobody's. Rejects with StoreError where it is none. */
export async function openControlSocket(directory: string, requests: ControlRequests): Promise<AsyncDisposable> {
  const path = join(directory, 'control.sock');
  if (hasOwnSocket(path, directory)) rmSync(path, { force: true });
  const open = new Set<Socket>();
  const server = createServer((socket) => {
    open.add(socket);
    socket.once('close', () => open.delete(socket));
    serve(socket, requests);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, () => resolve());
  });
  // A connection that can't be accepted concerns nobody but who tried.
  server.on('error', () => {});
  chmodSync(path, 0o600);
  server.unref();
  return { [Symbol.asyncDispose]: () => close(server, open) };
}

function serve(socket: Socket, requests: ControlRequests): void {
  let received: string[] = [];
  let octets = 0;
  socket.unref();
  socket.setEncoding('utf8');
  socket.setTimeout(REQUEST_TIMEOUT_MS, () => socket.destroy());
  socket.on('error', () => socket.destroy());
  const take = (chunk: string): void => {
    octets += chunk.length;
    received.push(chunk);
    if (octets > MAX_REQUEST_OCTETS) socket.destroy();
    if (!chunk.includes('\n')) return;
    socket.off('data', take);
    socket.resume();
    // From here on the work decides how long it takes.
    socket.setTimeout(0);
    const [line = ''] = received.join('').split('\n', 1);
    received = [];
    void respond(socket, line, requests);
  };
  socket.on('data', take);
}

async function respond(socket: Socket, line: string, requests: ControlRequests): Promise<void> {
  const send = (value: unknown): void => {
    if (!socket.destroyed) socket.write(`${JSON.stringify(value)}\n`);
  };
  const sendPart = async (part: unknown): Promise<void> => {
    send({ part });
    await (socket.writableNeedDrain ? drained(socket) : othersTurn());
  };
  send(await answer(line, requests, (done, total, what) => send({ progress: { done, total, what } }), sendPart));
  socket.end();
}

/** Resolves also when the socket closes: then what is sent goes nowhere. */
function drained(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    const finish = (): void => {
      socket.off('drain', finish);
      socket.off('close', finish);
      resolve();
    };
    socket.once('drain', finish);
    socket.once('close', finish);
  });
}

/** True for an answer that comes in parts. */
export function isInParts(answer: unknown): answer is AsyncIterable<unknown> {
  return typeof answer === 'object' && answer !== null && Symbol.asyncIterator in answer;
}

async function answer(
  line: string,
  requests: ControlRequests,
  progress: Progress,
  sendPart: (part: unknown) => Promise<void>,
): Promise<unknown> {
  const request = parsed(line);
  const name = request?.name ?? '';
  const run = Object.hasOwn(requests, name) ? requests[name] : undefined;
  if (run === undefined) return { error: { code: 'UNKNOWN_REQUEST', message: 'unknown request' } };
  try {
    const result = await run(request?.params, progress);
    if (isInParts(result)) {
      for await (const part of result) await sendPart(part);
      return { result: null };
    }
    // JSON leaves out what is undefined.
    return { result: result ?? null };
  } catch (error) {
    const { name: kind, code, message } = toBridgeError(error);
    return { error: { kind, code, message: error instanceof Error ? error.message : message } };
  }
}

function parsed(line: string): { readonly name: string; readonly params: unknown } | undefined {
  try {
    const request: unknown = JSON.parse(line);
    if (typeof request !== 'object' || request === null || !('request' in request)) return undefined;
    return { name: String(request.request), params: 'params' in request ? request.params : undefined };
  } catch {
    return undefined;
  }
}

/** Also ends who is still connected: a server closes only when all its connections are. */
function close(server: Server, open: ReadonlySet<Socket>): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    for (const socket of open) socket.destroy();
  });
}
