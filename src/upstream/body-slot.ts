/** One body that was asked for: its octets wait here from when they come until they are read. */
import { UpstreamError } from '../errors.ts';
import type { BodySink } from '../imap/response-parser.ts';
import type { Uid } from '../maildrop/numbers.ts';

/** Learns of octets that wait, and of octets that wait no longer. */
export interface SlotWatcher {
  /** So many more wait; `due` fewer are yet to come than was believed. */
  received(octets: number, due: number): void;
  released(octets: number): void;
  /** Its reader has read all there is and waits for more. */
  starving(): void;
}

export class BodySlot implements BodySink {
  readonly uid: Uid;
  readonly #watcher: SlotWatcher;
  #chunks: Buffer[] = [];
  #waiting = 0;
  #received = 0;
  /** Octets believed to be still to come. */
  #due: number;
  #state: 'asked' | 'open' | 'complete' = 'asked';
  #failure: UpstreamError | undefined;
  #isDiscarded = false;
  #isMissing = false;
  #wake: () => void = () => {};

  /** `due`: how many octets are expected, as RFC822.SIZE tells; a guess. */
  constructor(uid: Uid, due: number, watcher: SlotWatcher) {
    this.uid = uid;
    this.#due = due;
    this.#watcher = watcher;
  }

  get due(): number {
    return this.#due;
  }

  /** Its octets have begun to come. */
  get isOpen(): boolean {
    return this.#state !== 'asked';
  }

  /** Nothing of it has come, and it still may. */
  get isAwaited(): boolean {
    return this.#state === 'asked' && this.#failure === undefined;
  }

  get isComplete(): boolean {
    return this.#state === 'complete';
  }

  /** The server gave no octets for it, but may do so where nothing else is asked for with it. */
  get isMissing(): boolean {
    return this.#isMissing;
  }

  get received(): number {
    return this.#received;
  }

  /** Octets that wait to be read. */
  get waiting(): number {
    return this.#waiting;
  }

  /** The body begins. */
  open(octets: number): void {
    this.#state = 'open';
    this.#expect(octets);
  }

  write(octets: Buffer): void {
    this.#received += octets.length;
    const due = Math.min(this.#due, octets.length);
    this.#due -= due;
    if (this.#isDiscarded) {
      this.#watcher.received(0, due);
      return;
    }
    this.#chunks.push(octets);
    this.#waiting += octets.length;
    this.#watcher.received(octets.length, due);
    this.#wake();
  }

  /** Its row is complete: all is there. */
  complete(): void {
    // Part of it may have been given up meanwhile: then it is not whole, whatever came.
    if (this.#failure !== undefined) return;
    this.#state = 'complete';
    this.#expect(0);
    this.#wake();
  }

  /** The command is over and gave no body. `failure` says why; undefined where it asked for other messages too. */
  miss(failure: UpstreamError | undefined): void {
    if (this.#state === 'complete') return;
    this.#isMissing = this.#state === 'asked' && failure === undefined;
    this.fail(failure ?? new UpstreamError('message-unreadable', `the server gave no octets for the message with UID ${this.uid}`));
  }

  fail(failure: UpstreamError): void {
    if (this.#state === 'complete') return;
    this.#failure ??= failure;
    this.#expect(0);
    this.#wake();
  }

  /** Nobody will read it: what waits is dropped, and what is to come. */
  discard(): void {
    if (this.#isDiscarded) return;
    this.#isDiscarded = true;
    this.#chunks = [];
    this.#watcher.released(this.#waiting);
    this.#waiting = 0;
  }

  /** The octets as they come. What was read waits no longer once the next is asked for. */
  async *octets(signal: AbortSignal): AsyncGenerator<Buffer, void, void> {
    let read = 0;
    try {
      for (;;) {
        for (let chunk = this.#chunks.shift(); chunk !== undefined; chunk = this.#chunks.shift()) {
          read = chunk.length;
          yield chunk;
          this.#release(read);
          read = 0;
        }
        if (this.#state === 'complete') return;
        if (this.#failure !== undefined) throw this.#failure;
        this.#watcher.starving();
        await this.#news(signal);
      }
    } finally {
      this.#release(read);
    }
  }

  /** Resolves when the first octets are there, or it is known that there are none. */
  async begun(signal: AbortSignal): Promise<void> {
    while (this.#state === 'asked' && this.#failure === undefined) {
      this.#watcher.starving();
      await this.#news(signal);
    }
  }

  #release(octets: number): void {
    if (this.#isDiscarded) return;
    this.#waiting -= octets;
    this.#watcher.released(octets);
  }

  #expect(due: number): void {
    const fewer = this.#due - due;
    this.#due = due;
    if (fewer !== 0) this.#watcher.received(0, fewer);
  }

  #news(signal: AbortSignal): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const cancel = (): void => reject(new UpstreamError('unreachable', 'cancelled'));
    if (signal.aborted) cancel();
    signal.addEventListener('abort', cancel, { once: true });
    this.#wake = resolve;
    return promise.finally(() => signal.removeEventListener('abort', cancel));
  }
}
