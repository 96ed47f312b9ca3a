/**
 * Holds logins back before anything is tried, so that a client that hangs up gains nothing: by address and by account. A password
 * that was right lately does not wait behind the guesses of others. Names and passwords are kept as keyed hashes only.
 */
import { LRUCache } from 'lru-cache';
import type { Clock } from '../clock.ts';
import { KeyedHash } from '../keyed-hash.ts';
import { LoginLine, WINDOW_MS, type Leave, type LineRules } from './login-line.ts';

/** Who wants to log in. */
export interface Applicant {
  /** Address or network of the client. */
  readonly address: string;
  /** The name of the account: it is the same whatever view and spelling the client chose. */
  readonly account: string;
  readonly password: string;
}

/**
 * What became of a login: `right` and `wrong` are about the client's own password, `turned-away` is one password too many, and
 * `undecided` says nothing about the password.
 */
export type LoginOutcome = 'right' | 'wrong' | 'turned-away' | 'undecided';

/** A login that may be tried now. Its outcome must be told; only the first one counts. */
export type Settle = (outcome: LoginOutcome) => void;

/** What is known of an account with which somebody has logged in. */
interface Proven {
  /** The last passwords that were right. */
  readonly passwords: LRUCache<string, true>;
  /** From where, and what else was tried from there: when, by the hash of the password. */
  readonly addresses: LRUCache<string, Map<string, number>>;
}

const MAX_ADDRESSES = 10_000;
const MAX_ACCOUNTS = 10_000;
const MAX_ADDRESS_DELAY_MS = 30_000;
const MAX_ACCOUNT_DELAY_MS = 8_000;
/** So many wrong passwords for one account, from whatever addresses, do not make anybody wait. */
const FREE_OF_AN_ACCOUNT = 5;
/** So many different wrong passwords of one account are tried within ten minutes. */
const MAX_REFUSED_OF_AN_ACCOUNT = 20;
const MAX_PASSWORDS = 10;
const MAX_ADDRESSES_OF_AN_ACCOUNT = 20;
/** An address that has tried so many other passwords in ten minutes waits with the right one too: else guesses could be tried without a pause. */
const MAX_MISSES = 20;

export class LoginGate {
  readonly #clock: Clock;
  readonly #hash = new KeyedHash();
  readonly #ofAddress: LineRules;
  readonly #addresses = new LRUCache<string, LoginLine>({ max: MAX_ADDRESSES });
  readonly #accounts = new LRUCache<string, LoginLine>({ max: MAX_ACCOUNTS });
  readonly #proven = new LRUCache<string, Proven>({ max: MAX_ACCOUNTS });
  #refusals = 0;

  /** `freeFailures`: refused logins that an address has in ten minutes before its next ones wait. */
  constructor(clock: Clock, freeFailures: () => number) {
    this.#clock = clock;
    this.#ofAddress = { free: freeFailures, mostDelayMs: MAX_ADDRESS_DELAY_MS, mostRefused: Number.POSITIVE_INFINITY };
  }

  /**
   * Resolves when the login may be tried. Rejects with BusyError LOGIN_BACKOFF where too many passwords of the account were wrong or the
   * wait takes too long, and with UpstreamError `unreachable` when the signal aborts.
   */
  async admit({ address, account, password }: Applicant, signal: AbortSignal): Promise<Settle> {
    const hash = this.#hash.textOf([account, password]);
    const atAddress = this.#line(this.#addresses, address, this.#ofAddress);
    const atAccount = this.#line(this.#accounts, account, OF_AN_ACCOUNT);
    const places: Leave[] = [];
    let isSettled = false;
    const leave = (): void => places.splice(0).forEach((place) => place());
    const noteRefused = (): void => atAddress.noteRefused(String((this.#refusals += 1)));
    if (!this.#mayPass(account, address, hash)) places.push(await atAddress.enter(signal));
    try {
      if (this.#proven.get(account)?.passwords.has(hash) !== true) places.push(await atAccount.enter(signal));
    } catch (error) {
      // Here the password was compared with the right ones: that is a guess, also where the client has left.
      noteRefused();
      leave();
      throw error;
    }
    return (outcome) => {
      if (isSettled) return;
      isSettled = true;
      if (outcome === 'right') this.#remember(account, address, hash);
      if (outcome === 'wrong') {
        this.#proven.get(account)?.passwords.delete(hash);
        atAccount.noteRefused(hash);
      }
      if (outcome === 'wrong' || outcome === 'turned-away') noteRefused();
      leave();
    };
  }

  /** Whether the password was right lately from this very address, which has not tried many others meanwhile. */
  #mayPass(account: string, address: string, hash: string): boolean {
    const proven = this.#proven.get(account);
    const misses = proven?.addresses.get(address);
    if (proven === undefined || misses === undefined) return false;
    const now = this.#clock.monotonic();
    for (const [miss, at] of misses) if (at <= now - WINDOW_MS) misses.delete(miss);
    const hasMissedOften = misses.size >= MAX_MISSES;
    const isRight = proven.passwords.has(hash);
    if (!isRight && !hasMissedOften) misses.set(hash, now);
    return isRight && !hasMissedOften;
  }

  #remember(account: string, address: string, hash: string): void {
    const proven = this.#proven.get(account) ?? {
      passwords: new LRUCache({ max: MAX_PASSWORDS }),
      addresses: new LRUCache({ max: MAX_ADDRESSES_OF_AN_ACCOUNT }),
    };
    this.#proven.set(account, proven);
    proven.passwords.set(hash, true);
    if (!proven.addresses.has(address)) proven.addresses.set(address, new Map());
  }

  #line(lines: LRUCache<string, LoginLine>, name: string, rules: LineRules): LoginLine {
    const known = lines.get(name);
    if (known !== undefined) return known;
    const line = new LoginLine(this.#clock, rules);
    lines.set(name, line);
    return line;
  }
}

const OF_AN_ACCOUNT: LineRules = {
  free: () => FREE_OF_AN_ACCOUNT,
  mostDelayMs: MAX_ACCOUNT_DELAY_MS,
  mostRefused: MAX_REFUSED_OF_AN_ACCOUNT,
};
