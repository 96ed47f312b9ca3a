/** Unique-ids that other POP3 servers made. Pure. */

export const MAX_FOREIGN_ID_OCTETS = 128;
const FOREIGN_ID = /^[\x21-\x7e]{1,128}$/;

/** True for what a server may have given: visible ASCII (RFC 1939 section 7), though longer than the 70 octets that it allows. */
export function isForeignUniqueId(text: string): boolean {
  return FOREIGN_ID.test(text);
}
