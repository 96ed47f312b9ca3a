/** Hashes by which secrets are recognised and never read: the key lives as long as the object, and leaves it nowhere. */
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
