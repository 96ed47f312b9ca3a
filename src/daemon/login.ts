/**
 * From a POP3 client's credentials to an open maildrop, in the order that keeps every promise: gate, account, throttle, credentials
 * proven upstream, then the view and the lock (never before: RFC 2449 section 8.1.2), then the listing.
 */
import type { LRUCache } from 'lru-cache';
import type { Accounts, UpstreamCredentials } from '../accounts/accounts.ts';
import type { Asker } from '../accounts/fair-turns.ts';
import type { Clock } from '../clock.ts';
import { canonicalUser } from '../config/user-name.ts';
import { BusyError, CredentialsError, toBridgeError, UpstreamError, type BridgeError } from '../errors.ts';
import type { ViewConfig } from '../config/schema.ts';
import type { Credentials } from '../pop3/sasl.ts';
import type { MaildropKey, Store } from '../store/store.ts';
import type { Upstream, UpstreamSession } from '../upstream/upstream.ts';
import { removalMethod } from '../upstream/removal.ts';
import { imapUser, maildropName, upstreamOf, viewNamed, type MaildropName, type UserRule } from './account.ts';
import type { BackgroundWork } from './background-work.ts';
import { limitedAs } from './client-network.ts';
import type { LoggedIn } from './connection-parts.ts';
import { lookBack } from './look-back.ts';
import { LiveSecrets, type Log } from './logging.ts';
import { measureLater } from './measure-later.ts';
import type { LoginGate, LoginOutcome, Settle } from './login-gate.ts';
import type { LoginThrottle } from './login-throttle.ts';
import type { LockHolder, MaildropLocks } from './maildrop-lock.ts';
import { upstreamPolicy } from './deletion.ts';
import { MaildropSession, type SessionEvents } from './maildrop-session.ts';
import { openMaildrop, type OpenedMaildrop } from './open-maildrop.ts';
import type { SessionCounter } from './session-limits.ts';
import type { ListedChanges } from './listed-changes.ts';
import type { SnapshotCache } from './snapshot-cache.ts';
import type { Turns } from './turns.ts';
import { UpstreamLink } from './upstream-link.ts';
import { provenCredentials, proveUpstream } from './upstream-proof.ts';

/** One configured upstream, ready to be logged in to. */
export interface UpstreamService extends UserRule {
  readonly id: string;
  readonly upstream: Upstream;
  readonly views: ReadonlyMap<string, ViewConfig>;
  readonly loginDelayMs: number;
  /** Whose password the POP3 client gives: the upstream's, or a local account's. */
  readonly mode: 'upstream' | 'accounts';
  /** Its accounts sign in with OAuth 2.0, unless told otherwise. */
  readonly hasOAuth: boolean;
}

/** What all logins share. */
export interface LoginParts {
  readonly store: Store;
  readonly clock: Clock;
  readonly locks: MaildropLocks;
  readonly snapshots: SnapshotCache;
  readonly listedChanges: ListedChanges;
  /** UPDATEs of one account, one after another. */
  readonly turns: Turns;
  readonly gate: LoginGate;
  readonly throttle: LoginThrottle;
  readonly counter: SessionCounter;
  readonly secrets: LiveSecrets;
  readonly tokens: LiveSecrets;
  readonly log: Log;
  readonly maxMessageOctets: number;
  readonly cutMessages: LRUCache<string, true>;
  /** Aborts when the daemon stops. */
  readonly stopping: AbortSignal;
  readonly background: BackgroundWork;
  readonly accounts: Accounts;
}

/** The client that logs in. `onAccount` learns whose session it is, for the log. */
export interface LoginClient {
  readonly address: string;
  /** Of its connection; "none" without TLS. */
  readonly tlsVersion: string;
  readonly holder: LockHolder;
  readonly onAccount: (account: Readonly<Record<string, string>>) => void;
  /** Tells when the login begins and ends to wait for its turn: nothing is tried meanwhile. */
  readonly onWaiting: (isWaiting: boolean) => void;
}

/** One message among 100,000 that the server hangs up over is found by then. */
export const MAX_ATTEMPTS = 40;

/** Logs in. After refused logins, from its address or to its account, a login waits before anything is tried. */
export async function logIn(
  shared: LoginParts,
  services: readonly UpstreamService[],
  credentials: Credentials,
  client: LoginClient,
  signal: AbortSignal,
): Promise<LoggedIn> {
  const secrets = new LiveSecrets(shared.secrets);
  const parts: LoginParts = { ...shared, secrets };
  secrets.add(credentials.password);
  const undo: (() => void)[] = [() => secrets.clear()];
  let settle: Settle = () => {};
  try {
    const { password } = credentials;
    const by = { address: limitedAs(client.address), signal };
    const service = upstreamOf(services, credentials.user);
    // A user whom no upstream takes is treated like one of the first upstream: nobody learns here which domains there are.
    const name = maildropName(service ?? services[0] ?? NO_VIEWS, credentials.user);
    settle = await whileWaiting(client, () =>
      parts.gate.admit({ address: by.address, account: accountName(service, name.user), password }, signal),
    );
    if (service === undefined) return await refuseUnknown(parts, services, { user: name.user, password, by });
    const upstream = await provenCredentials(parts.accounts, service, { user: name.user, password, by });
    const isProven = (): void => settle('right');
    if (service.mode === 'accounts') isProven();
    return await openFor(parts, { service, name, password, isProven }, upstream, client, signal, undo);
  } catch (error) {
    const failure = toBridgeError(error);
    // Before the passwords are forgotten: a server may have echoed one, and only what is known can be struck out.
    parts.log.warn('login-failed', { user: credentials.user, client: client.address, error: failure });
    for (const give of undo.reverse()) give();
    settle(outcomeOf(failure));
    throw failure;
  }
}

async function whileWaiting<T>(client: LoginClient, wait: () => Promise<T>): Promise<T> {
  client.onWaiting(true);
  try {
    return await wait();
  } finally {
    client.onWaiting(false);
  }
}

/** One name for all views and spellings of an account. */
function accountName(service: UpstreamService | undefined, user: string): string {
  const spelling = service?.mode === 'upstream' ? imapUser(service, user) : canonicalUser(user);
  return JSON.stringify([service?.id ?? '', spelling]).toLowerCase();
}

/** Always rejects, and as for a user whom an upstream takes: after the same work, and with the same answers to many guesses. */
async function refuseUnknown(
  { accounts, throttle }: LoginParts,
  services: readonly UpstreamService[],
  { user, password, by }: { readonly user: string; readonly password: string; readonly by: Asker },
): Promise<never> {
  const [first] = services;
  if (first !== undefined && services.every(({ mode }) => mode === 'accounts')) {
    await accounts.prove({ upstream: first.id, user: canonicalUser(user) }, password, by);
  } else {
    (await throttle.admit(accountName(undefined, user), password, by.signal)).refused();
  }
  throw new CredentialsError('AUTH_UNKNOWN_USER', 'no upstream takes users of that domain');
}

/** What a failed login says of the client's own password. What is stored here is not the client's. */
function outcomeOf(error: BridgeError): LoginOutcome {
  if (error instanceof BusyError && error.code === 'LOGIN_BACKOFF') return 'turned-away';
  return error instanceof CredentialsError ? 'wrong' : 'undecided';
}

const NO_VIEWS = { views: new Map<string, ViewConfig>() };

/** What a client wants to open. */
interface Wanted {
  readonly service: UpstreamService;
  readonly name: MaildropName;
  /** As the client gave it. */
  readonly password: string;
  /** Told when the password was right. */
  readonly isProven: () => void;
}

async function openFor(
  parts: LoginParts,
  wanted: Wanted,
  login: UpstreamCredentials,
  client: LoginClient,
  signal: AbortSignal,
  undo: (() => void)[],
): Promise<LoggedIn> {
  const { service, name } = wanted;
  const { store, clock, locks, throttle, turns } = parts;
  // The prefix recent: is another look at the same maildrop: same unique-ids, same lock.
  const key: MaildropKey = { upstream: service.id, user: login.user, view: name.view ?? '' };
  const account = JSON.stringify([key.upstream, key.user]);
  const delayName = JSON.stringify([account, key.view]);
  // Told only to who has the password: to others it would tell that somebody else has just logged in.
  if (service.mode === 'accounts' || throttle.isProven(account, wanted.password)) throttle.checkDelay(delayName, service.loginDelayMs);
  const prove = (): Promise<UpstreamSession> => proveUpstream(parts, service, account, login, { client: signal, attempt: parts.stopping });
  let session = await prove();
  const leave = (): void => void session.logout();
  undo.push(leave);
  wanted.isProven();
  // Only now: which views there are is told to nobody who does not have the password.
  const view = viewNamed(service.views, name);
  // Only now: who has no password must not use up its owner's sessions.
  undo.push(parts.counter.logIn(account));
  const lock = async (until: AbortSignal): Promise<() => void> => {
    const release = await locks.acquire(lockName(account, key.view), client.holder, until);
    const giveLease = await leaseOf(store, key, client.holder).catch((error: unknown) => {
      release();
      throw error;
    });
    return () => {
      giveLease();
      release();
    };
  };
  const unlock = await lock(signal);
  undo.push(unlock);
  const shared = {
    key,
    store,
    snapshots: parts.snapshots,
    listedChanges: parts.listedChanges,
    view,
    views: service.views,
    events: sessionEvents(parts.log, service, login.user),
    inTurn: <T>(work: () => Promise<T>) => turns.run(account, work),
  };
  const tryLock = (other: string): (() => void) | undefined => locks.tryAcquire(lockName(account, other));
  const request = { ...shared, isRecent: name.isRecent, tryLock, clock, now: Math.floor(clock.now() / 1000) };
  // A client that leaves does not end a listing: a first one may take longer than its patience, and then serves the next poll.
  const open = (): Promise<OpenedMaildrop> => openMaildrop({ ...request, session }, parts.stopping);
  let attempts = 1;
  const again = async (error: unknown): Promise<OpenedMaildrop> => {
    // The server had closed what we kept, or finds fault with it, or ends the connection over a message: its user must not notice.
    if (!(error instanceof UpstreamError) || error.kind === 'throttled') throw error;
    if (!session.isKept && error.kind !== 'cut-while-listing') throw error;
    attempts += 1;
    if (attempts > MAX_ATTEMPTS) throw error;
    session.destroy();
    session = await prove();
    return open().catch(again);
  };
  const opened = await open()
    .catch(again)
    .catch((error: unknown) => {
      throttle.notePause(account, error);
      if (error instanceof BusyError && error.code === 'SIZES_UNMEASURED') {
        undo.splice(undo.indexOf(leave), 1);
        parts.background.start(account, (until) => measureLater({ ...request, session, tryLock }, until));
      }
      throw error;
    });
  if (signal.aborted) throw new UpstreamError('unreachable', 'the client left during its login');
  const isShared = view.maildrop.lock === 'shared';
  if (isShared) undo.splice(undo.indexOf(unlock), 1).forEach((give) => give());
  throttle.noteLogin(delayName);
  client.onAccount({ user: login.user, upstream: service.id, digest: opened.digest, ...(key.view === '' ? {} : { view: key.view }) });
  logLogin(parts.log, { ...wanted, view }, login.user, client, session, opened);
  const link = new UpstreamLink({
    session,
    mailboxes: opened.mailboxes.map(({ mailbox }) => mailbox),
    // A running UPDATE goes on for a while when the daemon stops, and what it needs with it.
    reconnect: (until) => proveUpstream(parts, service, account, login, { client: until, attempt: until }).catch(refusedLater),
    connectApart: (until) =>
      proveUpstream(parts, service, account, login, { client: until, attempt: until, isApart: true }).catch(refusedLater),
    checkPause: () => throttle.checkPause(account),
    notePause: (error) => throttle.notePause(account, error),
  });
  const maildropSession = new MaildropSession({
    ...shared,
    clock,
    link,
    maildrop: opened.maildrop,
    mailboxes: opened.mailboxes,
    cutMessages: parts.cutMessages,
    isShared,
    locked: isShared ? (work) => withLock(lock, work) : (work) => work(),
    release: () => {
      for (const give of undo.splice(0).reverse()) if (give !== leave) give();
    },
    leave: (left, mailboxes) => {
      parts.background.start(account, (until) => lookBack({ ...parts, session: left, mailboxes }, until));
    },
  });
  const loginDelaySeconds = service.loginDelayMs > 0 ? Math.ceil(service.loginDelayMs / 1000) : undefined;
  return { session: maildropSession, opened: { maildrop: opened.maildrop, loginDelaySeconds, maxMessageOctets: parts.maxMessageOctets } };
}

/** Several sessions share a maildrop: each has it for as long as it changes something. */
async function withLock<T>(lock: (until: AbortSignal) => Promise<() => void>, work: () => Promise<T>): Promise<T> {
  const unlock = await lock(new AbortController().signal);
  try {
    return await work();
  } finally {
    unlock();
  }
}

/** The lock holds in this process, the lease wherever the store is shared. */
async function leaseOf(store: Store, key: MaildropKey, holder: LockHolder): Promise<() => void> {
  const lease = await store.acquireLease(key, () => holder.evict());
  if (lease === undefined) throw new BusyError('MAILDROP_IN_USE', 'another process holds the maildrop');
  return () => void lease.release();
}

/** One lock a view; `account` is upstream and user. */
export function lockName(account: string, view: string): string {
  return JSON.stringify([account, view]);
}

/** Within a session a refused password is no answer to the client's login: [AUTH] would make it ask its user for another. */
function refusedLater(error: unknown): never {
  if (error instanceof CredentialsError) throw new UpstreamError('refused', 'the password is no longer accepted', { cause: error });
  throw error;
}

export function sessionEvents(log: Log, service: UpstreamService, user: string): SessionEvents {
  const who = { user, upstream: service.id };
  return {
    deleteFailed: (fields) => log.warn('delete-failed', { ...who, ...fields }),
    seenFailed: (error) => log.warn('seen-failed', { ...who, error }),
    saveFailed: (error) => log.error('save-failed', { ...who, error }),
    mapRematched: (counts) => log.warn('map-rematched', { ...who, ...counts }),
    folderSkipped: (fields) => log.warn('folder-skipped', { ...who, ...fields }),
    messagesUnlistable: (fields) => log.warn('messages-unlistable', { ...who, ...fields }),
    mapRebuilt: (error) => log.warn('map-rebuilt', { ...who, error }),
    onlyFlagged: (count) =>
      log.warn('only-flagged', { ...who, count, reason: 'the server has neither MOVE nor UIDPLUS for this, or refuses it' }),
  };
}

/** Also says what this server can't do (CONTRACT section 5.10). */
function logLogin(
  log: Log,
  wanted: Wanted & { readonly view: ViewConfig },
  user: string,
  client: LoginClient,
  session: UpstreamSession,
  opened: OpenedMaildrop,
): void {
  const { service, name, view } = wanted;
  const { abilities } = session;
  const policy = upstreamPolicy(view.delete);
  const method = policy && removalMethod(policy, { canMove: abilities.move, canExpungeByUid: abilities.uidPlus });
  const isReadOnly = policy !== undefined && opened.mailboxes.some(({ mailbox }) => mailbox.isReadOnly);
  const limits = [
    ...(isReadOnly ? ['the mailbox is read-only: DELE is refused'] : []),
    ...(method === 'flag' && policy?.action !== 'flag' ? ['no MOVE or UIDPLUS: deleted messages are only flagged \\Deleted'] : []),
  ];
  log.info('login', {
    user,
    upstream: service.id,
    ...(name.view === undefined ? {} : { view: name.view }),
    ...(name.isRecent ? { recent: true } : {}),
    client: client.address,
    tlsVersion: client.tlsVersion,
    messages: opened.maildrop.dropListing.count,
    ...(limits.length > 0 ? { limits } : {}),
  });
}
