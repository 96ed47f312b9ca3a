/**
 * Opens a maildrop on a mailbox just selected: finishes what an earlier session promised, lists, brings the UID map up to date,
 * and only when that is on disk makes the snapshot that the client will see.
 */
import { createHash } from 'node:crypto';
import { StoreError, toBridgeError, UpstreamError, type UpstreamFailureKind } from '../errors.ts';
import { Maildrop } from '../maildrop/maildrop.ts';
import type { Uid } from '../maildrop/numbers.ts';
import { reconcile } from '../maildrop/reconcile.ts';
import { countIn, knownMessage, uidsIn, uniqueIdsIn, type UidMap } from '../maildrop/uid-map.ts';
import { applyTemplate, fallbackFormula, type UniqueIdTemplate } from '../maildrop/unique-id.ts';
import type { JournalEntry, MailboxKey, Store } from '../store/store.ts';
import { NOTHING_KNOWN, type DeleteAction, type KnownMailbox, type RemovalStage, type UpstreamMailbox } from '../upstream/upstream.ts';
import type { SessionEvents } from './maildrop-session.ts';
import { recognise } from './recognise.ts';

export interface OpenedMailbox {
  readonly maildrop: Maildrop;
  readonly map: UidMap;
  /** Tells whether the same messages were shown as at another login. */
  readonly digest: string;
}

export interface OpenRequest {
  readonly key: MailboxKey;
  readonly store: Store;
  readonly mailbox: UpstreamMailbox;
  /** LIST tells true sizes where they are known. */
  readonly learnsSizes: boolean;
  /** How messages not shown before get their unique-ids. */
  readonly uniqueIds: UniqueIdTemplate;
  readonly events: SessionEvents;
  /** Seconds since 1970. */
  readonly now: number;
}

export async function openMaildrop(request: OpenRequest, signal: AbortSignal): Promise<OpenedMailbox> {
  const { key, store, mailbox } = request;
  const pending = await finishPromised(request, signal);
  const stored = await loadedMap(request);
  const known = stored?.uidValidity === mailbox.uidValidity ? stored : undefined;
  const listing = await mailbox.list(known === undefined ? NOTHING_KNOWN : knownMailbox(known), signal);
  const names = { folderTag: folderTag(mailbox.path), uidValidity: mailbox.uidValidity };
  // Without a map all that can be done is to give the same ids for the same UIDs.
  const highestUid = stored === undefined ? 0 : await store.highestUid(key, mailbox.uidValidity);
  const formula = applyTemplate(request.uniqueIds, names);
  const { adopted, taken, extras, rematched } = await recognise(
    { key, store, mailbox, formula, now: request.now },
    stored,
    listing,
    signal,
  );
  const ids = { formula, fallback: (attempt: number) => fallbackFormula(names, attempt), taken, highestUid };
  const map = reconcile(stored, listing, ids, adopted);
  const hasMore = extras.identities.size > 0 || extras.gone.length > 0;
  await store.saveMap(key, stored, map, hasMore ? extras : undefined);
  if (rematched !== undefined) request.events.mapRematched({ ...rematched, messages: listing.uids.length });
  const shown = listing.uids.filter((uid) => !listing.deleted.has(uid) && !pending.has(uid));
  return { maildrop: snapshot(request, map, shown), map, digest: digestOf(mailbox, shown) };
}

/** What an upstream needs to know to ask only for what changed. */
function knownMailbox(map: UidMap): KnownMailbox {
  return { uidNext: map.uidNext, count: countIn(map), uids: () => uidsIn(map), has: (uid) => knownMessage(map, uid) !== undefined };
}

/** The stored map. One that makes no sense is made anew from the template: most unique-ids come out the same. */
async function loadedMap({ key, store, events }: OpenRequest): Promise<UidMap | undefined> {
  try {
    return await store.loadMap(key);
  } catch (error) {
    if (!(error instanceof StoreError) || error.code !== 'STORE_CORRUPT') throw error;
    events.mapRebuilt(error);
    return undefined;
  }
}

/** The octets that name a mailbox in unique-ids: the first 32 bits of the SHA-256 of its path. */
export function folderTag(path: string): number {
  return createHash('sha256').update(path).digest().readUInt32BE(0);
}

function snapshot(request: OpenRequest, map: UidMap, uids: readonly Uid[]): Maildrop {
  const octets = new Float64Array(uids.length);
  uids.forEach((uid, index) => {
    const message = knownMessage(map, uid);
    const learned = request.learnsSizes ? message?.trueOctets : undefined;
    octets[index] = learned ?? message?.declaredOctets ?? 0;
  });
  return Maildrop.of({ uids, octets, uniqueId: uniqueIdsIn(map), isReadOnly: request.mailbox.isReadOnly });
}

function digestOf(mailbox: UpstreamMailbox, uids: readonly Uid[]): string {
  const hash = createHash('sha256').update(`${mailbox.path}\0${mailbox.uidValidity}\0`);
  return hash.update(Uint32Array.from(uids)).digest('hex').slice(0, 16);
}

/**
 * Finishes the journal of this mailbox (CONTRACT section 5.2) and gives the UIDs that are still to be deleted, which stay hidden.
 * Nothing is ever done under another UIDVALIDITY: those UIDs may be other messages now.
 */
async function finishPromised(request: OpenRequest, signal: AbortSignal): Promise<Set<Uid>> {
  const hidden = new Set<Uid>();
  for (const entry of await request.store.openEntries(request.key.maildrop)) {
    if (entry.path !== request.key.path) continue;
    if (await finish(request, entry, signal)) await request.store.removeEntry(entry.id);
    else for (const uid of entry.uids) hidden.add(uid);
  }
  return hidden;
}

/** True when nothing is left to do for the entry. Throws only where the connection can no longer be used. */
async function finish(request: OpenRequest, entry: JournalEntry, signal: AbortSignal): Promise<boolean> {
  const { mailbox, events, store } = request;
  const total = entry.uids.length;
  if (entry.uidValidity !== mailbox.uidValidity) {
    events.deleteFailed({ total, outcome: 'abandoned', reason: 'UIDVALIDITY changed' });
    return true;
  }
  if (entry.stage === 'copying') {
    // Nobody knows whether the copies were made. Making them again could put the mail into the folder twice.
    events.deleteFailed({ total, outcome: 'undone', reason: 'interrupted while copying; the messages are shown again' });
    return true;
  }
  const policy = { action: deleteAction(entry.action), folder: entry.folder };
  const stage: RemovalStage = entry.stage === 'copied' ? 'copied' : 'planned';
  try {
    const result = await mailbox.remove({ uids: entry.uids, policy, stage, onStage: (next) => store.setStage(entry.id, next) }, signal);
    if (result.problem instanceof UpstreamError && result.problem.kind === 'throttled') throw result.problem;
    if (result.remaining.length > 0) events.deleteFailed({ failed: result.remaining.length, total, error: result.problem });
    return true;
  } catch (error) {
    events.deleteFailed({ total, outcome: 'unknown', error: toBridgeError(error) });
    if (error instanceof UpstreamError && !ENDS_THE_CONNECTION.has(error.kind)) return false;
    throw error;
  }
}

/** Failures after which there is no connection left to list the mailbox on. */
const ENDS_THE_CONNECTION: ReadonlySet<UpstreamFailureKind> = new Set(['unreachable', 'timeout', 'throttled']);

const ACTIONS: readonly DeleteAction[] = ['trash', 'expunge', 'archive', 'move', 'flag'];

function deleteAction(text: string): DeleteAction {
  // An action of a newer version: flagging is what can't harm.
  return ACTIONS.find((action) => action === text) ?? 'flag';
}
