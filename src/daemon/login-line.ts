/**
 * One line of logins: those from one address, or those for one account. Some may be refused freely; after them each login waits
 * until some time has passed since the one before. A login that is being tried counts before its outcome is known, so that many
 * at the same time are no way around the wait.
 */
import type { Cancel, Clock } from '../clock.ts';
import { BusyError, UpstreamError, type BridgeError } from '../errors.ts';

export interface LineRules {
  /** How many logins may be refused within ten minutes before the next ones wait. */
  readonly free: () => number;
  /** The longest pause between two logins, in milliseconds. */
  readonly mostDelayMs: number;
  /** No login is tried while so many were refused within ten minutes. */
  readonly mostRefused: number;
}

/** Gives back the place of a login that was tried. */
export type Leave = () => void;

interface Waiter {
  readonly admit: () => void;
  readonly reject: (error: BridgeError) => void;
}

/** Refusals count for so long. */
export const WINDOW_MS = 10 * 60_000;
/** A login that waits longer is turned away: most clients give up after a minute. */
export const MOST_WAIT_MS = 45_000;
const LEAST_DELAY_MS = 1000;
/** As many doublings as any limit on the delay needs. */
const MOST_DOUBLINGS = 10;
/** More refusals than these change nothing: the delay is the longest by then, or nothing is tried. */
const MOST_BEYOND_FREE = 20;

export class LoginLine {
  readonly #clock: Clock;
  readonly #rules: LineRules;
  /** When a login was last refused, by what was refused; the oldest first. */
  readonly #refused = new Map<string, number>();
  readonly #waiting = new Set<Waiter>();
  #trying = 0;
  /** When a login was last let through. */
  #lastAt = Number.NEGATIVE_INFINITY;
  #cancelTimer: Cancel = () => {};

  constructor(clock: Clock, rules: LineRules) {
    this.#clock = clock;
    this.#rules = rules;
  }

  /**
   * Resolves when a login may be tried; its end has to be told by the function that comes back. Rejects with BusyError LOGIN_BACKOFF
   * where too many were refused or where the wait takes too long, and with UpstreamError `unreachable` when the signal aborts.
   */
  enter(signal: AbortSignal): Promise<Leave> {
    return new Promise((resolve, reject) => {
      const stop = (): void => {
        cancel();
        signal.removeEventListener('abort', onAbort);
        this.#waiting.delete(waiter);
      };
      const waiter: Waiter = {
        admit: () => {
          stop();
          resolve(this.#place());
        },
        reject: (error) => {
          stop();
          reject(error);
        },
      };
      const leave = (error: BridgeError): void => {
        waiter.reject(error);
        this.#next();
      };
      const onAbort = (): void => leave(new UpstreamError('unreachable', 'the client left before its login was tried'));
      const cancel = this.#clock.after(MOST_WAIT_MS, () => leave(turnedAway('too many logins wait')));
      signal.addEventListener('abort', onAbort, { once: true });
      this.#waiting.add(waiter);
      if (signal.aborted) onAbort();
      else this.#next();
    });
  }

  /** Notes that a login was refused. The same thing refused again counts once. */
  noteRefused(what: string): void {
    this.#forget();
    this.#refused.delete(what);
    this.#refused.set(what, this.#clock.monotonic());
    for (const oldest of this.#refused.keys()) {
      if (this.#refused.size <= this.#rules.free() + MOST_BEYOND_FREE) break;
      this.#refused.delete(oldest);
    }
    this.#next();
  }

  #place(): Leave {
    this.#trying += 1;
    this.#lastAt = this.#clock.monotonic();
    let hasLeft = false;
    return () => {
      if (hasLeft) return;
      hasLeft = true;
      this.#trying -= 1;
      this.#next();
    };
  }

  /** Lets through whoever may go now, and comes back when the next one may. */
  #next(): void {
    this.#cancelTimer();
    for (const first of this.#waiting) {
      this.#forget();
      if (this.#refused.size >= this.#rules.mostRefused) {
        first.reject(turnedAway('too many passwords were refused'));
        continue;
      }
      // Those that are being tried may be refused too.
      if (this.#refused.size + this.#trying >= this.#rules.mostRefused) return;
      const wait = this.#lastAt + this.#delay() - this.#clock.monotonic();
      if (wait > 0) {
        this.#cancelTimer = this.#clock.after(wait, () => this.#next());
        return;
      }
      first.admit();
    }
  }

  /** The pause before the next login. Logins without an outcome keep the next one waiting a second each, but no server that hangs makes that grow. */
  #delay(): number {
    const beyond = this.#refused.size - this.#rules.free();
    if (beyond + this.#trying < 0) return 0;
    const growing = LEAST_DELAY_MS * 2 ** Math.min(Math.max(beyond, 0), MOST_DOUBLINGS);
    return Math.min(growing, this.#rules.mostDelayMs);
  }

  #forget(): void {
    const since = this.#clock.monotonic() - WINDOW_MS;
    for (const [what, at] of this.#refused) {
      if (at > since) return;
      this.#refused.delete(what);
    }
  }
}

function turnedAway(why: string): BusyError {
  return new BusyError('LOGIN_BACKOFF', `${why}; another one is tried later`);
}
