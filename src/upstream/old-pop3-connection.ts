/** The connection to an old POP3 server: TLS checked before a word is believed, a deadline on every wait. */
import { connect as connectTcp, isIP, type Socket } from 'node:net';
import { connect as connectTls, type ConnectionOptions, type SecureContext } from 'node:tls';
import { systemClock } from '../clock.ts';
import { UpstreamError } from '../errors.ts';
import { classifyConnectionFailure } from '../imap/upstream-failure.ts';
import { withDeadline } from './deadline.ts';
import { HeaderReader, ListingReader, parseStatus, ReceivedOctets, type Status } from './old-pop3-answers.ts';
import { commandRefusal, readable } from './old-pop3-failure.ts';

/** An old POP3 server, and how it is reached. */
export interface OldPop3Endpoint {
  readonly host: string;
  readonly port: number;
  /** `starttls` is STLS (RFC 2595), and no less: a server that refuses it gets no password. */
  readonly security: 'tls' | 'starttls' | 'none';
  /** Trusts a private authority too; see `trustingContext`. */
  readonly secureContext?: SecureContext;
  /** Longest time without an octet from the server, in milliseconds. */
  readonly timeoutMs: number;
}

/** Every call rejects with UpstreamError, after which the connection is of no more use. */
export class OldPop3Connection implements Disposable {
  readonly #endpoint: OldPop3Endpoint;
  readonly #signal: AbortSignal;
  readonly #received = new ReceivedOctets();
  #socket: Socket;
  /** What went wrong, for whoever waits next. */
  #failure: Error | undefined;

  private constructor(endpoint: OldPop3Endpoint, signal: AbortSignal) {
    this.#endpoint = endpoint;
    this.#signal = signal;
    const { host, port } = endpoint;
    this.#socket = this.#adopt(
      endpoint.security === 'tls' ? connectTls({ ...this.#tlsOptions(), host, port }) : connectTcp({ host, port, noDelay: true }),
    );
  }

  /** Connects; with `tls` and `starttls` it is secured when this resolves, and the greeting has been read. */
  static async open(endpoint: OldPop3Endpoint, signal: AbortSignal): Promise<OldPop3Connection> {
    if (signal.aborted) throw new UpstreamError('unreachable', 'cancelled before it began');
    const connection = new OldPop3Connection(endpoint, signal);
    try {
      await connection.#ready('connecting', endpoint.security === 'tls' ? 'secureConnect' : 'connect');
      const greeting = await connection.status('the greeting');
      if (!greeting.isOk) throw commandRefusal('the connection', greeting);
      if (endpoint.security === 'starttls') await connection.#startTls();
      return connection;
    } catch (error) {
      connection[Symbol.dispose]();
      throw error;
    }
  }

  /** Sends command lines, given without their ends. What the server said unasked would be taken for an answer, so nothing may be left. */
  send(...commands: readonly string[]): void {
    if (this.#received.pending > 0) throw new UpstreamError('protocol', 'the server said more than it was asked');
    this.#socket.write(commands.map((command) => `${command}\r\n`).join(''));
  }

  /** `what` names the answer, for errors. */
  async status(what: string): Promise<Status> {
    return parseStatus(await this.#until(what, () => this.#received.line()));
  }

  listing(what: string): Promise<readonly string[]> {
    const reader = new ListingReader(this.#received);
    return this.#until(what, () => reader.take());
  }

  /** What follows the status line of TOP. */
  header(what: string): Promise<Buffer> {
    const reader = new HeaderReader(this.#received);
    return this.#until(what, () => reader.take());
  }

  [Symbol.dispose](): void {
    this.#socket.destroy();
  }

  async #startTls(): Promise<void> {
    this.send('STLS');
    const status = await this.status('STLS');
    if (!status.isOk) throw commandRefusal('STLS', status);
    // RFC 2595 section 4: what came in clear after the +OK could be anybody's, and would be read as if it were secured.
    if (this.#received.pending > 0 || this.#socket.readableLength > 0) {
      throw new UpstreamError('refused', 'the server sent text in clear after it agreed to STLS: perhaps an attack');
    }
    this.#socket = this.#adopt(connectTls({ ...this.#tlsOptions(), socket: this.#socket, host: this.#endpoint.host }));
    await this.#ready('STLS', 'secureConnect');
  }

  #tlsOptions(): ConnectionOptions {
    const { host, secureContext } = this.#endpoint;
    return {
      ...(isIP(host) === 0 ? { servername: host } : {}),
      ...(secureContext === undefined ? {} : { secureContext }),
      minVersion: 'TLSv1.2',
      rejectUnauthorized: true,
    };
  }

  #adopt(socket: Socket): Socket {
    // Heard even while nobody waits: an 'error' event without a listener would end the process.
    socket.on('error', (error) => (this.#failure ??= error));
    return socket;
  }

  #ready(what: string, event: 'connect' | 'secureConnect'): Promise<void> {
    return this.#wait(what, (socket, resolve) => {
      const done = (): void => resolve();
      socket.once(event, done);
      return () => socket.off(event, done);
    });
  }

  async #until<T>(what: string, take: () => T | undefined): Promise<T> {
    for (let taken = take(); ; taken = take()) {
      if (taken !== undefined) return taken;
      this.#received.push(await this.#chunk(what));
    }
  }

  /** Pulled, never pushed: a server that sends faster than we read has to wait. */
  #chunk(what: string): Promise<Buffer> {
    return this.#wait(what, (socket, resolve) => {
      const take = (): void => {
        const chunk: unknown = socket.read();
        if (Buffer.isBuffer(chunk)) resolve(chunk);
      };
      socket.on('readable', take);
      take();
      return () => socket.off('readable', take);
    });
  }

  /** Waits within the deadline, or for the end of the connection. `listen` gives what takes its listeners off. */
  async #wait<T>(what: string, listen: (socket: Socket, resolve: (value: T) => void) => () => void): Promise<T> {
    const socket = this.#socket;
    const deadline = { clock: systemClock, ms: this.#endpoint.timeoutMs, signal: this.#signal, onExpire: () => void socket.destroy() };
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    // A deadline that has passed already would leave it without a handler.
    promise.catch(() => {});
    const ended = (): void => reject(this.#failure ?? new Error('the server closed the connection'));
    for (const event of ['end', 'close']) socket.once(event, ended);
    const stopListening = listen(socket, resolve);
    if (socket.destroyed || socket.readableEnded) ended();
    try {
      return await withDeadline(deadline, () => promise);
    } catch (error) {
      if (error instanceof UpstreamError) throw new UpstreamError(error.kind, `${what}: ${error.message}`, { cause: error });
      throw new UpstreamError(classifyConnectionFailure(codeOf(error)), `${what}: ${readable(textOf(error))}`, { cause: error });
    } finally {
      stopListening();
      for (const event of ['end', 'close']) socket.off(event, ended);
    }
  }
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}

function textOf(error: unknown): string {
  // Where a name has several addresses Node's error has no message of its own.
  return error instanceof Error && error.message !== '' ? error.message : (codeOf(error) ?? String(error));
}
