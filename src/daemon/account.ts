/** From what a client types as user name to the account upstream (CONTRACT sections 4 and 5.9). Pure. */
import { CredentialsError } from '../errors.ts';

/** How one upstream takes users. */
export interface UserRule {
  /** How a POP user name becomes the IMAP user name: {user} {local} {domain}. */
  readonly username: string;
  readonly domains: readonly string[];
  readonly takesTheRest: boolean;
}

/** Domain lower-cased, local part as typed. */
export function splitUser(user: string): { readonly local: string; readonly domain: string } {
  const at = user.lastIndexOf('@');
  return at < 0 ? { local: user, domain: '' } : { local: user.slice(0, at), domain: user.slice(at + 1).toLowerCase() };
}

/** The IMAP user name for a POP user name. */
export function imapUser(rule: UserRule, user: string): string {
  const { local, domain } = splitUser(user);
  const whole = domain === '' ? local : `${local}@${domain}`;
  const parts: Readonly<Record<string, string>> = { '{user}': whole, '{local}': local, '{domain}': domain };
  return rule.username.replace(/\{(?:user|local|domain)\}/g, (name) => parts[name] ?? name);
}

/** Which of the upstreams on one address takes the user: the only one, else by domain, else the default. */
export function chooseUpstream<Choice extends UserRule>(choices: readonly Choice[], user: string): Choice {
  const [only, ...others] = choices;
  if (only !== undefined && others.length === 0) return only;
  const { domain } = splitUser(user);
  const byDomain = choices.find((choice) => domain !== '' && choice.domains.some((taken) => taken.toLowerCase() === domain));
  const chosen = byDomain ?? choices.find((choice) => choice.takesTheRest);
  if (chosen === undefined) throw new CredentialsError('AUTH_UNKNOWN_USER', 'no upstream takes users of that domain');
  return chosen;
}
