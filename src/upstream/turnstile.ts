/**
 * Whose turn it is on one connection. Work on one lane, such as reading in one mailbox, runs side by side; work on another lane waits
 * until it is done, and whoever waits keeps later ones from going first.
 */

/** Gives the turn back. */
export type Leave = () => void;

interface Waiter {
  readonly lane: unknown;
  readonly enter: () => void;
}

export class Turnstile {
  #lane: unknown;
  #inside = 0;
  readonly #waiting: Waiter[] = [];

  /** True while somebody waits: who can stop should. */
  get isWantedByOthers(): boolean {
    return this.#waiting.length > 0;
  }

  /** Resolves when the turn has come. A lane is told by identity; `{}` is one of its own. */
  async enter(lane: unknown): Promise<Leave> {
    if (this.#inside > 0 && (this.#lane !== lane || this.#waiting.length > 0)) {
      await new Promise<void>((resolve) => this.#waiting.push({ lane, enter: resolve }));
    } else {
      this.#admit(lane);
    }
    let hasLeft = false;
    return () => {
      if (hasLeft) return;
      hasLeft = true;
      this.#leave();
    };
  }

  #admit(lane: unknown): void {
    this.#lane = lane;
    this.#inside += 1;
  }

  #leave(): void {
    this.#inside -= 1;
    while (this.#waiting[0] !== undefined && (this.#inside === 0 || this.#waiting[0].lane === this.#lane)) {
      const next = this.#waiting.shift();
      this.#admit(next?.lane);
      next?.enter();
    }
  }
}
