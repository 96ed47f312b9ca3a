/**
 * One session a maildrop (RFC 1939 section 4, CONTRACT section 5.9). A second login waits a while; it takes over from a session
 * that is dead or long silent, so that a client that fell off the network does not lock its user out.
 */
import type { Cancel, Clock } from '../clock.ts';
import { BusyError } from '../errors.ts';

/** The session that holds a lock. */
export interface LockHolder {
  /** True when its socket is dead, or when it is silent for long with nothing running and no UPDATE. */
  readonly isStale: boolean;
  /** Ends it without UPDATE; the lock is released when its work is done. */
  evict(): void;
}

export type Release = () => void;

interface Waiter {
  readonly holder: LockHolder;
  readonly grant: (release: Release) => void;
}

interface Held {
  holder: LockHolder;
  readonly waiters: Waiter[];
}

/** How long a login waits for the lock. */
export const LOCK_WAIT_MS = 10_000;
const STALE_CHECK_MS = 500;

export class MaildropLocks {
  readonly #clock: Clock;
  readonly #held = new Map<string, Held>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Takes the lock, at once or after a wait. Rejects with BusyError MAILDROP_IN_USE when the holder stays, or when the signal aborts. */
  acquire(key: string, holder: LockHolder, signal: AbortSignal): Promise<Release> {
    const held = this.#held.get(key);
    if (held !== undefined) return this.#wait(held, holder, signal);
    const taken: Held = { holder, waiters: [] };
    this.#held.set(key, taken);
    return Promise.resolve(this.#releaseOf(key, taken));
  }

  /** Takes the lock if nobody has it, for work that no session waits for. */
  tryAcquire(key: string): Release | undefined {
    if (this.#held.has(key)) return undefined;
    const taken: Held = { holder: { isStale: false, evict: () => {} }, waiters: [] };
    this.#held.set(key, taken);
    return this.#releaseOf(key, taken);
  }

  #wait(held: Held, holder: LockHolder, signal: AbortSignal): Promise<Release> {
    return new Promise((resolve, reject) => {
      let cancel: Cancel = () => {};
      const finish = (): void => {
        cancel();
        signal.removeEventListener('abort', giveUp);
        const place = held.waiters.indexOf(waiter);
        if (place >= 0) held.waiters.splice(place, 1);
      };
      const giveUp = (): void => {
        finish();
        reject(new BusyError('MAILDROP_IN_USE', 'another session holds the maildrop'));
      };
      const waiter: Waiter = {
        holder,
        grant: (release) => {
          finish();
          resolve(release);
        },
      };
      held.waiters.push(waiter);
      signal.addEventListener('abort', giveUp, { once: true });
      const until = this.#clock.monotonic() + LOCK_WAIT_MS;
      const check = (): void => {
        if (held.holder.isStale) held.holder.evict();
        if (!held.waiters.includes(waiter)) return;
        const left = until - this.#clock.monotonic();
        if (left <= 0) giveUp();
        else cancel = this.#clock.after(Math.min(left, STALE_CHECK_MS), check);
      };
      if (signal.aborted) giveUp();
      else check();
    });
  }

  #releaseOf(key: string, held: Held): Release {
    let isReleased = false;
    return () => {
      if (isReleased) return;
      isReleased = true;
      const next = held.waiters.shift();
      if (next === undefined) {
        this.#held.delete(key);
        return;
      }
      held.holder = next.holder;
      next.grant(this.#releaseOf(key, held));
    };
  }
}
