/**
 * Opens a maildrop: finishes what is overdue, lists its mailboxes, brings the UID maps up to date, and only when these are on disk
 * makes the snapshot that the client will see.
 */
import { createHash } from 'node:crypto';
import type { Clock } from '../clock.ts';
import type { ViewConfig } from '../config/schema.ts';
import { StoreError, UpstreamError } from '../errors.ts';
import { withoutMessages } from '../maildrop/map-changes.ts';
import { Maildrop } from '../maildrop/maildrop.ts';
import type { Uid } from '../maildrop/numbers.ts';
import { reconcileSteps, type NewIds } from '../maildrop/reconcile.ts';
import { idsFrom, uidsIn, type UidMap } from '../maildrop/uid-map.ts';
import { fallbackFormula, GMAIL, gmailUniqueId, type UniqueIdTemplate } from '../maildrop/unique-id.ts';
import type { MailboxKey, MaildropKey, MapChange, Store } from '../store/store.ts';
import { type Listing, type UpstreamMailbox, type UpstreamSession } from '../upstream/upstream.ts';
import { namesOf, templateFor } from './derivation.ts';
import type { ListedChanges } from './listed-changes.ts';
import { listMailboxes, loadedMap } from './list-mailboxes.ts';
import type { SessionEvents } from './maildrop-session.ts';
import { measuredMaps } from './measure-sizes.ts';
import { finishOverdue } from './overdue.ts';
import type { UnlistedMailbox } from './known-before.ts';
import { recognise, type ListedMailbox, type Recognised, type RecognisedMailbox } from './recognise.ts';
import { inSlices } from '../slices.ts';
import { snapshotSteps, type Showing } from './snapshot.ts';
import { usedFormulas } from './used-ids.ts';
import type { SeenMaildrop, SnapshotCache } from './snapshot-cache.ts';

/** A mailbox of a maildrop that is open. */
export interface OpenMailbox {
  readonly key: MailboxKey;
  readonly mailbox: UpstreamMailbox;
  readonly map: UidMap;
  /** What of it is on disk: another map, or none, where it could not be written. */
  readonly stored: UidMap | undefined;
  /** Messages of which the server told date and size when it was opened; of all others it told them earlier. */
  readonly told?: readonly Uid[];
}

export interface OpenedMaildrop {
  readonly maildrop: Maildrop;
  /** In the order of the snapshot. */
  readonly mailboxes: readonly OpenMailbox[];
  /** Tells whether the same messages were shown as at another login. */
  readonly digest: string;
}

export interface OpenRequest {
  readonly key: MaildropKey;
  readonly store: Store;
  readonly snapshots: SnapshotCache;
  readonly listedChanges: ListedChanges;
  readonly session: UpstreamSession;
  readonly view: ViewConfig;
  /** The last 30 days, whatever was deleted or hidden. */
  readonly isRecent: boolean;
  readonly views: ReadonlyMap<string, ViewConfig>;
  /** Locks another maildrop of the account; undefined where a session has it. */
  readonly tryLock: (view: string) => (() => void) | undefined;
  /** Runs work when no UPDATE of the account is running. */
  readonly inTurn: <T>(work: () => Promise<T>) => Promise<T>;
  readonly events: SessionEvents;
  readonly clock: Clock;
  /** Seconds since 1970. */
  readonly now: number;
}

export async function openMaildrop(request: OpenRequest, signal: AbortSignal): Promise<OpenedMaildrop> {
  checkGmail(request);
  const worked = new Map<string, UpstreamMailbox>();
  const pending = await finishOverdue(
    { ...request, server: request.session.server, select: selector(request.session, worked, signal) },
    request.key,
    signal,
  );
  const listed = await listMailboxes(request, worked, signal);
  const updated = unchangedMaps(request, listed) ?? (await changedMaps(request, listed, signal));
  for (const [place, { key, map, stored }] of updated.entries()) {
    const modSeq = listed[place]?.listing.modSeq;
    if (modSeq !== undefined && map === stored) request.listedChanges.noteStored(key, modSeq);
  }
  const mailboxes = request.view.maildrop.sizes === 'exact' ? await measure(request, updated, signal) : updated;
  const showing: Showing[] = [];
  for (const [place, open] of mailboxes.entries()) {
    const deleted = listed[place]?.listing.deleted ?? new Set<Uid>();
    const showsUnseen = request.view.maildrop.show === 'unseen' && !request.isRecent;
    const unseen = showsUnseen ? await open.mailbox.unseen(uidsIn(open.map), signal) : undefined;
    showing.push({ ...open, hidden: deleted.union(pending.get(open.key.path) ?? new Set()), unseen });
  }
  const make = async (): Promise<SeenMaildrop> => {
    const shown = { ...request, maildrop: request.view.maildrop, action: request.view.delete.action };
    const snapshot = await inSlices(snapshotSteps(showing, shown));
    return { maildrop: Maildrop.of(snapshot), digest: digestOf(mailboxes, snapshot) };
  };
  const seen = followsFromMaps(request, showing)
    ? await request.snapshots.of(request.key, { view: request.view, mailboxes }, make)
    : await make();
  const told = listed.map(({ listing }) => listing.added.uids);
  return {
    ...seen,
    mailboxes: mailboxes.map(({ key, mailbox, map, stored }, place) => ({ key, mailbox, map, stored, told: told[place] ?? [] })),
  };
}

/** What is shown depends on nothing but the maps: not on flags, nor on the time. */
function followsFromMaps({ view, isRecent }: OpenRequest, showing: readonly Showing[]): boolean {
  const { sinceSeconds, show } = view.maildrop;
  return !isRecent && sinceSeconds === 0 && show === 'all' && showing.every(({ hidden }) => hidden.size === 0);
}

/** Where nothing came and nothing went, the maps hold as they are. */
function unchangedMaps({ session }: OpenRequest, listed: readonly ListedMailbox[]): OpenMailbox[] | undefined {
  const mailboxes: OpenMailbox[] = [];
  for (const { key, mailbox, stored, listing, isNewEpoch } of listed) {
    if (!listing.isUnchanged || isNewEpoch || stored?.server !== session.server) return undefined;
    mailboxes.push({ key, mailbox, map: stored, stored });
  }
  return mailboxes;
}

async function changedMaps(request: OpenRequest, listed: readonly ListedMailbox[], signal: AbortSignal): Promise<OpenMailbox[]> {
  const unlisted = await unlistedMaps(request, listed);
  const recognised = await recognise(request.store, listed, unlisted, request.session.server, signal);
  return updateMaps(request, listed, unlisted, recognised);
}

function checkGmail({ view, session }: OpenRequest): void {
  if (view.maildrop.uniqueId.text !== GMAIL || session.abilities.capabilities.includes('X-GM-EXT-1')) return;
  throw new UpstreamError('forbidden', 'maildrop.unique_id = "gmail" needs a server with X-GM-EXT-1, and this one has it not');
}

/** Each mailbox is opened once. */
function selector(
  session: UpstreamSession,
  opened: Map<string, UpstreamMailbox>,
  signal: AbortSignal,
): (path: string) => Promise<UpstreamMailbox> {
  return async (path) => {
    const mailbox = opened.get(path) ?? (await session.select(path, signal));
    opened.set(path, mailbox);
    return mailbox;
  };
}

async function measure(
  { store, clock, view }: OpenRequest,
  mailboxes: readonly OpenMailbox[],
  signal: AbortSignal,
): Promise<OpenMailbox[]> {
  const maps = await measuredMaps({ store, clock, uniqueId: view.maildrop.uniqueId }, mailboxes, signal);
  return mailboxes.map(({ key, mailbox, map }, place) => ({ key, mailbox, map: maps[place] ?? map, stored: maps[place] ?? map }));
}

/** Saves all maps at once: an id must not be in two of them, whatever happens. */
async function updateMaps(
  request: OpenRequest,
  listed: readonly ListedMailbox[],
  unlisted: readonly UnlistedMailbox[],
  recognised: Recognised,
): Promise<OpenMailbox[]> {
  const { store, view, events } = request;
  const changes: MapChange[] = [];
  const used = await store.usedIds(request.key);
  for (const [place, { key, stored, listing, formula, isNewEpoch }] of listed.entries()) {
    const found = recognised.mailboxes[place];
    const names = namesOf(key.path, listing.uidValidity);
    const ids = {
      formula,
      given: givenIds(view.maildrop.uniqueId, listing),
      fallback: (attempt: number) => fallbackFormula(names, attempt),
    };
    const newIds = {
      ...ids,
      taken: recognised.taken.union(await store.idsAmong(request.key, textsOf(listing, ids, found))),
      used: usedFormulas(used, view.maildrop.uniqueId, { path: key.path, formula, isMadeAnew: stored === undefined }),
      // Those done already with the ids that they give now.
      elsewhere: listed
        .flatMap((other, at) => (other.key === key ? [] : (changes[at]?.next ?? other.stored ?? [])))
        .concat(unlisted.map(({ map }) => map)),
    };
    const listedNow = { ...listing, server: request.session.server };
    const next = await inSlices(reconcileSteps(stored, listedNow, newIds, found?.inherited ?? new Map(), isNewEpoch));
    const derivation = templateFor(next, key.path, view.maildrop.uniqueId);
    changes.push({
      key,
      previous: isNewEpoch ? undefined : stored,
      next,
      derivation,
      identities: found?.identities ?? new Map(),
      gone: found?.gone ?? [],
      // Of whatever mailbox: one change does for all.
      found: place === 0 ? recognised.back : [],
    });
  }
  const lost = Map.groupBy(recognised.left, ({ path }) => path);
  const others = unlisted.flatMap(({ key, map }): MapChange[] => {
    const uids = (lost.get(key.path) ?? []).map(({ uid }) => uid);
    const next = uids.length === 0 ? map : withoutMessages(map, uids);
    return next === map ? [] : [{ key, previous: map, next, derivation: templateFor(next, key.path, view.maildrop.uniqueId) }];
  });
  const isSaved = await save(request, [...changes.filter(hasChanged), ...others]);
  for (const [place, { rematched }] of recognised.mailboxes.entries()) {
    const { key, listing } = listed[place] ?? {};
    if (rematched !== undefined) events.mapRematched({ ...rematched, folder: key?.path ?? '', messages: listing?.uids.length ?? 0 });
  }
  return listed.map(({ key, mailbox }, place) => {
    const { next: map, previous } = changes[place] ?? impossible(key);
    return { key, mailbox, map, stored: isSaved ? map : previous };
  });
}

/** Folders that were shown once: their ids must not be given to others. */
async function unlistedMaps(request: OpenRequest, listed: readonly ListedMailbox[]): Promise<UnlistedMailbox[]> {
  if (listed.every(({ listing }) => listing.added.uids.length === 0)) return [];
  const { store, key } = request;
  const paths = new Set(listed.map((one) => one.key.path));
  const maps: UnlistedMailbox[] = [];
  for (const other of await store.mailboxes(key)) {
    const map = paths.has(other.path) ? undefined : await loadedMap(request, other);
    if (map !== undefined) maps.push({ key: other, map });
  }
  return maps;
}

/** The ids that new messages may get, in lower case. */
function* textsOf(
  { added }: Listing,
  { formula, given, fallback }: Pick<NewIds, 'formula' | 'given' | 'fallback'>,
  found: RecognisedMailbox | undefined,
): Generator<string, void, void> {
  const idOf = idsFrom();
  const formulas = [formula, fallback(2), fallback(3)];
  for (const uid of added.uids) {
    if (found?.inherited.has(uid) === true) continue;
    for (const one of formulas) yield idOf({ formula: one, idUid: uid }).toLowerCase();
    const id = given?.(uid);
    if (id !== undefined) yield id.toLowerCase();
  }
}

/** What Gmail calls its messages, where unique-ids are to be as in its own POP3 server. */
function givenIds({ text }: UniqueIdTemplate, { added }: Listing): ((uid: Uid) => string | undefined) | undefined {
  if (text !== GMAIL) return undefined;
  const ids = new Map(added.uids.map((uid, index) => [uid, gmailUniqueId((added.identities[index] ?? '').slice(1))]));
  return (uid) => ids.get(uid);
}

function impossible({ path }: MailboxKey): never {
  throw new TypeError(`${path} was listed and has no map`);
}

function hasChanged({ previous, next, identities, gone, found }: MapChange): boolean {
  return previous !== next || (identities?.size ?? 0) > 0 || (gone?.length ?? 0) > 0 || (found?.length ?? 0) > 0;
}

/**
 * What can't be written, as on a full disk, is served all the same where all unique-ids follow from the template: they come out the same
 * next time.
 */
async function save({ store, events, now }: OpenRequest, changes: readonly MapChange[]): Promise<boolean> {
  try {
    await store.saveMaps(changes, now);
    return true;
  } catch (error) {
    if (!(error instanceof StoreError) || !changes.every(({ derivation }) => derivation !== undefined)) throw error;
    events.saveFailed(error);
    return false;
  }
}

function digestOf(mailboxes: readonly OpenMailbox[], snapshot: readonly { readonly uids: readonly Uid[] }[]): string {
  const hash = createHash('sha256');
  for (const [place, { mailbox }] of mailboxes.entries()) {
    hash.update(`${mailbox.path}\0${mailbox.uidValidity}\0`).update(Uint32Array.from(snapshot[place]?.uids ?? []));
  }
  return hash.digest('hex').slice(0, 16);
}
