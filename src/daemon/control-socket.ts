/** `control.sock` in the state directory: how other commands reach the running daemon. One JSON request a line, one JSON answer a line. */
import { chmodSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';

/** What can be asked; each answers with a value that JSON can hold. */
export type ControlRequests = Readonly<Record<string, () => unknown>>;

/** Longest request taken. */
const MAX_REQUEST_OCTETS = 4_096;
/** Who asks nothing for so long is not kept. */
const REQUEST_TIMEOUT_MS = 10_000;

/** Listens, for the owner alone. The caller holds the daemon's lock, so a socket left behind is nobody's. */
export async function openControlSocket(directory: string, requests: ControlRequests): Promise<AsyncDisposable> {
  const path = join(directory, 'control.sock');
  rmSync(path, { force: true });
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
  let received = '';
  socket.unref();
  socket.setEncoding('utf8');
  socket.setTimeout(REQUEST_TIMEOUT_MS, () => socket.destroy());
  socket.on('error', () => socket.destroy());
  socket.on('data', (chunk: string) => {
    if (socket.writableEnded) return;
    received += chunk;
    const end = received.indexOf('\n');
    if (end >= 0) socket.end(`${JSON.stringify(answer(received.slice(0, end), requests))}\n`);
    else if (received.length > MAX_REQUEST_OCTETS) socket.destroy();
  });
}

function answer(line: string, requests: ControlRequests): unknown {
  const name = requestName(line);
  const run = name !== undefined && Object.hasOwn(requests, name) ? requests[name] : undefined;
  return run === undefined ? { error: 'unknown request' } : { result: run() };
}

function requestName(line: string): string | undefined {
  try {
    const request: unknown = JSON.parse(line);
    return typeof request === 'object' && request !== null && 'request' in request ? String(request.request) : undefined;
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
