/** The names of FETCH items (RFC 3501 section 7.4.2 and its extensions), and which of them popbridge reads. */

/** What is done with the value of an item. `other` is a known name whose value nobody reads. */
export type Item = 'uid' | 'octets' | 'arrival' | 'emailId' | 'gmailId' | 'flags' | 'body' | 'other';

const ITEMS: ReadonlyMap<string, Item> = new Map<string, Item>([
  ['UID', 'uid'],
  ['RFC822.SIZE', 'octets'],
  ['INTERNALDATE', 'arrival'],
  ['EMAILID', 'emailId'],
  ['X-GM-MSGID', 'gmailId'],
  ['FLAGS', 'flags'],
  ['BODY', 'body'],
  // Some servers repeat the item as it was asked for.
  ['BODY.PEEK', 'body'],
  ...['RFC822', 'RFC822.HEADER', 'RFC822.TEXT', 'BODYSTRUCTURE', 'ENVELOPE', 'BINARY', 'BINARY.SIZE'].map(
    (name) => [name, 'other'] as const,
  ),
  ...['MODSEQ', 'THREADID', 'SAVEDATE', 'PREVIEW', 'X-GM-THRID', 'X-GM-LABELS'].map((name) => [name, 'other'] as const),
]);
const SHAPE = /^[A-Z][A-Z0-9._-]*$/;

/** The item of that name, in any case; undefined where no server that follows the standards has such an item. */
export function itemNamed(name: string): Item | undefined {
  const known = ITEMS.get(name) ?? ITEMS.get(name.toUpperCase());
  return known ?? (/^X-/i.test(name) ? 'other' : undefined);
}

/** True where a name is written as the names of items usually are: in capitals. */
export function looksLikeItem(name: string): boolean {
  return SHAPE.test(name);
}
