/** What commands ask of the running daemon about UID maps and accounts, and how they log in upstream. */
import type { UpstreamCredentials } from '../accounts/accounts.ts';
import type { UpstreamSession } from '../upstream/upstream.ts';
import { AccountAdmin } from './account-admin.ts';
import { accountRequests } from './account-requests.ts';
import type { ControlRequests } from './control-socket.ts';
import { withOwnSecrets } from './logging.ts';
import { sessionEvents, type LoginParts, type UpstreamService } from './login.ts';
import { MaildropAdmin } from './maildrop-admin.ts';
import type { ImportParts } from './maildrop-import.ts';
import { maildropRequests } from './maildrop-requests.ts';
import type { OpenAccounts } from './open-accounts.ts';
import { provenCredentials, proveUpstream, upstreamUserOf } from './upstream-proof.ts';

export type CommandParts = Omit<LoginParts, 'maxMessageOctets'>;

/** The requests of `popbridge maildrop` and `popbridge account`. `services`: the upstreams that are configured now. */
export function commandRequests(parts: CommandParts, opened: OpenAccounts, services: () => UpstreamService[]): ControlRequests {
  const { store, locks, clock, stopping, accounts } = parts;
  const log = parts.log.withSecrets(parts.secrets);
  const upstreamUser = (service: UpstreamService, user: string): Promise<string> => upstreamUserOf(accounts, service, user);
  const admin = new MaildropAdmin({ store, clock, locks, services, upstreamUser });
  const logIn: ImportParts['logIn'] = async (service, user, password) =>
    logInUpstream(parts, service, await provenCredentials(accounts, service, { user, password, by: { address: '', signal: stopping } }));
  const events: ImportParts['events'] = (service, user) => sessionEvents(log, service, user);
  const accountAdmin = new AccountAdmin({
    ...opened,
    clock,
    services,
    logIn: (service, credentials) => logInUpstream(parts, service, credentials),
  });
  return { ...maildropRequests(admin, { admin, store, events, logIn, clock }), ...accountRequests(accountAdmin) };
}

/** For a command, not for a POP3 client. */
async function logInUpstream(shared: CommandParts, service: UpstreamService, credentials: UpstreamCredentials): Promise<UpstreamSession> {
  const account = JSON.stringify([service.id, credentials.user]);
  const parts = withOwnSecrets(shared);
  const clear = (): void => parts.secrets.clear();
  try {
    const session = await proveUpstream(parts, service, account, credentials, { client: shared.stopping, attempt: shared.stopping });
    session.onEnd(clear);
    return session;
  } catch (error) {
    clear();
    throw error;
  }
}
