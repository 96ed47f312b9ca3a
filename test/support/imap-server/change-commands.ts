/** Commands that change messages of the selected mailbox: STORE, EXPUNGE, COPY, MOVE, CLOSE. */
import type { Account } from './account.ts';
import type { CommandContext, CommandRows, Completion } from './command-context.ts';
import type { FakeMailbox, FakeMessage } from './mailbox.ts';
import type { MailboxView, NumberedMessage } from './mailbox-view.ts';
import { formatNumbers } from './sequence-set.ts';
import { type Arguments, SyntaxFault } from './syntax.ts';

type By = 'uid' | 'sequence';

const READ_ONLY = 'NO [READ-ONLY] Mailbox is read-only';
const NO_TARGET = "NO [TRYCREATE] Mailbox doesn't exist";

export const changeCommands: CommandRows = {
  STORE: { in: 'selected', forbidsExpunge: true, run: (context, args, view) => store(context, args, view, 'sequence') },
  'UID STORE': { in: 'selected', run: (context, args, view) => store(context, args, view, 'uid') },
  EXPUNGE: { in: 'selected', run: (_context, args, view) => expunge(args, view) },
  'UID EXPUNGE': { in: 'selected', capability: 'UIDPLUS', run: (_context, args, view) => expungeSet(args, view) },
  COPY: { in: 'selected', run: (context, args, view, account) => copy(context, args, view, account, 'sequence') },
  'UID COPY': { in: 'selected', run: (context, args, view, account) => copy(context, args, view, account, 'uid') },
  MOVE: { in: 'selected', capability: 'MOVE', run: (context, args, view, account) => move(context, args, view, account, 'sequence') },
  'UID MOVE': { in: 'selected', capability: 'MOVE', run: (context, args, view, account) => move(context, args, view, account, 'uid') },
  CLOSE: { in: 'selected', run: close },
  UNSELECT: { in: 'selected', capability: 'UNSELECT', run: unselect },
};

function store(context: CommandContext, args: Arguments, view: MailboxView, by: By): Completion {
  const set = args.atom();
  const match = /^([+-]?)FLAGS(\.SILENT)?$/i.exec(args.atom());
  if (match === null) throw new SyntaxFault('Unknown STORE item');
  const flags = args.atoms();
  args.end();
  const chosen = view.select(set, by).filter(({ message }) => !message.isExpunged);
  if (view.isReadOnly) return READ_ONLY;
  for (const { sequence, message } of chosen) {
    view.mailbox.changeFlags(message, combineFlags(message.flags, match[1] ?? '', flags), view);
    if (match[2] !== undefined) continue;
    context.out.text(`* ${sequence} FETCH (${by === 'uid' ? `UID ${message.uid} ` : ''}FLAGS (${message.flags.join(' ')}))\r\n`);
  }
  return 'OK Store completed.';
}

function combineFlags(old: readonly string[], sign: string, flags: readonly string[]): readonly string[] {
  if (sign === '') return flags;
  const named = new Set(flags.map((flag) => flag.toUpperCase()));
  const others = old.filter((flag) => !named.has(flag.toUpperCase()));
  return sign === '+' ? [...others, ...flags] : others;
}

function expunge(args: Arguments, view: MailboxView): Completion {
  args.end();
  if (view.isReadOnly) return READ_ONLY;
  view.mailbox.remove(view.messages.filter(isMarkedDeleted));
  return 'OK Expunge completed.';
}

function expungeSet(args: Arguments, view: MailboxView): Completion {
  const chosen = view.select(args.atom(), 'uid').map(({ message }) => message);
  args.end();
  if (view.isReadOnly) return READ_ONLY;
  view.mailbox.remove(chosen.filter(isMarkedDeleted));
  return 'OK Expunge completed.';
}

function copy(context: CommandContext, args: Arguments, view: MailboxView, account: Account, by: By): Completion {
  const chosen = view.select(args.atom(), by);
  const target = account.folder(args.text())?.mailbox;
  args.end();
  if (target === undefined) return NO_TARGET;
  if (target.readOnly) return READ_ONLY;
  const copied = chosen.filter(({ message }) => !message.isExpunged);
  return `OK ${copyInto(context, copied, target)}Copy completed.`;
}

function move(context: CommandContext, args: Arguments, view: MailboxView, account: Account, by: By): Completion {
  const chosen = view.select(args.atom(), by);
  const target = account.folder(args.text())?.mailbox;
  args.end();
  if (target === undefined) return NO_TARGET;
  if (view.isReadOnly || target.readOnly) return READ_ONLY;
  const moved = chosen.filter(({ message }) => !message.isExpunged);
  const code = copyInto(context, moved, target);
  // The code belongs before the EXPUNGEs, which the news bring (RFC 6851 section 4.3).
  if (code !== '') context.out.text(`* OK ${code}Moved UIDs.\r\n`);
  view.mailbox.remove(moved.map(({ message }) => message));
  return 'OK Move completed.';
}

/** Adds copies with flags and dates as they are; tells the COPYUID code (RFC 4315 section 3) where there is something to tell. */
function copyInto(context: CommandContext, rows: readonly NumberedMessage[], target: FakeMailbox): string {
  const uids = rows.map(({ message }) => target.append(message.raw, copyOptions(message)));
  if (!context.has('UIDPLUS') || uids.length === 0) return '';
  return `[COPYUID ${target.uidValidity} ${formatNumbers(rows.map(({ message }) => message.uid))} ${formatNumbers(uids)}] `;
}

function copyOptions({ flags, internalDate, declaredSize }: FakeMessage) {
  return { flags, internalDate, ...(declaredSize === undefined ? {} : { declaredSize }) };
}

/** Expunges without telling (RFC 3501 section 6.4.2). */
function close(context: CommandContext, args: Arguments, view: MailboxView, account: Account): Completion {
  args.end();
  if (!view.isReadOnly) view.mailbox.remove(view.messages.filter(isMarkedDeleted));
  context.enter({ phase: 'authenticated', account });
  return 'OK Close completed.';
}

function unselect(context: CommandContext, args: Arguments, _view: MailboxView, account: Account): Completion {
  args.end();
  context.enter({ phase: 'authenticated', account });
  return 'OK Unselect completed.';
}

function isMarkedDeleted(message: FakeMessage): boolean {
  return message.flags.includes('\\Deleted') && !message.isExpunged;
}
