/**
 * Unique-ids (UIDL, RFC 1939 section 7). A template such as `{uidvalidity}.{uid}` says how they are made, also as other servers
 * make them, so that a site can move here and no client fetches its mail again. Applied to a mailbox it becomes a formula,
 * `1600000000.{uid}`, under which messages are kept in the UID map for ever, whatever the mailbox is called later. A formula
 * `=TEXT` is the unique-id of a single message, octet for octet.
 */
import type { UidValidity } from './numbers.ts';

/** What a mailbox puts into the unique-ids of its messages. */
export interface MailboxNames {
  /** The first 32 bits of the SHA-256 of the mailbox's path. */
  readonly folderTag: number;
  readonly uidValidity: UidValidity;
}

/** A template that was found to be good; see `parseTemplate`. */
export interface UniqueIdTemplate {
  /** The template itself, also where it was given by name; or GMAIL. */
  readonly text: string;
  readonly parts: readonly TemplatePart[];
}

/** A template applied to a mailbox: text with at most one `{uid…}`. */
export type UniqueIdFormula = string;

type FieldName = 'folder' | 'uidvalidity' | 'uid';

interface Field {
  readonly name: FieldName;
  /** `d`, `x` or `X`: decimal, hexadecimal, in capitals. */
  readonly kind: string;
  /** Filled up with zeros to this many digits. */
  readonly minDigits: number;
}

type TemplatePart = string | Field;

/**
 * Templates by name (CONTRACT section 4): Dovecot's default `%08Xu%08Xv`, Cyrus' uidl_format "cyrus", Courier's `UID%lu-%lu`, and
 * the `%08lx%08lx` of UW's ipop3d.
 *
 * Courier's is that of messages whose number and UIDVALIDITY stand in its courierpop3dsizelist, as all that its present versions
 * saw first. It still shows older ones as `UID%lu` alone or under their file names, which no template can make. These numbers are
 * its POP3 server's own: the ids are the same where the upstream took them over as UID and UIDVALIDITY.
 */
const NAMED_TEMPLATES: ReadonlyMap<string, string> = new Map([
  ['popbridge', '{folder:08x}.{uidvalidity:08x}.{uid:08x}'],
  ['dovecot', '{uid:08x}{uidvalidity:08x}'],
  ['cyrus', '{uidvalidity}.{uid}'],
  ['courier', 'UID{uid}-{uidvalidity}'],
  ['uw', '{uidvalidity:08x}{uid:08x}'],
]);

/** Ids that follow from what the server calls a message, not from its UID; see gmailUniqueId. */
export const GMAIL = 'gmail';

/** RFC 1939 section 7. */
const MAX_CHARACTERS = 70;
const MAX_UINT32 = 0xffff_ffff;
const MAX_UINT64 = 0xffff_ffff_ffff_ffffn;
const LITERAL = /^[A-Za-z0-9.-]+$/;
const FIELD = /^\{(folder|uidvalidity|uid)(?::(?:0(10|[1-9]))?([dxX]))?\}$/;
const VERBATIM = '=';

/** For messages to which the configured template would give the id of another one; attempts count from 2. */
export function fallbackFormula(names: MailboxNames, attempt: number): UniqueIdFormula {
  const parts = [hexadecimal('folder'), '.', hexadecimal('uidvalidity'), '.', hexadecimal('uid'), `.${attempt}`];
  return applyTemplate({ text: '', parts }, names);
}

/** Parses a template, or takes the one of that name. Says what is wrong where ids would be no ids or could name two messages. */
export function parseTemplate(text: string): UniqueIdTemplate | { readonly problem: string } {
  const parts: TemplatePart[] = [];
  if (text === GMAIL) return { text: GMAIL, parts: [hexadecimal('folder'), '.', hexadecimal('uidvalidity'), '.', hexadecimal('uid')] };
  const template = NAMED_TEMPLATES.get(text) ?? text;
  for (const piece of pieces(template)) {
    const part = LITERAL.test(piece) ? piece : parseField(piece);
    if (part === undefined) return { problem: `${JSON.stringify(piece)} can't stand in it` };
    parts.push(part);
  }
  const problem = problemOf(parts);
  return problem === undefined ? { text: template, parts } : { problem };
}

/** True when the ids of several folders of one maildrop can't collide. */
export function tellsFolders({ parts }: UniqueIdTemplate): boolean {
  return parts.some((part) => typeof part !== 'string' && part.name === 'folder');
}

export function applyTemplate({ parts }: UniqueIdTemplate, { folderTag, uidValidity }: MailboxNames): UniqueIdFormula {
  const applied = parts.map((part) => {
    if (typeof part === 'string') return part;
    if (part.name === 'uid') return `{uid:0${part.minDigits}${part.kind}}`;
    return digits(part, part.name === 'folder' ? folderTag : uidValidity);
  });
  return applied.join('');
}

/** Every formula under which a server that popbridge knows may have made the ids of a mailbox. */
export function formulasOfServers(names: MailboxNames): UniqueIdFormula[] {
  const templates = [...NAMED_TEMPLATES.keys(), '{uidvalidity}-{uid}'].map(parseTemplate);
  return templates.flatMap((template) => ('problem' in template ? [] : [applyTemplate(template, names)]));
}

/** The formula of one message whose unique-id is that text. */
export function verbatimFormula(uniqueId: string): UniqueIdFormula {
  return VERBATIM + uniqueId;
}

export function isVerbatim(formula: UniqueIdFormula): boolean {
  return formula.startsWith(VERBATIM);
}

/**
 * The unique-id under which Gmail's own POP3 server shows the message of an X-GM-MSGID, which IMAP gives in decimal digits; undefined
 * where the text is no such number of 64 bits. What Gmail prints is not documented; the test names where it was seen.
 */
export function gmailUniqueId(msgid: string): string | undefined {
  if (!/^[1-9][0-9]{0,19}$/.test(msgid)) return undefined;
  const number = BigInt(msgid);
  return number > MAX_UINT64 ? undefined : `GmailId${number.toString(16)}`;
}

/** True for an id as `gmailUniqueId` makes it: it always names the same message. */
export function isGmailId(formula: UniqueIdFormula): boolean {
  return formula.startsWith(`${VERBATIM}GmailId`);
}

/** False where no id of the one formula can be an id of the other, ignoring case. */
export function mayGiveTheSame(one: UniqueIdFormula, other: UniqueIdFormula): boolean {
  const [first, second] = [endsOf(one), endsOf(other)];
  const startsAlike = first.before.startsWith(second.before) || second.before.startsWith(first.before);
  return startsAlike && (first.after.endsWith(second.after) || second.after.endsWith(first.after));
}

/** How every id of a formula begins and ends, in lower case. */
function endsOf(formula: UniqueIdFormula): { readonly before: string; readonly after: string } {
  const text = formula.toLowerCase();
  if (isVerbatim(text)) return { before: text.slice(VERBATIM.length), after: text.slice(VERBATIM.length) };
  const { before, field, after } = aroundUid(text);
  return { before, after: field === undefined ? before : after };
}

/** From the UID that stands in an id to the id. */
export function uniqueIdsOf(formula: UniqueIdFormula): (uid: number) => string {
  if (isVerbatim(formula)) return () => formula.slice(VERBATIM.length);
  const { before, field, after } = aroundUid(formula);
  return (uid) => before + (field === undefined ? '' : digits(field, uid)) + after;
}

/** The UID for which the formula gives that id, ignoring case; undefined where there is none. */
export function uidInId(formula: UniqueIdFormula, uniqueId: string): number | undefined {
  const { before, field, after } = aroundUid(formula);
  if (field === undefined || isVerbatim(formula)) return undefined;
  const text = uniqueId.slice(before.length, uniqueId.length - after.length);
  const uid = /^[0-9A-Fa-f]{1,10}$/.test(text) ? Number.parseInt(text, radixOf(field)) : 0;
  const isIt = uid > 0 && uid <= MAX_UINT32 && uniqueIdsOf(formula)(uid).toLowerCase() === uniqueId.toLowerCase();
  return isIt ? uid : undefined;
}

function aroundUid(formula: UniqueIdFormula): { readonly before: string; readonly field: Field | undefined; readonly after: string } {
  const start = formula.indexOf('{');
  const end = formula.indexOf('}') + 1;
  if (start < 0) return { before: formula, field: undefined, after: '' };
  return { before: formula.slice(0, start), field: parseField(formula.slice(start, end)), after: formula.slice(end) };
}

function pieces(text: string): string[] {
  return text.split(/(\{[^{}]*\})/).filter((piece) => piece !== '');
}

function parseField(piece: string): Field | undefined {
  const [, name, minDigits = '1', kind = 'd'] = FIELD.exec(piece) ?? [];
  if (name !== 'folder' && name !== 'uidvalidity' && name !== 'uid') return undefined;
  return { name, kind, minDigits: Number(minDigits) };
}

function problemOf(parts: readonly TemplatePart[]): string | undefined {
  const names = parts.flatMap((part) => (typeof part === 'string' ? [] : [part.name]));
  const missing = (['uidvalidity', 'uid'] as const).find((name) => !names.includes(name));
  if (missing !== undefined) return `{${missing}} is missing: without it an id could name two messages`;
  if (new Set(names).size < names.length) return 'a field stands in it twice';
  const characters = parts.reduce((sum, part) => sum + (typeof part === 'string' ? part.length : maxDigits(part)), 0);
  if (characters > MAX_CHARACTERS) return `ids could have ${characters} characters; at most ${MAX_CHARACTERS}`;
  return isReadable(parts)
    ? undefined
    : 'two messages could share an id; put "." or "-" after a field, or give it all digits, as {uid:08x}';
}

/**
 * True when the fields can be read back from every id. Those of constant length are counted off. Of the others each but the last
 * must be followed by a character that is no digit of its own.
 */
function isReadable(parts: readonly TemplatePart[]): boolean {
  const elastic = parts.flatMap((part, index) => (typeof part !== 'string' && part.minDigits < maxDigits(part) ? [index] : []));
  return elastic.slice(0, -1).every((index) => {
    const after = parts[index + 1];
    return typeof after === 'string' && !/^[0-9A-Fa-f]/.test(after);
  });
}

function hexadecimal(name: FieldName): Field {
  return { name, kind: 'x', minDigits: 8 };
}

function radixOf({ kind }: Field): number {
  return kind === 'd' ? 10 : 16;
}

function maxDigits(field: Field): number {
  return MAX_UINT32.toString(radixOf(field)).length;
}

function digits(field: Field, value: number): string {
  const text = value.toString(radixOf(field)).padStart(field.minDigits, '0');
  return field.kind === 'X' ? text.toUpperCase() : text;
}
