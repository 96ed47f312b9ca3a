/** A maildrop without a server: messages from a list, a real MaildropSession on a fake mailbox and a store in memory. */
import { LRUCache } from 'lru-cache';
import type { LoggedIn } from '../../src/daemon/connection-parts.ts';
import type { ViewConfig } from '../../src/config/schema.ts';
import { MaildropSession } from '../../src/daemon/maildrop-session.ts';
import { UpstreamLink } from '../../src/daemon/upstream-link.ts';
import type { Clock } from '../../src/clock.ts';
import { UpstreamError } from '../../src/errors.ts';
import { Maildrop } from '../../src/maildrop/maildrop.ts';
import { isUid, isUidValidity, type Uid, type UidValidity } from '../../src/maildrop/numbers.ts';
import type { NewIds } from '../../src/maildrop/reconcile.ts';
import { emptyMap } from '../../src/maildrop/uid-map.ts';
import { applyTemplate, fallbackFormula, parseTemplate, uniqueIdsOf, type UniqueIdFormula } from '../../src/maildrop/unique-id.ts';
import { LineEndNormaliser } from '../../src/pop3/line-ends.ts';
import type { Store } from '../../src/store/store.ts';
import type { FetchRequest, Removal, RemovalResult, UpstreamMailbox, UpstreamSession } from '../../src/upstream/upstream.ts';

export function uid(number: number): Uid {
  if (!isUid(number)) throw new RangeError(`${number} is no UID`);
  return number;
}

export function uids(...numbers: readonly number[]): Uid[] {
  return numbers.map(uid);
}

export function uidValidity(number: number): UidValidity {
  if (!isUidValidity(number)) throw new RangeError(`${number} is no UIDVALIDITY`);
  return number;
}

export const FOLDER_TAG = 0x1234abcd;
export const UIDVALIDITY = uidValidity(7);

/** A template, or the one of that name, as it applies to the fake mailbox. */
export function formulaOf(template: string, validity: UidValidity): UniqueIdFormula {
  const parsed = parseTemplate(template);
  if ('problem' in parsed) throw new Error(parsed.problem);
  return applyTemplate(parsed, { folderTag: FOLDER_TAG, uidValidity: validity });
}

export function newIds(validity: UidValidity, template = 'popbridge'): NewIds {
  const names = { folderTag: FOLDER_TAG, uidValidity: validity };
  return {
    formula: formulaOf(template, validity),
    fallback: (attempt) => fallbackFormula(names, attempt),
    taken: new Set(),
    used: [],
    elsewhere: [],
  };
}

/** A message of the fake mailbox: its octets, and what goes wrong when it is fetched. */
export interface FakeMessage {
  readonly octets: Uint8Array;
  /** 'gone' and 'unreadable' fail before the first octet, 'breaks' after half of them. */
  readonly fault?: 'gone' | 'unreadable' | 'breaks';
}

/** How UPDATE goes: all removed, that many left, permanently or not, or the connection lost. */
export type FakeRemoval = { readonly left: number; readonly kind: 'refused' | 'forbidden' } | 'lost' | 'works';

export interface FakeMaildropOptions {
  readonly messages: readonly FakeMessage[];
  readonly clock: Clock;
  readonly isReadOnly?: boolean;
  readonly removal?: FakeRemoval;
  readonly markSeen?: ViewConfig['retrieve']['markSeen'];
  /** What changes something upstream waits for this. */
  readonly changesAfter?: Promise<unknown>;
  readonly maxMessageOctets?: number;
  readonly loginDelaySeconds?: number;
  /** Cuts what the mailbox gives into chunks. */
  readonly cut?: (octets: Uint8Array) => Iterable<Uint8Array>;
}

/** What the session did upstream, by UID; UIDs of the fake are 101, 102, … */
export interface FakeTraces {
  readonly removed: number[];
  readonly seen: number[];
  readonly fetched: { readonly uid: number; readonly part: string }[];
  journalEntries: number;
  openJournalEntries: number;
  releases: number;
}

export const FIRST_UID = 101;

/** A snapshot of messages with those octets; UIDs are 101, 102, … */
export function snapshotOf(octets: readonly number[], options: { isReadOnly?: boolean } = {}): Maildrop {
  const mailbox = {
    uids: octets.map((_, index) => uid(FIRST_UID + index)),
    octets: Float64Array.from(octets),
    uniqueId: uniqueIdsOf(formulaOf('popbridge', UIDVALIDITY)),
    isReadOnly: options.isReadOnly === true,
  };
  return Maildrop.of([mailbox]);
}

/** A view as it is configured where nothing is said, apart from that. */
export function viewConfig(fields: { readonly [Table in keyof ViewConfig]?: Partial<ViewConfig[Table]> } = {}): ViewConfig {
  const uniqueId = parseTemplate('popbridge');
  if ('problem' in uniqueId) throw new Error(uniqueId.problem);
  return {
    maildrop: {
      folders: ['INBOX'],
      show: 'all',
      sinceSeconds: 0,
      newest: 0,
      sizes: 'learn',
      lock: 'exclusive',
      uniqueId,
      ...fields.maildrop,
    },
    retrieve: { markSeen: 'never', ...fields.retrieve },
    delete: { action: 'trash', folder: undefined, afterSeconds: 0, when: 'any-view', verify: false, ...fields.delete },
  };
}

/** The octets of a message as POP3 counts them. */
export function popOctets(octets: Uint8Array): Uint8Array {
  const normaliser = new LineEndNormaliser();
  return Buffer.concat([normaliser.transform(octets), normaliser.end()]);
}

/** Opens a fake maildrop, as a login would. */
export function openFakeMaildrop(options: FakeMaildropOptions): { readonly loggedIn: LoggedIn; readonly traces: FakeTraces } {
  const traces: FakeTraces = { removed: [], seen: [], fetched: [], journalEntries: 0, openJournalEntries: 0, releases: 0 };
  const mailbox = fakeMailbox(options, traces);
  const upstream: UpstreamSession = {
    server: 'fake:143',
    abilities: { move: true, uidPlus: true, condstore: true, capabilities: [] },
    onEnd: () => {},
    isUsable: true,
    isKept: false,
    operations: 0,
    select: () => Promise.resolve(mailbox),
    folders: () => Promise.resolve({ folders: [], prefix: '' }),
    wasMissing: () => false,
    isFatal: () => false,
    logout: () => Promise.resolve(),
    destroy: () => {},
  };
  const key = { upstream: 'fake', user: 'alice', view: '' };
  const view = viewConfig({ retrieve: { markSeen: options.markSeen ?? 'never' } });
  const octets = options.messages.map((message) => popOctets(message.octets).length);
  const maildrop = snapshotOf(octets, { isReadOnly: options.isReadOnly === true });
  const session = new MaildropSession({
    key,
    maildrop,
    store: fakeStore(traces),
    clock: options.clock,
    view,
    views: new Map([['', view]]),
    link: new UpstreamLink({
      session: upstream,
      mailboxes: [mailbox],
      reconnect: () => Promise.resolve(upstream),
      connectApart: () => Promise.resolve(upstream),
      checkPause: () => {},
      notePause: () => {},
    }),
    mailboxes: [{ key: { maildrop: key, path: 'INBOX' }, mailbox, map: emptyMap(UIDVALIDITY), stored: emptyMap(UIDVALIDITY) }],
    cutMessages: new LRUCache({ max: 10 }),
    inTurn: (work) => work(),
    isShared: false,
    locked: (work) => work(),
    leave: () => {},
    events: {
      deleteFailed: () => {},
      seenFailed: () => {},
      saveFailed: () => {},
      mapRebuilt: () => {},
      mapRematched: () => {},
      onlyFlagged: () => {},
      folderSkipped: () => {},
      messagesUnlistable: () => {},
    },
    release: () => {
      traces.releases += 1;
    },
  });
  const opened = { maildrop, loginDelaySeconds: options.loginDelaySeconds, maxMessageOctets: options.maxMessageOctets ?? 0 };
  return { loggedIn: { session, opened }, traces };
}

function fakeMailbox(options: FakeMaildropOptions, traces: FakeTraces): UpstreamMailbox {
  return {
    path: 'INBOX',
    uidValidity: UIDVALIDITY,
    isReadOnly: options.isReadOnly === true,
    list: () => Promise.reject(new UpstreamError('protocol', 'not listed here')),
    fetch: (request) => fetchFrom(options, traces, request),
    existing: (uids) => Promise.resolve([...uids]),
    messageIds: () => Promise.resolve(new Map()),
    rows: () => Promise.reject(new UpstreamError('protocol', 'not listed here')),
    beginning: () => Promise.reject(new UpstreamError('protocol', 'not listed here')),
    unseen: () => Promise.resolve(new Set()),
    isEmptyMessage: (uid) => Promise.resolve(options.messages[uid - FIRST_UID]?.octets.length === 0),
    close: () => {},
    addSeen: async (seen) => {
      await options.changesAfter;
      traces.seen.push(...seen);
    },
    remove: (removal) => removeFrom(options, traces, removal),
    expectedDestination: () => Promise.resolve({ path: 'Trash', mustBeCreated: false }),
  };
}

async function* fetchFrom(options: FakeMaildropOptions, traces: FakeTraces, request: FetchRequest): AsyncGenerator<Uint8Array, void, void> {
  traces.fetched.push({ uid: request.uid, part: request.part });
  const message = options.messages[request.uid - FIRST_UID];
  if (message === undefined || message.fault === 'gone') throw new UpstreamError('message-gone', 'SECRET upstream text');
  if (message.fault === 'unreadable') throw new UpstreamError('message-unreadable', 'SECRET upstream text');
  const all = request.part === 'header' ? headerOf(message.octets) : message.octets;
  const octets = message.fault === 'breaks' ? all.subarray(0, all.length >> 1) : all;
  for (const chunk of options.cut?.(octets) ?? [octets]) yield chunk;
  if (message.fault === 'breaks') throw new UpstreamError('unreachable', 'SECRET upstream text');
}

/** BODY[HEADER]: up to and with the blank line. */
function headerOf(octets: Uint8Array): Uint8Array {
  const text = Buffer.from(octets).toString('latin1');
  const end = /^\r?\n|\n\r?\n/.exec(text);
  return end === null ? octets : octets.subarray(0, end.index + end[0].length);
}

async function removeFrom(options: FakeMaildropOptions, traces: FakeTraces, removal: Removal): Promise<RemovalResult> {
  const how = options.removal ?? 'works';
  await removal.onStage('planned');
  await options.changesAfter;
  if (how === 'lost') throw new UpstreamError('unreachable', 'SECRET upstream text');
  const left = how === 'works' ? 0 : how.left;
  const done = removal.uids.slice(0, removal.uids.length - left);
  traces.removed.push(...done);
  const problem = how === 'works' ? undefined : new UpstreamError(how.kind, 'SECRET upstream text');
  return { remaining: removal.uids.slice(done.length), problem, onlyFlagged: false };
}

function fakeStore(traces: FakeTraces): Store {
  return {
    loadMap: () => Promise.resolve(undefined),
    saveMaps: () => Promise.resolve(),
    derivationOf: () => Promise.resolve(undefined),
    openEntries: () => Promise.resolve([]),
    addEntries: (_, entries) => {
      traces.journalEntries += entries.length;
      traces.openJournalEntries += entries.length;
      return Promise.resolve(entries.map((_entry, index) => traces.journalEntries - index));
    },
    setStage: () => Promise.resolve(),
    removeEntry: () => {
      traces.openJournalEntries -= 1;
      return Promise.resolve();
    },
    loadIdentities: () => Promise.resolve(new Map()),
    addIdentities: () => Promise.resolve(),
    identityCounts: () => Promise.resolve(new Map()),
    usedIds: () => Promise.resolve({ epochs: [], formulas: [] }),
    idsAmong: () => Promise.resolve(new Set()),
    allGone: async function* () {},
    findGone: () => Promise.resolve([]),
    hasGoneMessageIds: () => Promise.resolve(false),
    hasGone: () => Promise.resolve(false),
    acquireLease: () => Promise.resolve({ release: () => Promise.resolve() }),
    unfinished: () => Promise.resolve([]),
    mailboxes: () => Promise.resolve([]),
    noteSizes: () => Promise.resolve(),
    sizeVerdict: () => Promise.resolve({ measured: 0, differing: 0, largest: 0 }),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}
