/** Maildrops as sessions see them at login, kept while nothing changes: of a large one neither the snapshot nor its listings are made anew at every poll. */
import { LRUCache } from 'lru-cache';
import type { ViewConfig } from '../config/schema.ts';
import type { Maildrop } from '../maildrop/maildrop.ts';
import type { UidMap } from '../maildrop/uid-map.ts';
import type { MaildropKey } from '../store/store.ts';

/** What a login makes of the maps. */
export interface SeenMaildrop {
  readonly maildrop: Maildrop;
  readonly digest: string;
}

/** All that it follows from. */
export interface SnapshotSources {
  readonly view: ViewConfig;
  readonly mailboxes: readonly { readonly map: UidMap; readonly mailbox: { readonly isReadOnly: boolean } }[];
}

interface Kept extends SeenMaildrop {
  readonly view: ViewConfig;
  readonly maps: readonly UidMap[];
  readonly areReadOnly: readonly boolean[];
}

/** In octets. */
const ROOM = 96 * 1024 * 1024;
/** Of the snapshot and its two listings. */
const OCTETS_PER_MESSAGE = 80;

export class SnapshotCache {
  readonly #kept = new LRUCache<string, Kept>({
    maxSize: ROOM,
    sizeCalculation: ({ maildrop }) => 1 + maildrop.dropListing.count * OCTETS_PER_MESSAGE,
  });

  /** What was made of the very same maps under the same configuration, else what `make` gives. */
  async of({ upstream, user, view }: MaildropKey, sources: SnapshotSources, make: () => Promise<SeenMaildrop>): Promise<SeenMaildrop> {
    const key = JSON.stringify([upstream, user, view]);
    const maps = sources.mailboxes.map(({ map }) => map);
    const areReadOnly = sources.mailboxes.map(({ mailbox }) => mailbox.isReadOnly);
    const kept = this.#kept.get(key);
    if (kept !== undefined && kept.view === sources.view && isSame(kept.maps, maps) && isSame(kept.areReadOnly, areReadOnly)) return kept;
    const made = await make();
    this.#kept.set(key, { ...made, view: sources.view, maps, areReadOnly });
    return made;
  }
}

function isSame<T>(one: readonly T[], other: readonly T[]): boolean {
  return one.length === other.length && one.every((value, place) => value === other[place]);
}
