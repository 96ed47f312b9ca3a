/**
 * Unique-ids (UIDL, RFC 1939 section 7): `{folder}.{uidvalidity}.{uid}`, three times eight hexadecimal digits. Constant
 * length, only 0-9a-f and ".", so equal ignoring case means equal; a folder, an epoch and a UID are never used twice
 * together, so an id is never reused.
 */
import type { Uid, UidValidity } from './numbers.ts';

/** The name of the formula in the UID map; messages keep the one under which they were first shown. */
export const UNIQUE_ID_FORMULA = 'popbridge';

export type UniqueIdOf = (uid: Uid) => string;

/** The formula for one mailbox. `folderTag` is the first 32 bits of the SHA-256 of the mailbox's path. */
export function uniqueIdFormula(folderTag: number, uidValidity: UidValidity): UniqueIdOf {
  const prefix = `${hex8(folderTag)}.${hex8(uidValidity)}.`;
  return (uid) => prefix + hex8(uid);
}

function hex8(value: number): string {
  return value.toString(16).padStart(8, '0');
}
