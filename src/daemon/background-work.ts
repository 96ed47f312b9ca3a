/** Work for an account between its sessions. A new login of that account ends it first: it must not cost the user a connection. */

interface Running {
  readonly controller: AbortController;
  readonly done: Promise<void>;
}

export class BackgroundWork {
  readonly #running = new Map<string, Running>();
  #isOver = false;

  /** Starts work that never rejects and ends soon after its signal aborts; whatever ran before for the account is ended. */
  start(account: string, work: (signal: AbortSignal) => Promise<void>): void {
    this.#running.get(account)?.controller.abort();
    const controller = new AbortController();
    if (this.#isOver) controller.abort();
    const done = work(controller.signal).finally(() => {
      if (this.#running.get(account)?.controller === controller) this.#running.delete(account);
    });
    this.#running.set(account, { controller, done });
  }

  /** Ends the account's work; resolves when it has let go of its connection. */
  async end(account: string): Promise<void> {
    const running = this.#running.get(account);
    running?.controller.abort();
    await running?.done;
  }

  /** Ends all there is and all that is still to come. */
  async endAll(): Promise<void> {
    this.#isOver = true;
    await Promise.all([...this.#running.keys()].map((account) => this.end(account)));
  }
}
