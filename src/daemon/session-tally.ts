/** What a session did, told in one summary at its end (CONTRACT section 6). */
import type { Clock } from '../clock.ts';

/** How many messages, and their octets as POP3 counts them. */
export interface Tally {
  readonly count: number;
  readonly octets: number;
}

export interface SessionSummary {
  readonly retrieved: Tally;
  readonly tops: Tally;
  readonly deleted: Tally;
  readonly operations: number;
  readonly durationMs: number;
  readonly outcome: string;
}

const NOTHING: Tally = { count: 0, octets: 0 };

export class SessionTally {
  /** How it ended, as README's table of outcomes names it. */
  outcome = 'lost';
  readonly #clock: Clock;
  readonly #beganAt: number;
  readonly #tell: (summary: SessionSummary) => void;
  #isTold = false;
  #retrieved = NOTHING;
  #tops = NOTHING;
  #deleted = NOTHING;

  /** The session begins now. */
  constructor(clock: Clock, tell: (summary: SessionSummary) => void) {
    this.#clock = clock;
    this.#beganAt = clock.monotonic();
    this.#tell = tell;
  }

  addRetrieved(octets: number): void {
    this.#retrieved = plus(this.#retrieved, octets);
  }

  addTop(octets: number): void {
    this.#tops = plus(this.#tops, octets);
  }

  setDeleted(deleted: Tally): void {
    this.#deleted = deleted;
  }

  /** Tells it, the first time. */
  end(operations: number): void {
    if (this.#isTold) return;
    this.#isTold = true;
    const durationMs = Math.round(this.#clock.monotonic() - this.#beganAt);
    this.#tell({
      retrieved: this.#retrieved,
      tops: this.#tops,
      deleted: this.#deleted,
      operations,
      durationMs,
      outcome: this.outcome,
    });
  }
}

function plus({ count, octets }: Tally, more: number): Tally {
  return { count: count + 1, octets: octets + more };
}
