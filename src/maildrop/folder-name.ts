/** Names of folders, and patterns for them as in LIST (RFC 3501 section 6.3.8). Pure. */

const WILDCARD = /[*%?]/;

/** True when both name the same mailbox: INBOX alone ignores case (RFC 3501 section 5.1). */
export function isSameMailbox(one: string, other: string): boolean {
  return one === other || (isInbox(one) && isInbox(other));
}

/** True for a text that may match several folders. */
export function isPattern(text: string): boolean {
  return WILDCARD.test(text);
}

/** `*` stands for anything, `%` for anything within a level of the hierarchy, `?` for one character; INBOX alone ignores case. */
export function matchesFolder(pattern: string, path: string, delimiter: string): boolean {
  if (!isPattern(pattern)) return isSameMailbox(pattern, path);
  const within = delimiter === '' ? '.*' : `[^${escaped(delimiter)}]*`;
  const wildcards = new Map([
    ['*', '.*'],
    ['%', within],
    ['?', '.'],
  ]);
  const parts = pattern.split(/([*%?])/).map((part) => wildcards.get(part) ?? escaped(part));
  return new RegExp(`^(?:${parts.join('')})$`, 'su').test(path);
}

function isInbox(path: string): boolean {
  return path.toUpperCase() === 'INBOX';
}

function escaped(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&');
}
