/**
 * Which messages of a listing were known before under another UID: after UIDVALIDITY changed, or because they were moved, away and
 * back or to another mailbox of the maildrop. They get their unique-ids again, so that no client fetches them twice.
 */
import { createHash } from 'node:crypto';
import { isRefusal } from '../errors.ts';
import { IDENTITY_KINDS, rematchSteps, UNIDENTIFIED, type Identity, type Recognisable } from '../maildrop/rematch.ts';
import {
  countIn,
  idsFrom,
  messagesIn,
  NEVER_DUE,
  segmentNumber,
  sourceAt,
  sourceKey,
  type IdSource,
  type MessageState,
  type UidMap,
} from '../maildrop/uid-map.ts';
import type { Uid } from '../maildrop/numbers.ts';
import { filtered, stepwise, type Steps } from '../maildrop/steps.ts';
import type { Inherited } from '../maildrop/reconcile.ts';
import type { UniqueIdFormula } from '../maildrop/unique-id.ts';
import {
  asGone,
  goneByMessageId,
  knownBefore,
  MAX_LOOKED_AT,
  mayTellMessageIds,
  type Known,
  type UnlistedMailbox,
} from './known-before.ts';
import { isKnownToBeTheSame, isListedAgain } from '../maildrop/verification.ts';
import type { GoneMessage, MailboxKey, Store, Tombstone } from '../store/store.ts';
import { inSlices } from '../slices.ts';
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
  /** Found again, and no longer to be remembered as gone. */
  readonly back: readonly IdSource[];
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

/** The key of an identity, as the store keeps it: its kind, and a hash of fixed length. */
export function identityKey(identity: string): string {
  const hash = createHash('sha256').update(identity, 'latin1').digest().subarray(0, HASH_OCTETS);
  return identity.charAt(0) + hash.toString('base64url');
}

export function messageIdKey(messageId: string | undefined): string {
  return messageId === undefined || messageId === '' ? '' : identityKey(IDENTITY_KINDS.messageId + messageId);
}

/** `server`: the one that was listed, as in UidMap. */
export async function recognise(
  store: Store,
  listed: readonly ListedMailbox[],
  unlisted: readonly UnlistedMailbox[],
  server: string,
  signal: AbortSignal,
): Promise<Recognised> {
  const sightings: Sighting[] = [];
  for (const one of listed) sightings.push(await sight(store, one));
  const { known, away } = await knownBefore(store, sightings, unlisted);
  const mayTell = sightings.length > 0 && (await mayTellMessageIds(store, sightings, known));
  // Of messages that lie under the same UIDs it tells something too that neither has any.
  for (const sighting of sightings) if (mayTell || sighting.listing.isOther) await readMessageIds(sighting, known, signal);
  const candidates = await candidatesOf(known, await goneByMessageId(store, sightings));
  if (candidates.length === 0) return { mailboxes: sightings.map(withoutHeritage), left: [], back: [], taken: new Set() };
  return inSlices(matched(sightings, candidates, away, server));
}

/** Each unique-id once, as it was last. Of copies that nothing tells apart, those that were not deleted are found again first. */
function candidatesOf(known: readonly Tombstone[], gone: readonly Tombstone[]): Promise<Tombstone[]> {
  const seen = new Set<string>();
  const shown: Tombstone[] = [];
  const deleted: Tombstone[] = [];
  const take = (message: Tombstone): void => {
    if (seen.size < seen.add(sourceKey(message)).size) (message.state.deletedAt > 0 ? deleted : shown).push(message);
  };
  return inSlices(
    (function* (): Steps<Tombstone[]> {
      yield* stepwise(known, take);
      yield* stepwise(gone, take);
      return [shown, deleted].flat();
    })(),
  );
}

function* matched(
  sightings: readonly Sighting[],
  candidates: readonly Tombstone[],
  away: Known['away'],
  server: string,
): Steps<Recognised> {
  const fresh: Fresh[][] = [];
  const returned = new Map<Fresh, Tombstone>();
  for (const [place, sighting] of sightings.entries()) {
    const messages = yield* freshMessages(sighting, place);
    fresh.push(messages);
    for (const [message, before] of yield* listedAgain(candidates, sighting, messages)) returned.set(message, before);
  }
  const isLeft = new Set<Tombstone>();
  yield* stepwise(returned.values(), (message) => isLeft.add(message));
  const { matches, ambiguous } = yield* rematchSteps(
    yield* filtered(candidates, (message) => !isLeft.has(message)),
    yield* filtered(fresh.flat(), (message) => !returned.has(message)),
    sightings.some(({ isNewEpoch }) => isNewEpoch),
  );
  const missing = new Set<Tombstone>();
  for (const sighting of sightings) yield* stepwise(sighting.missing, (message) => missing.add(message));
  const areAllMissing = (yield* filtered(matches.values(), (source) => !missing.has(source))).length === 0;
  const isSafe = areAllMissing && (yield* filtered(returned.values(), (source) => !missing.has(source))).length === 0;
  const inUse = isSafe ? new Set<string>() : yield* sourcesIn(sightings);
  const isFound = new Set<Tombstone>();
  const inherited = sightings.map(() => new Map<Uid, Inherited>());
  const inherit = ([message, from]: readonly [Fresh, Tombstone]): void => {
    if (!missing.has(from) && inUse.has(sourceKey(from))) return;
    isFound.add(from);
    inherited[message.place]?.set(message.uid, heritage(message, from, returned.has(message) && from.server === server));
  };
  yield* stepwise(returned, inherit);
  yield* stepwise(matches, inherit);
  const mailboxes: RecognisedMailbox[] = [];
  for (const [place, sighting] of sightings.entries()) {
    const its = inherited[place] ?? new Map<Uid, Inherited>();
    const gone = yield* filtered(sighting.missing, (message) => !isFound.has(message));
    const doubtful = ambiguous.filter((message) => message.place === place).length;
    const rematched = sighting.isNewEpoch ? { kept: its.size, ambiguous: doubtful, lost: gone.length } : undefined;
    mailboxes.push({ inherited: its, identities: sighting.identities, gone, rematched });
  }
  const left: { readonly path: string; readonly uid: Uid }[] = [];
  yield* stepwise(isFound, (message) => {
    const place = away.get(message);
    if (place !== undefined) left.push(place);
  });
  const back = yield* filtered(isFound, (message) => !missing.has(message) && !away.has(message));
  const taken = new Set<string>();
  const idOf = idsFrom();
  yield* stepwise(candidates, (message) => taken.add(idOf(message).toLowerCase()));
  return { mailboxes, left, back, taken };
}

/** Where nothing was known that could have come back. */
function withoutHeritage({ identities, isNewEpoch }: Sighting): RecognisedMailbox {
  return { inherited: new Map(), identities, gone: [], rematched: isNewEpoch ? { kept: 0, ambiguous: 0, lost: 0 } : undefined };
}

async function sight(store: Store, listed: ListedMailbox): Promise<Sighting> {
  const { added } = listed.listing;
  const identities = new Map<Uid, Identity>();
  await inSlices(
    stepwise(added.uids.entries(), ([index, uid]) => {
      const given = added.identities[index];
      if (given !== undefined) identities.set(uid, { ...UNIDENTIFIED, given: identityKey(given) });
    }),
  );
  return { ...listed, identities, missing: await missingFrom(store, listed) };
}

/**
 * Messages that a server did not list for a while, or that lie on a server of another name: the same UID again, and nothing tells them apart. A UID that was given to
 * another message, as after a restore from backup, is no such thing.
 */
function* listedAgain(
  candidates: readonly Tombstone[],
  { key, formula, stored, listing, missing }: Sighting,
  fresh: readonly Fresh[],
): Steps<(readonly [Fresh, Tombstone])[]> {
  const isSameValidity = stored?.uidValidity === listing.uidValidity;
  const byUid = new Map<Uid, Tombstone>();
  yield* stepwise(isSameValidity ? missing : [], (message) => byUid.set(message.uid, message));
  const bySource = new Map<string, Tombstone>();
  yield* stepwise(candidates, (message) => {
    if (message.path === key.path) bySource.set(sourceKey(message), message);
  });
  const again: (readonly [Fresh, Tombstone])[] = [];
  yield* stepwise(fresh, (message) => {
    const before = byUid.get(message.uid) ?? bySource.get(sourceKey({ formula, idUid: message.uid }));
    const isSameMailbox = listing.isOther && byUid.has(message.uid);
    if (before !== undefined && isListedAgain(before, message, isSameMailbox)) again.push([message, before]);
  });
  return again;
}

/** Of the messages that are still there. */
function* sourcesIn(sightings: readonly Sighting[]): Steps<Set<string>> {
  const sources = new Set<string>();
  for (const { stored, isNewEpoch } of sightings) {
    if (stored === undefined || isNewEpoch) continue;
    yield* stepwise(messagesIn(stored), ({ segment, index }) => sources.add(sourceKey(sourceAt(segment, index))));
  }
  return sources;
}

function heritage({ octets, identity }: Fresh, from: GoneMessage, isSamePlace: boolean): Inherited {
  const { formula, idUid } = from;
  const state = isSamePlace ? from.state : stateUnder(from, isKnownToBeTheSame(from.identity, identity));
  // A server that counts otherwise may also send otherwise.
  return { formula, idUid, state, trueOctets: from.octets === octets ? from.trueOctets : undefined };
}

/** Under another UID, or on another server. What only looks like a deleted message is not deleted; one that is stays hidden, but is not removed (CONTRACT section 5.1). */
function stateUnder({ state }: GoneMessage, isCertain: boolean): MessageState {
  if (state.deletedAt === 0) return state;
  return isCertain ? { ...state, dueAt: NEVER_DUE } : { ...state, deletedAt: 0, dueAt: 0 };
}

async function missingFrom(store: Store, { key, stored, listing, isNewEpoch }: ListedMailbox): Promise<Missing[]> {
  if (stored === undefined || (!isNewEpoch && countIn(stored) + listing.added.uids.length === listing.uids.length)) return [];
  const missing: Missing[] = [];
  const went: Uid[] = [];
  const isListed = new Set<Uid>();
  await inSlices(stepwise(isNewEpoch ? [] : listing.uids, (uid) => isListed.add(uid)));
  await inSlices(
    stepwise(messagesIn(stored), ({ uid }) => {
      if (!isListed.has(uid)) went.push(uid);
    }),
  );
  if (went.length === 0) return [];
  const identities = await store.loadIdentities(key, [...new Set(went.map(segmentNumber))]);
  await inSlices(
    stepwise(went, (uid) => {
      for (const gone of asGone(stored, uid, identities.get(uid))) missing.push(Object.assign(gone, { uid, path: key.path, goneAt: 0 }));
    }),
  );
  return missing;
}

async function readMessageIds(sighting: Sighting, candidates: readonly Recognisable[], signal: AbortSignal): Promise<void> {
  const { mailbox, listing, identities, isNewEpoch } = sighting;
  const given = new Set<string>();
  await inSlices(stepwise(candidates, ({ identity }) => given.add(identity.given)));
  const unknown = listing.added.uids.filter((uid) => !given.has(identities.get(uid)?.given || NOT_GIVEN));
  const asked = isNewEpoch || unknown.length <= MAX_LOOKED_AT ? unknown : alike(listing.added, unknown, candidates);
  if (asked.length === 0) return;
  const messageIds = await mailbox.messageIds(asked, signal).catch(noneIfRefused);
  if (messageIds === undefined) return;
  await inSlices(
    stepwise(messageIds, ([uid, messageId]) => {
      identities.set(uid, { given: identities.get(uid)?.given ?? '', messageId: messageIdKey(messageId) });
    }),
  );
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
  if (isRefusal(error)) return undefined;
  throw error;
}

function* freshMessages({ listing: { added }, identities }: Sighting, place: number): Steps<Fresh[]> {
  const fresh: Fresh[] = [];
  yield* stepwise(added.uids.entries(), ([index, uid]) => {
    const identity = identities.get(uid) ?? UNIDENTIFIED;
    fresh.push({ uid, place, identity, arrival: added.arrivals[index] ?? 0, octets: added.octets[index] ?? 0 });
  });
  return fresh;
}
