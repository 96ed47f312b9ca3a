/** Whether a message that is to be removed is still the one that was listed (CONTRACT section 5.1). Pure. */
import { differ, type Identity } from './rematch.ts';

/** What the map knows of it. */
export interface Recorded {
  /** RFC822.SIZE at the listing. */
  readonly declaredOctets: number;
  readonly trueOctets: number | undefined;
  /** INTERNALDATE, seconds since 1970; 0 where unknown. */
  readonly arrival: number;
  readonly identity: Identity;
}

/** What the server says of the message with that UID now. */
export interface Found {
  readonly octets: number;
  readonly arrival: number;
  readonly identity: Identity;
}

/**
 * An identity decides where it is known on both sides; else arrival and size must agree. A server may measure more exactly once it
 * has sent a message, so the size that was then counted will do.
 */
export function isSameMessage(recorded: Recorded, found: Found): boolean {
  if (differ(recorded.identity, found.identity)) return false;
  if (isKnownToBeTheSame(recorded.identity, found.identity)) return true;
  if (recorded.arrival !== found.arrival) return false;
  return found.octets === recorded.declaredOctets || found.octets === recorded.trueOctets;
}

/** A message without a Message-ID is not known by that. */
export function isKnownToBeTheSame(one: Identity, other: Identity): boolean {
  return (one.given !== '' && one.given === other.given) || (Boolean(one.messageId) && one.messageId === other.messageId);
}
