/**
 * From a POP3 client's credentials to an open maildrop, in the order that keeps every promise: throttle, account, credentials
 * proven upstream, then the lock (never before: RFC 2449 section 8.1.2), then the listing.
 */
import type { LRUCache } from 'lru-cache';
import type { Clock } from '../clock.ts';
import { pause } from '../clock.ts';
import { CredentialsError, toBridgeError, UpstreamError } from '../errors.ts';
import type { UniqueIdTemplate } from '../maildrop/unique-id.ts';
import type { Credentials } from '../pop3/sasl.ts';
import type { MailboxKey, MaildropKey, Store } from '../store/store.ts';
import type { DeletePolicy, Upstream, UpstreamLogin, UpstreamMailbox, UpstreamSession } from '../upstream/upstream.ts';
import { removalMethod } from '../upstream/removal.ts';
import { chooseUpstream, imapUser, type UserRule } from './account.ts';
import type { BackgroundWork } from './background-work.ts';
import type { LoggedIn } from './connection.ts';
import { lookBack } from './look-back.ts';
import type { LiveSecrets, Log } from './logging.ts';
import type { LoginThrottle } from './login-throttle.ts';
import type { LockHolder, MaildropLocks } from './maildrop-lock.ts';
import { MaildropSession, type MarkSeen, type OpenConnection, type SessionEvents } from './maildrop-session.ts';
import { openMaildrop, type OpenedMailbox } from './open-maildrop.ts';
import type { SessionCounter } from './session-limits.ts';

/** One configured upstream, ready to be logged in to. */
export interface UpstreamService extends UserRule {
  readonly id: string;
  readonly upstream: Upstream;
  readonly folder: string;
  readonly learnsSizes: boolean;
  readonly uniqueIds: UniqueIdTemplate;
  readonly markSeen: MarkSeen;
  readonly policy: DeletePolicy;
  readonly loginDelayMs: number;
}

/** What all logins share. */
export interface LoginParts {
  readonly store: Store;
  readonly clock: Clock;
  readonly locks: MaildropLocks;
  readonly throttle: LoginThrottle;
  readonly counter: SessionCounter;
  readonly secrets: LiveSecrets;
  readonly log: Log;
  readonly maxMessageOctets: number;
  readonly cutMessages: LRUCache<string, true>;
  /** Aborts when the daemon stops. */
  readonly stopping: AbortSignal;
  readonly background: BackgroundWork;
}

/** The client that logs in. `onAccount` learns whose session it is, for the log. */
export interface LoginClient {
  readonly address: string;
  readonly holder: LockHolder;
  readonly onAccount: (account: { readonly user: string; readonly upstream: string; readonly digest: string }) => void;
}

/** Logs in. A refused login is answered the later, the more there were from that address. */
export async function logIn(
  parts: LoginParts,
  services: readonly UpstreamService[],
  credentials: Credentials,
  client: LoginClient,
  signal: AbortSignal,
): Promise<LoggedIn> {
  const undo: (() => void)[] = [parts.secrets.add(credentials.password)];
  try {
    const service = chooseUpstream(services, credentials.user);
    const login: UpstreamLogin = { user: imapUser(service, credentials.user), password: credentials.password };
    return await openFor(parts, service, login, client, signal, undo);
  } catch (error) {
    const failure = toBridgeError(error);
    // Before the password is forgotten: a server may have echoed it, and only what is known can be struck out.
    parts.log.warn('login-failed', { user: credentials.user, client: client.address, error: failure });
    for (const give of undo.reverse()) give();
    if (failure instanceof CredentialsError) await pause(parts.clock, parts.throttle.noteFailure(client.address), signal);
    throw failure;
  }
}

async function openFor(
  parts: LoginParts,
  service: UpstreamService,
  login: UpstreamLogin,
  client: LoginClient,
  signal: AbortSignal,
  undo: (() => void)[],
): Promise<LoggedIn> {
  const key: MaildropKey = { upstream: service.id, user: login.user, view: '' };
  const account = JSON.stringify([key.upstream, key.user]);
  parts.throttle.checkDelay(account, login.password, service.loginDelayMs);
  const session = await proveUpstream(parts, service, account, login, { client: signal, attempt: parts.stopping });
  const leave = (): void => void session.logout();
  undo.push(leave);
  // Only now: who has no password must not use up its owner's sessions.
  undo.push(parts.counter.logIn(account));
  const release = await parts.locks.acquire(JSON.stringify([account, key.view]), client.holder, signal);
  undo.push(release);
  // A client that leaves does not end a listing: a first one may take longer than its patience, and then serves the next poll.
  const { stopping } = parts;
  const events = sessionEvents(parts.log, service, login.user);
  const { mailbox, mailboxKey, opened } = await openMailbox(parts, service, key, { session, events }, stopping).catch((error: unknown) => {
    parts.throttle.notePause(account, error);
    throw error;
  });
  if (signal.aborted) throw new UpstreamError('unreachable', 'the client left during its login');
  parts.throttle.noteLogin(account);
  client.onAccount({ user: login.user, upstream: service.id, digest: opened.digest });
  logLogin(parts.log, service, login.user, client, { session, mailbox }, opened.maildrop.dropListing.count);
  const maildropSession = new MaildropSession({
    key: mailboxKey,
    store: parts.store,
    clock: parts.clock,
    policy: service.policy,
    markSeen: service.markSeen,
    learnsSizes: service.learnsSizes,
    connection: { session, mailbox },
    map: opened.map,
    reconnect: async (again) => {
      // A running UPDATE goes on for a while when the daemon stops, and what it needs with it.
      const fresh = await proveUpstream(parts, service, account, login, { client: again, attempt: again }).catch(refusedLater);
      return selectAgain(fresh, mailbox.path, again);
    },
    checkPause: () => parts.throttle.checkPause(account),
    notePause: (error) => parts.throttle.notePause(account, error),
    events,
    cutMessages: parts.cutMessages,
    release: () => {
      for (const give of undo.splice(0).reverse()) if (give !== leave) give();
    },
    leave: (connection, map) => {
      parts.background.start(account, (until) => lookBack({ ...parts, key: mailboxKey, connection, map }, until));
    },
  });
  const loginDelaySeconds = service.loginDelayMs > 0 ? Math.ceil(service.loginDelayMs / 1000) : undefined;
  return { session: maildropSession, opened: { maildrop: opened.maildrop, loginDelaySeconds, maxMessageOctets: parts.maxMessageOctets } };
}

interface OpenedFor {
  readonly mailbox: UpstreamMailbox;
  readonly mailboxKey: MailboxKey;
  readonly opened: OpenedMailbox;
}

async function openMailbox(
  parts: LoginParts,
  service: UpstreamService,
  maildrop: MaildropKey,
  { session, events }: { readonly session: UpstreamSession; readonly events: SessionEvents },
  signal: AbortSignal,
): Promise<OpenedFor> {
  const mailbox = await session.select(service.folder, signal);
  const mailboxKey = { maildrop, path: mailbox.path };
  const request = {
    key: mailboxKey,
    store: parts.store,
    mailbox,
    learnsSizes: service.learnsSizes,
    uniqueIds: service.uniqueIds,
    events,
    now: Math.floor(parts.clock.now() / 1000),
  };
  return { mailbox, mailboxKey, opened: await openMaildrop(request, signal) };
}

/**
 * The password is proven by logging in with it; nothing is served before. A client that leaves does not end the try: it would
 * have guessed without being counted.
 */
async function proveUpstream(
  parts: LoginParts,
  service: UpstreamService,
  account: string,
  login: UpstreamLogin,
  until: { readonly client: AbortSignal; readonly attempt: AbortSignal },
): Promise<UpstreamSession> {
  await parts.background.end(account);
  const attempt = await parts.throttle.admit(account, login.password, until.client);
  const session = await service.upstream.login(login, until.attempt).catch((error: unknown) => {
    const failure = toBridgeError(error);
    if (failure instanceof CredentialsError) attempt.refused();
    else attempt.undecided(failure);
    if (!(failure instanceof CredentialsError)) parts.log.warn('upstream-failed', { upstream: service.id, error: failure });
    throw failure;
  });
  attempt.succeeded();
  if (until.client.aborted) {
    void session.logout();
    throw new UpstreamError('unreachable', 'the client left during its login');
  }
  parts.log.info('upstream-connected', { upstream: service.id, user: login.user });
  return session;
}

/** Within a session a refused password is no answer to the client's login: [AUTH] would make it ask its user for another. */
function refusedLater(error: unknown): never {
  if (error instanceof CredentialsError) throw new UpstreamError('refused', 'the password is no longer accepted', { cause: error });
  throw error;
}

async function selectAgain(session: UpstreamSession, path: string, signal: AbortSignal): Promise<OpenConnection> {
  try {
    return { session, mailbox: await session.select(path, signal) };
  } catch (error) {
    session.destroy();
    throw error;
  }
}

function sessionEvents(log: Log, service: UpstreamService, user: string): SessionEvents {
  const who = { user, upstream: service.id };
  return {
    deleteFailed: (fields) => log.warn('delete-failed', { ...who, ...fields }),
    seenFailed: (error) => log.warn('seen-failed', { ...who, error }),
    saveFailed: (error) => log.error('save-failed', { ...who, error }),
    mapRematched: (counts) => log.warn('map-rematched', { ...who, ...counts }),
    mapRebuilt: (error) => log.warn('map-rebuilt', { ...who, error }),
    onlyFlagged: (count) => log.warn('only-flagged', { ...who, count, reason: 'the server has neither MOVE nor UIDPLUS for this' }),
  };
}

/** Also says what this server can't do (CONTRACT section 5.10). */
function logLogin(log: Log, service: UpstreamService, user: string, client: LoginClient, open: OpenConnection, messages: number): void {
  const { abilities } = open.session;
  const method = removalMethod(service.policy, { canMove: abilities.move, canExpungeByUid: abilities.uidPlus });
  const limits = [
    ...(open.mailbox.isReadOnly ? ['the mailbox is read-only: DELE is refused'] : []),
    ...(method === 'flag' && service.policy.action !== 'flag' ? ['no MOVE or UIDPLUS: deleted messages are only flagged \\Deleted'] : []),
  ];
  log.info('login', { user, upstream: service.id, client: client.address, messages, ...(limits.length > 0 ? { limits } : {}) });
}
