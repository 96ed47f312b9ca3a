/** User names as clients type them, and as servers know them (CONTRACT sections 4 and 5.9). Pure. */

/** Domain lower-cased, local part as typed. */
export function splitUser(user: string): { readonly local: string; readonly domain: string } {
  const at = user.lastIndexOf('@');
  return at < 0 ? { local: user, domain: '' } : { local: user.slice(0, at), domain: user.slice(at + 1).toLowerCase() };
}

/** Gives all spellings of a user the same form. A name without a domain stays as it was typed, and so does one that ends in "@". */
export function canonicalUser(user: string): string {
  const { local, domain } = splitUser(user);
  return domain === '' ? user : `${local}@${domain}`;
}

/** The IMAP user name for a POP user name, by a template of {user}, {local} and {domain}. */
export function imapUserName(template: string, user: string): string {
  const { local, domain } = splitUser(user);
  const parts: Readonly<Record<string, string>> = { '{user}': canonicalUser(user), '{local}': local, '{domain}': domain };
  return template.replace(/\{(?:user|local|domain)\}/g, (name) => parts[name] ?? name);
}
