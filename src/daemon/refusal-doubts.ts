/**
 * Whether to believe a server that refuses a password it took before, and gives no response code (RFC 5530). Many servers word an outage of
 * their user database like a wrong password. It is believed when it comes three times in a row, each time at least a minute after the time
 * before: outages are mostly over by then, and a password that was really changed is sent to the server only a few times.
 */
import { LRUCache } from 'lru-cache';
import type { Clock } from '../clock.ts';

const BELIEVED_AT = 3;
const COUNTED_EVERY_MS = 60_000;
const MAX_ACCOUNTS = 10_000;

interface Refusals {
  readonly times: number;
  readonly countedAt: number;
}

export class RefusalDoubts {
  readonly #clock: Clock;
  readonly #accounts = new LRUCache<string, Refusals>({ max: MAX_ACCOUNTS });

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Notes a refusal without a code of the account's last password that worked, and tells whether it is to be believed. */
  isBelieved(account: string): boolean {
    const name = account.toLowerCase();
    const now = this.#clock.monotonic();
    const before = this.#accounts.get(name);
    if (before !== undefined && now - before.countedAt < COUNTED_EVERY_MS) return false;
    const times = (before?.times ?? 0) + 1;
    if (times >= BELIEVED_AT) {
      this.#accounts.delete(name);
      return true;
    }
    this.#accounts.set(name, { times, countedAt: now });
    return false;
  }

  /** A login of the account succeeded: refusals before it no longer count. */
  forget(account: string): void {
    this.#accounts.delete(account.toLowerCase());
  }
}
