/** App passwords as scrypt hashes. Verifying takes as long for a user who does not exist as for one who does. */
import { randomBytes, scrypt, timingSafeEqual } from 'node:crypto';
import { formatScryptHash, parseScryptHash, scryptMemory, type ScryptCost, type ScryptHash } from '../config/scrypt-hash.ts';

/** 16 MiB for a quarter of a second: one of the settings that OWASP names as equal for scrypt. */
const COST: ScryptCost = { ln: 14, r: 8, p: 5 };
const SALT_OCTETS = 16;
const HASH_OCTETS = 32;
const SPARE_OCTETS = 1024 * 1024;

const NOBODYS_SALT = Buffer.alloc(SALT_OCTETS);

/** A hash for a configuration file or the store; with the salt of another, one derivation checks a password against both. */
export async function hashPassword(password: string, like?: string): Promise<string> {
  const salt = (like === undefined ? undefined : parseScryptHash(like)?.salt) ?? randomBytes(SALT_OCTETS);
  return formatScryptHash({ ...COST, salt, hash: await derived(password, salt, COST, HASH_OCTETS) });
}

/**
 * Which of the hashes is that of the password; -1 for none. Derives once for all that share a salt, and besides what is missing to `atLeast`:
 * as often as it says, at the costs that it says.
 */
export async function matchingHash(password: string, hashes: readonly string[], atLeast: readonly ScryptCost[] = [COST]): Promise<number> {
  const keys = new Map<string, Buffer>();
  let matching = -1;
  for (const [index, one] of hashes.map(parseScryptHash).entries()) {
    if (one === undefined) continue;
    const key = keys.get(derivationOf(one)) ?? (await derived(password, one.salt, one, one.hash.length));
    keys.set(derivationOf(one), key);
    if (timingSafeEqual(key, one.hash)) matching = index;
  }
  for (const cost of missing(atLeast, costsOf(hashes))) await derived(password, NOBODYS_SALT, cost, HASH_OCTETS);
  return matching;
}

/** What it costs to check a password against all of them, one a derivation. */
export function costsOf(hashes: readonly string[]): ScryptCost[] {
  const costs = new Map<string, ScryptCost>();
  for (const one of hashes.map(parseScryptHash)) if (one !== undefined) costs.set(derivationOf(one), one);
  return [...costs.values()].map(({ ln, r, p }) => ({ ln, r, p }));
}

/** What covers the costs of every account, those of none too. */
export function mostCosts(accounts: readonly (readonly ScryptCost[])[]): ScryptCost[] {
  let most = [COST];
  for (const costs of accounts) most = most.concat(missing(costs, most));
  return most;
}

/** What the second lacks of the first. */
function missing(wanted: readonly ScryptCost[], paid: readonly ScryptCost[]): ScryptCost[] {
  const left = paid.map(costName);
  return wanted.filter((cost) => {
    const place = left.indexOf(costName(cost));
    if (place >= 0) left.splice(place, 1);
    return place < 0;
  });
}

function costName({ ln, r, p }: ScryptCost): string {
  return `${ln},${r},${p}`;
}

/** The same for hashes that one derivation serves. */
function derivationOf({ ln, r, p, salt, hash }: ScryptHash): string {
  return JSON.stringify([ln, r, p, salt.toString('base64'), hash.length]);
}

function derived(password: string, salt: Buffer, cost: ScryptCost, octets: number): Promise<Buffer> {
  const options = { N: 2 ** cost.ln, r: cost.r, p: cost.p, maxmem: scryptMemory(cost) + SPARE_OCTETS };
  return new Promise((resolve, reject) => {
    // Composed or not is up to the keyboard.
    scrypt(password.normalize('NFC'), salt, octets, options, (error, key) => (error === null ? resolve(key) : reject(error)));
  });
}
