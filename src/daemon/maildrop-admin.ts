/** Looks into users' UID maps and repairs them: what `popbridge maildrop` does, in the daemon or without one. */
import type { Clock } from '../clock.ts';
import type { ViewConfig } from '../config/schema.ts';
import { BusyError } from '../errors.ts';
import { withoutDeletion } from '../maildrop/map-changes.ts';
import { uniqueIdsIn, deletedIn, type UidMap } from '../maildrop/uid-map.ts';
import type { MailboxKey, MaildropKey, MapChange, Store } from '../store/store.ts';
import { chooseUpstream, maildropName, viewNamed } from './account.ts';
import { templateFor } from './derivation.ts';
import type { UpstreamService } from './login.ts';
import type { MaildropLocks } from './maildrop-lock.ts';
import { explanation, isAlike, type Explanation } from './maildrop-explanation.ts';
import { goneRows, messageRows, type GoneRow, type MessageRow } from './maildrop-rows.ts';

export interface MaildropAdminParts {
  readonly store: Store;
  readonly clock: Clock;
  readonly locks: MaildropLocks;
  /** Every configured upstream. */
  readonly services: () => readonly UpstreamService[];
  /** Whose mail on the server a user of POP3 means. */
  readonly upstreamUser: (service: UpstreamService, user: string) => Promise<string>;
}

/** Whose maildrop: the user name as a client types it; `upstream` where the domain does not tell, or the file is gone. */
export interface MaildropTarget {
  readonly user: string;
  readonly upstream?: string | undefined;
}

/** One mailbox of a maildrop in the store. */
export interface MailboxRow extends MaildropKey {
  readonly folder: string;
  readonly uidValidity: number;
  readonly messages: number;
  /** Deleted by a client and still upstream. */
  readonly hidden: number;
}

/** A part of a maildrop's contents: messages first, then what is gone, then what is promised. */
export type ContentsPart = Partial<MaildropContents>;

export interface MaildropContents {
  readonly messages: readonly MessageRow[];
  readonly gone: readonly GoneRow[];
  /** What QUIT promised and is not known to be done. */
  readonly promised: readonly { readonly folder: string; readonly action: string; readonly uids: readonly number[] }[];
}

/** A maildrop that a target means, and how it is configured. */
export interface ResolvedMaildrop {
  readonly key: MaildropKey;
  readonly service: UpstreamService | undefined;
  readonly view: ViewConfig | undefined;
  /** As POP3 clients type it, without view and prefix. */
  readonly user: string;
}

export class MaildropAdmin {
  readonly #parts: MaildropAdminParts;

  constructor(parts: MaildropAdminParts) {
    this.#parts = parts;
  }

  async list(): Promise<MailboxRow[]> {
    const { store } = this.#parts;
    const rows: MailboxRow[] = [];
    for (const key of await store.mailboxes()) {
      const map = await store.loadMap(key);
      if (map === undefined) continue;
      let messages = 0;
      for (const { uids } of map.segments.values()) messages += uids.length;
      rows.push({ ...key.maildrop, folder: key.path, uidValidity: map.uidValidity, messages, hidden: deletedIn(map).length });
    }
    return rows;
  }

  /** In parts: a maildrop may have millions of messages. */
  async *contents(target: MaildropTarget): AsyncGenerator<ContentsPart, void, void> {
    const { store } = this.#parts;
    const { key } = await this.resolve(target);
    for await (const messages of messageRows(store, key)) yield { messages };
    for await (const gone of goneRows(store, key)) yield { gone };
    yield { promised: (await store.openEntries(key)).map(({ path, action, uids }) => ({ folder: path, action, uids })) };
  }

  async explain(target: MaildropTarget, uniqueId: string): Promise<Explanation> {
    const named = await this.#rows(target, (row) => row.uniqueId === uniqueId);
    const about = named.messages[0] ?? named.gone[0];
    if (about === undefined) return explanation(named, uniqueId);
    return explanation(await this.#rows(target, (row) => row.uniqueId === uniqueId || isAlike(row, about)), uniqueId);
  }

  /** The rows of a maildrop that are wanted. */
  async #rows(
    target: MaildropTarget,
    isWanted: (row: MessageRow | GoneRow) => boolean,
  ): Promise<{ readonly messages: readonly MessageRow[]; readonly gone: readonly GoneRow[] }> {
    const found = { messages: [] as MessageRow[], gone: [] as GoneRow[] };
    for await (const { messages = [], gone = [] } of this.contents(target)) {
      for (const row of messages) if (isWanted(row)) found.messages.push(row);
      for (const row of gone) if (isWanted(row)) found.gone.push(row);
    }
    return found;
  }

  /** Takes back what clients deleted and what is not yet done upstream; all of it where no ids are given. Rejects with BusyError while a session is open. */
  async undelete(
    target: MaildropTarget,
    uniqueIds: readonly string[],
  ): Promise<{ readonly restored: string[]; readonly unknown: string[] }> {
    const { store } = this.#parts;
    const { key, view } = await this.resolve(target);
    using _lock = this.lock(key);
    const wanted = new Set(uniqueIds);
    const restored: string[] = [];
    const changes: MapChange[] = [];
    for (const mailbox of await store.mailboxes(key)) {
      const map = await store.loadMap(mailbox);
      if (map === undefined) continue;
      const idOf = uniqueIdsIn(map);
      const uids = deletedIn(map).flatMap(({ uid }) => (wanted.size === 0 || wanted.has(idOf(uid)) ? [uid] : []));
      for (const uid of uids) restored.push(idOf(uid));
      if (uids.length > 0) changes.push(changeOf(mailbox, map, withoutDeletion(map, uids), view));
    }
    await store.saveMaps(changes, Math.floor(this.#parts.clock.now() / 1000));
    const done = new Set(restored);
    return { restored, unknown: uniqueIds.filter((id) => !done.has(id)) };
  }

  /** Rejects with CredentialsError where no upstream takes the user, or there is no such view. */
  async resolve({ user, upstream }: MaildropTarget): Promise<ResolvedMaildrop> {
    const services = this.#parts.services();
    const named = services.find(({ id }) => id === upstream);
    // A map whose file is gone can still be looked at, under the names that stand in it.
    if (upstream !== undefined && named === undefined)
      return { key: { upstream, user, view: '' }, service: undefined, view: undefined, user };
    const service = named ?? chooseUpstream(services, user);
    const name = maildropName(service, user);
    const view = viewNamed(service.views, name);
    const upstreamUser = await this.#parts.upstreamUser(service, name.user);
    return { key: { upstream: service.id, user: upstreamUser, view: name.view ?? '' }, service, view, user: name.user };
  }

  /** Locks a maildrop that no session has. Throws BusyError MAILDROP_IN_USE. */
  lock({ upstream, user, view }: MaildropKey): Disposable {
    const release = this.#parts.locks.tryAcquire(JSON.stringify([JSON.stringify([upstream, user]), view]));
    if (release === undefined) throw new BusyError('MAILDROP_IN_USE', 'a POP3 session holds the maildrop; try again when it has ended');
    return { [Symbol.dispose]: release };
  }
}

export function changeOf(key: MailboxKey, previous: UidMap | undefined, next: UidMap, view: ViewConfig | undefined): MapChange {
  return { key, previous, next, derivation: view && templateFor(next, key.path, view.maildrop.uniqueId) };
}
