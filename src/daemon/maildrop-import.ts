/** Gives messages the unique-ids that clients know already, so that nothing is fetched again after a move. */
import type { Clock } from '../clock.ts';
import { UpstreamError } from '../errors.ts';
import { adopt, adoptedState, type Adopter, type KnownId } from '../maildrop/adoption.ts';
import { withIdSources, withRestoredStates } from '../maildrop/map-changes.ts';
import type { Uid } from '../maildrop/numbers.ts';
import { UNIDENTIFIED, type Identity } from '../maildrop/rematch.ts';
import { knownMessage, uidsIn, uniqueIdsIn, verbatimSource, type IdSource, type MessageState } from '../maildrop/uid-map.ts';
import { formulasOfServers, uidInId, uniqueIdsOf, type UniqueIdFormula } from '../maildrop/unique-id.ts';
import type { MapChange, Store } from '../store/store.ts';
import type { UpstreamSession } from '../upstream/upstream.ts';
import type { Progress } from './control-socket.ts';
import { namesOf } from './derivation.ts';
import type { UpstreamService } from './login.ts';
import { changeOf, type MaildropAdmin, type MaildropTarget } from './maildrop-admin.ts';
import type { SessionEvents } from './maildrop-session.ts';
import { ListedChanges } from './listed-changes.ts';
import { SnapshotCache } from './snapshot-cache.ts';
import { openMaildrop, type OpenMailbox } from './open-maildrop.ts';
import { messageIdKey } from './recognise.ts';

export interface ImportParts {
  readonly admin: MaildropAdmin;
  readonly store: Store;
  readonly events: (service: UpstreamService, user: string) => SessionEvents;
  /** Logs in upstream for a user of POP3. */
  readonly logIn: (service: UpstreamService, user: string, password: string) => Promise<UpstreamSession>;
  readonly clock: Clock;
}

export interface ImportRequest extends MaildropTarget {
  readonly password: string;
  readonly known: readonly ImportedId[];
  /** Changes nothing, here and on the server. */
  readonly dryRun: boolean;
}

/** A unique-id that clients know; of an export also what clients did to its message. */
export interface ImportedId extends KnownId {
  readonly state: MessageState | undefined;
}

export interface ImportReport {
  /** In the maildrop. */
  readonly messages: number;
  readonly matched: number;
  /** Of those, how many have another unique-id than before. */
  readonly changed: number;
  readonly unmatched: readonly string[];
  readonly ambiguous: readonly string[];
}

/** Message-IDs are read so many at a time. */
const BATCH = 1_000;

/** Rejects with BusyError while a session has the maildrop, and as a login does. */
export async function importIds(parts: ImportParts, request: ImportRequest, progress: Progress): Promise<ImportReport> {
  const { key, service, view, user } = await parts.admin.resolve(request);
  if (service === undefined || view === undefined) throw new UpstreamError('missing', `no upstream ${key.upstream} is configured`);
  using _lock = parts.admin.lock(key);
  const now = Math.floor(parts.clock.now() / 1000);
  const store = request.dryRun ? withoutWrites(parts.store) : parts.store;
  const session = await parts.logIn(service, user, request.password);
  try {
    const opened = await openMaildrop(
      {
        key,
        store,
        snapshots: new SnapshotCache(),
        listedChanges: new ListedChanges(),
        session,
        view: { ...view, maildrop: { ...view.maildrop, sizes: 'learn' } },
        clock: parts.clock,
        views: service.views,
        isRecent: false,
        tryLock: () => undefined,
        inTurn: (work) => work(),
        events: parts.events(service, key.user),
        now,
      },
      new AbortController().signal,
    );
    const adopters = await adoptersIn(store, opened.mailboxes, progress);
    const { matches, unmatched, ambiguous } = adopt(request.known, adopters, formulasOf);
    const imported = new Map(request.known.map((id) => [id.uniqueId, id]));
    const changed = [...matches].filter(([adopter, id]) => adopter.uniqueId !== id.uniqueId);
    const changes = opened.mailboxes.map((open): MapChange => {
      const mine = [...matches].filter(([{ path }]) => path === open.mailbox.path);
      const sources = new Map(
        changed.flatMap(([one, id]) => (one.path === open.mailbox.path ? [[one.uid, sourceOf(one, id)] as const] : [])),
      );
      const states = new Map(mine.flatMap(([one, id]) => stateOf(one, imported.get(id.uniqueId))));
      return changeOf(open.key, open.stored, withRestoredStates(withIdSources(open.map, sources), states), view);
    });
    await store.saveMaps(
      changes.filter(({ previous, next }) => previous !== next),
      now,
    );
    return {
      messages: adopters.length,
      matched: matches.size,
      changed: changed.length,
      unmatched: unmatched.map(({ uniqueId }) => uniqueId),
      ambiguous: ambiguous.map(({ uniqueId }) => uniqueId),
    };
  } finally {
    void session.logout();
  }
}

function formulasOf(path: string, uidValidity: Adopter['uidValidity']): readonly UniqueIdFormula[] {
  return formulasOfServers(namesOf(path, uidValidity));
}

/** As a formula where a server makes such ids: that takes next to nothing. */
function sourceOf({ path, uidValidity }: Adopter, { uniqueId }: KnownId): IdSource {
  for (const formula of formulasOf(path, uidValidity)) {
    const idUid = uidInId(formula, uniqueId);
    if (idUid !== undefined && uniqueIdsOf(formula)(idUid) === uniqueId) return { formula, idUid };
  }
  return verbatimSource(uniqueId);
}

function stateOf(adopter: Adopter, id: ImportedId | undefined): (readonly [Uid, MessageState])[] {
  if (id?.state === undefined) return [];
  const state = adoptedState(id.state, id, adopter);
  return state.retrievedAt === 0 && state.deletedAt === 0 ? [] : [[adopter.uid, state]];
}

async function adoptersIn(store: Store, mailboxes: readonly OpenMailbox[], progress: Progress): Promise<Adopter[]> {
  const adopters: Adopter[] = [];
  for (const open of mailboxes) for (const one of await adoptersOf(store, open, progress)) adopters.push(one);
  return adopters;
}

async function adoptersOf(store: Store, open: OpenMailbox, progress: Progress): Promise<Adopter[]> {
  const { key, mailbox, map } = open;
  const identities = new Map(await store.loadIdentities(key));
  const uids = uidsIn(map);
  const unknown = uids.filter((uid) => identities.get(uid)?.messageId === undefined);
  for (let start = 0; start < unknown.length; start += BATCH) {
    progress(start, unknown.length, `reading Message-IDs of ${mailbox.path}`);
    const batch = unknown.slice(start, start + BATCH);
    const messageIds = await mailbox.messageIds(batch, new AbortController().signal);
    const found = new Map(batch.map((uid): [Uid, Identity] => [uid, { given: '', messageId: messageIdKey(messageIds.get(uid)) }]));
    await store.addIdentities(key, map.uidValidity, found);
    for (const [uid, { messageId }] of found) identities.set(uid, { given: identities.get(uid)?.given ?? '', messageId });
  }
  const idOf = uniqueIdsIn(map);
  return uids.map((uid) => {
    const { declaredOctets = 0, trueOctets, arrival = 0 } = knownMessage(map, uid) ?? {};
    const identity = identities.get(uid) ?? UNIDENTIFIED;
    const { uidValidity, server } = map;
    return { server, path: mailbox.path, uidValidity, uid, uniqueId: idOf(uid), identity, arrival, octets: trueOctets ?? declaredOctets };
  });
}

/** The store as it is, in which nothing is ever written and nothing is waiting to be done. */
function withoutWrites(store: Store): Store {
  return {
    loadMap: (key) => store.loadMap(key),
    derivationOf: (key) => store.derivationOf(key),
    loadIdentities: (key, segments) => store.loadIdentities(key, segments),
    identityCounts: (key) => store.identityCounts(key),
    usedIds: (key) => store.usedIds(key),
    idsAmong: (key, uniqueIds) => store.idsAmong(key, uniqueIds),
    allGone: (key) => store.allGone(key),
    findGone: (key, like) => store.findGone(key, like),
    hasGoneMessageIds: (key) => store.hasGoneMessageIds(key),
    hasGone: (key) => store.hasGone(key),
    openEntries: (key) => store.openEntries(key),
    acquireLease: (key, onLost) => store.acquireLease(key, onLost),
    mailboxes: (of) => store.mailboxes(of),
    sizeVerdict: (upstream) => store.sizeVerdict(upstream),
    unfinished: () => Promise.resolve([]),
    saveMaps: () => Promise.resolve(),
    addIdentities: () => Promise.resolve(),
    addEntries: () => Promise.resolve([]),
    setStage: () => Promise.resolve(),
    removeEntry: () => Promise.resolve(),
    noteSizes: () => Promise.resolve(),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}
