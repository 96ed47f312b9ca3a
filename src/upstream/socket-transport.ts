/**
 * The sockets under imapflow, through its public `transport` option: TLS is checked here, by certificate authority and name
 * or by one pinned certificate, before imapflow gets to say a word.
 */
import { connect as connectTcp, isIP, type Socket } from 'node:net';
import {
  connect as connectTls,
  createSecureContext,
  getCACertificates,
  type ConnectionOptions,
  type SecureContext,
  type TLSSocket,
} from 'node:tls';
import type { ImapTransport, ImapTransportOptions, ImapTransportSocket } from 'imapflow';
import { UpstreamError } from '../errors.ts';

/** A TLS context that trusts an authority (PEM text) besides the well-known ones. Made once for an upstream: it costs milliseconds. */
export function trustingContext(ca: string): SecureContext {
  return createSecureContext({ ca: [...getCACertificates('default'), ca], minVersion: 'TLSv1.2' });
}

/** Says that the pinned certificate was not the one shown. */
class PinMismatch extends UpstreamError {
  constructor(shown: string) {
    super('tls', `the server's certificate is not the pinned one (it has SHA-256 ${shown})`);
  }
}

/** A transport whose current socket can be looked at: octets received are the progress of a call. */
export class SocketTransport implements ImapTransport {
  readonly #pin: string | undefined;
  readonly #context: SecureContext | undefined;
  #socket: Socket | undefined;

  /** `context` as `trustingContext` made it; without one the well-known authorities are trusted. */
  constructor(pin: string | undefined, context: SecureContext | undefined) {
    this.#pin = pin;
    this.#context = context;
  }

  get octetsReceived(): number {
    return this.#socket?.bytesRead ?? 0;
  }

  connect(options: ImapTransportOptions & { secure: boolean }, onConnect: () => void): ImapTransportSocket {
    if (!options.secure) return this.#adopt(connectTcp({ host: options.host, port: options.port, noDelay: true }, onConnect));
    return this.#secure({ host: options.host, port: options.port }, options, onConnect);
  }

  upgrade(plain: ImapTransportSocket, options: ImapTransportOptions, onSecure: () => void): ImapTransportSocket {
    return this.#secure({ socket: plain, host: options.host }, options, onSecure);
  }

  destroy(): void {
    this.#socket?.destroy();
  }

  #secure(target: ConnectionOptions, options: ImapTransportOptions, ready: () => void): TLSSocket {
    const pin = this.#pin;
    const socket = connectTls({
      ...target,
      ...(isIP(options.host) === 0 ? { servername: options.servername ?? options.host } : {}),
      ...(this.#context === undefined ? {} : { secureContext: this.#context }),
      minVersion: 'TLSv1.2',
      rejectUnauthorized: pin === undefined,
    });
    socket.once('secureConnect', () => {
      const shown = socket.getPeerCertificate().fingerprint256?.replaceAll(':', '').toLowerCase() ?? 'none';
      if (pin !== undefined && pin !== shown) socket.destroy(new PinMismatch(shown));
      else ready();
    });
    socket.setNoDelay(true);
    this.#adopt(socket);
    return socket;
  }

  #adopt(socket: Socket): Socket {
    this.#socket = socket;
    return socket;
  }
}
