/**
 * Tells from the first octets of a client's TLS whether it offers a protocol by ALPN (RFC 7301). Node can select a protocol or end the
 * handshake, but it cannot leave names aside that it does not know, as most servers do. So we have to know what is offered before Node
 * does. The handshake stays OpenSSL's: it gets every octet, and it alone judges them.
 */
import type { Socket } from 'node:net';

/** Longer ones than this are not looked into; real ones have about 2 KiB, and 4 KiB with keys against quantum computers. */
const MAX_HELLO_OCTETS = 16 * 1024;

const RECORD_HEADER_OCTETS = 5;
const MESSAGE_HEADER_OCTETS = 4;
const HANDSHAKE = 22;
const CLIENT_HELLO = 1;
const VERSION_AND_RANDOM_OCTETS = 2 + 32;
const ALPN = 16;

/**
 * True where the octets are the beginning of TLS and offer the protocol; undefined until enough of them have come. Whatever is no
 * ClientHello, or too long for one, offers nothing. Never throws.
 */
export function offersProtocol(octets: Buffer, protocol: string): boolean | undefined {
  const hello = clientHello(octets);
  if (hello === 'incomplete') return octets.length >= MAX_HELLO_OCTETS ? false : undefined;
  return hello !== undefined && protocolsOf(hello).includes(protocol);
}

/**
 * Waits for the client's first octets of TLS and tells whether they offer the protocol. The octets stay in the socket for the next
 * reader. Gives undefined if the client left before they came.
 */
export async function awaitOffer(socket: Socket, protocol: string): Promise<boolean | undefined> {
  if (socket.destroyed || socket.readableEnded) return undefined;
  const { promise, resolve } = Promise.withResolvers<boolean | undefined>();
  let octets = Buffer.alloc(0);
  const look = (): void => {
    const chunk: unknown = socket.read();
    if (!Buffer.isBuffer(chunk)) return;
    octets = Buffer.concat([octets, chunk]);
    const isOffered = offersProtocol(octets, protocol);
    if (isOffered !== undefined) resolve(isOffered);
  };
  const left = (): void => resolve(undefined);
  socket.on('readable', look).on('end', left).on('close', left);
  try {
    return await promise;
  } finally {
    socket.off('readable', look).off('end', left).off('close', left);
    if (octets.length > 0 && !socket.destroyed && !socket.readableEnded) socket.unshift(octets);
  }
}

/** The body of the first handshake message, from its records (RFC 8446 sections 5.1 and 4.1.2); undefined where it is no ClientHello. */
function clientHello(octets: Buffer): Buffer | 'incomplete' | undefined {
  const pieces: Buffer[] = [];
  let gathered = 0;
  let end: number | undefined;
  for (let at = 0; at < octets.length;) {
    if (octets[at] !== HANDSHAKE) return undefined;
    if (octets.length < at + RECORD_HEADER_OCTETS) break;
    const begin = at + RECORD_HEADER_OCTETS;
    at = begin + octets.readUInt16BE(at + 3);
    const piece = octets.subarray(begin, at);
    if (gathered === 0 && piece.length > 0 && piece[0] !== CLIENT_HELLO) return undefined;
    pieces.push(piece);
    gathered += piece.length;
    if (end === undefined && gathered >= MESSAGE_HEADER_OCTETS) {
      end = MESSAGE_HEADER_OCTETS + Buffer.concat(pieces, MESSAGE_HEADER_OCTETS).readUIntBE(1, 3);
    }
    if (end !== undefined && gathered >= end) return Buffer.concat(pieces, end).subarray(MESSAGE_HEADER_OCTETS);
  }
  return 'incomplete';
}

function protocolsOf(hello: Buffer): string[] {
  const fields = new Fields(hello);
  fields.take(VERSION_AND_RANDOM_OCTETS);
  // The session, the ciphers and the compressions.
  for (const lengthOctets of [1, 2, 1]) fields.vector(lengthOctets);
  const extensions = new Fields(fields.vector(2));
  while (!extensions.isAtEnd) {
    const type = extensions.number(2);
    const extension = extensions.vector(2);
    if (type === ALPN) return namesOf(new Fields(extension).vector(2));
  }
  return [];
}

function namesOf(list: Buffer): string[] {
  const names: string[] = [];
  for (const fields = new Fields(list); !fields.isAtEnd;) names.push(fields.vector(1).toString('latin1'));
  return names;
}

/** Takes fields one after the other; beyond the end they are shorter, or empty. */
class Fields {
  readonly #octets: Buffer;
  #at = 0;

  constructor(octets: Buffer) {
    this.#octets = octets;
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#octets.length;
  }

  take(octets: number): Buffer {
    const taken = this.#octets.subarray(this.#at, this.#at + octets);
    this.#at += octets;
    return taken;
  }

  number(octets: number): number {
    return this.take(octets).reduce((value, octet) => value * 0x100 + octet, 0);
  }

  /** A field with its length in front, a number of so many octets. */
  vector(lengthOctets: number): Buffer {
    return this.take(this.number(lengthOctets));
  }
}
