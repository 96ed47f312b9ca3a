/** What a session did, told in one summary at its end (CONTRACT section 6). */

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
  #retrieved = NOTHING;
  #tops = NOTHING;
  #deleted = NOTHING;

  addRetrieved(octets: number): void {
    this.#retrieved = plus(this.#retrieved, octets);
  }

  addTop(octets: number): void {
    this.#tops = plus(this.#tops, octets);
  }

  setDeleted(deleted: Tally): void {
    this.#deleted = deleted;
  }

  summary(operations: number, durationMs: number): SessionSummary {
    return { retrieved: this.#retrieved, tops: this.#tops, deleted: this.#deleted, operations, durationMs, outcome: this.outcome };
  }
}

function plus({ count, octets }: Tally, more: number): Tally {
  return { count: count + 1, octets: octets + more };
}
