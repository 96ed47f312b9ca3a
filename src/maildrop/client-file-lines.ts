/** What the readers of clients' files share: lines, accounts, and which ids can be any. */
import { isForeignUniqueId, MAX_FOREIGN_ID_OCTETS } from './foreign-unique-id.ts';

/** The unique-ids that a client's file holds for one account. */
export interface KnownIds {
  /** Host as the client names it; undefined where the file's content doesn't tell. */
  readonly server: string | undefined;
  readonly user: string | undefined;
  readonly uniqueIds: readonly string[];
}

/** Takes the lines of one file, in order. Both functions give what is wrong and what would be right, or undefined. */
export interface ClientFileReader {
  readonly accounts: Accounts;
  line(text: string): string | undefined;
  end(): string | undefined;
}

const MAX_SHOWN_CHARACTERS = 60;

/** Accounts in the order in which they were first named; an id counts once in each. */
export class Accounts {
  readonly #byName = new Map<string, KnownIds & { readonly uniqueIds: string[]; readonly seen: Set<string> }>();

  /** Names an account, as text of `linesOf`; it may have been named before. */
  add(server: string | undefined, user: string | undefined): void {
    this.#account(server, user);
  }

  /** Takes an id of an account. Gives the problem where it can be none. */
  addId(server: string | undefined, user: string | undefined, uniqueId: string): string | undefined {
    if (!isForeignUniqueId(uniqueId)) {
      return `${shownText(uniqueId)} can be no unique-id, which has 1 to ${MAX_FOREIGN_ID_OCTETS} visible ASCII characters`;
    }
    const { uniqueIds, seen } = this.#account(server, user);
    if (!seen.has(uniqueId)) uniqueIds.push(uniqueId);
    seen.add(uniqueId);
    return undefined;
  }

  list(): KnownIds[] {
    return [...this.#byName.values()].map(({ server, user, uniqueIds }) => ({ server, user, uniqueIds }));
  }

  #account(server: string | undefined, user: string | undefined): KnownIds & { readonly uniqueIds: string[]; readonly seen: Set<string> } {
    const name = `${server ?? ''}\n${user ?? ''}`;
    const known = this.#byName.get(name);
    if (known !== undefined) return known;
    const account = { server: asName(server), user: asName(user), uniqueIds: [], seen: new Set<string>() };
    this.#byName.set(name, account);
    return account;
  }
}

/** The lines, one character an octet (latin1), without their LF and the CRs before it, and without empty ones at the end. */
export function linesOf(octets: Buffer): string[] {
  // Editors on Windows put a UTF-8 byte order mark first, which would become a part of the first name.
  const text = octets.toString('latin1').replace(/^\xef\xbb\xbf/, '');
  const lines = text.split('\n').map((line) => line.replace(/\r+$/, ''));
  return lines.slice(0, lines.findLastIndex((line) => line !== '') + 1);
}

/** A piece of a file for a message: quoted, short, visible characters only. */
export function shownText(text: string): string {
  const visible = text.slice(0, MAX_SHOWN_CHARACTERS).replace(/[^\x20-\x7e]/g, '?');
  return `"${visible}"${text.length > MAX_SHOWN_CHARACTERS ? '…' : ''}`;
}

/** Host and user are UTF-8 to those who write them; where they are not, latin1. */
function asName(latin1: string | undefined): string | undefined {
  if (latin1 === undefined) return undefined;
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.from(latin1, 'latin1'));
  } catch {
    return latin1;
  }
}
