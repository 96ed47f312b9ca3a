/** By what the header of a message tells it from others, wherever it lies. Pure. */

/** The fields that are looked at. */
export const TELLING_FIELDS = ['message-id', 'date', 'from', 'subject'] as const;

/** Between the fields that stand in for a Message-ID: no unfolded field holds one. */
const SEPARATOR = '\n';

/** What some programs write for want of one: it tells no message from another. */
const NO_ID = /^<? ?>?$/;

/** So much of a field is looked at: its octets, a fold counted as one. */
const MAX_VALUE = 4_096;

/**
 * The Message-ID (RFC 5322 section 3.6.4) in a header, or a part of one that holds TELLING_FIELDS; where there is none, or an empty one, date, sender and
 * subject together; undefined where there is nothing of all that. Unfolded; of hostile fields the first 4,096 octets. Lines end at LF; a CR before it belongs
 * to the line end, and any other CR is a part of its line.
 */
export function messageIdIn(header: Buffer): string | undefined {
  return readIn(header.toString('latin1'));
}

/**
 * The same for the whole header of a message, its last line end included, or '' for a header without anything that tells. Undefined where a
 * server may read that header in another way, so that its answer to HEADER.FIELDS could tell something else.
 */
export function plainMessageIdIn(header: Buffer): string | undefined {
  const text = header.toString('latin1');
  if (!PLAIN_HEADER.test(text)) return undefined;
  const values = plainValuesIn(text);
  const messageId = values['message-id'];
  if (messageId === undefined || tells(messageId)) return messageId;
  const standIns = STAND_INS.map((name) => values[name]);
  if (standIns.includes(undefined)) return undefined;
  return standIns.every((value) => value === '') ? '' : standIns.join(SEPARATOR);
}

/** Everything that messageIdIn has ever told of such a header: earlier versions took a bare CR for the end of a line. */
export function everyMessageIdIn(header: Buffer): string[] {
  const text = header.toString('latin1');
  const readings = [readIn(text), readIn(text.replace(/\r(?!\n)/g, '\n\n'))];
  return [...new Set(readings)].filter((reading) => reading !== undefined);
}

type TellingField = (typeof TELLING_FIELDS)[number];

const STAND_INS = ['date', 'from', 'subject'] as const satisfies readonly TellingField[];

const FIELDS: ReadonlyMap<TellingField, RegExp> = new Map(
  TELLING_FIELDS.map((name) => [
    name,
    // With the flag "m" a bare CR would be the end of a line as well.
    new RegExp(`(?:^|\\n)${name}[ \\t]*:((?:[^\\r\\n]|\\r(?!\\n)|\\r?\\n[ \\t]){0,${MAX_VALUE}})`, 'i'),
  ]),
);

/**
 * Matches a header in which each line is either a field, whose name is printable ASCII up to the colon (RFC 5322 section 2.2), or a fold that is not
 * blank. It holds neither NUL nor a bare CR.
 */
const PLAIN_HEADER = /^(?:[!-9;-~]+:[^\0\r\n]*\r?\n(?:[ \t]+[^ \t\0\r\n][^\0\r\n]*\r?\n)*)*$/;

function readIn(header: string): string | undefined {
  const messageId = valueOf(header, 'message-id');
  if (tells(messageId)) return messageId;
  const standIns = STAND_INS.map((name) => valueOf(header, name));
  return standIns.every((value) => value === '') ? undefined : standIns.join(SEPARATOR);
}

function tells(messageId: string): boolean {
  return messageId !== '' && !NO_ID.test(messageId);
}

/** The value of the first such field; '' where there is none. */
function valueOf(header: string, name: TellingField): string {
  return unfolded(FIELDS.get(name)?.exec(header)?.[1] ?? '');
}

function unfolded(value: string): string {
  return value.replace(/\s+/g, ' ').trim();
}

const LONGEST_NAME = 'message-id'.length;

type PlainValues = Record<TellingField, string | undefined>;

/** Gives the telling fields of a plain header: '' for one that is missing, and undefined for one that a server may read, recode or cut in another way. */
function plainValuesIn(header: string): PlainValues {
  const values: PlainValues = { 'message-id': '', date: '', from: '', subject: '' };
  const seen = new Set<TellingField>();
  for (let at = 0; at < header.length;) {
    const end = endOfField(header, at);
    const colon = header.indexOf(':', at);
    const name = colon - at > LONGEST_NAME ? '' : header.slice(at, colon).toLowerCase();
    if (isTelling(name)) {
      const value = header.slice(colon + 1, end);
      values[name] = seen.has(name) || !isPlainValue(value) ? undefined : unfolded(value);
      seen.add(name);
    }
    at = end;
  }
  return values;
}

function isTelling(name: string): name is TellingField {
  return name === 'message-id' || name === 'date' || name === 'from' || name === 'subject';
}

/** Where the next field begins. */
function endOfField(header: string, from: number): number {
  let at = from;
  do at = header.indexOf('\n', at) + 1;
  while (header[at] === ' ' || header[at] === '\t');
  return at;
}

/** `value` still has the line ends of its folds. */
function isPlainValue(value: string): boolean {
  return /^[\t\r\n -~]*$/.test(value) && value.replace(/\r?\n/g, '').length < MAX_VALUE;
}
