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

type MapEdit = (map: UidMap) => UidMap;

export class OpenMaps {
  readonly #store: Store;
  readonly #mailboxes: readonly OpenMailbox[];
  readonly #maildrop: MaildropConfig;
  readonly #maps: UidMap[];
  #saved: (UidMap | undefined)[];
  /** What changed since, by place of the mailbox. */
  #changes: MapEdit[][];
  #sizes = NOTHING_MEASURED;
  /** Not on disk yet, by place of the mailbox. */
  readonly #identities = new Map<number, Map<Uid, Identity>>();

  constructor(store: Store, mailboxes: readonly OpenMailbox[], maildrop: MaildropConfig) {
    this.#store = store;
    this.#mailboxes = mailboxes;
    this.#maildrop = maildrop;
    this.#maps = mailboxes.map(({ map }) => map);
    this.#saved = mailboxes.map(({ stored }) => stored);
    this.#changes = mailboxes.map(() => []);
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

  /** The messages of a mailbox of which the server told in this session. */
  toldAt(place: number): readonly Uid[] {
    return this.#mailboxes[place]?.told ?? [];
  }

  /** The change is made anew where other sessions changed the map meanwhile. */
  change(place: number, change: MapEdit): void {
    this.#maps[place] = change(this.at(place));
    this.#changes[place]?.push(change);
  }

  /** Takes the last change of a mailbox back: it could not be saved. */
  takeBack(place: number, before: UidMap): void {
    this.#maps[place] = before;
    this.#changes[place]?.pop();
  }

  /** Takes over what other sessions of the same maildrop saved, and changes that as this one wants it. */
  async refresh(): Promise<void> {
    for (const [place, { key }] of this.#mailboxes.entries()) {
      const stored = await this.#store.loadMap(key);
      if (stored === this.#saved[place]) continue;
      if (stored?.uidValidity === this.at(place).uidValidity) {
        this.#saved[place] = stored;
        this.#maps[place] = (this.#changes[place] ?? []).reduce((map, change) => change(map), stored);
      } else {
        // Of another epoch: what this session knows concerns nobody any more.
        this.#saved[place] = this.at(place);
        this.#changes[place] = [];
      }
    }
  }

  /** A message was sent whole; `at` in seconds since 1970. */
  noteRetrieved({ mailbox, uid }: MaildropEntry, octets: number, at: number): void {
    const known = knownMessage(this.at(mailbox), uid);
    if (known !== undefined && known.trueOctets === undefined && known.state.retrievedAt === 0) {
      this.#sizes = judged(this.#sizes, known.declaredOctets, octets);
    }
    this.change(mailbox, (map) => withRetrieved(this.#maildrop.sizes === 'trust' ? map : withTrueOctets(map, uid, octets), uid, at));
  }

  /** What its header tells is known, because it was retrieved before. */
  knowsHeader({ mailbox, uid }: MaildropEntry): boolean {
    return (knownMessage(this.at(mailbox), uid)?.state.retrievedAt ?? 1) > 0;
  }

  /** What the header of a message told while it was sent. */
  noteMessageId({ mailbox, uid }: MaildropEntry, messageId: string | undefined): void {
    if (messageId === undefined) return;
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
    this.#changes = this.#mailboxes.map(() => []);
    this.#identities.clear();
    const sizes = this.#sizes;
    this.#sizes = NOTHING_MEASURED;
    const upstream = this.#mailboxes[0]?.key.maildrop.upstream;
    if (sizes.measured > 0 && upstream !== undefined) await this.#store.noteSizes(upstream, sizes);
  }
}
