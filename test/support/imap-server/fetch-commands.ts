/** FETCH and UID FETCH. Bodies are sent as the octets that were stored. */
import type { CommandContext, CommandRows, Completion } from './command-context.ts';
import { formatDateTime } from './dates.ts';
import { type FetchItem, parseFetchItems, type SectionItem } from './fetch-request.ts';
import type { FakeMessage } from './mailbox.ts';
import type { MailboxView, NumberedMessage } from './mailbox-view.ts';
import { sectionOf, textOf } from './message-parts.ts';
import type { Arguments } from './syntax.ts';

const NO_ADDRESSES = 'NIL NIL NIL NIL NIL NIL';

export const fetchCommands: CommandRows = {
  FETCH: { in: 'selected', forbidsExpunge: true, run: (context, args, view) => fetch(context, args, view, 'sequence') },
  'UID FETCH': { in: 'selected', run: (context, args, view) => fetch(context, args, view, 'uid') },
};

async function fetch(context: CommandContext, args: Arguments, view: MailboxView, by: 'uid' | 'sequence'): Promise<Completion> {
  const set = args.atom();
  const items = parseFetchItems(args);
  args.end();
  if (by === 'uid' && !items.some((item) => item.kind === 'UID')) items.unshift({ kind: 'UID' });
  const chosen = view.select(set, by);
  const present = chosen.filter(({ message }) => !message.isExpunged);
  const rows = present.slice(0, Math.max(present.length - (context.fetchFault.omitRows ?? 0), 0));
  for (const row of rows) await sendRow(context, view, row, items);
  const isMissing = by === 'sequence' && present.length < chosen.length;
  return isMissing ? 'NO [EXPUNGEISSUED] Some of the requested messages no longer exist.' : 'OK Fetch completed.';
}

async function sendRow(context: CommandContext, view: MailboxView, row: NumberedMessage, items: readonly FetchItem[]): Promise<void> {
  const { out, fetchFault } = context;
  const { message } = row;
  const isNewlySeen = markSeen(view, message, items);
  const sent = fetchFault.emptyBody === true ? items.filter((item) => item.kind !== 'section') : items;
  out.text(`* ${row.sequence} FETCH (`);
  for (const [index, item] of sent.entries()) {
    if (index > 0) out.text(' ');
    if (item.kind === 'section') await sendSection(context, message, item);
    else out.text(`${item.kind} ${plainValue(item.kind, message)}`);
  }
  if (isNewlySeen && !items.some((item) => item.kind === 'FLAGS')) out.text(`${sent.length > 0 ? ' ' : ''}FLAGS ${flagList(message)}`);
  out.text(')\r\n');
  await out.flushIfLarge();
}

/** Reading a body marks the message, in a mailbox that may be changed. */
function markSeen(view: MailboxView, message: FakeMessage, items: readonly FetchItem[]): boolean {
  const marks = items.some((item) => item.kind === 'section' && item.marksSeen);
  if (!marks || view.isReadOnly || message.flags.includes('\\Seen')) return false;
  view.mailbox.changeFlags(message, [...message.flags, '\\Seen'], view);
  return true;
}

async function sendSection(context: CommandContext, message: FakeMessage, item: SectionItem): Promise<void> {
  const octets = sectionOf(message.raw, item.section);
  context.out.text(`${item.label} `);
  if (octets === undefined || context.fetchFault.emptyBody === 'NIL') context.out.text('NIL');
  else if (item.partial === undefined) await context.out.literal(octets);
  else await context.out.literal(octets.subarray(item.partial.offset, item.partial.offset + item.partial.count));
}

function plainValue(kind: Exclude<FetchItem['kind'], 'section'>, message: FakeMessage): string {
  switch (kind) {
    case 'UID':
      return String(message.uid);
    case 'FLAGS':
      return flagList(message);
    case 'INTERNALDATE':
      return formatDateTime(message.internalDate);
    case 'RFC822.SIZE':
      return String(message.declaredSize ?? message.raw.length);
    case 'ENVELOPE':
      return `(NIL NIL ${NO_ADDRESSES} NIL NIL)`;
    case 'BODY':
    case 'BODYSTRUCTURE':
      return bodyStructure(message.raw);
  }
}

/** Every message is one plain text here. */
function bodyStructure(raw: Buffer): string {
  const text = textOf(raw);
  const lines = text.toString('latin1').split('\n').length - 1;
  return `("TEXT" "PLAIN" ("CHARSET" "US-ASCII") NIL NIL "7BIT" ${text.length} ${lines})`;
}

function flagList(message: FakeMessage): string {
  return `(${message.flags.join(' ')})`;
}
