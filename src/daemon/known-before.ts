/** What a message that was just listed could be: messages that are missing, that lie in other mailboxes, or that went before. */
import { UNIDENTIFIED, type Identity } from '../maildrop/rematch.ts';
import type { Uid } from '../maildrop/numbers.ts';
import { stepwise } from '../maildrop/steps.ts';
import { idsFrom, idSource, knownMessage, uidsIn, type UidMap } from '../maildrop/uid-map.ts';
import type { UniqueIdFormula } from '../maildrop/unique-id.ts';
import { inSlices } from '../slices.ts';
import type { GoneMessage, MailboxKey, Store, Tombstone } from '../store/store.ts';
import type { Listing } from '../upstream/upstream.ts';

/** A mailbox of the maildrop that is not there any more, or not shown. */
export interface UnlistedMailbox {
  readonly key: MailboxKey;
  readonly map: UidMap;
}

/** So many new messages may cost one command more, to see whether they came back from elsewhere. */
export const MAX_LOOKED_AT = 1_000;

/** A mailbox just listed, and what is known of its new messages. */
interface Sighted {
  readonly key: MailboxKey;
  readonly listing: Listing;
  readonly isNewEpoch: boolean;
  readonly formula: UniqueIdFormula;
  readonly identities: ReadonlyMap<Uid, Identity>;
  readonly missing: readonly Tombstone[];
}

/** What messages just listed could be: those that are missing, those of other mailboxes, and those that went before. */
export interface Known {
  readonly known: readonly Tombstone[];
  /** Those of them that are in a mailbox that was not listed. */
  readonly away: ReadonlyMap<Tombstone, { readonly path: string; readonly uid: Uid }>;
}

export async function knownBefore(store: Store, sightings: readonly Sighted[], unlisted: readonly UnlistedMailbox[]): Promise<Known> {
  const missing = sightings.flatMap((sighting) => sighting.missing);
  const away = new Map<Tombstone, { readonly path: string; readonly uid: Uid }>();
  if (sightings.every(({ listing }) => listing.added.uids.length === 0)) return { known: missing, away };
  for (const { key, map } of unlisted) {
    const identities = await store.loadIdentities(key);
    await inSlices(
      stepwise(uidsIn(map), (uid) => {
        for (const one of asGone(map, uid, identities.get(uid)))
          away.set(Object.assign(one, { path: key.path, goneAt: 0 }), { path: key.path, uid });
      }),
    );
  }
  const gone: (readonly Tombstone[])[] = [];
  for (const sighting of sightings) gone.push(await goneLike(store, sighting));
  return { known: [missing, [...away.keys()], ...gone].flat(), away };
}

/** Messages that went and could be among the new ones, by all but their Message-IDs. */
async function goneLike(store: Store, { key, listing, identities, formula, isNewEpoch }: Sighted): Promise<Tombstone[]> {
  if (!(await store.hasGone(key.maildrop))) return [];
  const { uids, arrivals, octets } = listing.added;
  const idOf = idsFrom();
  const wanted = { given: new Set<string>(), uniqueIds: [] as string[], looks: new Map<string, { arrival: number; octets: number }>() };
  await inSlices(
    stepwise(uids.entries(), ([index, uid]) => {
      wanted.given.add(identities.get(uid)?.given ?? '');
      wanted.uniqueIds.push(idOf({ formula, idUid: uid }).toLowerCase());
      const look = { arrival: arrivals[index] ?? 0, octets: octets[index] ?? 0 };
      // Elsewhere looks alone tell nothing, but whose Message-IDs are worth a question.
      if (isNewEpoch || uids.length > MAX_LOOKED_AT) wanted.looks.set(`${look.arrival} ${look.octets}`, look);
    }),
  );
  wanted.given.delete('');
  return store.findGone(key.maildrop, {
    given: [...wanted.given],
    messageIds: [],
    uniqueIds: wanted.uniqueIds,
    looks: [...wanted.looks.values()],
  });
}

/** Reading Message-IDs takes a command more, so they are only read where one could tell something. */
export async function mayTellMessageIds(store: Store, [first]: readonly Sighted[], known: readonly Tombstone[]): Promise<boolean> {
  if (known.some(({ identity }) => Boolean(identity.messageId))) return true;
  return first !== undefined && store.hasGoneMessageIds(first.key.maildrop);
}

export async function goneByMessageId(store: Store, sightings: readonly Sighted[]): Promise<Tombstone[]> {
  const [first] = sightings;
  const messageIds = new Set<string>();
  for (const { identities } of sightings) {
    await inSlices(
      stepwise(identities.values(), ({ messageId }) => {
        if (messageId !== undefined && messageId !== '') messageIds.add(messageId);
      }),
    );
  }
  if (first === undefined || messageIds.size === 0) return [];
  return store.findGone(first.key.maildrop, { given: [], messageIds: [...messageIds], uniqueIds: [], looks: [] });
}

/** A message of the map as it is remembered when it goes. */
export function asGone(map: UidMap, uid: Uid, identity = UNIDENTIFIED): GoneMessage[] {
  const message = knownMessage(map, uid);
  const source = idSource(map, uid);
  if (message === undefined || source === undefined) return [];
  const { arrival, declaredOctets: octets, trueOctets, state } = message;
  return [{ ...source, identity, arrival, octets, trueOctets, server: map.server, state }];
}
