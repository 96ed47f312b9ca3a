/** Commands about folders: listing, making, selecting them, and adding a message to one. */
import { type Account, canonicalPath, DELIMITER, type Folder } from './account.ts';
import type { CommandContext, CommandRows, Completion } from './command-context.ts';
import { parseDateTime } from './dates.ts';
import { type ListedFolder, listFolders, quote } from './folder-list.ts';
import type { FakeMailbox } from './mailbox.ts';
import { MailboxView } from './mailbox-view.ts';
import { Arguments, SyntaxFault } from './syntax.ts';

const MISSING = "NO [NONEXISTENT] Mailbox doesn't exist";
const FLAGS = '\\Answered \\Flagged \\Deleted \\Seen \\Draft';
const SELECTION_OPTIONS = ['SPECIAL-USE', 'SUBSCRIBED'];
const RETURN_OPTIONS = ['SPECIAL-USE', 'SUBSCRIBED', 'CHILDREN'];

export const folderCommands: CommandRows = {
  LIST: { in: 'authenticated', run: list },
  LSUB: { in: 'authenticated', run: listSubscribed },
  NAMESPACE: { in: 'authenticated', capability: 'NAMESPACE', run: namespace },
  SELECT: { in: 'authenticated', run: (context, args, account) => select(context, args, account, false) },
  EXAMINE: { in: 'authenticated', run: (context, args, account) => select(context, args, account, true) },
  STATUS: { in: 'authenticated', run: status },
  CREATE: { in: 'authenticated', run: (_context, args, account) => create(args, account) },
  DELETE: { in: 'authenticated', run: (_context, args, account) => remove(args, account) },
  RENAME: { in: 'authenticated', run: (_context, args, account) => rename(args, account) },
  SUBSCRIBE: { in: 'authenticated', run: (_context, args, account) => subscribe(args, account, true) },
  UNSUBSCRIBE: { in: 'authenticated', run: (_context, args, account) => subscribe(args, account, false) },
  APPEND: { in: 'authenticated', run: append },
};

/** LIST, and of LIST-EXTENDED (RFC 5258) what SPECIAL-USE and its like need. */
function list(context: CommandContext, args: Arguments, account: Account): Completion {
  const isExtended = context.has('LIST-EXTENDED') || context.has('SPECIAL-USE');
  const only = isExtended && args.peek()?.kind === 'list' ? options(args, SELECTION_OPTIONS) : [];
  const reference = args.text();
  const patterns = isExtended && args.peek()?.kind === 'list' ? args.list() : [args.take()];
  const returns = isExtended && args.keyword('RETURN') !== undefined ? options(args, RETURN_OPTIONS) : [];
  args.end();
  for (const pattern of new Set(patterns.map((each) => new Arguments([each]).text()))) {
    if (pattern === '') context.out.text(`* LIST (\\Noselect) "${DELIMITER}" ""\r\n`);
    for (const listed of listFolders(account, reference, pattern)) {
      if (isWanted(listed, only))
        context.out.text(`* LIST (${attributes(context, listed, returns)}) "${DELIMITER}" ${quote(listed.path)}\r\n`);
    }
  }
  return 'OK List completed.';
}

function options(args: Arguments, known: readonly string[]): string[] {
  const words = new Arguments([{ kind: 'list', items: args.list() }]).atoms().map((word) => word.toUpperCase());
  if (words.some((word) => !known.includes(word))) throw new SyntaxFault('Unknown LIST option');
  return words;
}

function isWanted({ folder }: ListedFolder, only: readonly string[]): boolean {
  if (only.includes('SPECIAL-USE') && folder?.specialUse === undefined) return false;
  return !only.includes('SUBSCRIBED') || folder?.isSubscribed === true;
}

function attributes(context: CommandContext, { folder, hasChildren }: ListedFolder, returns: readonly string[]): string {
  const words = folder === undefined ? ['\\Noselect'] : [];
  if (context.has('CHILDREN')) words.push(hasChildren ? '\\HasChildren' : '\\HasNoChildren');
  if (returns.includes('SUBSCRIBED') && folder?.isSubscribed === true) words.push('\\Subscribed');
  if (context.has('SPECIAL-USE') && folder?.specialUse !== undefined) words.push(folder.specialUse);
  return words.join(' ');
}

function listSubscribed(context: CommandContext, args: Arguments, account: Account): Completion {
  const reference = args.text();
  const pattern = args.text();
  args.end();
  for (const { path, folder } of listFolders(account, reference, pattern)) {
    if (folder?.isSubscribed === true) context.out.text(`* LSUB () "${DELIMITER}" ${quote(path)}\r\n`);
  }
  return 'OK Lsub completed.';
}

function namespace(context: CommandContext, args: Arguments): Completion {
  args.end();
  context.out.text(`* NAMESPACE (("" "${DELIMITER}")) NIL NIL\r\n`);
  return 'OK Namespace completed.';
}

/** A SELECT that fails leaves no mailbox selected (RFC 3501 section 6.3.1). */
function select(context: CommandContext, args: Arguments, account: Account, isExamine: boolean): Completion {
  const path = args.text();
  // SELECT parameters (RFC 7162 section 3.1.8). These mailboxes have no mod-sequences.
  const asksCondstore = context.has('CONDSTORE') && args.peek()?.kind === 'list' && options(args, ['CONDSTORE']).length > 0;
  args.end();
  context.enter({ phase: 'authenticated', account });
  const mailbox = account.folder(path)?.mailbox;
  if (mailbox === undefined) return MISSING;
  const view = new MailboxView(mailbox, isExamine);
  context.enter({ phase: 'selected', account, view });
  describeSelected(context, view);
  if (asksCondstore) context.out.text('* OK [NOMODSEQ] Sorry\r\n');
  return view.isReadOnly ? `OK [READ-ONLY] ${isExamine ? 'Examine' : 'Select'} completed.` : 'OK [READ-WRITE] Select completed.';
}

function describeSelected(context: CommandContext, { mailbox, messages, isReadOnly }: MailboxView): void {
  const { out } = context;
  const unseen = messages.findIndex((message) => !message.flags.includes('\\Seen')) + 1;
  const permanent = isReadOnly ? '' : `${FLAGS} \\*`;
  out.text(`* FLAGS (${FLAGS})\r\n* OK [PERMANENTFLAGS (${permanent})] Flags permitted.\r\n`);
  out.text(`* ${messages.length} EXISTS\r\n* 0 RECENT\r\n`);
  if (unseen > 0) out.text(`* OK [UNSEEN ${unseen}] First unseen.\r\n`);
  out.text(`* OK [UIDVALIDITY ${mailbox.uidValidity}] UIDs valid\r\n`);
  const uidNext = mailbox.toldUidNext ?? mailbox.uidNext;
  if (uidNext !== 'none') out.text(`* OK [UIDNEXT ${uidNext}] Predicted next UID\r\n`);
  if (mailbox.permitsUidNotSticky) out.text('* NO [UIDNOTSTICKY] UIDs are not persistent\r\n');
}

function status(context: CommandContext, args: Arguments, account: Account): Completion {
  const mailbox = account.folder(args.text())?.mailbox;
  const words = new Arguments([{ kind: 'list', items: args.list() }]).atoms().map((word) => word.toUpperCase());
  args.end();
  if (mailbox === undefined) return MISSING;
  const values = words.map((word) => `${word} ${statusValue(mailbox, word)}`);
  context.out.text(`* STATUS ${quote(mailbox.path)} (${values.join(' ')})\r\n`);
  return 'OK Status completed.';
}

function statusValue(mailbox: FakeMailbox, word: string): number {
  switch (word) {
    case 'MESSAGES':
      return mailbox.messages.length;
    case 'RECENT':
      return 0;
    case 'UIDNEXT':
      return mailbox.uidNext;
    case 'UIDVALIDITY':
      return mailbox.uidValidity;
    case 'UNSEEN':
      return mailbox.messages.filter((message) => !message.flags.includes('\\Seen')).length;
    default:
      throw new SyntaxFault(`Unknown STATUS item ${word}`);
  }
}

function create(args: Arguments, account: Account): Completion {
  const path = withoutTrailingDelimiter(args.text());
  args.end();
  if (path === '') return 'NO [CANNOT] Invalid mailbox name';
  return account.create(path) === undefined ? 'NO [ALREADYEXISTS] Mailbox already exists' : 'OK Create completed.';
}

function remove(args: Arguments, account: Account): Completion {
  const folder = account.folder(args.text());
  args.end();
  if (folder === undefined) return MISSING;
  if (folder.mailbox.path === 'INBOX') return "NO [CANNOT] INBOX can't be deleted";
  account.delete(folder);
  return 'OK Delete completed.';
}

function rename(args: Arguments, account: Account): Completion {
  const folder = account.folder(args.text());
  const path = withoutTrailingDelimiter(args.text());
  args.end();
  if (folder === undefined) return MISSING;
  if (folder.mailbox.path === 'INBOX' || path === '') return 'NO [CANNOT] Not supported here';
  if (account.folder(path) !== undefined) return 'NO [ALREADYEXISTS] Mailbox already exists';
  account.rename(folder, path);
  return 'OK Rename completed.';
}

function withoutTrailingDelimiter(path: string): string {
  return canonicalPath(path.endsWith(DELIMITER) ? path.slice(0, -DELIMITER.length) : path);
}

function subscribe(args: Arguments, account: Account, isSubscribed: boolean): Completion {
  const folder: Folder | undefined = account.folder(args.text());
  args.end();
  if (folder === undefined) return MISSING;
  folder.isSubscribed = isSubscribed;
  return 'OK Subscription changed.';
}

function append(context: CommandContext, args: Arguments, account: Account): Completion {
  const mailbox = account.folder(args.text())?.mailbox;
  const flags = args.peek()?.kind === 'list' ? args.atoms() : [];
  const first = args.astring();
  const hasDate = !args.isEmpty;
  const raw = hasDate ? args.astring() : first;
  args.end();
  const internalDate = hasDate ? parseDateTime(first.toString('latin1')) : undefined;
  if (hasDate && internalDate === undefined) return 'BAD Invalid date';
  if (mailbox === undefined) return "NO [TRYCREATE] Mailbox doesn't exist";
  if (mailbox.readOnly) return 'NO [READ-ONLY] Mailbox is read-only';
  const uid = mailbox.append(raw, { flags, ...(internalDate === undefined ? {} : { internalDate }) });
  return context.has('UIDPLUS') ? `OK [APPENDUID ${mailbox.uidValidity} ${uid}] Append completed.` : 'OK Append completed.';
}
