/**
 * Lets so many run at a time. Who waits gets a turn address by address: one that asks a lot holds up itself, and its turns are nobody's once
 * it has left.
 */
import type { Clock } from '../clock.ts';
import { BusyError, UpstreamError, type BridgeError } from '../errors.ts';

/** Who waits for a turn. */
export interface Asker {
  /** Network address, '' for a command on this machine. */
  readonly address: string;
  /** Aborts when nobody waits for the answer any more. */
  readonly signal: AbortSignal;
}

/** No client waits longer. */
const MOST_MS = 30_000;

export class FairTurns {
  readonly #atATime: number;
  readonly #clock: Clock;
  #running = 0;
  /** By address; the first one has the next turn. */
  readonly #waiting = new Map<string, (() => void)[]>();

  constructor(atATime: number, clock: Clock) {
    this.#atATime = atATime;
    this.#clock = clock;
  }

  /** Rejects with UpstreamError `unreachable` where the asker left before its turn, BusyError LOGIN_QUEUE where none came in time. */
  async run<T>(asker: Asker, work: () => Promise<T>): Promise<T> {
    if (this.#running < this.#atATime) this.#running += 1;
    else await this.#turn(asker);
    try {
      return await work();
    } finally {
      this.#pass();
    }
  }

  #turn({ address, signal }: Asker): Promise<void> {
    return new Promise((resolve, reject) => {
      const leave = (error: BridgeError): void => {
        stop();
        const others = (this.#waiting.get(address) ?? []).filter((one) => one !== take);
        if (others.length > 0) this.#waiting.set(address, others);
        else this.#waiting.delete(address);
        reject(error);
      };
      const onAbort = (): void => leave(new UpstreamError('unreachable', 'the client left during its login'));
      const cancel = this.#clock.after(MOST_MS, () => leave(new BusyError('LOGIN_QUEUE', 'too many passwords are being checked')));
      const stop = (): void => {
        cancel();
        signal.removeEventListener('abort', onAbort);
      };
      const take = (): void => {
        stop();
        resolve();
      };
      this.#waiting.set(address, [...(this.#waiting.get(address) ?? []), take]);
      signal.addEventListener('abort', onAbort, { once: true });
      if (signal.aborted) onAbort();
    });
  }

  /** The turn goes to the address that has waited longest; it comes last then. */
  #pass(): void {
    const [next] = this.#waiting;
    if (next === undefined) {
      this.#running -= 1;
      return;
    }
    const [address, [take, ...others]] = next;
    this.#waiting.delete(address);
    if (others.length > 0) this.#waiting.set(address, others);
    take?.();
  }
}
