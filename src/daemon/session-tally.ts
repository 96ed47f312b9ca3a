/** What a session did and how it ended, told in one summary at its end (CONTRACT section 6). */
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
  /** As README's table of outcomes names it. */
  readonly outcome: string;
}

const NOTHING: Tally = { count: 0, octets: 0 };

export class SessionTally {
  readonly #clock: Clock;
  readonly #beganAt: number;
  readonly #tell: (summary: SessionSummary) => void;
  #outcome: string | undefined;
  #isLoggedIn = false;
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

  /** It is known how the session ended. */
  get isConcluded(): boolean {
    return this.#outcome !== undefined;
  }

  /**
   * Notes how the session ended. The first outcome stays: whatever follows is a consequence of it, or happens to a session that is over
   * and only has something left to do.
   */
  conclude(outcome: string): void {
    this.#outcome ??= outcome;
  }

  noteLogin(): void {
    this.#isLoggedIn = true;
  }

  /** The connection is closed by us. */
  noteClose(): void {
    if (!this.#isLoggedIn) this.conclude('closed before login');
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

  /** Tells it, the first time. Where no outcome is known, the client left. */
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
      outcome: this.#outcome ?? (this.#isLoggedIn ? 'no QUIT' : 'lost'),
    });
  }
}

function plus({ count, octets }: Tally, more: number): Tally {
  return { count: count + 1, octets: octets + more };
}
