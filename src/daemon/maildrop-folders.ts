/** Which folders a maildrop shows, and how sure it is that they are there. */
import type { ViewConfig } from '../config/schema.ts';
import { UpstreamError } from '../errors.ts';
import { chosenFolders } from '../imap/folder-choice.ts';
import { chooseFolder, namedFolder, type ListedFolder } from '../imap/special-use.ts';
import { isPlainName, isSameMailbox, unescapedName } from '../maildrop/folder-name.ts';
import type { FolderList, UpstreamSession } from '../upstream/upstream.ts';

export interface MaildropFolder {
  readonly path: string;
  /** The configuration names it; else a pattern matches it. */
  readonly isNamed: boolean;
  /** False where the server's list leaves it out, or says that it cannot be opened: only opening it tells whether it is there. */
  readonly isListed: boolean;
}

/**
 * The view's folders; the server is only asked for them where a text may mean more than the name that it spells. `shownBefore` are paths of
 * folders that the maildrop showed once: one that is missing in the list, or cannot be opened by it, need not be gone.
 */
export async function foldersOf(
  view: ViewConfig,
  session: UpstreamSession,
  shownBefore: () => Promise<readonly string[]>,
  signal: AbortSignal,
): Promise<readonly MaildropFolder[]> {
  const { folders } = view.maildrop;
  if (folders.every(isPlainName)) return folders.map((path) => ({ path, isNamed: true, isListed: true }));
  const listed = await session.folders(signal);
  // What clients delete must not come back to them from where it went.
  const target = targetOf(view.delete, listed);
  const isOpenable = (path: string): boolean => listed.folders.some((one) => one.isSelectable && isSameMailbox(one.path, path));
  const leftOut = (await shownBefore()).filter((path) => !session.wasMissing(path) && !isOpenable(path));
  const others = listed.folders.filter(({ path }) => !leftOut.some((one) => isSameMailbox(one, path)));
  const paths = chosenFolders(folders, [...others, ...leftOut.map((path) => asListed(path, listed))], target);
  if (paths.length === 0) throw noneMatches(view);
  return paths.map((path) => ({ path, isNamed: folders.some((text) => isNamedBy(text, path)), isListed: !leftOut.includes(path) }));
}

/** To be thrown where none of a view's folders is there. */
export function noneMatches({ maildrop: { folders } }: ViewConfig): UpstreamError {
  return new UpstreamError('missing', `no folder matches ${folders.join(', ')}`);
}

function isNamedBy(text: string, path: string): boolean {
  return isSameMailbox(text, path) || isSameMailbox(unescapedName(text), path);
}

/** As the server would list it if it could be opened: patterns need to know what divides the levels of the hierarchy. */
function asListed(path: string, { folders }: FolderList): ListedFolder {
  const known = folders.find((one) => isSameMailbox(one.path, path));
  if (known !== undefined) return { ...known, isSelectable: true };
  const delimiter = folders.find((one) => one.delimiter !== '')?.delimiter ?? '';
  return { path, delimiter, isSelectable: true, isPersonal: true, role: undefined, namedRole: undefined, specialUses: new Set() };
}

function targetOf({ action, folder }: ViewConfig['delete'], { folders, prefix }: FolderList): string | undefined {
  if (action === 'trash' || action === 'archive') return chooseFolder(folders, action, folder, prefix).path;
  return action === 'move' ? namedFolder(folders, folder ?? '').path : undefined;
}
