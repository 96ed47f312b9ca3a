/** Lists the mailboxes of a maildrop, each with what is stored of it. One that nobody counts on does not take the others along. */
import type { ViewConfig } from '../config/schema.ts';
import { StoreError, UpstreamError, type BridgeError } from '../errors.ts';
import { applyTemplate } from '../maildrop/unique-id.ts';
import { countIn, knownMessage, lastUidIn, lastUidsIn, uidsIn, type UidMap } from '../maildrop/uid-map.ts';
import type { MailboxKey, MaildropKey, Store } from '../store/store.ts';
import { NOTHING_KNOWN, type KnownMailbox, type Purpose, type UpstreamMailbox, type UpstreamSession } from '../upstream/upstream.ts';
import { derivationText, namesOf } from './derivation.ts';
import type { ListedChanges } from './listed-changes.ts';
import { foldersOf, noneMatches, type MaildropFolder } from './maildrop-folders.ts';
import type { ListedMailbox } from './recognise.ts';

/** What a listing does for the operator to see. */
export interface ListingEvents {
  /** A folder that only a pattern named, and that was never shown, cannot be opened. */
  folderSkipped(fields: { readonly folder: string; readonly error: BridgeError }): void;
  /** The server gives no row of these messages; they are shown all the same, and their size and date are not known. */
  messagesUnlistable(fields: { readonly folder: string; readonly count: number }): void;
  /** The UID map on disk made no sense and was made anew. */
  mapRebuilt(error: BridgeError): void;
}

export interface ListRequest {
  readonly key: MaildropKey;
  readonly store: Store;
  readonly session: UpstreamSession;
  readonly view: ViewConfig;
  readonly events: ListingEvents;
  readonly listedChanges: ListedChanges;
}

/** `worked`: mailboxes, by path, in which overdue work was done; what SELECT told before that proves nothing any more. */
export async function listMailboxes(
  request: ListRequest,
  worked: ReadonlyMap<string, unknown>,
  signal: AbortSignal,
): Promise<ListedMailbox[]> {
  const { session, view, store, key, events } = request;
  const listed: ListedMailbox[] = [];
  let skipped: UpstreamError | undefined;
  const shownBefore = async (): Promise<string[]> => (await store.mailboxes(key)).map(({ path }) => path);
  for (const folder of await foldersOf(view, session, shownBefore, signal)) {
    const stored = await loadedMap(request, { maildrop: key, path: folder.path });
    try {
      if (!folder.isNamed && stored === undefined && session.isFatal(folder.path)) throw fatal(folder);
      const mailbox = await openedAndListed(request, folder, { stored, listed, worked }, signal);
      if (mailbox !== undefined) listed.push(mailbox);
    } catch (error) {
      const isOneLess = error instanceof UpstreamError && mayBeSkipped(error, folder, { session, isShown: stored !== undefined });
      if (!isOneLess || signal.aborted) throw error;
      skipped = error;
      if (folder.isListed) events.folderSkipped({ folder: folder.path, error });
    }
  }
  if (listed.length > 0) return listed;
  throw skipped ?? noneMatches(view);
}

/**
 * True where a login goes on without the folder. It does so where only a pattern matches it and no client knows a message of it. A folder that the
 * server did not list and now calls missing is gone; after any other failure it may still be there.
 */
export function mayBeSkipped(
  error: UpstreamError,
  { isNamed, isListed }: MaildropFolder,
  { session, isShown }: { readonly session: UpstreamSession; readonly isShown: boolean },
): boolean {
  if (isNamed || !session.isUsable) return false;
  return isListed ? !isShown : error.kind === 'missing';
}

/** The error of a folder over which the server has ended the connection more than once. */
export function fatal({ path }: MaildropFolder): UpstreamError {
  return new UpstreamError('refused', `the server ended the connection each time ${path} was opened`);
}

/** Undefined for a mailbox that is listed already under another path. */
async function openedAndListed(
  request: ListRequest,
  { path }: MaildropFolder,
  {
    stored,
    listed,
    worked,
  }: { readonly stored: UidMap | undefined; readonly listed: readonly ListedMailbox[]; readonly worked: ReadonlyMap<string, unknown> },
  signal: AbortSignal,
): Promise<ListedMailbox | undefined> {
  // Selected anew where another one was meanwhile.
  const mailbox = await request.session.select(path, signal, purposeOf(stored));
  if (listed.some(({ key }) => key.path === mailbox.path)) return undefined;
  const before = mailbox.path === path ? stored : await loadedMap(request, { maildrop: request.key, path: mailbox.path });
  const one = await list(request, mailbox, { stored: before, isOld: worked.has(mailbox.path) }, signal);
  const untold = one.listing.added.untold?.length ?? 0;
  if (untold > 0) request.events.messagesUnlistable({ folder: mailbox.path, count: untold });
  return one;
}

/** What SELECT is sent for: what the listing will need comes together with it. */
function purposeOf(stored: UidMap | undefined): Purpose {
  return stored === undefined ? { for: 'first-listing' } : { for: 'listing', known: knownMailbox(stored) };
}

/** `isOld`: what SELECT told before the overdue work proves nothing any more. */
async function list(
  request: ListRequest,
  mailbox: UpstreamMailbox,
  { stored, isOld }: { readonly stored: UidMap | undefined; readonly isOld: boolean },
  signal: AbortSignal,
): Promise<ListedMailbox> {
  const { uniqueId } = request.view.maildrop;
  const key = { maildrop: request.key, path: mailbox.path };
  const { server } = request.session;
  const isKnown = stored?.uidValidity === mailbox.uidValidity && (stored.server === '' || stored.server === server);
  const modSeq = request.listedChanges.modSeqOf(key);
  const known = isKnown ? { ...knownMailbox(stored), modSeq, ...(isOld ? { uidNext: 0 } : {}) } : NOTHING_KNOWN;
  const listing = await mailbox.list(known, signal);
  const isNewEpoch = stored !== undefined && (!isKnown || listing.isOther);
  return { key, mailbox, stored, listing, isNewEpoch, formula: applyTemplate(uniqueId, namesOf(mailbox.path, mailbox.uidValidity)) };
}

/** What an upstream needs to know to ask only for what changed. */
function knownMailbox(map: UidMap): Omit<KnownMailbox, 'modSeq'> {
  return {
    uidNext: map.uidNext,
    count: countIn(map),
    lastUid: lastUidIn(map),
    lastUids: (most) => lastUidsIn(map, most),
    uids: () => uidsIn(map),
    arrivalOf: (uid) => knownMessage(map, uid)?.arrival,
  };
}

/** The stored map. One that makes no sense is made anew from the template, where the unique-ids come out the same. */
export async function loadedMap({ store, events, view }: ListRequest, key: MailboxKey): Promise<UidMap | undefined> {
  try {
    return await store.loadMap(key);
  } catch (error) {
    if (!(error instanceof StoreError) || error.code !== 'STORE_CORRUPT') throw error;
    if ((await store.derivationOf(key)) !== derivationText(view.maildrop.uniqueId, key.path)) throw error;
    events.mapRebuilt(error);
    return undefined;
  }
}
