/**
 * Secrets at rest: AES-256-GCM under the newest key, bound to what they are for, so that one can't be put in another's place. Each says
 * which key opens it: during a rotation there are several.
 */
import { createCipheriv, createDecipheriv, createHash, randomBytes } from 'node:crypto';
import { StoreError } from '../errors.ts';

export const KEY_OCTETS = 32;

const VERSION = 1;
const KEY_ID_OCTETS = 8;
const NONCE_OCTETS = 12;
const TAG_OCTETS = 16;
const HEAD_OCTETS = 1 + KEY_ID_OCTETS + NONCE_OCTETS;

export class SecretBox {
  readonly #keys: readonly Buffer[];

  /** Keys of 32 octets; the first seals, all open. */
  constructor(keys: readonly Buffer[]) {
    this.#keys = keys;
  }

  /** `context` is whose secret it is and what for; it must be the same when it is opened. */
  seal(secret: string, context: readonly string[]): Uint8Array {
    const [key] = this.#keys;
    if (key === undefined) throw unreadable('there is no key to seal it with');
    const head = Buffer.concat([Buffer.of(VERSION), idOf(key), randomBytes(NONCE_OCTETS)]);
    const cipher = createCipheriv('aes-256-gcm', key, head.subarray(1 + KEY_ID_OCTETS)).setAAD(authenticated(head, context));
    const sealed = Buffer.concat([cipher.update(secret, 'utf8'), cipher.final()]);
    return Buffer.concat([head, sealed, cipher.getAuthTag()]);
  }

  /** Throws SECRETS_UNREADABLE where no key fits, or where it was changed or belongs elsewhere. */
  open(octets: Uint8Array, context: readonly string[]): string {
    const sealed = Buffer.from(octets);
    const key = this.#keyOf(sealed);
    if (key === undefined) throw unreadable('it was sealed with another key');
    const head = sealed.subarray(0, HEAD_OCTETS);
    const decipher = createDecipheriv('aes-256-gcm', key, head.subarray(1 + KEY_ID_OCTETS), { authTagLength: TAG_OCTETS });
    decipher.setAAD(authenticated(head, context)).setAuthTag(sealed.subarray(-TAG_OCTETS));
    try {
      return Buffer.concat([decipher.update(sealed.subarray(HEAD_OCTETS, -TAG_OCTETS)), decipher.final()]).toString('utf8');
    } catch {
      throw unreadable('it was changed, or belongs elsewhere');
    }
  }

  /** Whether it was sealed with the newest key. */
  isCurrent(octets: Uint8Array): boolean {
    return this.#keyOf(Buffer.from(octets)) === this.#keys[0];
  }

  #keyOf(sealed: Buffer): Buffer | undefined {
    if (sealed.length < HEAD_OCTETS + TAG_OCTETS || sealed[0] !== VERSION) return undefined;
    return this.#keys.find((key) => idOf(key).equals(sealed.subarray(1, 1 + KEY_ID_OCTETS)));
  }
}

/** Tells keys apart; nothing of the key follows from it. */
function idOf(key: Buffer): Buffer {
  return createHash('sha256').update('popbridge key id').update(key).digest().subarray(0, KEY_ID_OCTETS);
}

function authenticated(head: Buffer, context: readonly string[]): Buffer {
  return Buffer.concat([head, Buffer.from(JSON.stringify(context))]);
}

function unreadable(reason: string): StoreError {
  return new StoreError('SECRETS_UNREADABLE', `a stored secret cannot be read: ${reason}`);
}
