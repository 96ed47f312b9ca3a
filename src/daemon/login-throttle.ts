/**
 * Keeps stale passwords and guessers from the upstream (CONTRACT section 5.7): what was refused once is refused here for a
 * growing while, at most five refused passwords an account in ten minutes reach the upstream, and a server that asked for a
 * pause gets it. Passwords are kept as keyed hashes only, under a key that lives as long as the process.
 */
import { LRUCache } from 'lru-cache';
import type { Clock } from '../clock.ts';
import { BusyError, CredentialsError, UpstreamError, type BridgeError } from '../errors.ts';
import { KeyedHash } from '../keyed-hash.ts';
import { unlessAborted } from '../upstream/deadline.ts';
import { RefusalDoubts } from './refusal-doubts.ts';

const MINUTE_MS = 60_000;
const WINDOW_MS = 10 * MINUTE_MS;
const MAX_REFUSED_PASSWORDS = 5;
const MAX_LOCAL_REFUSAL_MINUTES = 30;
const DEFAULT_BACKOFF_MS = 30_000;
const MAX_ACCOUNTS = 10_000;
const MAX_STRANGERS = 20_000;
const MAX_PASSWORDS_REMEMBERED = 50;

interface Refusal {
  readonly times: number;
  readonly until: number;
}

interface AccountRecord {
  /** Keyed hash of the last password that worked. */
  proven: string | undefined;
  lastLoginAt: number | undefined;
  /** When distinct passwords were refused upstream. */
  refusedAt: number[];
  readonly refusals: LRUCache<string, Refusal>;
  /** Passwords not yet proven that are being tried; each resolves with the failure that left it undecided. */
  readonly trying: Map<string, Promise<BridgeError | undefined>>;
  backoffUntil: number;
}

/** A password that may be tried upstream now; exactly one of its outcomes must be told. */
export interface Attempt {
  succeeded(): void;
  refused(): void;
  /** It failed for another reason: nothing is known of the password. Who waited for the outcome fails likewise. */
  undecided(failure: BridgeError): void;
}

export class LoginThrottle {
  readonly doubts: RefusalDoubts;
  readonly #clock: Clock;
  readonly #hash = new KeyedHash();
  /** By name in lower case: servers may hold spellings for one user, and lock out the one for guesses at all. */
  readonly #accounts = new LRUCache<string, AccountRecord>({ max: MAX_ACCOUNTS });
  /** Names for which no password was right so far, apart from those: many made-up names make no user forgotten. */
  readonly #strangers = new LRUCache<string, AccountRecord>({ max: MAX_STRANGERS });

  constructor(clock: Clock) {
    this.#clock = clock;
    this.doubts = new RefusalDoubts(clock);
  }

  /**
   * Asks to try a password. Waits while the same one is being tried already, unless it is proven. Rejects with CredentialsError
   * where it was refused lately, BusyError LOGIN_BACKOFF where too many were, UpstreamError `throttled` while the upstream wants
   * a pause, and as the try that was waited for where that came to nothing.
   */
  async admit(account: string, password: string, signal: AbortSignal): Promise<Attempt> {
    const record = this.#record(account);
    const hash = this.#hash.textOf([account, password]);
    for (;;) {
      const running = record.proven === hash ? undefined : record.trying.get(hash);
      if (running === undefined) break;
      const failure = await unlessAborted(running, signal, 'cancelled while another login was tried');
      if (failure !== undefined) throw failure;
    }
    this.checkPause(account);
    this.#check(record, hash);
    const { promise, resolve } = Promise.withResolvers<BridgeError | undefined>();
    if (record.proven !== hash) record.trying.set(hash, promise);
    const settle = (failure?: BridgeError): void => {
      if (record.trying.get(hash) === promise) record.trying.delete(hash);
      resolve(failure);
    };
    return {
      succeeded: () => {
        this.#accounts.set(account.toLowerCase(), record);
        this.#strangers.delete(account.toLowerCase());
        record.proven = hash;
        record.refusals.delete(hash);
        settle();
      },
      refused: () => {
        this.#remember(record, hash);
        settle();
      },
      undecided: (failure) => {
        this.notePause(account, failure);
        settle(failure);
      },
    };
  }

  /** Where the upstream asked for a pause, at a login or later, nothing of that account goes there before it is over. */
  notePause(account: string, failure: unknown): void {
    if (!(failure instanceof UpstreamError) || failure.kind !== 'throttled') return;
    const record = this.#record(account);
    record.backoffUntil = Math.max(record.backoffUntil, this.#clock.monotonic() + (failure.retryAfterMs ?? DEFAULT_BACKOFF_MS));
  }

  /** Throws UpstreamError `throttled` while the upstream wants a pause. */
  checkPause(account: string): void {
    const left = this.#record(account).backoffUntil - this.#clock.monotonic();
    if (left > 0) throw new UpstreamError('throttled', 'the upstream asked for a pause', { retryAfterMs: left });
  }

  /** Whether that password was the last that worked. */
  isProven(account: string, password: string): boolean {
    return this.#record(account).proven === this.#hash.textOf([account, password]);
  }

  /** LOGIN-DELAY (RFC 2449 section 6.5): throws BusyError where the maildrop was logged in to less than `delayMs` ago. */
  checkDelay(maildrop: string, delayMs: number): void {
    const { lastLoginAt } = this.#record(maildrop);
    if (delayMs > 0 && lastLoginAt !== undefined && this.#clock.monotonic() - lastLoginAt < delayMs) {
      throw new BusyError('LOGIN_DELAY', 'the last login was too recent');
    }
  }

  noteLogin(maildrop: string): void {
    this.#record(maildrop).lastLoginAt = this.#clock.monotonic();
  }

  #check(record: AccountRecord, hash: string): void {
    const now = this.#clock.monotonic();
    const refusal = record.refusals.get(hash);
    if (refusal !== undefined && now < refusal.until)
      throw new CredentialsError(
        'AUTH_REFUSED_BEFORE',
        `this password was refused lately; it is tried again in ${seconds(refusal.until - now)} s`,
      );
    if (hash === record.proven) return;
    record.refusedAt = record.refusedAt.filter((at) => at > now - WINDOW_MS);
    if (record.refusedAt.length + record.trying.size >= MAX_REFUSED_PASSWORDS) {
      const [oldest = now] = record.refusedAt;
      const wait = seconds(oldest + WINDOW_MS - now);
      throw new BusyError('LOGIN_BACKOFF', `too many passwords of this account were refused; another one is tried in ${wait} s`);
    }
  }

  #remember(record: AccountRecord, hash: string): void {
    const now = this.#clock.monotonic();
    const times = (record.refusals.get(hash)?.times ?? 0) + 1;
    const minutes = Math.min(2 ** (times - 1), MAX_LOCAL_REFUSAL_MINUTES);
    record.refusals.set(hash, { times, until: now + minutes * MINUTE_MS });
    record.refusedAt.push(now);
    if (record.proven === hash) record.proven = undefined;
  }

  #record(account: string): AccountRecord {
    const name = account.toLowerCase();
    const known = this.#accounts.get(name) ?? this.#strangers.get(name);
    if (known !== undefined) return known;
    const record: AccountRecord = {
      proven: undefined,
      lastLoginAt: undefined,
      refusedAt: [],
      refusals: new LRUCache({ max: MAX_PASSWORDS_REMEMBERED }),
      trying: new Map(),
      backoffUntil: 0,
    };
    this.#strangers.set(name, record);
    return record;
  }
}

function seconds(ms: number): number {
  return Math.max(1, Math.ceil(ms / 1000));
}
