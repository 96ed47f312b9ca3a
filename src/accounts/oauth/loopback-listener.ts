/**
 * Where a browser on this machine is sent back to after a sign-in (RFC 8252 section 7.3): a listener on a free port of 127.0.0.1, for one answer.
 * What does not belong to the sign-in that waits is refused and ends nothing.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Returned {
  readonly url: URL;
  /** Shows the user how it ended. */
  readonly tell: (text: string, isDone: boolean) => void;
}

export interface LoopbackListener extends AsyncDisposable {
  readonly redirectUri: string;
  /** The first answer with that state. */
  readonly returned: (state: string, signal: AbortSignal) => Promise<Returned>;
}

/** Answers of a browser are short. */
const MOST_HEADER_OCTETS = 16 * 1024;
const REQUEST_MS = 10_000;
/** Browsers open connections that they never use. */
const GOODBYE_MS = 1_000;

/** `onRefused`: a request that has nothing to do with the sign-in. */
export async function listenOnLoopback(host: '127.0.0.1' | 'localhost', onRefused: (reason: string) => void): Promise<LoopbackListener> {
  let waiting: { readonly state: string; readonly resolve: (returned: Returned) => void } | undefined;
  let names: ReadonlySet<string> = new Set();
  const server = createServer({ maxHeaderSize: MOST_HEADER_OCTETS, requestTimeout: REQUEST_MS, keepAlive: false }, (request, response) => {
    const refuse = (status: number, reason: string): void => {
      answer(response, status, reason);
      onRefused(reason);
    };
    // A page of another site that got a name for this address (DNS rebinding).
    if (!names.has(request.headers.host ?? '')) return refuse(403, 'a request for another host was refused');
    const url = urlOf(request);
    if (request.method !== 'GET' || url?.pathname !== '/') return answer(response, 404, 'There is nothing here.');
    if (waiting === undefined) return refuse(409, 'a second answer to the sign-in was refused');
    if (url.searchParams.get('state') !== waiting.state) return refuse(400, 'an answer to another sign-in was refused');
    const { resolve } = waiting;
    waiting = undefined;
    resolve({ url, tell: (text, isDone) => answer(response, isDone ? 200 : 400, text) });
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host: '127.0.0.1', port: 0 }, resolve);
  });
  const { port } = portOf(server.address());
  names = new Set([`127.0.0.1:${port}`, `localhost:${port}`]);
  return {
    redirectUri: `http://${host}:${port}/`,
    returned: (state, signal) =>
      new Promise((resolve, reject) => {
        waiting = { state, resolve };
        const giveUp = (): void => reject(new Error('nobody signed in within the time for it'));
        if (signal.aborted) giveUp();
        signal.addEventListener('abort', giveUp, { once: true });
      }),
    [Symbol.asyncDispose]: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        // What was answered is let out; connections that only wait are ended.
        server.closeIdleConnections();
        setTimeout(() => server.closeAllConnections(), GOODBYE_MS).unref();
      }),
  };
}

function urlOf(request: IncomingMessage): URL | null {
  return URL.parse(request.url ?? '', `http://${request.headers.host ?? ''}`);
}

function portOf(address: AddressInfo | string | null): AddressInfo {
  if (address === null || typeof address === 'string') throw new TypeError('a listener without a port');
  return address;
}

/** Text alone: nothing of a request is shown as a page. */
function answer(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, {
    'content-type': 'text/plain; charset=utf-8',
    'x-content-type-options': 'nosniff',
    'cache-control': 'no-store',
    'referrer-policy': 'no-referrer',
    connection: 'close',
  });
  response.end(`${text}\n`);
}
