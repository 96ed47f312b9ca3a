/** scrypt hashes in PHC form: `$scrypt$ln=14,r=8,p=5$SALT$HASH`, base64 without padding. Pure. */

export interface ScryptCost {
  /** N = 2^ln. */
  readonly ln: number;
  readonly r: number;
  readonly p: number;
}

export interface ScryptHash extends ScryptCost {
  readonly salt: Buffer;
  readonly hash: Buffer;
}

/** A hash of a configuration file may cost more than ours, but not the daemon's memory; and not so little that it is soon guessed. */
const MOST_OCTETS = 256 * 1024 * 1024;
const LEAST_OCTETS = 16 * 1024 * 1024;
const MOST_PASSES = 16;
const PHC = /^\$scrypt\$ln=(\d{1,2}),r=(\d{1,3}),p=(\d{1,3})\$([A-Za-z0-9+/]{11,86})\$([A-Za-z0-9+/]{22,86})$/;

/** Undefined where it is none, or one that costs too much to verify, or too little to guess. */
export function parseScryptHash(text: string): ScryptHash | undefined {
  const [, ln = '', r = '', p = '', salt = '', hash = ''] = PHC.exec(text) ?? [];
  const cost = { ln: Number(ln), r: Number(r), p: Number(p) };
  const octets = scryptMemory(cost);
  const isFit = cost.p > 0 && cost.p <= MOST_PASSES && octets >= LEAST_OCTETS && octets <= MOST_OCTETS;
  return isFit ? { ...cost, salt: Buffer.from(salt, 'base64'), hash: Buffer.from(hash, 'base64') } : undefined;
}

export function formatScryptHash({ ln, r, p, salt, hash }: ScryptHash): string {
  return `$scrypt$ln=${ln},r=${r},p=${p}$${unpadded(salt)}$${unpadded(hash)}`;
}

/** Octets that deriving takes. */
export function scryptMemory({ ln, r, p }: ScryptCost): number {
  return 128 * r * (2 ** ln + p);
}

function unpadded(octets: Buffer): string {
  return octets.toString('base64').replace(/=+$/, '');
}
