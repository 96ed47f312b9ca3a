/** A clock that stands still until a test moves it: no sleeps, no flakes. */
import type { Cancel, Clock } from '../../src/clock.ts';

interface Timer {
  readonly at: number;
  readonly run: () => void;
}

/** Turns of the event loop granted after each timer, so that promises it settled have run. */
const TURNS = 5;

export class FakeClock implements Clock {
  #elapsed = 0;
  #jumped = 0;
  readonly #startedAt: number;
  readonly #timers = new Set<Timer>();

  constructor(startedAt = Date.UTC(2026, 0, 1)) {
    this.#startedAt = startedAt;
  }

  now(): number {
    return this.#startedAt + this.#elapsed + this.#jumped;
  }

  monotonic(): number {
    return this.#elapsed;
  }

  after(ms: number, run: () => void): Cancel {
    const timer: Timer = { at: this.#elapsed + Math.max(0, ms), run };
    this.#timers.add(timer);
    return () => {
      this.#timers.delete(timer);
    };
  }

  /** Timers that wait. */
  get pending(): number {
    return this.#timers.size;
  }

  /** Sets the wall clock by so much, back where it is negative; no time passes. */
  jump(ms: number): void {
    this.#jumped += ms;
  }

  /** Lets that much time pass; timers run in the order of their times, each at its own time. */
  async advance(ms: number): Promise<void> {
    const end = this.#elapsed + ms;
    await settled();
    for (let next = this.#nextUntil(end); next !== undefined; next = this.#nextUntil(end)) {
      this.#timers.delete(next);
      this.#elapsed = next.at;
      next.run();
      await settled();
    }
    this.#elapsed = end;
    await settled();
  }

  #nextUntil(end: number): Timer | undefined {
    let first: Timer | undefined;
    for (const timer of this.#timers) if (timer.at <= end && (first === undefined || timer.at < first.at)) first = timer;
    return first;
  }
}

/** Resolves when promises settled so far have run their reactions. */
export async function settled(): Promise<void> {
  for (let turn = 0; turn < TURNS; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}
