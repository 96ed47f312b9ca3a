/**
 * Checks app passwords. A derivation takes memory and a quarter of a second, so few run at a time, and what was tried once is recognised by a
 * keyed hash afterwards: clients poll.
 */
import { createHmac, randomBytes } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import type { AccountKey } from '../store/account-store.ts';
import { matchingHash } from './password-hash.ts';

export interface PasswordCheck {
  readonly of: AccountKey;
  readonly password: string;
  /** Of the account's app passwords; none where there is no such account. */
  readonly hashes: readonly string[];
  /** Derivations to be made, also where fewer would do. */
  readonly atLeast: number;
}

const AT_A_TIME = 2;
const MAX_RECENT = 10_000;

export class PasswordChecker {
  readonly #key = randomBytes(32);
  /** The hash that a password matched, '' for none, by a keyed hash of all that the answer depends on. */
  readonly #recent = new LRUCache<string, string>({ max: MAX_RECENT });
  #running = 0;
  readonly #waiting: (() => void)[] = [];

  /** Which of the hashes is that of the password; -1 for none. Who asked before for one user learns nothing of another. */
  async matching({ of, password, hashes, atLeast }: PasswordCheck): Promise<number> {
    const name = createHmac('sha256', this.#key)
      .update(JSON.stringify([of.upstream, of.user, password, hashes]))
      .digest('base64');
    const known = this.#recent.get(name);
    if (known !== undefined) return hashes.indexOf(known);
    const found = await this.#inTurn(() => matchingHash(password, hashes, atLeast));
    this.#recent.set(name, hashes[found] ?? '');
    return found;
  }

  async #inTurn<T>(work: () => Promise<T>): Promise<T> {
    if (this.#running >= AT_A_TIME) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    else this.#running += 1;
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#running -= 1;
      else next();
    }
  }
}
