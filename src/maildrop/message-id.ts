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
  const fields = plainFieldsIn(text);
  if (fields === undefined) return undefined;
  const [messageId = '', ...more] = fields.get('message-id') ?? [];
  const isNamed = tells(unfolded(messageId));
  const used = isNamed ? [[messageId]] : STAND_INS.map((name) => fields.get(name) ?? []);
  const isPlain = more.length === 0 && used.every((values) => values.length < 2 && values.every(isPlainValue));
  return isPlain ? (readIn(text) ?? '') : undefined;
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

/** The values of the telling fields by name, folds included. Undefined where a line is neither a field nor a fold with something in it. */
function plainFieldsIn(header: string): Map<string, string[]> | undefined {
  const fields = new Map<string, string[]>();
  let values: string[] | undefined;
  const lines = header.split(/\r?\n/);
  if (lines.pop() !== '') return undefined;
  for (const line of lines) {
    if (/[\0\r]/.test(line)) return undefined;
    if (/^[ \t]+[^ \t]/.test(line) && values !== undefined) {
      values.push(`${values.pop() ?? ''}${line}`);
      continue;
    }
    // RFC 5322 section 2.2: printable ASCII up to the colon.
    const name = /^([!-9;-~]+):/.exec(line)?.[1];
    if (name === undefined) return undefined;
    values = fields.get(name.toLowerCase()) ?? [];
    values.push(line.slice(name.length + 1));
    if (TELLING_FIELDS.some((telling) => telling === name.toLowerCase())) fields.set(name.toLowerCase(), values);
  }
  return fields;
}

/** Nothing in it that a server may recode, replace or cut. */
function isPlainValue(value: string): boolean {
  return value.length < MAX_VALUE && /^[\t -~]*$/.test(value);
}
