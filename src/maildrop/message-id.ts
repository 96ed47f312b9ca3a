/** By what the header of a message tells it from others, wherever it lies. Pure. */

/** The fields that are looked at. */
export const TELLING_FIELDS = ['message-id', 'date', 'from', 'subject'] as const;

/** Between the fields that stand in for a Message-ID: no unfolded field holds one. */
const SEPARATOR = '\n';

/** What some programs write for want of one: it tells no message from another. */
const NO_ID = /^<? ?>?$/;

/**
 * The Message-ID (RFC 5322 section 3.6.4) in a header, or a part of one that holds TELLING_FIELDS; where there is none, or an empty one, date, sender and
 * subject together; undefined where there is nothing of all that. Unfolded; of hostile fields the first 4,096 octets.
 */
export function messageIdIn(header: Buffer): string | undefined {
  const text = header.toString('latin1');
  const messageId = valueOf(text, 'message-id');
  if (messageId !== '' && !NO_ID.test(messageId)) return messageId;
  const standIns = (['date', 'from', 'subject'] as const).map((name) => valueOf(text, name));
  return standIns.every((value) => value === '') ? undefined : standIns.join(SEPARATOR);
}

type TellingField = (typeof TELLING_FIELDS)[number];

const FIELDS: ReadonlyMap<TellingField, RegExp> = new Map(
  TELLING_FIELDS.map((name) => [name, new RegExp(`^${name}[ \\t]*:((?:[^\\r\\n]|\\r?\\n[ \\t]){0,4096})`, 'im')]),
);

/** The value of the first such field; '' where there is none. */
function valueOf(header: string, name: TellingField): string {
  const found = FIELDS.get(name)?.exec(header);
  return found?.[1]?.replace(/\s+/g, ' ').trim() ?? '';
}
