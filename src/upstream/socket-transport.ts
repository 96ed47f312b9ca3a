/**
 * The sockets under imapflow, through its public `transport` option: TLS is checked here, by certificate authority and name
 * or by one pinned certificate, before imapflow gets to say a word.
 */
import { connect as connectTcp, isIP, type Socket } from 'node:net';
import { connect as connectTls, rootCertificates, type ConnectionOptions, type TLSSocket } from 'node:tls';
import type { ImapTransport, ImapTransportOptions, ImapTransportSocket } from 'imapflow';
import { UpstreamError } from '../errors.ts';

export interface TlsTrust {
  /** PEM text of certificate authorities trusted besides the well-known ones. */
  readonly ca: string | undefined;
  /** SHA-256 of the one certificate that is accepted, lower-case hex; replaces authority and name. */
  readonly certificateSha256: string | undefined;
}

/** Says that the pinned certificate was not the one shown. */
class PinMismatch extends UpstreamError {
  constructor(shown: string) {
    super('tls', `the server's certificate is not the pinned one (it has SHA-256 ${shown})`);
  }
}

/** A transport whose current socket can be looked at: octets received are the progress of a call. */
export class SocketTransport implements ImapTransport {
  readonly #trust: TlsTrust;
  #socket: Socket | undefined;

  constructor(trust: TlsTrust) {
    this.#trust = trust;
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
    const pin = this.#trust.certificateSha256;
    const socket = connectTls({
      ...target,
      ...(isIP(options.host) === 0 ? { servername: options.servername ?? options.host } : {}),
      ...(this.#trust.ca === undefined ? {} : { ca: [...rootCertificates, this.#trust.ca] }),
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
