/** One direction of a delayed connection: octets leave as long after they came as the line is, however many are on their way. */
import type { Socket } from 'node:net';

/** Octets that are due but not taken: beyond this the sender is held back, as a full TCP window would. */
const UNTAKEN = 4 * 1024 * 1024;

interface InFlight {
  readonly dueAt: number;
  /** Undefined: the end. */
  readonly chunk: Buffer | undefined;
}

/** What one end of a line has to know. */
export interface LineEnds {
  readonly from: Socket;
  readonly to: Socket;
  /** Milliseconds one way, asked for each chunk. */
  readonly delayMs: () => number;
  /** Nothing is under way before this moment. */
  readonly opensAt: number;
  /** Called with octets as they come in, and as they go out. */
  readonly onCome?: (chunk: Buffer) => void;
  readonly onGo?: (chunk: Buffer) => void;
}

/** Carries everything from one socket to the other, late. */
export class DelayLine {
  readonly #ends: LineEnds;
  #queue: InFlight[] = [];
  #first = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(ends: LineEnds) {
    this.#ends = ends;
    ends.from.on('data', (chunk: Buffer) => {
      ends.onCome?.(chunk);
      this.#take(chunk);
    });
    ends.from.on('end', () => this.#take(undefined));
    ends.to.on('drain', () => ends.from.resume());
  }

  /** Forgets what is on its way. */
  cut(): void {
    clearTimeout(this.#timer);
    this.#queue = [];
    this.#first = 0;
  }

  #take(chunk: Buffer | undefined): void {
    const now = performance.now();
    const dueAt = Math.max(now, this.#ends.opensAt) + this.#ends.delayMs();
    if (dueAt <= now && this.#queue.length === this.#first) return this.#give(chunk);
    this.#queue.push({ dueAt, chunk });
    this.#schedule(now);
  }

  /** The timer's granularity is a millisecond, so one that fires within the last half of it is early enough. */
  #schedule(now: number): void {
    const next = this.#queue[this.#first];
    if (next === undefined || this.#timer !== undefined) return;
    this.#timer = setTimeout(() => this.#due(), Math.max(0, Math.round(next.dueAt - now)));
  }

  #due(): void {
    this.#timer = undefined;
    const now = performance.now();
    for (let next = this.#queue[this.#first]; next !== undefined && next.dueAt <= now + 0.5; next = this.#queue[this.#first]) {
      this.#first += 1;
      this.#give(next.chunk);
    }
    if (this.#first > 1024) {
      this.#queue = this.#queue.slice(this.#first);
      this.#first = 0;
    }
    this.#schedule(now);
  }

  #give(chunk: Buffer | undefined): void {
    const { from, to, onGo } = this.#ends;
    if (to.destroyed) return;
    if (chunk === undefined) {
      to.end();
      return;
    }
    onGo?.(chunk);
    if (!to.write(chunk) && to.writableLength > UNTAKEN) from.pause();
  }
}
