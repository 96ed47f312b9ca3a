/**
 * Which messages of a listing were known before under another UID: after UIDVALIDITY changed, or because they were moved, away and
 * back or to another mailbox of the maildrop. They get their unique-ids again, so that no client fetches them twice.
 */
import { createHash } from 'node:crypto';
import { UpstreamError } from '../errors.ts';
import { IDENTITY_KINDS, rematch, UNIDENTIFIED, type Identity, type Recognisable } from '../maildrop/rematch.ts';
import {
  countIn,
  idsFrom,
  idSource,
  knownMessage,
  messagesIn,
  NEVER_DUE,
  segmentNumber,
  sourceAt,
  sourceKey,
  uidsIn,
  type MessageState,
  type UidMap,
} from '../maildrop/uid-map.ts';
import type { Uid } from '../maildrop/numbers.ts';
import type { Inherited } from '../maildrop/reconcile.ts';
import type { UniqueIdFormula } from '../maildrop/unique-id.ts';
import { isKnownToBeTheSame, isListedAgain } from '../maildrop/verification.ts';
import type { GoneMessage, MailboxKey, Store, Tombstone } from '../store/store.ts';
import type { Listing, UpstreamMailbox } from '../upstream/upstream.ts';

/** A mailbox just listed. */
export interface ListedMailbox {
  readonly key: MailboxKey;
  readonly mailbox: UpstreamMailbox;
  readonly stored: UidMap | undefined;
  readonly listing: Listing;
  /** UIDVALIDITY changed, or else what is stored is not of these messages. */
  readonly isNewEpoch: boolean;
  /** Under which new messages get their ids. */
  readonly formula: UniqueIdFormula;
}

/** What was found out about one mailbox. */
export interface RecognisedMailbox {
  readonly inherited: ReadonlyMap<Uid, Inherited>;
  readonly identities: ReadonlyMap<Uid, Identity>;
  /** No longer there, nor in another mailbox. */
  readonly gone: readonly GoneMessage[];
  /** Only where UIDVALIDITY changed: how many messages kept their unique-ids, resembled several, were not found again. */
  readonly rematched: { readonly kept: number; readonly ambiguous: number; readonly lost: number } | undefined;
}

export interface Recognised {
  readonly mailboxes: readonly RecognisedMailbox[];
  /** Found again, and no longer of the unlisted mailboxes where they were. */
  readonly left: readonly { readonly path: string; readonly uid: Uid }[];
  /** Ids that were shown for other messages, in lower case. */
  readonly taken: ReadonlySet<string>;
}

interface Fresh extends Recognisable {
  readonly uid: Uid;
  readonly place: number;
}

/** A message of the map that is no longer listed, or may be another one by now. */
interface Missing extends Tombstone {
  readonly uid: Uid;
}

/** What is known of one mailbox on the way. */
interface Sighting extends ListedMailbox {
  readonly identities: Map<Uid, Identity>;
  /** After a new UIDVALIDITY all messages of the map. */
  readonly missing: readonly Missing[];
}

const HASH_OCTETS = 16;
/** So many new messages may cost one command more, to see whether they came back from elsewhere. */
const MAX_LOOKED_AT = 1_000;

/** The key of an identity, as the store keeps it: its kind, and a hash of fixed length. */
export function identityKey(identity: string): string {
  const hash = createHash('sha256').update(identity, 'latin1').digest().subarray(0, HASH_OCTETS);
  return identity.charAt(0) + hash.toString('base64url');
}

export function messageIdKey(messageId: string | undefined): string {
  return messageId === undefined || messageId === '' ? '' : identityKey(IDENTITY_KINDS.messageId + messageId);
}

/** A mailbox of the maildrop that is not there any more, or not shown. */
export interface UnlistedMailbox {
  readonly key: MailboxKey;
  readonly map: UidMap;
}

export async function recognise(
  store: Store,
  listed: readonly ListedMailbox[],
  unlisted: readonly UnlistedMailbox[],
  signal: AbortSignal,
): Promise<Recognised> {
  const sightings = await Promise.all(listed.map((one) => sight(store, one)));
  const came = sightings.some(({ listing }) => listing.added.uids.length > 0);
  const [first] = listed;
  const gone = came && first !== undefined ? await store.loadGone(first.key.maildrop) : [];
  const away = new Map<Tombstone, { readonly path: string; readonly uid: Uid }>();
  for (const { key, map } of came ? unlisted : []) {
    const identities = await store.loadIdentities(key);
    for (const uid of uidsIn(map)) {
      for (const one of asGone(map, uid, identities.get(uid)))
        away.set(Object.assign(one, { path: key.path, goneAt: 0 }), { path: key.path, uid });
    }
  }
  // Of copies that nothing tells apart, those that were not deleted are found again first.
  const candidates = distinct([...sightings.flatMap(({ missing }) => missing), ...away.keys(), ...gone]).sort(
    (one, other) => Number(one.state.deletedAt > 0) - Number(other.state.deletedAt > 0),
  );
  if (candidates.length === 0) return { mailboxes: sightings.map(withoutHeritage), left: [], taken: new Set() };
  for (const sighting of sightings) await readMessageIds(sighting, candidates, signal);
  const fresh = sightings.map(freshMessages);
  const returned = new Map(sightings.flatMap((sighting, place) => listedAgain(candidates, sighting, fresh[place] ?? [])));
  const isLeft = new Set(returned.values());
  const { matches, ambiguous } = rematch(
    candidates.filter((message) => !isLeft.has(message)),
    fresh.flat().filter((message) => !returned.has(message)),
    sightings.some(({ isNewEpoch }) => isNewEpoch),
  );
  const missing = new Set<Tombstone>(sightings.flatMap((sighting) => sighting.missing));
  const pairs = [...returned, ...matches];
  const inUse = pairs.every(([, source]) => missing.has(source)) ? new Set<string>() : sourcesIn(sightings);
  const found = new Map(pairs.filter(([, source]) => missing.has(source) || !inUse.has(sourceKey(source))));
  const isFound = new Set(found.values());
  const mailboxes = sightings.map((sighting, place): RecognisedMailbox => {
    const inherited = new Map(
      [...found].flatMap(([message, from]) => (message.place === place ? [heritage(message, from, returned.has(message))] : [])),
    );
    const left = sighting.missing.filter((message) => !isFound.has(message));
    const doubtful = ambiguous.filter((message) => message.place === place).length;
    const rematched = sighting.isNewEpoch ? { kept: inherited.size, ambiguous: doubtful, lost: left.length } : undefined;
    return { inherited, identities: sighting.identities, gone: left, rematched };
  });
  const left = [...isFound].flatMap((message) => away.get(message) ?? []);
  const idOf = idsFrom();
  return { mailboxes, left, taken: new Set(candidates.map((message) => idOf(message).toLowerCase())) };
}

/** Where nothing was known that could have come back. */
function withoutHeritage({ identities, isNewEpoch }: Sighting): RecognisedMailbox {
  return { inherited: new Map(), identities, gone: [], rematched: isNewEpoch ? { kept: 0, ambiguous: 0, lost: 0 } : undefined };
}

async function sight(store: Store, listed: ListedMailbox): Promise<Sighting> {
  const { added } = listed.listing;
  const identities = new Map<Uid, Identity>();
  for (const [index, uid] of added.uids.entries()) {
    const given = added.identities[index];
    if (given !== undefined) identities.set(uid, { ...UNIDENTIFIED, given: identityKey(given) });
  }
  return { ...listed, identities, missing: await missingFrom(store, listed) };
}

/**
 * Messages that a server did not list for a while, or that lie on a server of another name: the same UID again, and nothing tells them apart. A UID that was given to
 * another message, as after a restore from backup, is no such thing.
 */
function listedAgain(
  candidates: readonly Tombstone[],
  { key, formula, stored, listing, missing }: Sighting,
  fresh: readonly Fresh[],
): (readonly [Fresh, Tombstone])[] {
  const isSameValidity = stored?.uidValidity === listing.uidValidity;
  const byUid = new Map(isSameValidity ? missing.map((message) => [message.uid, message] as const) : []);
  const bySource = new Map(candidates.filter(({ path }) => path === key.path).map((message) => [sourceKey(message), message]));
  return fresh.flatMap((message) => {
    const before = byUid.get(message.uid) ?? bySource.get(sourceKey({ formula, idUid: message.uid }));
    const isSameMailbox = listing.isOther && byUid.has(message.uid);
    return before !== undefined && isListedAgain(before, message, isSameMailbox) ? [[message, before] as const] : [];
  });
}

/** Of the messages that are still there. */
function sourcesIn(sightings: readonly Sighting[]): Set<string> {
  const sources = new Set<string>();
  for (const { stored, isNewEpoch } of sightings) {
    if (stored === undefined || isNewEpoch) continue;
    for (const { segment, index } of messagesIn(stored)) sources.add(sourceKey(sourceAt(segment, index)));
  }
  return sources;
}

function heritage({ uid, octets, identity }: Fresh, from: GoneMessage, isSameUid: boolean): readonly [Uid, Inherited] {
  const { formula, idUid } = from;
  const state = isSameUid ? from.state : stateUnder(from, isKnownToBeTheSame(from.identity, identity));
  // A server that counts otherwise may also send otherwise.
  return [uid, { formula, idUid, state, trueOctets: from.octets === octets ? from.trueOctets : undefined }];
}

/** Under another UID. What only looks like a deleted message is not deleted; one that is stays hidden, but is not removed (CONTRACT section 5.1). */
function stateUnder({ state }: GoneMessage, isCertain: boolean): MessageState {
  if (state.deletedAt === 0) return state;
  return isCertain ? { ...state, dueAt: NEVER_DUE } : { ...state, deletedAt: 0, dueAt: 0 };
}

async function missingFrom(store: Store, { key, stored, listing, isNewEpoch }: ListedMailbox): Promise<Missing[]> {
  if (stored === undefined || (!isNewEpoch && countIn(stored) + listing.added.uids.length === listing.uids.length)) return [];
  const listed = new Set(isNewEpoch ? [] : listing.uids);
  const went = uidsIn(stored).filter((uid) => !listed.has(uid));
  if (went.length === 0) return [];
  const identities = await store.loadIdentities(key, [...new Set(went.map(segmentNumber))]);
  return went.flatMap((uid) =>
    asGone(stored, uid, identities.get(uid)).map((gone) => Object.assign(gone, { uid, path: key.path, goneAt: 0 })),
  );
}

/** A message of the map as it is remembered when it goes. */
export function asGone(map: UidMap, uid: Uid, identity = UNIDENTIFIED): GoneMessage[] {
  const message = knownMessage(map, uid);
  const source = idSource(map, uid);
  if (message === undefined || source === undefined) return [];
  const { arrival, declaredOctets: octets, trueOctets, state } = message;
  return [{ ...source, identity, arrival, octets, trueOctets, state }];
}

/** Each unique-id once, as it was last. */
function distinct(messages: readonly Tombstone[]): Tombstone[] {
  const seen = new Set<string>();
  return messages.filter((message) => seen.size < seen.add(sourceKey(message)).size);
}

/** Only where a Message-ID could tell something: it takes a command more. */
async function readMessageIds(sighting: Sighting, candidates: readonly Recognisable[], signal: AbortSignal): Promise<void> {
  const { mailbox, listing, identities, isNewEpoch } = sighting;
  const given = new Set(candidates.map(({ identity }) => identity.given));
  const unknown = listing.added.uids.filter((uid) => !given.has(identities.get(uid)?.given || NOT_GIVEN));
  // Of messages that lie under the same UIDs it tells something too that neither has any.
  if (!listing.isOther && !candidates.some(({ identity }) => Boolean(identity.messageId))) return;
  const asked = isNewEpoch || unknown.length <= MAX_LOOKED_AT ? unknown : alike(listing.added, unknown, candidates);
  if (asked.length === 0) return;
  const messageIds = await mailbox.messageIds(asked, signal).catch(noneIfRefused);
  if (messageIds === undefined) return;
  for (const [uid, messageId] of messageIds)
    identities.set(uid, { given: identities.get(uid)?.given ?? '', messageId: messageIdKey(messageId) });
}

/** Those that look like messages that went. */
function alike({ uids, arrivals, octets }: Listing['added'], unknown: readonly Uid[], candidates: readonly Recognisable[]): Uid[] {
  const looks = new Set(candidates.map((message) => `${message.arrival} ${message.octets}`));
  const isUnknown = new Set(unknown);
  return uids.filter((uid, index) => isUnknown.has(uid) && looks.has(`${arrivals[index]} ${octets[index]}`));
}

const NOT_GIVEN = 'none';

/** A server that gives no headers must not keep its users from their mail: they get new unique-ids then. */
function noneIfRefused(error: unknown): undefined {
  if (error instanceof UpstreamError && error.kind === 'refused') return undefined;
  throw error;
}

function freshMessages({ listing: { added }, identities }: Sighting, place: number): Fresh[] {
  return added.uids.map((uid, index) => ({
    uid,
    place,
    identity: identities.get(uid) ?? UNIDENTIFIED,
    arrival: added.arrivals[index] ?? 0,
    octets: added.octets[index] ?? 0,
  }));
}
