/** Whose folders are whose (RFC 2342): another user's Trash is not ours to fill. */

/** The prefixes of namespaces ("", "INBOX.", "Other Users/"). `foreign` are those of other users and shared ones. */
export interface Namespaces {
  readonly personal: readonly string[];
  readonly foreign: readonly string[];
}

/** True when the folder lies in a personal namespace: the longest prefix that fits decides. INBOX always does. */
export function isPersonal(path: string, namespaces: Namespaces): boolean {
  const personal = path.toUpperCase() === 'INBOX' ? path.length : longestPrefix(path, namespaces.personal);
  return personal >= longestPrefix(path, namespaces.foreign);
}

/** True for a folder directly below a personal namespace, or below INBOX, where many servers keep all personal folders. */
export function isTopLevel(folder: { readonly path: string; readonly delimiter: string | null }, namespaces: Namespaces): boolean {
  if (!isPersonal(folder.path, namespaces)) return false;
  const delimiter = folder.delimiter ?? '';
  const last = delimiter === '' ? -1 : folder.path.lastIndexOf(delimiter);
  const above = last < 0 ? '' : folder.path.slice(0, last + delimiter.length);
  return above === '' || above.toUpperCase() === `INBOX${delimiter}` || namespaces.personal.includes(above);
}

/** Its length, or -1 where none fits. */
function longestPrefix(path: string, prefixes: readonly string[]): number {
  return prefixes.reduce((longest, prefix) => (path.startsWith(prefix) ? Math.max(longest, prefix.length) : longest), -1);
}
