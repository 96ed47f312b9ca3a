/**
 * The sockets under imapflow, through its public `transport` option: TLS is checked here, by certificate authority and name
 * or by one pinned certificate, before imapflow gets to say a word. Once it is logged in, the octets come to us first.
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
import { GatedSocket, type GateKeeper } from './gated-socket.ts';
import type { LoginShortcuts } from './imapflow-shortcuts.ts';

/**
 * A TLS context for all connections to an upstream: it costs milliseconds, and memory for each that has one of its own. Trusts an authority
 * (PEM text) besides the well-known ones where one is given.
 */
export function trustingContext(ca?: string): SecureContext {
  return createSecureContext({ ...(ca === undefined ? {} : { ca: [...getCACertificates('default'), ca] }), minVersion: 'TLSv1.2' });
}

const PREAUTH = '* PREAUTH';

/** Says that the pinned certificate was not the one shown. */
class PinMismatch extends UpstreamError {
  constructor(shown: string) {
    super('tls', `the server's certificate is not the pinned one (it has SHA-256 ${shown})`);
  }
}

/** One connection: a plain or TLS socket, or a plain one that STARTTLS turns into a TLS one. */
export class GatedTransport implements ImapTransport {
  readonly #needsTls: boolean;
  readonly #pin: string | undefined;
  readonly #context: SecureContext | undefined;
  readonly #shortcuts: LoginShortcuts;
  #gate: GatedSocket | undefined;
  #hasTls = false;
  #shownCertificate: string | undefined;

  /** `context` as `trustingContext` made it; without one the well-known authorities are trusted. */
  constructor(needsTls: boolean, pin: string | undefined, context: SecureContext | undefined, shortcuts: LoginShortcuts) {
    this.#needsTls = needsTls;
    this.#pin = pin;
    this.#context = context;
    this.#shortcuts = shortcuts;
  }

  /** TLS is on and the certificate is good, or none of that is wanted. */
  get isSecured(): boolean {
    return this.#hasTls || !this.#needsTls;
  }

  /** SHA-256 of the certificate that the server showed, in lower-case hex, be it good or not. */
  get shownCertificate(): string | undefined {
    return this.#shownCertificate;
  }

  /** How many octets came, as a sign of progress. */
  get octetsReceived(): number {
    return this.#gate?.octetsReceived ?? 0;
  }

  connect(options: ImapTransportOptions & { secure: boolean }, onConnect: () => void): ImapTransportSocket {
    if (!options.secure) return this.#adopt(connectTcp({ host: options.host, port: options.port, noDelay: true }, onConnect));
    return this.#secure({ host: options.host, port: options.port }, options, onConnect);
  }

  upgrade(_plain: ImapTransportSocket, options: ImapTransportOptions, onSecure: () => void): ImapTransportSocket {
    const socket = this.#gate?.detach();
    if (socket === undefined) throw new UpstreamError('tls', 'octets came between STARTTLS and the handshake');
    return this.#secure({ socket, host: options.host }, options, onSecure);
  }

  /** From here on the octets go to the keeper first. imapflow has to be idle, and logged in. */
  keep(keeper: GateKeeper): GatedSocket {
    if (this.#gate === undefined) throw new UpstreamError('unreachable', 'there is no connection');
    this.#gate.keep(keeper);
    return this.#gate;
  }

  destroy(): void {
    this.#gate?.destroy();
  }

  #secure(target: ConnectionOptions, options: ImapTransportOptions, ready: () => void): ImapTransportSocket {
    const pin = this.#pin;
    const socket: TLSSocket = connectTls({
      ...target,
      ...(isIP(options.host) === 0 ? { servername: options.servername ?? options.host } : {}),
      ...(this.#context === undefined ? {} : { secureContext: this.#context }),
      minVersion: 'TLSv1.2',
      rejectUnauthorized: pin === undefined,
    });
    // Where the certificate is refused it can't be asked for any more; this is before that, and not documented.
    socket.prependOnceListener('secure', () => {
      this.#shownCertificate = fingerprintOf(socket);
    });
    socket.once('secureConnect', () => {
      const shown = fingerprintOf(socket);
      if (pin !== undefined && pin !== shown) {
        socket.destroy(new PinMismatch(shown ?? 'none'));
        return;
      }
      this.#hasTls = true;
      ready();
    });
    if (target.socket !== undefined) refusePreauth(socket);
    socket.setNoDelay(true);
    return this.#adopt(socket);
  }

  #adopt(socket: Socket): GatedSocket {
    this.#gate = new GatedSocket(socket, this.#shortcuts);
    return this.#gate;
  }
}

function fingerprintOf(socket: TLSSocket): string | undefined {
  return socket.getPeerCertificate().fingerprint256?.replaceAll(':', '').toLowerCase();
}

/**
 * Behind STARTTLS there is no second greeting (RFC 3501 section 6.2.1), and imapflow takes none for one: a server that begins with PREAUTH
 * there claims a login that no password has proved, and would be sent one all the same.
 */
function refusePreauth(socket: TLSSocket): void {
  let begun = '';
  const look = (chunk: Buffer): void => {
    begun += chunk.toString('latin1', 0, PREAUTH.length);
    if (begun.length < PREAUTH.length) return;
    socket.off('data', look);
    if (!begun.toUpperCase().startsWith(PREAUTH)) return;
    socket.destroy(new UpstreamError('refused', 'the server said PREAUTH behind STARTTLS, so the password would never be checked'));
  };
  socket.on('data', look);
}
