/**
 * Which folder takes what a POP3 client deletes (CONTRACT section 5.10): the special-use folder (RFC 6154) first, then the
 * configured one, then one with a known, perhaps localised, name, else one to be created.
 */
import { isSameMailbox } from '../maildrop/folder-name.ts';

export type FolderRole = 'trash' | 'archive';

/** A folder as the server lists it. `role` as the server tells it (RFC 6154), `namedRole` as its name suggests. */
export interface ListedFolder {
  readonly path: string;
  /** Between the levels of the hierarchy; '' where there are none. */
  readonly delimiter: string;
  readonly isSelectable: boolean;
  /** It belongs to this user, not to another one or to all. */
  readonly isPersonal: boolean;
  /** Its attributes, and what its name suggests: \\Trash, \\Sent. */
  readonly specialUses: ReadonlySet<string>;
  readonly role: FolderRole | undefined;
  readonly namedRole: FolderRole | undefined;
}

export interface ChosenFolder {
  readonly path: string;
  readonly mustBeCreated: boolean;
}

const CREATED_NAMES: { readonly [Role in FolderRole]: string } = { trash: 'Trash', archive: 'Archive' };

/** Chooses among all folders of an account. `prefix` is where personal folders live on that server ("INBOX." on some). */
export function chooseFolder(
  folders: readonly ListedFolder[],
  role: FolderRole,
  configured: string | undefined,
  prefix: string,
): ChosenFolder {
  const selectable = folders.filter((folder) => folder.isSelectable);
  const special = selectable.find((folder) => folder.role === role);
  if (special !== undefined) return { path: special.path, mustBeCreated: false };
  if (configured !== undefined) return namedFolder(selectable, configured);
  const known = selectable.find((folder) => folder.namedRole === role);
  return known === undefined ? namedFolder(selectable, prefix + CREATED_NAMES[role]) : { path: known.path, mustBeCreated: false };
}

/** A folder named by the operator: as it is listed, or to be created. INBOX is the same in any case (RFC 3501 section 5.1). */
export function namedFolder(folders: readonly ListedFolder[], path: string): ChosenFolder {
  const listed = folders.find((folder) => isSameMailbox(folder.path, path));
  return { path: listed?.path ?? path, mustBeCreated: listed === undefined };
}
