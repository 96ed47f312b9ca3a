/**
 * Checks app passwords. A derivation takes memory and a quarter of a second, so few run at a time, and what was tried once is recognised by a
 * keyed hash afterwards: clients poll.
 */
import { LRUCache } from 'lru-cache';
import type { Clock } from '../clock.ts';
import type { ScryptCost } from '../config/scrypt-hash.ts';
import { KeyedHash } from '../keyed-hash.ts';
import type { AccountKey } from '../store/account-store.ts';
import { FairTurns, type Asker } from './fair-turns.ts';
import { matchingHash } from './password-hash.ts';

export interface PasswordCheck {
  readonly of: AccountKey;
  readonly password: string;
  /** Of the account's app passwords; none where there is no such account. */
  readonly hashes: readonly string[];
  /** Derivations to be made, also where fewer would do. */
  readonly atLeast: readonly ScryptCost[];
  readonly by: Asker;
}

const AT_A_TIME = 2;
const MAX_RECENT = 10_000;

export class PasswordChecker {
  readonly #hash = new KeyedHash();
  /** The hash that a password matched, by a keyed hash of all that the answer depends on. */
  readonly #right = new LRUCache<string, string>({ max: MAX_RECENT });
  /** Apart from those, so that many guesses make none of them forgotten. */
  readonly #wrong = new LRUCache<string, true>({ max: MAX_RECENT });
  readonly #turns: FairTurns;

  constructor(clock: Clock) {
    this.#turns = new FairTurns(AT_A_TIME, clock);
  }

  /**
   * Which of the hashes is that of the password; -1 for none. Who asked before for one user learns nothing of another. Rejects as FairTurns
   * does.
   */
  async matching({ of, password, hashes, atLeast, by }: PasswordCheck): Promise<number> {
    const name = this.#hash.textOf([of.upstream, of.user, password, hashes]);
    const known = this.#right.get(name);
    if (known !== undefined) return hashes.indexOf(known);
    if (this.#wrong.get(name) === true) return -1;
    const found = await this.#turns.run(by, () => matchingHash(password, hashes, atLeast));
    const matched = hashes[found];
    if (matched === undefined) this.#wrong.set(name, true);
    else this.#right.set(name, matched);
    return found;
  }
}
