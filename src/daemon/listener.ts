/** One listening address: who may connect, with which certificate, and which upstreams its users have. */
import { BlockList, createServer, isIP, type Server, type Socket } from 'node:net';
import { BusyError, toBridgeError } from '../errors.ts';
import { encodeStatus, err } from '../pop3/reply.ts';
import { replyForError } from '../pop3/reply-for-error.ts';
import { limitedAs } from './client-network.ts';
import { Refusals, type RefusalParts } from './refusal.ts';
import type { GiveBack, SessionCounter } from './session-limits.ts';

export interface ListenAddress {
  readonly host: string;
  readonly port: number;
}

export interface ListenerParts extends RefusalParts {
  readonly address: ListenAddress;
  /** Addresses or networks in CIDR notation; empty lets everybody in that reaches the address. Asked at each connection. */
  readonly allow: () => readonly string[];
  readonly counter: SessionCounter;
  /** Takes over a connection that was let in; `giveBack` is called when its session is over. */
  readonly onConnection: (socket: Socket, clientAddress: string, giveBack: GiveBack) => void;
  readonly onRefused: (clientAddress: string, reason: string) => void;
}

const BACKLOG = 511;

export class Listener {
  readonly #parts: ListenerParts;
  readonly #server: Server;
  readonly #refusals: Refusals;

  private constructor(parts: ListenerParts) {
    this.#parts = parts;
    this.#refusals = new Refusals(parts);
    this.#server = createServer({ allowHalfOpen: true, pauseOnConnect: true, noDelay: true }, (socket) => this.#accept(socket));
  }

  /** Listens; rejects with the operating system's error. */
  static async open(parts: ListenerParts): Promise<Listener> {
    const listener = new Listener(parts);
    const { host, port } = parts.address;
    await new Promise<void>((resolve, reject) => {
      listener.#server.once('error', reject);
      listener.#server.listen({ host, port, backlog: BACKLOG }, () => resolve());
    });
    listener.#server.on('error', (error) => parts.onRefused('', error.message));
    return listener;
  }

  /** The real port, also where 0 was configured. */
  get port(): number {
    const address = this.#server.address();
    return typeof address === 'object' && address !== null ? address.port : this.#parts.address.port;
  }

  /** Takes no more connections; those there are go on. */
  close(): void {
    this.#server.close();
  }

  #accept(socket: Socket): void {
    const client = plainAddress(socket.remoteAddress ?? '');
    socket.on('error', () => socket.destroy());
    if (!isAllowed(client, this.#parts.allow())) {
      this.#refusals.refuse(socket, encodeStatus(err('connections from your address are not allowed', 'SYS/PERM')));
      this.#parts.onRefused(client, 'not in listen.allow');
      return;
    }
    let giveBack: GiveBack = () => {};
    try {
      const { counter } = this.#parts;
      const address = limitedAs(client);
      const taken = counter.connect(address);
      giveBack = taken;
      this.#parts.onConnection(socket, client, () => counter.leave(socket, address, taken));
    } catch (error) {
      giveBack();
      this.#refusals.refuse(socket, encodeStatus(replyForError(toBridgeError(error))));
      this.#parts.onRefused(client, error instanceof BusyError ? error.message : 'failure');
    }
  }
}

/** IPv4 addresses as such, also where the socket speaks IPv6. */
function plainAddress(address: string): string {
  return address.replace(/^::ffff:(?=\d+\.)/, '');
}

export function isLoopback(address: string): boolean {
  return address === '::1' || address.startsWith('127.');
}

export function isAllowed(address: string, allow: readonly string[]): boolean {
  if (allow.length === 0) return true;
  const list = new BlockList();
  for (const network of allow) {
    const [base = '', bits] = network.split('/');
    const family = isIP(base) === 6 ? 'ipv6' : 'ipv4';
    if (bits === undefined) list.addAddress(base, family);
    else list.addSubnet(base, Number(bits), family);
  }
  return list.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4');
}
