/** The folders that a maildrop shows, of all that the server lists. Pure. */
import { isPattern, isSameMailbox, matchesFolder, unescapedName } from '../maildrop/folder-name.ts';
import type { ListedFolder } from './special-use.ts';

/** Mail that is not to be read, or is not incoming: a pattern never matches these folders, nor what lies below them. */
const NEVER_MATCHED: readonly string[] = ['\\Trash', '\\Junk', '\\Drafts', '\\Sent', '\\All'];

/**
 * The folders that these texts name, in that order; those that a pattern matches by their names. A folder stands once, where it was first named.
 * A folder whose name is exactly as written wins over every other reading of the text, and need not be the user's own. A name without a folder
 * is given as it is: that it does not exist is for the server to say. `deletedTo`, where deleted mail goes, is never matched by a pattern.
 */
export function chosenFolders(texts: readonly string[], folders: readonly ListedFolder[], deletedTo?: string): string[] {
  const isExcluded = excludedFrom(folders);
  const matching = (pattern: string): readonly string[] =>
    folders
      .filter(({ isSelectable, isPersonal, path }) => isSelectable && isPersonal && path !== deletedTo && !isExcluded(path))
      .filter(({ path, delimiter }) => matchesFolder(pattern, path, delimiter))
      .map(({ path }) => path)
      .sort(byName);
  return [...new Set(texts.flatMap((text) => asWritten(text, folders) ?? (isPattern(text) ? matching(text) : named(text, folders))))];
}

/** A folder that can only be opened in theory does not stand in the way of the pattern that it looks like. */
function asWritten(text: string, folders: readonly ListedFolder[]): string | undefined {
  return folders.find(({ path, isSelectable }) => isSameMailbox(path, text) && (isSelectable || !isPattern(text)))?.path;
}

function named(text: string, folders: readonly ListedFolder[]): string {
  const name = unescapedName(text);
  return folders.find(({ path }) => isSameMailbox(path, name))?.path ?? name;
}

/** Tells which paths are those of folders that are never matched, or lie below one. A server may list very many of either. */
function excludedFrom(folders: readonly ListedFolder[]): (path: string) => boolean {
  const excluded = folders.filter(({ specialUses }) => NEVER_MATCHED.some((use) => specialUses.has(use)));
  const delimiters = new Map(excluded.map(({ path, delimiter }) => [path, delimiter]));
  const lengths = [...new Set(excluded.map(({ path }) => path.length))];
  const isBelow = (path: string, length: number): boolean => {
    const delimiter = delimiters.get(path.slice(0, length)) ?? '';
    return delimiter !== '' && path.startsWith(delimiter, length);
  };
  return (path) => delimiters.has(path) || lengths.some((length) => length < path.length && isBelow(path, length));
}

/** INBOX first, then by code units: the same on every machine. */
function byName(one: string, other: string): number {
  const isInbox = Number(isSameMailbox(other, 'INBOX')) - Number(isSameMailbox(one, 'INBOX'));
  return isInbox === 0 ? Number(one > other) - Number(one < other) : isInbox;
}
