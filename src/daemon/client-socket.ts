/**
 * The socket of one POP3 client: lines in, octets out, TLS on top when asked for. Reading stops while unread octets pile up,
 * writing waits for a slow reader, and one that never reads is cut off.
 */
import type { Socket } from 'node:net';
import { TLSSocket, type SecureContext } from 'node:tls';
import type { Cancel, Clock } from '../clock.ts';
import { LineSplitter, type SplitLine } from '../pop3/line-splitter.ts';
import { awaitOffer } from './client-hello.ts';
import { handshakeReason } from './handshake-failure.ts';

/** Octets from the client that may wait unread; enough for any honest pipeline. */
const MAX_PENDING_OCTETS = 64 * 1024;
/** Octets gathered for one write. */
const WRITE_OCTETS = 64 * 1024;
/** Pieces of so many octets together are copied into one: that costs less than to write them one by one. */
const ONE_WRITE_OCTETS = 16 * 1024;
const NOTHING = Buffer.alloc(0);
/** This is POP3's name in ALPN (RFC 7301), from IANA's registry. */
const ALPN_PROTOCOL = 'pop3';
/** A TLS handshake has to end within this time. */
const HANDSHAKE_MS = 15_000;
const KEEP_ALIVE_MS = 60_000;
/** After our last octet the client has this long to close its side. */
const LINGER_MS = 5_000;

/** The client is gone, or too slow. Nobody is left to be told. */
export class ClientGone extends Error {
  constructor(reason: string) {
    super(reason);
    this.name = 'ClientGone';
  }
}

export interface ClientSocketEvents {
  /** There may be a line to take, or the end to see. */
  readonly onReadable: () => void;
  readonly onClose: () => void;
}

export class ClientSocket {
  readonly #clock: Clock;
  readonly #writeTimeoutMs: number;
  readonly #events: ClientSocketEvents;
  #socket: Socket;
  #splitter = new LineSplitter();
  #gathered: Uint8Array[] = [];
  /** What was gathered behind that as text, an octet a character. */
  #text = '';
  #gatheredOctets = 0;
  #tlsVersion = 'none';
  #hasEnded = false;
  #isClosed = false;
  #cancelLinger: Cancel = () => {};

  constructor(socket: Socket, clock: Clock, writeTimeoutMs: number, events: ClientSocketEvents) {
    this.#socket = socket;
    this.#clock = clock;
    this.#writeTimeoutMs = writeTimeoutMs;
    this.#events = events;
    socket.setNoDelay(true);
    socket.setKeepAlive(true, KEEP_ALIVE_MS);
  }

  get isClosed(): boolean {
    return this.#isClosed || this.#socket.destroyed;
  }

  /** No more octets will come. */
  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  /** As OpenSSL names it, such as "TLSv1.3"; "none" without TLS. It stays known when the connection is closed. */
  get tlsVersion(): string {
    return this.#tlsVersion;
  }

  /** Begins to read. */
  start(): void {
    this.#listen();
  }

  nextLine(): SplitLine | undefined {
    const line = this.#splitter.next();
    if (this.#socket.isPaused() && this.#splitter.pendingOctets < MAX_PENDING_OCTETS) this.#socket.resume();
    return line;
  }

  /**
   * Starts TLS as the server. Rejects when the handshake fails or takes too long, and where the client sent octets in clear
   * behind its STLS: they are dropped, and such a connection is not worth keeping (RFC 2595 section 4).
   */
  async secure(context: SecureContext): Promise<void> {
    const injected = this.#splitter.discard();
    if (injected > 0) throw new ClientGone(`${injected} octets in clear behind STLS`);
    const plain = this.#socket;
    plain.off('data', this.#onData).off('end', this.#onEnd).off('close', this.#onClose);
    plain.pause();
    this.#splitter = new LineSplitter();
    await this.#handshake(plain, context);
    this.#listen();
  }

  /** Gathers octets for the next write; waits for the client where it reads slowly. Rejects with ClientGone. */
  async write(octets: Uint8Array | string): Promise<void> {
    if (typeof octets === 'string') {
      this.#text += octets;
    } else if (octets.length > 0) {
      this.#gatherText();
      this.#gathered.push(octets);
    }
    this.#gatheredOctets += octets.length;
    if (this.#gatheredOctets >= WRITE_OCTETS) await this.flush();
  }

  /** Sends what was gathered; resolves when the operating system has taken all of it. */
  async flush(): Promise<void> {
    this.#gatherText();
    const pieces = this.#gathered;
    const octets = this.#gatheredOctets;
    this.#gathered = [];
    this.#gatheredOctets = 0;
    if (pieces.length === 0) return;
    if (this.isClosed) throw new ClientGone('the connection is closed');
    const isSmall = octets <= ONE_WRITE_OCTETS;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const gone = (): void => reject(new ClientGone('the client closed the connection'));
    const done = (error?: Error | null): void => (error ? gone() : resolve());
    if (isSmall) this.#socket.write(Buffer.concat(pieces, octets), done);
    else this.#writeTogether(pieces, done);
    // The usual case: the operating system took it at once.
    if (this.#socket.writableLength === 0) {
      promise.catch(() => {});
      return;
    }
    const stop = this.#watchProgress(reject);
    this.#socket.once('close', gone);
    try {
      await promise;
    } finally {
      stop();
      this.#socket.removeListener('close', gone);
    }
  }

  #gatherText(): void {
    if (this.#text === '') return;
    this.#gathered.push(Buffer.from(this.#text, 'latin1'));
    this.#text = '';
  }

  #writeTogether(pieces: readonly Uint8Array[], done: (error?: Error | null) => void): void {
    this.#socket.cork();
    for (const piece of pieces.slice(0, -1)) this.#socket.write(piece);
    this.#socket.write(pieces.at(-1) ?? NOTHING, done);
    this.#socket.uncork();
  }

  /** Closes after what was written is out. */
  end(): void {
    if (this.#isClosed) return;
    this.#gathered = [];
    this.#text = '';
    this.#socket.end();
    // A client that keeps its side open does not keep ours. Destroyed at once, the last reply could be lost to it.
    this.#cancelLinger = this.#clock.after(LINGER_MS, () => this.destroy());
    this.#socket.resume();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  /** Sends a last line as far as the operating system takes it at once, and closes: whoever is dismissed in numbers must not be waited for. */
  dismiss(line: string): void {
    if (!this.isClosed) this.#socket.write(line);
    this.destroy();
  }

  #listen(): void {
    this.#socket.on('data', this.#onData).on('end', this.#onEnd).on('error', this.#onError).on('close', this.#onClose);
    this.#socket.resume();
  }

  readonly #onData = (chunk: Buffer): void => {
    this.#splitter.push(chunk);
    if (this.#splitter.pendingOctets >= MAX_PENDING_OCTETS) this.#socket.pause();
    this.#events.onReadable();
  };

  readonly #onEnd = (): void => {
    this.#hasEnded = true;
    this.#events.onReadable();
  };

  readonly #onError = (): void => {
    this.#socket.destroy();
  };

  readonly #onClose = (): void => {
    this.#isClosed = true;
    this.#cancelLinger();
    this.#events.onClose();
  };

  async #handshake(plain: Socket, context: SecureContext): Promise<void> {
    const { promise: late, reject } = Promise.withResolvers<never>();
    const cancel = this.#clock.after(HANDSHAKE_MS, () => reject(new ClientGone('TLS handshake timed out')));
    try {
      const isOffered = await Promise.race([awaitOffer(plain, ALPN_PROTOCOL), late]);
      if (isOffered === undefined) throw leftDuringHandshake();
      // Without a name of ours Node is told of none: it would end the handshake, and clients offer whatever their library does.
      const secured = new TLSSocket(plain, {
        isServer: true,
        secureContext: context,
        ...(isOffered ? { ALPNProtocols: [ALPN_PROTOCOL] } : {}),
      });
      this.#socket = secured;
      await Promise.race([handshakeOf(secured), late]);
      this.#tlsVersion = secured.getProtocol() ?? 'none';
    } catch (error) {
      this.#socket.on('error', () => {});
      this.#socket.destroy();
      this.#isClosed = true;
      this.#events.onClose();
      throw error instanceof ClientGone ? error : new ClientGone(handshakeReason(codeOf(error)));
    } finally {
      cancel();
    }
  }

  /** Rejects when no octet leaves for the length of the write timeout. */
  #watchProgress(reject: (error: ClientGone) => void): Cancel {
    let cancel: Cancel = () => {};
    const arm = (before: number): void => {
      cancel = this.#clock.after(this.#writeTimeoutMs, () => {
        const after = this.#socket.bytesWritten - this.#socket.writableLength;
        if (after > before) {
          arm(after);
          return;
        }
        reject(new ClientGone('the client does not read'));
        this.destroy();
      });
    };
    arm(this.#socket.bytesWritten - this.#socket.writableLength);
    return () => cancel();
  }
}

function handshakeOf(secured: TLSSocket): Promise<void> {
  return new Promise((resolve, reject) => {
    secured.once('secure', () => resolve());
    secured.once('error', reject);
    secured.once('close', () => reject(leftDuringHandshake()));
  });
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : '';
}

function leftDuringHandshake(): ClientGone {
  return new ClientGone('the client left during the TLS handshake');
}

/** For a promise that may reject because the client is gone, and for nothing else. */
export function expectGone(error: unknown): void {
  if (!(error instanceof ClientGone)) throw error;
}
