/** From what a client types as user name to the account upstream (CONTRACT sections 4 and 5.9). Pure. */
import { imapUserName, splitUser } from '../config/user-name.ts';
import { CredentialsError } from '../errors.ts';

/** How one upstream takes users. */
export interface UserRule {
  /** How a POP user name becomes the IMAP user name: {user} {local} {domain}. */
  readonly username: string;
  readonly domains: readonly string[];
  readonly takesTheRest: boolean;
  /** By name; '' is what clients see that name none. */
  readonly views: ReadonlyMap<string, unknown>;
}

/** The IMAP user name for a POP user name. */
export function imapUser(rule: UserRule, user: string): string {
  return imapUserName(rule.username, user);
}

/** Which maildrop of which account a user name means. */
export interface MaildropName {
  /** The user name without prefix and view. */
  readonly user: string;
  /** Undefined where none is named. */
  readonly view: string | undefined;
  /** With the prefix `recent:`. */
  readonly isRecent: boolean;
}

const RECENT = 'recent:';

/** Takes a user name apart, for an upstream with these views: after the last "/" stands a view only where there are any. */
export function maildropName({ views }: Pick<UserRule, 'views'>, typed: string): MaildropName {
  const isRecent = typed.startsWith(RECENT);
  const rest = isRecent ? typed.slice(RECENT.length) : typed;
  const slash = views.size > 1 ? rest.lastIndexOf('/') : -1;
  return slash < 0 ? { user: rest, view: undefined, isRecent } : { user: rest.slice(0, slash), view: rest.slice(slash + 1), isRecent };
}

/** Throws CredentialsError where there is no such view: which views there are is for users alone. */
export function viewNamed<View>(views: ReadonlyMap<string, View>, { view: name }: MaildropName): View {
  const view = name === '' ? undefined : views.get(name ?? '');
  if (view === undefined) throw new CredentialsError('AUTH_UNKNOWN_VIEW', `there is no view ${JSON.stringify(name)}`);
  return view;
}

/** Which of the upstreams on one address takes the user: the only one, else by domain, else the default; undefined where none does. */
export function upstreamOf<Choice extends UserRule>(choices: readonly Choice[], typed: string): Choice | undefined {
  const [only, ...others] = choices;
  if (only !== undefined && others.length === 0) return only;
  const byDomain = choices.find((choice) => {
    const { domain } = splitUser(maildropName(choice, typed).user);
    return domain !== '' && choice.domains.some((taken) => taken.toLowerCase() === domain);
  });
  return byDomain ?? choices.find((choice) => choice.takesTheRest);
}

/** The same; throws CredentialsError where none does. */
export function chooseUpstream<Choice extends UserRule>(choices: readonly Choice[], typed: string): Choice {
  const chosen = upstreamOf(choices, typed);
  if (chosen === undefined) throw new CredentialsError('AUTH_UNKNOWN_USER', 'no upstream takes users of that domain');
  return chosen;
}
