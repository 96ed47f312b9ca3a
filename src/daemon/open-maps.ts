/** The UID maps of an open maildrop: what a session learns of its messages, and what of that is not on disk yet. */
import type { MaildropConfig } from '../config/schema.ts';
import type { MaildropEntry } from '../maildrop/maildrop.ts';
import { withRetrieved, withTrueOctets } from '../maildrop/map-changes.ts';
import { emptyMap, knownMessage, type UidMap } from '../maildrop/uid-map.ts';
import type { Uid } from '../maildrop/numbers.ts';
import type { Identity } from '../maildrop/rematch.ts';
import type { MailboxKey, Store } from '../store/store.ts';
import { templateFor } from './derivation.ts';
import { judged, NOTHING_MEASURED } from './measure-sizes.ts';
import type { OpenMailbox } from './open-maildrop.ts';
import { messageIdKey } from './recognise.ts';

export class OpenMaps {
  readonly #store: Store;
  readonly #mailboxes: readonly OpenMailbox[];
  readonly #maildrop: MaildropConfig;
  readonly #maps: UidMap[];
  #saved: readonly (UidMap | undefined)[];
  #sizes = NOTHING_MEASURED;
  /** Not on disk yet, by place of the mailbox. */
  readonly #identities = new Map<number, Map<Uid, Identity>>();

  constructor(store: Store, mailboxes: readonly OpenMailbox[], maildrop: MaildropConfig) {
    this.#store = store;
    this.#mailboxes = mailboxes;
    this.#maildrop = maildrop;
    this.#maps = mailboxes.map(({ map }) => map);
    this.#saved = mailboxes.map(({ stored }) => stored);
  }

  /** The mailboxes with their maps as they are now. */
  get open(): OpenMailbox[] {
    return this.#mailboxes.map((open, place) => ({ ...open, map: this.at(place) }));
  }

  at(place: number): UidMap {
    const map = this.#maps[place];
    if (map === undefined) throw new TypeError(`no mailbox at place ${place}`);
    return map;
  }

  keyAt(place: number): MailboxKey {
    const open = this.#mailboxes[place];
    if (open === undefined) throw new TypeError(`no mailbox at place ${place}`);
    return open.key;
  }

  change(place: number, change: (map: UidMap) => UidMap): void {
    this.#maps[place] = change(this.at(place));
  }

  /** A message was sent whole; `at` in seconds since 1970. */
  noteRetrieved({ mailbox, uid }: MaildropEntry, octets: number, at: number): void {
    const known = knownMessage(this.at(mailbox), uid);
    if (known !== undefined && known.trueOctets === undefined && known.state.retrievedAt === 0) {
      this.#sizes = judged(this.#sizes, known.declaredOctets, octets);
    }
    this.change(mailbox, (map) => withRetrieved(this.#maildrop.sizes === 'trust' ? map : withTrueOctets(map, uid, octets), uid, at));
  }

  /** What the header of a message told while it was sent; of one that was retrieved before that is known. */
  noteMessageId({ mailbox, uid }: MaildropEntry, messageId: string | undefined): void {
    if (messageId === undefined || (knownMessage(this.at(mailbox), uid)?.state.retrievedAt ?? 1) > 0) return;
    const identities = this.#identities.get(mailbox) ?? new Map<Uid, Identity>();
    this.#identities.set(mailbox, identities.set(uid, { given: '', messageId: messageIdKey(messageId) }));
  }

  /** Saves what has changed, all of it or nothing. Rejects with StoreError. */
  async save(now: number): Promise<void> {
    const maps = [...this.#maps];
    const changes = this.#mailboxes.flatMap(({ key }, place) => {
      const next = maps[place] ?? emptyMap(this.at(place).uidValidity);
      const derivation = templateFor(next, key.path, this.#maildrop.uniqueId);
      const identities = this.#identities.get(place) ?? new Map<Uid, Identity>();
      const isSame = next === this.#saved[place] && identities.size === 0;
      return isSame ? [] : [{ key, previous: this.#saved[place], next, derivation, identities }];
    });
    await this.#store.saveMaps(changes, now);
    this.#saved = maps;
    this.#identities.clear();
    const sizes = this.#sizes;
    this.#sizes = NOTHING_MEASURED;
    const upstream = this.#mailboxes[0]?.key.maildrop.upstream;
    if (sizes.measured > 0 && upstream !== undefined) await this.#store.noteSizes(upstream, sizes);
  }
}
