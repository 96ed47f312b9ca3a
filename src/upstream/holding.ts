/**
 * Who keeps the server from being read, because what came was not sent to a client yet; and who waits for an answer that comes behind it.
 * Whoever only keeps guesses gives them up for those who wait; a client that reads nothing for long does not keep the connection at all.
 */
import type { Clock } from '../clock.ts';

/** Who keeps the server from being read. */
export interface Holder {
  /** Lets go where it can: somebody waits for an answer that comes behind what it holds. */
  giveWay(): void;
  /** Lets go altogether: it did not for long, and somebody still waits. */
  giveUp(): void;
}

/** What stops and goes on. */
export interface Flow {
  hold(holder: object): void;
  letGo(holder: object): void;
}

/** A client that reads nothing for so long does not keep others from the connection. */
const STALLED_MS = 30_000;

export class Holding implements Flow {
  readonly #clock: Clock;
  readonly #flow: Flow;
  readonly #holders = new Set<Holder>();
  /** For each who waits, on whose behalf: what a holder waits for itself is held by nobody else. */
  readonly #waiters = new Set<{ readonly behalf: Holder | undefined }>();
  #heldSince = 0;
  #isWatching = false;

  constructor(clock: Clock, flow: Flow) {
    this.#clock = clock;
    this.#flow = flow;
  }

  /** Nothing is read from the server until `letGo`. */
  hold(holder: Holder): void {
    if (this.#holders.size === 0) this.#heldSince = this.#clock.monotonic();
    this.#holders.add(holder);
    this.#flow.hold(holder);
    if (this.isAwaitedBesides(holder)) holder.giveWay();
    this.#watch();
  }

  letGo(holder: Holder): void {
    if (this.#holders.delete(holder)) this.#flow.letGo(holder);
  }

  /** Somebody waits for the server, until what this gives is called. */
  wait(behalf?: Holder): () => void {
    const waiter = { behalf };
    this.#waiters.add(waiter);
    for (const holder of this.#holders) if (holder !== behalf) holder.giveWay();
    return () => {
      this.#waiters.delete(waiter);
    };
  }

  /** Somebody waits for the server who is not that one. */
  isAwaitedBesides(holder: Holder): boolean {
    for (const { behalf } of this.#waiters) if (behalf !== holder) return true;
    return false;
  }

  #watch(afterMs = STALLED_MS): void {
    if (this.#isWatching) return;
    this.#isWatching = true;
    this.#clock.after(afterMs, () => {
      this.#isWatching = false;
      if (this.#holders.size === 0) return;
      const left = this.#heldSince + STALLED_MS - this.#clock.monotonic();
      if (left <= 0) for (const holder of this.#holders) if (this.isAwaitedBesides(holder)) holder.giveUp();
      this.#watch(left > 0 ? left : STALLED_MS);
    });
  }
}
