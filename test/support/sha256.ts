import { createHash } from 'node:crypto';

/** SHA-256 in hexadecimal. */
export function sha256(octets: Buffer | string): string {
  return createHash('sha256').update(octets).digest('hex');
}
