/** What operators see of the UID map: a row for each message, and what is remembered of those that went. */
import { messageAt, NEVER_DUE, uniqueIdsIn, idFrom, type Segment, type UidMap } from '../maildrop/uid-map.ts';
import { UNIDENTIFIED, type Identity } from '../maildrop/rematch.ts';
import { othersTurn } from '../slices.ts';
import type { MaildropKey, Store, Tombstone } from '../store/store.ts';

/** A message of a maildrop; a line of `popbridge maildrop export`. Times as in ISO 8601, null where there is none. */
export interface MessageRow {
  readonly uniqueId: string;
  /** On which it was listed, as `host:port`; '' where that is not known. */
  readonly server: string;
  readonly folder: string;
  readonly uidValidity: number;
  readonly uid: number;
  /** RFC822.SIZE. */
  readonly octets: number;
  /** As RETR sends it, once known. */
  readonly trueOctets: number | null;
  readonly arrived: string | null;
  /** Key of what the server calls it, and of its Message-ID; '' where it has none. */
  readonly serverIdentity: string;
  readonly messageId: string | null;
  readonly retrieved: string | null;
  readonly deleted: string | null;
  /** When it is removed upstream; "never" where it is only hidden. */
  readonly due: string | null;
}

/** A message that is no longer there; its unique-id is not given again. */
export interface GoneRow {
  readonly uniqueId: string;
  readonly folder: string;
  readonly gone: string;
  readonly octets: number;
  readonly arrived: string | null;
  readonly serverIdentity: string;
  readonly messageId: string | null;
}

/** Every message of a maildrop, in the order in which clients see them, in parts that keep nobody else waiting. */
export async function* messageRows(store: Store, maildrop: MaildropKey): AsyncGenerator<readonly MessageRow[], void, void> {
  for (const key of await store.mailboxes(maildrop)) {
    const map = await store.loadMap(key);
    const numbers = [...(map?.segments.keys() ?? [])].sort((one, other) => one - other);
    for (const number of numbers) {
      const segment = map?.segments.get(number);
      if (map === undefined || segment === undefined) continue;
      yield rowsOf(map, segment, key.path, await store.loadIdentities(key, [number]));
      await othersTurn();
    }
  }
}

/** Messages that are remembered as gone, the latest first, in parts. */
export async function* goneRows(store: Store, maildrop: MaildropKey): AsyncGenerator<readonly GoneRow[], void, void> {
  for await (const some of store.allGone(maildrop)) yield some.map(goneRow);
}

function rowsOf(map: UidMap, segment: Segment, folder: string, identities: ReadonlyMap<number, Identity>): MessageRow[] {
  const uniqueId = uniqueIdsIn(map);
  return Array.from(segment.uids, (number, index) => {
    const { uid, declaredOctets, trueOctets, arrival, state } = messageAt(segment, index);
    return {
      uniqueId: uniqueId(uid),
      server: map.server,
      folder,
      uidValidity: map.uidValidity,
      uid: number,
      octets: declaredOctets,
      trueOctets: trueOctets ?? null,
      arrived: time(arrival),
      ...keysOf(identities.get(uid) ?? UNIDENTIFIED),
      retrieved: time(state.retrievedAt),
      deleted: time(state.deletedAt),
      due: state.dueAt === NEVER_DUE ? 'never' : time(state.dueAt),
    };
  });
}

function goneRow(gone: Tombstone): GoneRow {
  const { path, goneAt, octets, arrival, identity } = gone;
  return { uniqueId: idFrom(gone), folder: path, gone: time(goneAt) ?? '', octets, arrived: time(arrival), ...keysOf(identity) };
}

function keysOf({ given, messageId }: Identity): { readonly serverIdentity: string; readonly messageId: string | null } {
  return { serverIdentity: given, messageId: messageId ?? null };
}

function time(seconds: number): string | null {
  return seconds === 0 ? null : new Date(seconds * 1000).toISOString();
}
