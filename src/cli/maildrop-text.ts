/** What `popbridge maildrop` prints. Pure. */
import type { MailboxRow, MaildropContents } from '../daemon/maildrop-admin.ts';
import type { ImportReport } from '../daemon/maildrop-import.ts';
import type { MessageRow } from '../daemon/maildrop-rows.ts';

/** So many unique-ids are named in a text; --json names all. */
const MOST_NAMED = 20;

export function listLines(rows: readonly MailboxRow[]): string[] {
  if (rows.length === 0) return ['no maildrop was ever opened with this state directory'];
  const head = ['UPSTREAM', 'USER', 'VIEW', 'FOLDER', 'UIDVALIDITY', 'MESSAGES', 'HIDDEN'];
  return table([
    head,
    ...rows.map(({ upstream, user, view, folder, uidValidity, messages, hidden }) => [
      upstream,
      user,
      view === '' ? '-' : view,
      folder,
      String(uidValidity),
      String(messages),
      String(hidden),
    ]),
  ]);
}

export function showLines({ messages, gone, promised }: MaildropContents): string[] {
  const head = ['UNIQUE-ID', 'FOLDER', 'UID', 'OCTETS', 'ARRIVED', 'STATE'];
  const rows = messages.map((row) => [
    row.uniqueId,
    row.folder,
    String(row.uid),
    String(row.trueOctets ?? row.octets),
    row.arrived ?? '-',
    stateOf(row),
  ]);
  return [
    ...table([head, ...rows]),
    ...promised.map(({ folder, action, uids }) =>
      harmless(`promised and not known to be done: ${action} of ${uids.length} messages in ${folder}`),
    ),
    `${messages.length} messages, ${messages.filter(({ deleted }) => deleted !== null).length} of them hidden; ${gone.length} remembered that are gone`,
  ];
}

/** The contents as one JSON value, in pieces: whole it might be longer than a text can be. */
export function* contentsJson({ messages, gone, promised }: MaildropContents): Generator<string, void, void> {
  yield '{"messages":[';
  yield* listed(messages);
  yield '],"gone":[';
  yield* listed(gone);
  yield `],"promised":${JSON.stringify(promised)}}\n`;
}

function* listed(rows: readonly unknown[]): Generator<string, void, void> {
  for (const [index, row] of rows.entries()) yield `${index === 0 ? '' : ','}${JSON.stringify(row)}`;
}

/** JSON lines: first one that says what they are, then a message each. */
export function exportLines({ messages, gone }: MaildropContents): string[] {
  const head = { popbridge: 'unique-ids', version: 1 };
  return [head, ...messages, ...gone].map((row) => JSON.stringify(row));
}

export function importLines(report: ImportReport, known: number, isDryRun: boolean): string[] {
  const { messages, matched, changed, unmatched, ambiguous } = report;
  return [
    `${known} unique-ids known to clients, ${messages} messages in the maildrop`,
    `matched ${matched}${isDryRun ? '' : `, ${changed} of them now have another unique-id than before`}`,
    `unmatched ${unmatched.length}${named(unmatched)}`,
    `ambiguous ${ambiguous.length}${named(ambiguous)}`,
    ...(isDryRun ? ['nothing was changed (--dry-run)'] : []),
  ];
}

function named(uniqueIds: readonly string[]): string {
  if (uniqueIds.length === 0) return '';
  const more = uniqueIds.length > MOST_NAMED ? ` and ${uniqueIds.length - MOST_NAMED} more` : '';
  return `: ${uniqueIds.slice(0, MOST_NAMED).join(' ')}${more}`;
}

function stateOf({ retrieved, deleted, due }: MessageRow): string {
  if (deleted !== null) return due === 'never' ? `hidden since ${deleted}` : `deleted ${deleted}, due ${due ?? '-'}`;
  return retrieved === null ? 'new' : 'retrieved';
}

/** Control characters, as in a folder's name, can't act on a terminal. */
export function harmless(text: string): string {
  // eslint-disable-next-line no-control-regex -- these are what is looked for
  return text.replaceAll(/[\u0000-\u001f\u007f-\u009f]/g, '?');
}

/** Columns as wide as their longest cell. */
export function table(rows: readonly (readonly string[])[]): string[] {
  const cells = rows.map((row) => row.map(harmless));
  const widths = (cells[0] ?? []).map((_, column) => cells.reduce((widest, row) => Math.max(widest, row[column]?.length ?? 0), 0));
  return cells.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  );
}
