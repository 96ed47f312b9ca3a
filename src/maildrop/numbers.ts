/**
 * The coordinate systems, kept apart by the compiler.
 * - message-number: 1..n in one POP3 session (RFC 1939 section 4); never changes within it.
 * - UID: 1..2^32-1, names a message in one mailbox under one UIDVALIDITY for ever (RFC 3501 section 2.3.1.1).
 * - UIDVALIDITY: 1..2^32-1; when it changes, every UID known before means nothing any more.
 */
declare const brand: unique symbol;
type Branded<Name extends string> = number & { readonly [brand]: Name };

export type MessageNumber = Branded<'MessageNumber'>;
export type Uid = Branded<'Uid'>;
export type UidValidity = Branded<'UidValidity'>;

const MAX_UINT32 = 0xffff_ffff;

function isNonZeroUint32(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value > 0 && value <= MAX_UINT32;
}

/** The highest UID that there can be. */
export const MAX_UID = MAX_UINT32;

export function isUid(value: unknown): value is Uid {
  return isNonZeroUint32(value);
}

/** A number that is known to be a UID. Throws RangeError where it is none. */
export function asUid(value: number): Uid {
  if (!isUid(value)) throw new RangeError(`${value} is no UID`);
  return value;
}

export function isUidValidity(value: unknown): value is UidValidity {
  return isNonZeroUint32(value);
}

/** True for a message-number of a maildrop with `count` messages. */
export function isMessageNumber(value: number, count: number): value is MessageNumber {
  return Number.isInteger(value) && value >= 1 && value <= count;
}

/** The message-number of the message at `index` (0 = first) of a snapshot. */
export function messageNumberAt(index: number): MessageNumber {
  const number = index + 1;
  if (!isMessageNumber(number, number)) throw new RangeError(`no message-number for index ${index}`);
  return number;
}
