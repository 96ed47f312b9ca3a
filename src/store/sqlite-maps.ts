/** UID maps in the SQLite file: what is written when one changes, in parts that are short enough to run between other work. */
import { firstDue, lastUidIn, segmentNumber, type Segment, type UidMap } from '../maildrop/uid-map.ts';
import type { Uid } from '../maildrop/numbers.ts';
import type { Identity } from '../maildrop/rematch.ts';
import { encodeSegment } from './segment.ts';
import { batched } from './batched.ts';
import type { SqliteDatabase } from './sqlite-database.ts';
import { GONE_BATCH, type SqliteGone } from './sqlite-gone.ts';
import type { SqliteIdentities } from './sqlite-identities.ts';
import { leftBehind, type SqliteSpent } from './sqlite-spent.ts';
import type { MailboxKey, MaildropKey, MapChange } from './store.ts';

/** A mailbox as it stands in its table. */
export interface MailboxRow {
  readonly id: number;
  readonly maildrop: number;
  readonly uidValidity: number;
  readonly uidNext: number;
  readonly server: string;
  readonly derivation: string | undefined;
}

/**
 * What a save does. `map` alone has to be in one transaction with the maps of the other mailboxes; each of the others may be one of its own,
 * and whatever stands in between is sound: a message may be remembered as gone that is still in a map, or have no identity.
 */
export interface SaveParts {
  readonly before: readonly (() => void)[];
  readonly map: () => void;
  readonly after: readonly (() => void)[];
}

export interface MapTables {
  readonly identities: SqliteIdentities;
  readonly gone: SqliteGone;
  readonly spent: SqliteSpent;
}

/** So many segments have their identities written in one transaction. */
const SEGMENTS_A_PART = 2;

export class SqliteMaps {
  readonly #database: SqliteDatabase;
  readonly #tables: MapTables;

  constructor(database: SqliteDatabase, tables: MapTables) {
    this.#database = database;
    this.#tables = tables;
  }

  mailbox(key: MailboxKey): MailboxRow | undefined {
    const row = this.#database
      .prepare(
        `SELECT mailbox.id, maildrop.id AS maildrop, uid_validity, uid_next, derivation, server
         FROM mailbox JOIN maildrop ON maildrop.id = mailbox.maildrop WHERE upstream = ? AND user = ? AND view = ? AND path = ?`,
      )
      .get(key.maildrop.upstream, key.maildrop.user, key.maildrop.view, key.path);
    if (row === undefined) return undefined;
    const { id, maildrop, uid_validity: uidValidity, uid_next: uidNext, derivation, server } = row;
    return {
      id: Number(id),
      maildrop: Number(maildrop),
      uidValidity: Number(uidValidity),
      uidNext: Number(uidNext),
      server: String(server),
      derivation: typeof derivation === 'string' ? derivation : undefined,
    };
  }

  /** The maildrop's row; 0 where there is none. */
  maildrop({ upstream, user, view }: MaildropKey): number {
    const row = this.#database.prepare('SELECT id FROM maildrop WHERE upstream = ? AND user = ? AND view = ?').get(upstream, user, view);
    return Number(row?.['id'] ?? 0);
  }

  /** The maildrop's row, made where there was none. Within a transaction of the caller. */
  madeMaildrop(key: MaildropKey): number {
    this.#database.prepare('INSERT OR IGNORE INTO maildrop (upstream, user, view) VALUES (?, ?, ?)').run(key.upstream, key.user, key.view);
    return this.maildrop(key);
  }

  /** Prepares a save. Yields between segments. */
  *save(change: MapChange, now: number): Generator<void, SaveParts, void> {
    const { previous, next } = change;
    const changed: Changed[] = [];
    for (const [number, segment] of next.segments) {
      const before = previous?.segments.get(number);
      if (before === segment) continue;
      changed.push({ number, segment, before, rows: encodeSegment(segment) });
      yield;
    }
    const dropped = [...(previous?.segments ?? [])].filter(([number]) => !next.segments.has(number));
    const identities = this.#identityParts(change, changed);
    const isNewEpoch = previous?.uidValidity !== next.uidValidity;
    return {
      before: [...this.#goneParts(change, now), ...(isNewEpoch ? [] : identities)],
      map: () => this.#saveMap(change, changed, dropped),
      after: [...(isNewEpoch ? identities : []), ...this.#foundParts(change)],
    };
  }

  #goneParts({ key, next, gone = [] }: MapChange, now: number): (() => void)[] {
    const { gone: table, spent } = this.#tables;
    return Array.from(batched(gone, GONE_BATCH), (some) => () => {
      const mailbox = this.#madeMailbox(key, next);
      table.put({ maildrop: mailbox.maildrop, mailbox: mailbox.id }, some, now);
      spent.note(mailbox.id, some);
    });
  }

  #foundParts({ key, found = [] }: MapChange): (() => void)[] {
    return Array.from(batched(found, GONE_BATCH), (some) => () => this.#tables.gone.remove(this.maildrop(key.maildrop), some));
  }

  #identityParts({ key, next, identities = new Map<Uid, Identity>() }: MapChange, changed: readonly Changed[]): (() => void)[] {
    const added = Map.groupBy(identities, ([uid]) => segmentNumber(uid));
    const segments = new Map(changed.map(({ number, segment }) => [number, segment]));
    return Array.from(batched(new Set(segments.keys()).union(added), SEGMENTS_A_PART), (numbers) => () => {
      const { id } = this.#madeMailbox(key, next);
      for (const number of numbers) {
        const segment = segments.get(number);
        this.#tables.identities.update(id, number, { kept: segment, added: added.get(number) ?? [] });
      }
    });
  }

  #saveMap(
    { key, previous, next, derivation }: MapChange,
    changed: readonly Changed[],
    dropped: readonly (readonly [number, Segment])[],
  ): void {
    const mailbox = this.#mailboxOf(key, next);
    this.#database
      .prepare('UPDATE mailbox SET uid_next = ?, server = ?, next_due = ?, derivation = ? WHERE id = ?')
      .run(next.uidNext, next.server, firstDue(next) ?? null, derivation ?? null, mailbox);
    if (previous === undefined) this.#forget(mailbox);
    const put = this.#database.prepare('INSERT OR REPLACE INTO segment (mailbox, number, rows) VALUES (?, ?, ?)');
    for (const { number, segment, before, rows } of changed) {
      put.run(mailbox, number, rows);
      if (before !== undefined) this.#tables.spent.note(mailbox, leftBehind(before, segment));
    }
    for (const [number, segment] of dropped) {
      this.#tables.spent.note(mailbox, leftBehind(segment, undefined));
      for (const table of ['segment', 'identity']) {
        this.#database.prepare(`DELETE FROM ${table} WHERE mailbox = ? AND number = ?`).run(mailbox, number);
      }
    }
    this.#raiseHighestUid(mailbox, next);
  }

  #madeMailbox(key: MailboxKey, map: UidMap): MailboxRow {
    const found = this.mailbox(key);
    if (found !== undefined) return found;
    this.#mailboxOf(key, map);
    return this.mailbox(key) ?? missing(key);
  }

  /** The mailbox's row, made or moved to the map's UIDVALIDITY. A new epoch starts without segments. */
  #mailboxOf(key: MailboxKey, map: UidMap): number {
    const found = this.mailbox(key);
    if (found?.uidValidity === map.uidValidity) return found.id;
    if (found !== undefined) {
      this.#forget(found.id);
      this.#database.prepare('UPDATE mailbox SET uid_validity = ? WHERE id = ?').run(map.uidValidity, found.id);
      return found.id;
    }
    const added = this.#database
      .prepare('INSERT INTO mailbox (maildrop, path, uid_validity) VALUES (?, ?, ?)')
      .run(this.madeMaildrop(key.maildrop), key.path, map.uidValidity);
    return Number(added.lastInsertRowid);
  }

  #forget(mailbox: number): void {
    for (const table of ['segment', 'identity']) this.#database.prepare(`DELETE FROM ${table} WHERE mailbox = ?`).run(mailbox);
  }

  #raiseHighestUid(mailbox: number, map: UidMap): void {
    this.#database
      .prepare(
        `INSERT INTO epoch (mailbox, uid_validity, highest_uid) VALUES (?, ?, ?)
         ON CONFLICT DO UPDATE SET highest_uid = max(highest_uid, excluded.highest_uid)`,
      )
      .run(mailbox, map.uidValidity, lastUidIn(map) ?? 0);
  }
}

interface Changed {
  readonly number: number;
  readonly segment: Segment;
  readonly before: Segment | undefined;
  readonly rows: Uint8Array;
}

function missing({ path }: MailboxKey): never {
  throw new TypeError(`the mailbox ${path} was just written and is not there`);
}
