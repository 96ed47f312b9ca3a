/** The mailboxes of one user. */
import { FakeMailbox } from './mailbox.ts';

export const DELIMITER = '/';

export interface FolderOptions {
  readonly path: string;
  /** With its backslash: `\Trash`. */
  readonly specialUse?: string;
}

export interface Folder {
  readonly mailbox: FakeMailbox;
  readonly specialUse: string | undefined;
  isSubscribed: boolean;
}

export class Account {
  readonly user: string;
  readonly #clock: () => Date;
  readonly #folders = new Map<string, Folder>();
  #lastUidValidity: number;

  constructor(user: string, folders: readonly FolderOptions[], clock: () => Date) {
    this.user = user;
    this.#clock = clock;
    this.#lastUidValidity = Math.floor(clock().getTime() / 1000);
    for (const { path, specialUse } of [{ path: 'INBOX' }, ...folders] as readonly FolderOptions[]) this.create(path, specialUse);
  }

  get folders(): readonly Folder[] {
    return [...this.#folders.values()];
  }

  folder(path: string): Folder | undefined {
    return this.#folders.get(canonicalPath(path));
  }

  /** Makes a folder, or nothing where there is one already. */
  create(path: string, specialUse?: string): Folder | undefined {
    const name = canonicalPath(path);
    if (this.#folders.has(name)) return undefined;
    this.#lastUidValidity += 1;
    const folder = { mailbox: new FakeMailbox(name, this.#lastUidValidity, this.#clock), specialUse, isSubscribed: true };
    this.#folders.set(name, folder);
    return folder;
  }

  delete(folder: Folder): void {
    this.#folders.delete(folder.mailbox.path);
    folder.mailbox.invalidate();
  }

  /** Renames a folder and all below it. */
  rename(folder: Folder, path: string): void {
    const from = folder.mailbox.path;
    for (const each of this.folders) {
      const old = each.mailbox.path;
      if (old !== from && !old.startsWith(`${from}${DELIMITER}`)) continue;
      this.#folders.delete(old);
      each.mailbox.path = `${path}${old.slice(from.length)}`;
      this.#folders.set(each.mailbox.path, each);
    }
  }
}

/** INBOX is INBOX however it is spelt (RFC 3501 section 5.1). */
export function canonicalPath(path: string): string {
  return path.toUpperCase() === 'INBOX' ? 'INBOX' : path;
}
