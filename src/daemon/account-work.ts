/**
 * With local accounts the daemon has credentials at any time: what QUIT promised, and what has become due since, is done without waiting for
 * the user's next login (CONTRACT section 5.2).
 */
import type { Account, Accounts } from '../accounts/accounts.ts';
import type { Cancel, Clock } from '../clock.ts';
import { toBridgeError } from '../errors.ts';
import type { Store } from '../store/store.ts';
import type { UpstreamMailbox, UpstreamSession } from '../upstream/upstream.ts';
import type { BackgroundWork } from './background-work.ts';
import { withOwnSecrets, type Log } from './logging.ts';
import { lockName, sessionEvents, type UpstreamService } from './login.ts';
import type { MaildropLocks } from './maildrop-lock.ts';
import { finishOverdue } from './overdue.ts';
import type { Turns } from './turns.ts';
import { proveUpstream, type ProofParts } from './upstream-proof.ts';

export interface AccountWorkParts extends ProofParts {
  readonly store: Store;
  readonly clock: Clock;
  readonly accounts: Accounts;
  readonly locks: MaildropLocks;
  readonly turns: Turns;
  readonly background: BackgroundWork;
  readonly log: Log;
  readonly services: () => Iterable<UpstreamService>;
  /** Aborts when the daemon stops. */
  readonly stopping: AbortSignal;
}

/** Between two looks at what is due. */
const EVERY_MS = 30_000;
/** No view has this name: the account's own sessions are others too. */
const NO_VIEW = '\0';

export class AccountWork implements Disposable {
  readonly #parts: AccountWorkParts;
  #cancel: Cancel = () => {};

  constructor(parts: AccountWorkParts) {
    this.#parts = parts;
  }

  /** Looks at once, and then again and again. */
  start(): void {
    void this.#look().finally(() => {
      if (!this.#parts.stopping.aborted) this.#cancel = this.#parts.clock.after(EVERY_MS, () => this.start());
    });
  }

  [Symbol.dispose](): void {
    this.#cancel();
  }

  async #look(): Promise<void> {
    const { accounts, services, stopping } = this.#parts;
    for (const service of services()) {
      if (service.mode !== 'accounts') continue;
      for (const account of await accounts.of(service.id)) {
        if (stopping.aborted) return;
        const parts = withOwnSecrets(this.#parts);
        await this.#finish(parts, service, account).catch((error: unknown) => {
          parts.log.warn('overdue-failed', { user: account.upstreamUser, upstream: service.id, error: toBridgeError(error) });
          parts.secrets.clear();
        });
      }
    }
  }

  async #finish(parts: AccountWorkParts, service: UpstreamService, account: Account): Promise<void> {
    const { store, clock, accounts, background, stopping } = parts;
    const key = { upstream: service.id, user: account.upstreamUser };
    const now = Math.floor(clock.now() / 1000);
    if ((await store.unfinished(key, now)).length === 0) return;
    const name = JSON.stringify([key.upstream, key.user]);
    const until = { client: stopping, attempt: stopping };
    const session = await proveUpstream(parts, service, name, accounts.credentials(account), until);
    background.start(name, (signal) => work(parts, { service, user: key.user, session, now }, signal));
  }
}

/** An account's session, and the time. */
interface Due {
  readonly service: UpstreamService;
  readonly user: string;
  readonly session: UpstreamSession;
  readonly now: number;
}

/** Never rejects. A login that comes meanwhile waits until it is done, and so does a daemon that stops: if it were cut off, nobody would know its outcome. */
async function work(parts: AccountWorkParts, { service, user, session, now }: Due, signal: AbortSignal): Promise<void> {
  const { store, locks, turns, log, secrets } = parts;
  const unhurried = new AbortController().signal;
  const name = JSON.stringify([service.id, user]);
  const request = {
    store,
    now,
    views: service.views,
    server: session.server,
    events: sessionEvents(log, service, user),
    tryLock: (view: string) => (signal.aborted ? undefined : locks.tryAcquire(lockName(name, view))),
    inTurn: <T>(work: () => Promise<T>): Promise<T> => turns.run(name, work),
    select: (path: string): Promise<UpstreamMailbox> => session.select(path, unhurried),
  };
  try {
    if (!signal.aborted) await finishOverdue(request, { upstream: service.id, user, view: NO_VIEW }, unhurried);
  } catch (error) {
    log.warn('overdue-failed', { user, upstream: service.id, error: toBridgeError(error) });
  } finally {
    await session.logout();
    secrets.clear();
  }
}
