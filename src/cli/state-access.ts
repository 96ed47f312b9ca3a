/** How commands reach UID maps and accounts: through the daemon that runs on the state directory, else directly under its lock. */
import { statSync } from 'node:fs';
import { systemClock } from '../clock.ts';
import type { BridgeConfig } from '../config/schema.ts';
import { AccountAdmin } from '../daemon/account-admin.ts';
import { accountRequests } from '../daemon/account-requests.ts';
import { messageMemory, serviceOf } from '../daemon/bindings.ts';
import { askDaemon } from '../daemon/control-client.ts';
import type { ControlRequests, Progress } from '../daemon/control-socket.ts';
import { lockStateDirectory } from '../daemon/daemon-lock.ts';
import { createLog, LiveSecrets } from '../daemon/logging.ts';
import { sessionEvents, type UpstreamService } from '../daemon/login.ts';
import { MaildropAdmin } from '../daemon/maildrop-admin.ts';
import { maildropRequests } from '../daemon/maildrop-requests.ts';
import { MaildropLocks } from '../daemon/maildrop-lock.ts';
import { openAccounts } from '../daemon/open-accounts.ts';
import { provenCredentials, upstreamUserOf } from '../daemon/upstream-proof.ts';
import type { UpstreamSession } from '../upstream/upstream.ts';
import type { UpstreamCredentials } from '../accounts/accounts.ts';
import { openStore } from '../daemon/open-store.ts';
import {
  BusyError,
  ConfigError,
  CredentialsError,
  InvariantError,
  StoreError,
  UPSTREAM_FAILURE_KINDS,
  UpstreamError,
  type UpstreamFailureKind,
} from '../errors.ts';
import type { CliEnvironment } from './environment.ts';

export interface StateAccess {
  readonly environment: CliEnvironment;
  readonly stateDirectory: string;
  /** Only read where no daemon runs. */
  readonly loadConfig: () => BridgeConfig;
  readonly progress: Progress;
}

/** Asks, and gives what is answered; failures are thrown as they were there. */
export async function askState(access: StateAccess, request: string, params: unknown): Promise<unknown> {
  const { stateDirectory, progress } = access;
  if (statSync(stateDirectory, { throwIfNoEntry: false }) === undefined) {
    throw new StoreError('STORE_FAILED', `there is no state directory ${stateDirectory}; name the one of the daemon with --state`);
  }
  access.environment.becomeOwnerOf(stateDirectory);
  const answer = await askDaemon(stateDirectory, request, params, progress);
  if (answer === undefined) return askDirectly(access, request, params);
  if ('error' in answer) throw rebuilt(answer.error);
  return answer.result;
}

async function askDirectly(
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
  return await requests[request]?.(params, progress);
}

interface RemoteError {
  readonly kind?: string | undefined;
  readonly code: string;
  readonly message: string;
}

/** An error of the daemon's as its own class: the exit code follows from that. */
function rebuilt({ kind, code, message }: RemoteError): Error {
  if (kind === 'BusyError') return new BusyError('MAILDROP_IN_USE', message);
  if (kind === 'CredentialsError') return new CredentialsError('AUTH_REFUSED', message);
  if (kind === 'UpstreamError') return new UpstreamError(upstreamKind(code), message);
  if (kind === 'StoreError') return new StoreError('STORE_FAILED', message);
  if (kind === 'ConfigError') return new ConfigError([{ file: '', key: '', problem: message }]);
  return new InvariantError(message);
}

function upstreamKind(code: string): UpstreamFailureKind {
  const name = code
    .replace(/^UPSTREAM_/, '')
    .toLowerCase()
    .replaceAll('_', '-');
  return UPSTREAM_FAILURE_KINDS.find((kind) => kind === name) ?? 'refused';
}
