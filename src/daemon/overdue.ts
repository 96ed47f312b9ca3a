/**
 * At a login, before the listing: finishes what earlier sessions of the account promised and what has become due since, in every view
 * whose maildrop nobody uses right now (CONTRACT section 5.2).
 */
import type { ViewConfig } from '../config/schema.ts';
import { StoreError, UpstreamError } from '../errors.ts';
import type { Uid } from '../maildrop/numbers.ts';
import { emptyMap, firstDue, type UidMap } from '../maildrop/uid-map.ts';
import { withoutDeletion, withoutDueTime, withoutMessages } from '../maildrop/map-changes.ts';
import type { JournalEntry, MailboxKey, MaildropKey, Store } from '../store/store.ts';
import type { UpstreamMailbox } from '../upstream/upstream.ts';
import { dueMessages, upstreamPolicy } from './deletion.ts';
import { templateFor } from './derivation.ts';
import type { SessionEvents } from './maildrop-session.ts';
import { checkRemoval, endsTheConnection, finishEntry, mapAfter, removeChecked, type RemovalParts } from './removals.ts';

export interface OverdueRequest {
  readonly store: Store;
  readonly events: SessionEvents;
  readonly views: ReadonlyMap<string, ViewConfig>;
  /** The server that this session is on, as in UidMap. */
  readonly server: string;
  /** Opens a mailbox of the account, the same one each time. */
  readonly select: (path: string) => Promise<UpstreamMailbox>;
  /** Locks another maildrop of the account; undefined where a session has it. */
  readonly tryLock: (view: string) => (() => void) | undefined;
  /** Runs work when no UPDATE of the account is running. */
  readonly inTurn: <T>(work: () => Promise<T>) => Promise<T>;
  /** Seconds since 1970. */
  readonly now: number;
}

/** By mailbox, what is still to be done of what the maildrop's own sessions promised: it stays hidden. */
export type Pending = ReadonlyMap<string, ReadonlySet<Uid>>;

/** Throws only where the connection can no longer be used. */
export async function finishOverdue(request: OverdueRequest, own: MaildropKey, signal: AbortSignal): Promise<Pending> {
  const pending = new Map<string, Set<Uid>>();
  for (const maildrop of await request.store.unfinished(own, request.now)) {
    const isOwn = maildrop.view === own.view;
    const unlock = isOwn ? () => {} : request.tryLock(maildrop.view);
    if (unlock === undefined) continue;
    try {
      await request.inTurn(async () => {
        const left = await finishPromised(request, maildrop, signal);
        if (isOwn) for (const [path, uids] of left) pending.set(path, uids);
        await finishDue(request, maildrop, signal);
      });
    } finally {
      unlock();
    }
  }
  return pending;
}

async function finishPromised(request: OverdueRequest, maildrop: MaildropKey, signal: AbortSignal): Promise<Map<string, Set<Uid>>> {
  const { store } = request;
  const left = new Map<string, Set<Uid>>();
  for (const entry of await store.openEntries(maildrop)) {
    const key = { maildrop, path: entry.path };
    if (await isPromisedElsewhere(request, key, entry)) {
      request.events.deleteFailed({ total: entry.uids.length, outcome: 'abandoned', reason: ON_ANOTHER_SERVER });
      await store.removeEntry(entry.id);
      continue;
    }
    const mailbox = await selectIfThere(request, entry.path).catch((error: unknown) => {
      if (endsTheConnection(error)) throw error;
      request.events.deleteFailed({ total: entry.uids.length, outcome: 'put off', error });
      return 'not now' as const;
    });
    const isDone =
      mailbox !== 'not now' &&
      (await takeUp(request, key, mailbox, entry, signal).catch((error: unknown) => {
        // A disk that is full keeps nobody from reading mail: what was promised is looked at again at the next login.
        if (!(error instanceof StoreError)) throw error;
        request.events.saveFailed(error);
        return false;
      }));
    if (!isDone) left.set(entry.path, new Set([...(left.get(entry.path) ?? []), ...entry.uids]));
  }
  return left;
}

/** The same UIDs may be other messages on another server, even under the same UIDVALIDITY. Entries of old have no server: that of the map counts. */
async function isPromisedElsewhere({ store, server }: OverdueRequest, key: MailboxKey, entry: JournalEntry): Promise<boolean> {
  return server !== (entry.server || (await store.loadMap(key))?.server);
}

const ON_ANOTHER_SERVER = 'promised on another server; nothing is removed on this one';

/** True when nothing is left to do for the entry, which is struck out then. */
async function takeUp(
  request: OverdueRequest,
  key: MailboxKey,
  mailbox: UpstreamMailbox | undefined,
  entry: JournalEntry,
  signal: AbortSignal,
): Promise<boolean> {
  const { store } = request;
  if (mailbox === undefined) {
    request.events.deleteFailed({ total: entry.uids.length, outcome: 'abandoned', reason: `${entry.path} is gone` });
    await store.removeEntry(entry.id);
    return true;
  }
  const map = (await store.loadMap(key)) ?? emptyMap(mailbox.uidValidity);
  // Perhaps copied: it is shown again, not copied again as due.
  const shown = entry.stage === 'copying' ? withoutDeletion(map, entry.uids) : map;
  if (shown !== map) await saveMap(request, key, map, shown);
  const forget = (strangers: readonly Uid[]): Promise<void> => saveMap(request, key, shown, withoutMessages(shown, strangers));
  const isDone = await finishEntry(partsFor(request, key.maildrop), { key, mailbox, map: shown, forget }, entry, signal);
  if (isDone) await store.removeEntry(entry.id);
  return isDone;
}

async function finishDue(request: OverdueRequest, maildrop: MaildropKey, signal: AbortSignal): Promise<void> {
  const { store, views, now } = request;
  const { delete: deletion } = viewOf(request, maildrop);
  for (const key of await store.mailboxes(maildrop)) {
    const map = await store.loadMap(key);
    if (map === undefined || (firstDue(map) ?? Number.POSITIVE_INFINITY) > now) continue;
    const uids = await dueMessages({ store, key, map, deletion, views, now });
    if (uids.length === 0) continue;
    if (map.server !== request.server) {
      request.events.deleteFailed({ total: uids.length, outcome: 'abandoned', reason: ON_ANOTHER_SERVER });
      await saveMap(request, key, map, withoutDueTime(map, uids));
      continue;
    }
    await removeDue(request, key, map, uids, signal).catch((error: unknown) => {
      if (endsTheConnection(error)) throw error;
      request.events.deleteFailed({ total: uids.length, outcome: 'put off', error });
    });
  }
}

async function removeDue(request: OverdueRequest, key: MailboxKey, map: UidMap, uids: readonly Uid[], signal: AbortSignal): Promise<void> {
  const mailbox = await selectIfThere(request, key.path);
  // The listing that follows finds them again under their new UIDs; then it is the next login's turn.
  if (mailbox === undefined) {
    request.events.deleteFailed({ total: uids.length, outcome: 'abandoned', reason: `${key.path} is gone` });
    await saveMap(request, key, map, withoutDeletion(map, uids));
    return;
  }
  if (mailbox.uidValidity !== map.uidValidity) return;
  const parts = partsFor(request, key.maildrop);
  const checked = await checkRemoval(parts, { key, mailbox, map, uids }, signal);
  for (const report of await removeChecked(parts, key.maildrop, [checked], signal)) {
    const { isUnknown, problem } = report;
    await saveMap(request, key, map, mapAfter(map, report));
    if (isUnknown && endsTheConnection(problem)) throw problem;
  }
}

function saveMap(request: OverdueRequest, key: MailboxKey, previous: UidMap, next: UidMap): Promise<void> {
  const { maildrop } = viewOf(request, key.maildrop);
  return request.store.saveMaps([{ key, previous, next, derivation: templateFor(next, key.path, maildrop.uniqueId) }], request.now);
}

/** The mailbox; undefined where the server has none of that name any more. */
async function selectIfThere(request: OverdueRequest, path: string): Promise<UpstreamMailbox | undefined> {
  try {
    return await request.select(path);
  } catch (error) {
    if (error instanceof UpstreamError && error.kind === 'missing') return undefined;
    throw error;
  }
}

function partsFor(request: OverdueRequest, maildrop: MaildropKey): RemovalParts {
  const { delete: deletion } = viewOf(request, maildrop);
  const policy = upstreamPolicy(deletion) ?? { action: 'flag', folder: undefined };
  return { store: request.store, events: request.events, policy, verify: deletion.verify };
}

/** A view that is no longer configured is treated as the account itself. */
function viewOf({ views }: OverdueRequest, { view }: MaildropKey): ViewConfig {
  const found = views.get(view) ?? views.get('');
  if (found === undefined) throw new TypeError('an upstream without a view');
  return found;
}
