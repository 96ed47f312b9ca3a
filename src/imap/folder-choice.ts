/** The folders that a maildrop shows, of all that the server lists. Pure. */
import { isPattern, isSameMailbox, matchesFolder } from '../maildrop/folder-name.ts';
import type { ListedFolder } from './special-use.ts';

/** Mail that is not to be read, or is not incoming: a pattern never matches these folders, nor what lies below them. */
const NEVER_MATCHED: readonly string[] = ['\\Trash', '\\Junk', '\\Drafts', '\\Sent', '\\All'];

/**
 * The folders named, in that order; those that a pattern matches by their names. A folder stands once, where it was first named. A name
 * without a folder is given as it is: that it does not exist is for the server to say.
 */
export function chosenFolders(patterns: readonly string[], folders: readonly ListedFolder[]): string[] {
  const chosen = new Set<string>();
  for (const pattern of patterns) {
    if (isPattern(pattern)) for (const path of matching(pattern, folders)) chosen.add(path);
    else chosen.add(folders.find(({ path }) => isSameMailbox(path, pattern))?.path ?? pattern);
  }
  return [...chosen];
}

function matching(pattern: string, folders: readonly ListedFolder[]): string[] {
  const excluded = folders.filter(({ specialUses }) => NEVER_MATCHED.some((use) => specialUses.has(use)));
  const isExcluded = (path: string): boolean =>
    excluded.some((other) => path === other.path || (other.delimiter !== '' && path.startsWith(other.path + other.delimiter)));
  const found = folders.filter(
    ({ path, delimiter, isSelectable, isPersonal }) =>
      isSelectable && isPersonal && matchesFolder(pattern, path, delimiter) && !isExcluded(path),
  );
  return found.map(({ path }) => path).sort(byName);
}

/** INBOX first, then by code units: the same on every machine. */
function byName(one: string, other: string): number {
  const isInbox = Number(isSameMailbox(other, 'INBOX')) - Number(isSameMailbox(one, 'INBOX'));
  return isInbox === 0 ? Number(one > other) - Number(one < other) : isInbox;
}
