/**
 * Which messages of a listing were known before under another UID: after UIDVALIDITY changed, or because they were moved away and
 * back. They get their unique-ids again, so that no client fetches them twice.
 */
import { createHash } from 'node:crypto';
import { UpstreamError } from '../errors.ts';
import { IDENTITY_KINDS, rematch, type Recognisable } from '../maildrop/rematch.ts';
import {
  countIn,
  idSource,
  isIdUsed,
  knownMessage,
  segmentNumber,
  sourceKey,
  uidsIn,
  type IdSource,
  type UidMap,
} from '../maildrop/uid-map.ts';
import type { Uid } from '../maildrop/numbers.ts';
import type { UniqueIdFormula } from '../maildrop/unique-id.ts';
import type { GoneMessage, MailboxKey, MapExtras, Store } from '../store/store.ts';
import type { Listing, UpstreamMailbox } from '../upstream/upstream.ts';

export interface Recognised {
  /** Where new messages take over a unique-id. */
  readonly adopted: ReadonlyMap<Uid, IdSource>;
  /** Ids that were shown for other messages; see `sourceKey`. */
  readonly taken: ReadonlySet<string>;
  readonly extras: MapExtras;
  /** Only where UIDVALIDITY changed: how many messages kept their unique-ids, resembled several, were not found again. */
  readonly rematched: { readonly kept: number; readonly ambiguous: number; readonly lost: number } | undefined;
}

export interface RecogniseRequest {
  readonly key: MailboxKey;
  readonly store: Store;
  readonly mailbox: UpstreamMailbox;
  /** Under which new messages get their ids. */
  readonly formula: UniqueIdFormula;
  /** Seconds since 1970. */
  readonly now: number;
}

interface Fresh extends Recognisable {
  readonly uid: Uid;
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
  return messageId === undefined ? '' : identityKey(IDENTITY_KINDS.messageId + messageId);
}

export async function recognise(
  request: RecogniseRequest,
  stored: UidMap | undefined,
  listing: Listing,
  signal: AbortSignal,
): Promise<Recognised> {
  const identities = new Map(listing.added.uids.flatMap((uid, index) => keyed(uid, listing.added.identities[index])));
  const isNewEpoch = stored !== undefined && stored.uidValidity !== listing.uidValidity;
  const before = isNewEpoch ? await allKnown(request, stored) : [];
  const candidates = distinct([...before, ...(listing.added.uids.length === 0 ? [] : await request.store.loadGone(request.key))]);
  if (mustReadMessageIds(candidates, listing, identities, isNewEpoch)) await readMessageIds(request, listing, identities, signal);
  const fresh = freshMessages(listing, identities);
  const returned = isNewEpoch ? new Map<Fresh, GoneMessage>() : listedAgain(candidates, fresh, request.formula);
  const isLeft = new Set(returned.values());
  const { matches, ambiguous } = rematch(
    candidates.filter((message) => !isLeft.has(message)),
    fresh.filter((message) => !returned.has(message)),
  );
  const adopted = new Map<Uid, IdSource>();
  for (const [{ uid }, { formula, idUid }] of [...returned, ...matches]) {
    if (isNewEpoch || stored === undefined || !isIdUsed(stored, { formula, idUid })) adopted.set(uid, { formula, idUid });
  }
  const found = new Set<GoneMessage>(matches.values());
  const lost = before.filter((message) => !found.has(message));
  const gone = isNewEpoch ? lost : await vanished(request, stored, listing);
  return {
    adopted,
    taken: new Set(candidates.map(sourceKey)),
    extras: { identities, gone, now: request.now },
    rematched: isNewEpoch ? { kept: adopted.size, ambiguous: ambiguous.length, lost: lost.length } : undefined,
  };
}

/**
 * Messages that a server did not list for a while: the same UID again, and nothing tells them apart. A UID that was given to
 * another message, as after a restore from backup, is no such thing.
 */
function listedAgain(gone: readonly GoneMessage[], fresh: readonly Fresh[], formula: UniqueIdFormula): Map<Fresh, GoneMessage> {
  const bySource = new Map(gone.map((message) => [sourceKey(message), message]));
  const returned = new Map<Fresh, GoneMessage>();
  for (const message of fresh) {
    const before = bySource.get(sourceKey({ formula, idUid: message.uid }));
    if (before === undefined || before.arrival !== message.arrival || before.octets !== message.octets) continue;
    const isOther = before.identity !== undefined && message.identity !== undefined && before.identity !== message.identity;
    if (!isOther) returned.set(message, before);
  }
  return returned;
}

function keyed(uid: Uid, identity: string | undefined): (readonly [Uid, string])[] {
  return identity === undefined ? [] : [[uid, identityKey(identity)]];
}

/** Every message of the map. */
async function allKnown({ store, key }: RecogniseRequest, stored: UidMap): Promise<GoneMessage[]> {
  const identities = await store.loadIdentities(key);
  return uidsIn(stored).flatMap((uid) => asGone(stored, uid, identities.get(uid)));
}

/** Messages of the map that are no longer listed. */
async function vanished({ store, key }: RecogniseRequest, stored: UidMap | undefined, listing: Listing): Promise<GoneMessage[]> {
  if (stored === undefined || countIn(stored) + listing.added.uids.length === listing.uids.length) return [];
  const listed = new Set(listing.uids);
  const went = uidsIn(stored).filter((uid) => !listed.has(uid));
  if (went.length === 0) return [];
  const identities = await store.loadIdentities(key, [...new Set(went.map(segmentNumber))]);
  return went.flatMap((uid) => asGone(stored, uid, identities.get(uid)));
}

function asGone(map: UidMap, uid: Uid, identity: string | undefined): GoneMessage[] {
  const message = knownMessage(map, uid);
  const source = idSource(map, uid);
  if (message === undefined || source === undefined) return [];
  return [{ ...source, identity: identity || undefined, arrival: message.arrival, octets: message.declaredOctets }];
}

/** Each unique-id once, as it was last. */
function distinct(messages: readonly GoneMessage[]): GoneMessage[] {
  const seen = new Set<string>();
  return messages.filter((message) => seen.size < seen.add(sourceKey(message)).size);
}

/** Only where a Message-ID could tell something: it takes a command more. */
function mustReadMessageIds(
  candidates: readonly GoneMessage[],
  { added }: Listing,
  identities: ReadonlyMap<Uid, string>,
  isNewEpoch: boolean,
): boolean {
  if (!candidates.some(({ identity }) => identity?.startsWith(IDENTITY_KINDS.messageId))) return false;
  const unknown = added.uids.length - identities.size;
  return unknown > 0 && (isNewEpoch || unknown <= MAX_LOOKED_AT);
}

async function readMessageIds(
  { mailbox }: RecogniseRequest,
  { added }: Listing,
  identities: Map<Uid, string>,
  signal: AbortSignal,
): Promise<void> {
  const unknown = added.uids.filter((uid) => !identities.has(uid));
  const messageIds = await mailbox.messageIds(unknown, signal).catch(noneIfRefused);
  if (messageIds === undefined) return;
  for (const uid of unknown) identities.set(uid, messageIdKey(messageIds.get(uid)));
}

/** A server that gives no headers must not keep its users from their mail: they get new unique-ids then. */
function noneIfRefused(error: unknown): undefined {
  if (error instanceof UpstreamError && error.kind === 'refused') return undefined;
  throw error;
}

function freshMessages({ added }: Listing, identities: ReadonlyMap<Uid, string>): Fresh[] {
  return added.uids.map((uid, index) => ({
    uid,
    identity: identities.get(uid) || undefined,
    arrival: added.arrivals[index] ?? 0,
    octets: added.octets[index] ?? 0,
  }));
}
