/** Work for an account between its sessions. A new login of that account ends it first: it must not cost the user a connection. */
import { LRUCache } from 'lru-cache';
import type { Clock } from '../clock.ts';

interface Running {
  readonly controller: AbortController;
  readonly done: Promise<void>;
}

/** A client that came back at once will do so again: for so long nothing is begun that its next login would have to end. */
const BURST_MS = 10_000;
const MAX_BURSTS = 10_000;

export class BackgroundWork {
  readonly #clock: Clock;
  readonly #running = new Map<string, Running>();
  /** When a login last had to end an account's work. */
  readonly #endedAt = new LRUCache<string, number>({ max: MAX_BURSTS });
  #isOver = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Starts work that never rejects and ends soon after its signal aborts, which it may have from the start. */
  start(account: string, work: (signal: AbortSignal) => Promise<void>): void {
    this.#running.get(account)?.controller.abort();
    const controller = new AbortController();
    if (this.#isOver || this.#isInBurst(account)) controller.abort();
    const done = work(controller.signal).finally(() => {
      if (this.#running.get(account)?.controller === controller) this.#running.delete(account);
    });
    this.#running.set(account, { controller, done });
  }

  /** Ends the account's work; resolves when it has let go of its connection. */
  async end(account: string): Promise<void> {
    const running = this.#running.get(account);
    if (running === undefined) return;
    if (!running.controller.signal.aborted) this.#endedAt.set(account, this.#clock.monotonic());
    running.controller.abort();
    await running.done;
  }

  /** Ends all there is and all that is still to come. */
  async endAll(): Promise<void> {
    this.#isOver = true;
    await Promise.all([...this.#running.keys()].map((account) => this.end(account)));
  }

  #isInBurst(account: string): boolean {
    const endedAt = this.#endedAt.get(account);
    return endedAt !== undefined && this.#clock.monotonic() - endedAt < BURST_MS;
  }
}
