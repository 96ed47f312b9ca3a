/** The paths that stand for the folders of a list: each folder has one of its own, the same in whatever order the list names them. Pure. */
import type { ListedName } from '../imap/list-response.ts';
import { decodedName, encodedName } from '../imap/mailbox-name.ts';
import { isSameMailbox } from '../maildrop/folder-name.ts';

const INBOX = 'INBOX';

/**
 * By path, those first whose names every server would write so: they keep their paths. Any other one whose path is taken gets its octets into
 * its path. Of a folder that is listed several times the last good line is given, else the first one.
 */
export function foldersByPath(listed: readonly ListedName[], isGood: (name: ListedName) => boolean): Map<string, ListedName> {
  const byPath = new Map<string, ListedName>();
  const usual = listed.filter(isUsual);
  const others = listed.filter((name) => !isUsual(name)).sort(byOctets);
  for (const name of [...usual, ...others]) {
    const path = freePath(name, byPath);
    if (!byPath.has(path) || isGood(name)) byPath.set(path, name);
  }
  return byPath;
}

/** Its path is its name decoded, and encoded again it is the same. INBOX is INBOX in any case (RFC 3501 section 5.1). */
function isUsual(name: ListedName): boolean {
  return isSameMailbox(name.octets, INBOX) || encodedName(pathOf(name)) === name.octets;
}

function freePath(name: ListedName, byPath: ReadonlyMap<string, ListedName>): string {
  if (isSameMailbox(name.octets, INBOX)) return INBOX;
  const isTaken = (path: string): boolean => byPath.has(path) && byPath.get(path)?.octets !== name.octets;
  let path = pathOf(name);
  // A folder may be called like another one with its octets.
  while (isTaken(path)) path += ` (${Buffer.from(name.octets, 'latin1').toString('hex')})`;
  return path;
}

/** Without a delimiter before it, which some servers put before every name. */
function pathOf({ octets, delimiter }: ListedName): string {
  const decoded = decodedName(octets);
  const isLed = delimiter !== '' && decoded !== delimiter && decoded.startsWith(delimiter);
  const bare = isLed ? decoded.slice(delimiter.length) : decoded;
  return isSameMailbox(bare, INBOX) ? INBOX : bare;
}

function byOctets({ octets: one }: ListedName, { octets: other }: ListedName): number {
  return Number(one > other) - Number(one < other);
}
