/**
 * Sums up what one address brings about without a login. The first few lines of a kind are logged one by one, the others of that
 * minute as one line with their numbers: whoever connects and hangs up as fast as possible must not fill the disk.
 */
import { LRUCache } from 'lru-cache';
import type { Cancel, Clock } from '../clock.ts';
import { limitedAs } from './client-network.ts';
import type { Log, LogFields, LogLevel } from './logging.ts';

const INTERVAL_MS = 60_000;
/** Beyond these the address that was silent longest is told of early. */
const MAX_ADDRESSES = 10_000;

/** Lines that a client can bring about in any number before it has logged in. */
const REPEATED: ReadonlySet<string> = new Set([
  'connection-refused',
  'login-failed',
  'session-end',
  'session-error',
  'tls-failed',
  'upstream-failed',
]);

interface Interval {
  readonly address: string;
  readonly beganAt: number;
  /** How many lines of an event were logged. */
  readonly logged: Map<string, number>;
  /** How many were not. */
  readonly counts: Map<string, number>;
  /** One of them would have been a warning. */
  isWarning: boolean;
  cancel: Cancel;
}

export class RepeatedEvents {
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #few: (event: string) => number;
  readonly #intervals: LRUCache<string, Interval>;

  /** `few`: how many lines of an event an address has each minute. */
  constructor(clock: Clock, log: Log, few: (event: string) => number) {
    this.#clock = clock;
    this.#log = log;
    this.#few = few;
    this.#intervals = new LRUCache({
      max: MAX_ADDRESSES,
      dispose: (interval, _, reason) => {
        if (reason === 'evict') this.#end(interval);
      },
    });
  }

  /** The log for lines about one client. Once it has logged in, each of them is written. */
  logOf(log: Log, client: string, hasLoggedIn: () => boolean): Log {
    const address = limitedAs(client);
    const lines =
      (level: LogLevel) =>
      (event: string, fields?: LogFields): void => {
        if (hasLoggedIn() || !REPEATED.has(event) || this.#isOneOfFew(address, event, level)) log[level](event, fields);
      };
    return {
      debug: lines('debug'),
      info: lines('info'),
      warn: lines('warn'),
      error: lines('error'),
      withSecrets: (secrets) => this.logOf(log.withSecrets(secrets), client, hasLoggedIn),
    };
  }

  /** Tells what was not told so far. */
  flush(): void {
    const intervals = [...this.#intervals.values()];
    this.#intervals.clear();
    for (const interval of intervals) this.#end(interval);
  }

  #isOneOfFew(address: string, event: string, level: LogLevel): boolean {
    const interval = this.#intervalOf(address);
    const logged = interval.logged.get(event) ?? 0;
    if (logged < this.#few(event)) {
      interval.logged.set(event, logged + 1);
      return true;
    }
    if (interval.counts.size === 0) {
      const left = interval.beganAt + INTERVAL_MS - this.#clock.monotonic();
      interval.cancel = this.#clock.after(left, () => this.#close(interval));
    }
    interval.counts.set(event, (interval.counts.get(event) ?? 0) + 1);
    interval.isWarning ||= level === 'warn' || level === 'error';
    return false;
  }

  #intervalOf(address: string): Interval {
    const known = this.#intervals.get(address);
    const now = this.#clock.monotonic();
    if (known !== undefined && now < known.beganAt + INTERVAL_MS) return known;
    // Its own timer may be late.
    if (known !== undefined) this.#close(known);
    const interval: Interval = { address, beganAt: now, logged: new Map(), counts: new Map(), isWarning: false, cancel: () => {} };
    this.#intervals.set(address, interval);
    return interval;
  }

  #close(interval: Interval): void {
    this.#intervals.delete(interval.address);
    this.#end(interval);
  }

  #end({ address, beganAt, counts, isWarning, cancel }: Interval): void {
    cancel();
    if (counts.size === 0) return;
    const seconds = Math.round((this.#clock.monotonic() - beganAt) / 1000);
    const fields = { client: address, seconds, counts: Object.fromEntries(counts) };
    if (isWarning) this.#log.warn('repeated', fields);
    else this.#log.info('repeated', fields);
  }
}
