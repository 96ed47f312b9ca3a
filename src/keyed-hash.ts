/** Makes hashes by which a secret can be recognised but not read. The key is random, and it exists only in the object. */
import { createHmac, createSecretKey, randomBytes } from 'node:crypto';

const KEY_OCTETS = 32;

export class KeyedHash {
  readonly #key = createSecretKey(randomBytes(KEY_OCTETS));

  /** HMAC-SHA256 of the parts; other parts give another hash, also where they hold the same characters. */
  of(parts: readonly unknown[]): Buffer {
    return createHmac('sha256', this.#key).update(JSON.stringify(parts)).digest();
  }

  /** The same in base64. */
  textOf(parts: readonly unknown[]): string {
    return this.of(parts).toString('base64');
  }
}
