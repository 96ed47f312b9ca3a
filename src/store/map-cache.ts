/** Loaded UID maps, kept in memory as long as there is room for them. */
import { LRUCache } from 'lru-cache';
import type { UidMap } from '../maildrop/uid-map.ts';
import type { MailboxKey } from './store.ts';

/** In octets. */
const ROOM = 64 * 1024 * 1024;

export class MapCache {
  readonly #maps = new LRUCache<string, UidMap>({ maxSize: ROOM, sizeCalculation: mapOctets });

  get(key: MailboxKey): UidMap | undefined {
    return this.#maps.get(cacheKey(key));
  }

  set(key: MailboxKey, map: UidMap): void {
    this.#maps.set(cacheKey(key), map);
  }
}

function cacheKey({ maildrop, path }: MailboxKey): string {
  return JSON.stringify([maildrop.upstream, maildrop.user, maildrop.view, path]);
}

const OCTETS_PER_MESSAGE = 28;
const OCTETS_OF_IDS = 6;
const OCTETS_OF_STATES = 12;

/** What its arrays take. */
export function mapOctets(map: UidMap): number {
  let octets = 1;
  for (const { uids, idUids, states } of map.segments.values()) {
    octets += uids.length * (OCTETS_PER_MESSAGE + (idUids === uids ? 0 : OCTETS_OF_IDS) + (states === undefined ? 0 : OCTETS_OF_STATES));
  }
  return octets;
}
