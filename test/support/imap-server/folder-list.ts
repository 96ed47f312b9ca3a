/** Which folders LIST and LSUB name, and how (RFC 3501 section 6.3.8). */
import { type Account, canonicalPath, DELIMITER, type Folder } from './account.ts';

export interface ListedFolder {
  readonly path: string;
  /** Nothing for a level of hierarchy that is no mailbox itself. */
  readonly folder: Folder | undefined;
  readonly hasChildren: boolean;
}

/** Folders and levels above them whose path fits the pattern. */
export function listFolders(account: Account, reference: string, pattern: string): ListedFolder[] {
  const paths = new Set(account.folders.flatMap(({ mailbox }) => [...ancestors(mailbox.path), mailbox.path]));
  const expression = patternExpression(`${reference}${pattern}`);
  return [...paths]
    .filter((path) => expression.test(path))
    .map((path) => ({
      path,
      folder: account.folder(path),
      hasChildren: [...paths].some((other) => other.startsWith(`${path}${DELIMITER}`)),
    }));
}

/** A mailbox name as an IMAP string. */
export function quote(text: string): string {
  return `"${text.replace(/["\\]/g, '\\$&')}"`;
}

function ancestors(path: string): string[] {
  const names = path.split(DELIMITER);
  return names.slice(1).map((_, index) => names.slice(0, index + 1).join(DELIMITER));
}

/** `*` matches anything, `%` anything within one level. */
function patternExpression(pattern: string): RegExp {
  const source = canonicalPath(pattern)
    .replace(/[.+?^${}()|[\]\\]/g, '\\$&')
    .replaceAll('*', '.*')
    .replaceAll('%', `[^${DELIMITER}]*`);
  return new RegExp(`^${source}$`, 's');
}
