/** The socket of one session: feeds the reader, carries the writer, and changes to TLS when asked. */
import type { Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { TLSSocket } from 'node:tls';
import { OctetReader } from './octet-reader.ts';
import { ResponseWriter } from './response-writer.ts';
import type { TlsSettings } from './settings.ts';

const STILL_HERE_MS = 20;

export class SessionSocket {
  readonly reader = new OctetReader();
  readonly out: ResponseWriter;
  readonly #plain: Socket;
  readonly #closed: Promise<void>;
  #socket: Socket;
  #isSecured = false;

  constructor(plain: Socket) {
    this.#plain = plain;
    this.#socket = plain;
    this.out = new ResponseWriter(plain);
    plain.setNoDelay(true);
    this.#closed = new Promise((resolve) => void plain.once('close', () => resolve()));
    this.#attach();
  }

  get isSecured(): boolean {
    return this.#isSecured;
  }

  /** Goes on over TLS. Must follow the last plain octet written without a pause: the client's next ones belong to TLS. */
  secure(tls: TlsSettings): void {
    this.#plain.removeAllListeners('data').removeAllListeners('end');
    this.reader.clear();
    this.#socket = new TLSSocket(this.#plain, { isServer: true, key: tls.key, cert: tls.cert });
    this.#isSecured = true;
    this.out.moveTo(this.#socket);
    this.#attach();
  }

  /** Ends the connection once all that was written is sent. */
  close(): void {
    this.#socket.destroySoon();
  }

  /** Ends the connection at once and, where the platform can, with a reset. */
  reset(): void {
    this.#plain.resetAndDestroy();
    this.#socket.destroy();
  }

  /**
   * Resolves when nobody has the other end any more: who has merely ended his own half hears of this one for ever, and only to who
   * has let go of his socket can nothing be sent.
   */
  async abandoned(): Promise<void> {
    await this.reader.ended;
    while (!this.#plain.destroyed) {
      this.#socket.write('* OK still here\r\n');
      await Promise.race([this.#closed, delay(STILL_HERE_MS, undefined, { ref: false })]);
    }
  }

  #attach(): void {
    const socket = this.#socket;
    socket.on('data', (chunk: Buffer) => this.reader.push(chunk));
    socket.on('end', () => this.reader.end());
    socket.on('close', () => this.reader.end());
    // A reset or a failed handshake is followed by `close`.
    socket.on('error', () => undefined);
  }
}
