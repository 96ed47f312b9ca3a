/** Work that must not run at the same time, such as two UPDATEs of one account: each waits for the one before. */
export class Turns {
  readonly #last = new Map<string, Promise<unknown>>();

  /** Runs the work when all that was given before under that name has ended, however it ended. */
  run<T>(name: string, work: () => Promise<T>): Promise<T> {
    const before = this.#last.get(name) ?? Promise.resolve();
    const result = before.then(work);
    const ended = result.then(
      () => {},
      () => {},
    );
    this.#last.set(name, ended);
    void ended.then(() => {
      if (this.#last.get(name) === ended) this.#last.delete(name);
    });
    return result;
  }
}
