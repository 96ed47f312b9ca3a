/** App passwords as scrypt hashes. Verifying takes as long for a user who does not exist as for one who does. */
import { randomBytes, scrypt, timingSafeEqual } from 'node:crypto';
import { formatScryptHash, parseScryptHash, scryptMemory, type ScryptCost } from '../config/scrypt-hash.ts';

/** 16 MiB for a quarter of a second: one of the settings that OWASP names as equal for scrypt. */
const COST: ScryptCost = { ln: 14, r: 8, p: 5 };
const SALT_OCTETS = 16;
const HASH_OCTETS = 32;
const SPARE_OCTETS = 1024 * 1024;

/** Of no password: for users that do not exist. */
const NOBODYS_HASH = { ...COST, salt: Buffer.alloc(SALT_OCTETS), hash: Buffer.alloc(HASH_OCTETS) };

/** A hash for a configuration file or the store; with the salt of another, one derivation checks a password against both. */
export async function hashPassword(password: string, like?: string): Promise<string> {
  const salt = (like === undefined ? undefined : parseScryptHash(like)?.salt) ?? randomBytes(SALT_OCTETS);
  return formatScryptHash({ ...COST, salt, hash: await derived(password, salt, COST, HASH_OCTETS) });
}

/** Which of the hashes is that of the password; -1 for none. Derives once for all that share a salt, and once where there are no hashes. */
export async function matchingHash(password: string, hashes: readonly string[]): Promise<number> {
  const keys = new Map<string, Buffer>();
  const isNobody = hashes.length === 0;
  let matching = -1;
  for (const [index, one] of (isNobody ? [NOBODYS_HASH] : hashes.map(parseScryptHash)).entries()) {
    if (one === undefined) continue;
    const { ln, r, p, salt, hash } = one;
    const name = JSON.stringify([ln, r, p, salt.toString('base64'), hash.length]);
    const key = keys.get(name) ?? (await derived(password, salt, one, hash.length));
    keys.set(name, key);
    if (timingSafeEqual(key, hash) && !isNobody) matching = index;
  }
  return matching;
}

function derived(password: string, salt: Buffer, cost: ScryptCost, octets: number): Promise<Buffer> {
  const options = { N: 2 ** cost.ln, r: cost.r, p: cost.p, maxmem: scryptMemory(cost) + SPARE_OCTETS };
  return new Promise((resolve, reject) => {
    // Composed or not is up to the keyboard.
    scrypt(password.normalize('NFC'), salt, octets, options, (error, key) => (error === null ? resolve(key) : reject(error)));
  });
}
