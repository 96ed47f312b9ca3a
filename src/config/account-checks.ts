/** What the keys of local accounts and of OAuth 2.0 mean together. Pure. */
import { namedSources } from './account-config.ts';
import type { CrossFault } from './cross-checks.ts';
import { shown } from './fault-text.ts';
import type { KeyPath } from './key-path.ts';
import { presetNamed } from './presets/presets.ts';
import type { FileTables } from './schema.ts';
import { canonicalUser } from './user-name.ts';

/** Faults of [[account]]. */
export function checkAccounts({ account, login, oauth }: FileTables): CrossFault[] {
  if (account.length > 0 && login.mode !== 'accounts') {
    const problem = 'has no use with login.mode = "upstream"; set mode = "accounts" in [login], or leave the accounts out';
    return [{ path: ['account'], problem, reads: [['login', 'mode']] }];
  }
  const users = account.map(({ user }) => canonicalUser(user));
  return account.flatMap((one, index) => {
    const at = (key: string): KeyPath => ['account', index, key];
    const faults: CrossFault[] = [];
    const [source, second] = namedSources(one);
    if (users.indexOf(users[index] ?? '') < index)
      faults.push({ path: at('user'), problem: `${shown(one.user)} is declared twice; leave one out`, reads: [] });
    if (one.password_hashes.length === 0)
      faults.push({
        path: at('password_hashes'),
        problem: 'is empty; give one per device, as "popbridge account hash" prints it',
        reads: [],
      });
    if (source === undefined)
      faults.push({ path: at('upstream_password_file'), problem: `is missing; give it, or one of ${OTHER_SOURCES}`, reads: [] });
    if (second !== undefined)
      faults.push({ path: at(second), problem: `is set beside ${source}; give one source of upstream credentials`, reads: [] });
    if (one.oauth && oauth === undefined)
      faults.push({ path: at('oauth'), problem: 'needs the table [oauth] with your client registration', reads: [['oauth']] });
    return faults;
  });
}

const OTHER_SOURCES = 'upstream_password_command, upstream_credential, oauth = true';

const ANY_TENANT = 'common';

/** Faults of [oauth]. */
export function checkOAuth({ oauth, login, upstream }: FileTables): CrossFault[] {
  if (oauth === undefined) return [];
  const at = (key: string): KeyPath => ['oauth', key];
  if (login.mode !== 'accounts') {
    const problem = 'needs local accounts, as a POP3 client can not sign in; set mode = "accounts" in [login], or leave the table out';
    return [{ path: ['oauth'], problem, reads: [['login', 'mode']] }];
  }
  const faults: CrossFault[] = [];
  const known = presetNamed(upstream?.preset ?? '')?.oauth;
  const reads: readonly KeyPath[] = [['upstream', 'preset'], at('issuer'), at('flow')];
  if (oauth.client_id === '')
    faults.push({ path: at('client_id'), problem: 'is missing; give the id of your own client registration at the provider', reads: [] });
  if (oauth.issuer === '' && known === undefined)
    faults.push({
      path: at('issuer'),
      problem: 'is missing; give it, or an upstream.preset that knows the provider (popbridge presets)',
      reads,
    });
  if (oauth.flow === 'device' && oauth.issuer === '' && known !== undefined && known.device === undefined)
    faults.push({
      path: at('flow'),
      problem: `"device" is not given by ${upstream?.preset ?? ''} for mail; must be "code" or "paste"`,
      reads,
    });
  const hasTenants = oauth.issuer === '' && (known === undefined || known.authorization.includes('{tenant}'));
  if (oauth.tenant !== ANY_TENANT && !hasTenants)
    faults.push({ path: at('tenant'), problem: 'has no use but with the preset "outlook"; leave it out', reads });
  if (oauth.flow !== 'client-credentials') return faults;
  if (oauth.client_secret_file === '')
    faults.push({ path: at('client_secret_file'), problem: 'is missing; flow = "client-credentials" needs it', reads: [at('flow')] });
  if (oauth.issuer === '' && known !== undefined && known.applicationScopes === undefined)
    faults.push({
      path: at('flow'),
      problem: `"client-credentials" is not given by ${upstream?.preset ?? ''}; must be "code" or "paste"`,
      reads,
    });
  return faults;
}
