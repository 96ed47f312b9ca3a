/** Stands between the daemon and the IMAP server and does what networks do: cuts, stalls and splits, at an octet or at a command. */
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';

/** Where it strikes: after so many octets of that direction, or of the first body at least that long, or at a command of the daemon. */
export type Trigger =
  | { readonly direction: 'up' | 'down'; readonly octets: number }
  | { readonly bodyOf: number; readonly octets: number }
  /** `reaches`: the server gets the command, and its answer is lost. */
  | { readonly command: RegExp; readonly reaches: boolean };

/** Its head may come in two pieces: then the next one serves. */
const BODY = /BODY\[\] \{(\d+)\}\r\n/g;

export interface FaultPlan {
  readonly at: Trigger;
  readonly what: 'cut' | 'stall' | 'kill';
}

export class FaultProxy implements AsyncDisposable {
  readonly port: number;
  readonly #listener: Server;
  readonly #target: number;
  readonly #onKill: () => void;
  readonly #pairs = new Set<{ readonly near: Socket; readonly far: Socket; isStalled: boolean }>();
  #plan: FaultPlan | undefined;
  #passed = { up: 0, down: 0 };
  #piece = 0;
  #hasStruck = false;
  /** Octets left to pass, once the body has begun. */
  #ofBody: number | undefined;

  /** Before the server at that port of 127.0.0.1. `onKill` is what a plan to kill does. */
  static async start(target: number, onKill: () => void): Promise<FaultProxy> {
    const listener = createServer({ allowHalfOpen: false });
    listener.listen(0, '127.0.0.1');
    await once(listener, 'listening');
    return new FaultProxy(listener, target, onKill);
  }

  private constructor(listener: Server, target: number, onKill: () => void) {
    this.#listener = listener;
    this.#target = target;
    this.#onKill = onKill;
    this.port = (listener.address() as AddressInfo).port;
    listener.on('connection', (near) => this.#join(near));
  }

  /** From now on, once. */
  arm(plan: FaultPlan): void {
    this.#plan = plan;
    this.#passed = { up: 0, down: 0 };
    this.#hasStruck = false;
    this.#ofBody = undefined;
  }

  /** Passes on no more than so many octets at a time; 0: as they come. */
  split(octets: number): void {
    this.#piece = octets;
  }

  /** All is well again; what stands still is cut. Tells whether the plan came true. */
  disarm(): boolean {
    this.#plan = undefined;
    this.#piece = 0;
    for (const pair of this.#pairs) if (pair.isStalled) this.#cut(pair.near, pair.far);
    return this.#hasStruck;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { near, far } of this.#pairs) this.#cut(near, far);
    this.#listener.close();
    await once(this.#listener, 'close');
  }

  #join(near: Socket): void {
    const far = connect({ port: this.#target, host: '127.0.0.1', noDelay: true });
    const pair = { near, far, isStalled: false };
    this.#pairs.add(pair);
    near.setNoDelay();
    for (const [from, to, direction] of [
      [near, far, 'up'],
      [far, near, 'down'],
    ] as const) {
      from.on('data', (chunk: Buffer) => !pair.isStalled && this.#pass(pair, chunk, direction));
      from.on('error', () => {});
      from.on('close', () => {
        to.destroy();
        this.#pairs.delete(pair);
      });
    }
  }

  #pass(pair: { readonly near: Socket; readonly far: Socket; isStalled: boolean }, chunk: Buffer, direction: 'up' | 'down'): void {
    const to = direction === 'up' ? pair.far : pair.near;
    const passes = this.#plan === undefined ? chunk.length : this.#octetsBeforeStrike(this.#plan.at, chunk, direction);
    this.#passed[direction] += chunk.length;
    this.#write(to, chunk.subarray(0, passes ?? chunk.length));
    if (this.#plan === undefined || passes === undefined) return;
    const { what } = this.#plan;
    this.#plan = undefined;
    this.#hasStruck = true;
    pair.isStalled = true;
    if (what === 'kill') this.#onKill();
    if (what !== 'stall') this.#cut(pair.near, pair.far);
  }

  /** How many octets of the chunk still pass; undefined where it does not strike yet. */
  #octetsBeforeStrike(at: Trigger, chunk: Buffer, direction: 'up' | 'down'): number | undefined {
    if ('command' in at) {
      if (direction === 'down' || !at.command.test(chunk.toString('latin1'))) return undefined;
      return at.reaches ? chunk.length : 0;
    }
    if ('bodyOf' in at) return direction === 'down' ? this.#octetsWithinBody(at, chunk) : undefined;
    const left = at.octets - this.#passed[direction];
    return direction === at.direction && left < chunk.length ? Math.max(0, left) : undefined;
  }

  #octetsWithinBody({ bodyOf, octets }: Extract<Trigger, { bodyOf: number }>, chunk: Buffer): number | undefined {
    if (this.#ofBody === undefined) {
      const begun = [...chunk.toString('latin1').matchAll(BODY)].find(({ 1: length }) => Number(length) >= bodyOf);
      if (begun === undefined) return undefined;
      this.#ofBody = begun.index + begun[0].length + octets;
    }
    const left = this.#ofBody;
    this.#ofBody -= chunk.length;
    return left < chunk.length ? left : undefined;
  }

  #write(to: Socket, octets: Buffer): void {
    const size = this.#piece === 0 ? octets.length : this.#piece;
    for (let at = 0; at < octets.length; at += size) to.write(octets.subarray(at, at + size));
  }

  /** What was written before still arrives, as it would on a real network. */
  #cut(near: Socket, far: Socket): void {
    near.end();
    far.end();
    setImmediate(() => {
      near.destroy();
      far.destroy();
    });
  }
}
