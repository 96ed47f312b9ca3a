/** UID maps and accounts where no daemon runs: opened under its lock, for one request. */
import type { UpstreamCredentials } from '../accounts/accounts.ts';
import { systemClock } from '../clock.ts';
import { AccountAdmin } from '../daemon/account-admin.ts';
import { accountRequests } from '../daemon/account-requests.ts';
import { messageMemory, serviceOf } from '../daemon/bindings.ts';
import { isInParts, type ControlRequests } from '../daemon/control-socket.ts';
import { lockStateDirectory } from '../daemon/daemon-lock.ts';
import { createLog, LiveSecrets } from '../daemon/logging.ts';
import { sessionEvents, type UpstreamService } from '../daemon/login.ts';
import { MaildropAdmin } from '../daemon/maildrop-admin.ts';
import { MaildropLocks } from '../daemon/maildrop-lock.ts';
import { maildropRequests } from '../daemon/maildrop-requests.ts';
import { openAccounts } from '../daemon/open-accounts.ts';
import { openStore } from '../daemon/open-store.ts';
import { provenCredentials, upstreamUserOf } from '../daemon/upstream-proof.ts';
import { StoreError } from '../errors.ts';
import type { UpstreamSession } from '../upstream/upstream.ts';
import type { StateAccess } from './state-access.ts';

/** Does what the daemon would; failures are thrown as they are. */
export async function askDirectly(
  { environment, stateDirectory, loadConfig, progress }: StateAccess,
  request: string,
  params: unknown,
): Promise<unknown> {
  const config = loadConfig();
  if (config.process.store.url === 'memory:')
    throw new StoreError('STORE_FAILED', 'store.url = "memory:" keeps nothing outside the daemon; start it first');
  const secrets = new LiveSecrets();
  const log = createLog({ level: 'warn', pretty: true, write: (line) => environment.warn(line.trimEnd()) }, secrets);
  using _lock = lockStateDirectory(stateDirectory);
  await using opened = openStore(config, { stateDirectory, clock: systemClock, log });
  const { store } = opened;
  await using local = await openAccounts(() => config, { ...environment, stateDirectory, clock: systemClock, log });
  const services: UpstreamService[] = config.upstreams.map((file) =>
    serviceOf(file, messageMemory(config), { clock: systemClock, version: environment.version, keepsConnections: false }),
  );
  const admin = new MaildropAdmin({
    store,
    clock: systemClock,
    locks: new MaildropLocks(systemClock),
    services: () => services,
    upstreamUser: (service, user) => upstreamUserOf(local.accounts, service, user),
  });
  const { signal } = new AbortController();
  const logIn = async (service: UpstreamService, credentials: UpstreamCredentials): Promise<UpstreamSession> =>
    service.upstream.login(await credentials.current(signal), signal);
  const accounts = new AccountAdmin({
    ...local,
    clock: systemClock,
    services: () => services,
    logIn,
  });
  const requests: ControlRequests = {
    ...maildropRequests(admin, {
      admin,
      store,
      events: (service, user) => sessionEvents(log, service, user),
      logIn: async (service, user, password) =>
        logIn(service, await provenCredentials(local.accounts, service, { user, password, by: { address: '', signal } })),
      clock: systemClock,
    }),
    ...accountRequests(accounts),
  };
  // Awaited here: the store must outlive it.
  const answer = await requests[request]?.(params, progress);
  return isInParts(answer) ? await Array.fromAsync(answer) : answer;
}
