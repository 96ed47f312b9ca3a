/**
 * The store in one SQLite file (WAL, synchronous=FULL: what resolves survives a power cut). Statements are short and block
 * the loop only for that long; loaded maps are kept in memory, bounded by their size.
 */
import { chmodSync } from 'node:fs';
import { DatabaseSync, type SQLOutputValue, type StatementSync } from 'node:sqlite';
import { LRUCache } from 'lru-cache';
import { StoreError } from '../errors.ts';
import { isUid, isUidValidity, type Uid, type UidValidity } from '../maildrop/numbers.ts';
import { segmentNumber, uidsOf, type Segment, type UidMap } from '../maildrop/uid-map.ts';
import { decodeGone, encodeGone } from './gone-messages.ts';
import { decodeIdentities, encodeIdentities } from './identity-segment.ts';
import { MIGRATIONS } from './migrations/migrations.ts';
import { decodeSegment, encodeSegment } from './segment.ts';
import type { GoneMessage, JournalEntry, MailboxKey, MaildropKey, MapExtras, Store } from './store.ts';

/** Memory for loaded maps, in octets, at about this many octets a message. */
const CACHE_OCTETS = 64 * 1024 * 1024;
const OCTETS_PER_MESSAGE = 40;
const BUSY_TIMEOUT_MS = 2_000;
/** Messages that went are remembered for at least a year. */
const REMEMBERED_SECONDS = 400 * 24 * 60 * 60;

export class SqliteStore implements Store {
  readonly #database: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();
  readonly #maps = new LRUCache<string, UidMap>({ maxSize: CACHE_OCTETS, sizeCalculation: mapOctets });

  private constructor(database: DatabaseSync) {
    this.#database = database;
  }

  /** Opens or creates the file, readable by its owner alone, and brings its schema up to date. ":memory:" keeps nothing. */
  static open(path: string): SqliteStore {
    return guarded('the UID map cannot be opened', () => {
      const database = new DatabaseSync(path, { timeout: BUSY_TIMEOUT_MS });
      try {
        if (path !== ':memory:') chmodSync(path, 0o600);
        database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;');
        migrate(database);
      } catch (error) {
        database.close();
        throw error;
      }
      return new SqliteStore(database);
    });
  }

  async loadMap(key: MailboxKey): Promise<UidMap | undefined> {
    const cached = this.#maps.get(cacheKey(key));
    if (cached !== undefined) return cached;
    return guarded('the UID map cannot be read', () => {
      const mailbox = this.#mailbox(key);
      if (mailbox === undefined || !isUidValidity(mailbox.uidValidity)) return undefined;
      const segments = new Map<number, Segment>();
      for (const row of this.#prepare('SELECT number, rows FROM segment WHERE mailbox = ?').all(mailbox.id)) {
        segments.set(Number(row['number']), storedSegment(row['rows']));
      }
      const map = { uidValidity: mailbox.uidValidity, uidNext: mailbox.uidNext, segments };
      this.#maps.set(cacheKey(key), map);
      return map;
    });
  }

  async saveMap(key: MailboxKey, previous: UidMap | undefined, next: UidMap, extras?: MapExtras): Promise<void> {
    if (previous === next && extras === undefined) return;
    this.#transaction(() => {
      const mailbox = this.#mailboxId(key, next);
      this.#prepare('UPDATE mailbox SET uid_next = ? WHERE id = ?').run(next.uidNext, mailbox);
      if (previous === undefined) this.#prepare('DELETE FROM segment WHERE mailbox = ?').run(mailbox);
      const put = this.#prepare('INSERT OR REPLACE INTO segment (mailbox, number, rows) VALUES (?, ?, ?)');
      const drop = this.#prepare('DELETE FROM segment WHERE mailbox = ? AND number = ?');
      for (const [number, segment] of next.segments) {
        if (previous?.segments.get(number) === segment) continue;
        put.run(mailbox, number, encodeSegment(segment));
        this.#pruneIdentities(mailbox, number, segment);
      }
      for (const number of previous?.segments.keys() ?? []) {
        if (next.segments.has(number)) continue;
        drop.run(mailbox, number);
        this.#prepare('DELETE FROM identity WHERE mailbox = ? AND number = ?').run(mailbox, number);
      }
      this.#raiseHighestUid(mailbox, next);
      if (extras === undefined) return;
      this.#mergeIdentities(mailbox, extras.identities);
      this.#putGone(mailbox, extras);
    });
    this.#maps.set(cacheKey(key), next);
  }

  async loadIdentities(key: MailboxKey, segments?: readonly number[]): Promise<ReadonlyMap<Uid, string>> {
    return guarded('the UID map cannot be read', () => {
      const mailbox = this.#mailbox(key)?.id ?? 0;
      const all = new Map<Uid, string>();
      for (const number of segments ?? this.#identitySegments(mailbox).keys()) {
        for (const [uid, identity] of this.#identitiesIn(mailbox, number)) all.set(uid, identity);
      }
      return all;
    });
  }

  async addIdentities(key: MailboxKey, uidValidity: UidValidity, identities: ReadonlyMap<Uid, string>): Promise<void> {
    this.#transaction(() => {
      const mailbox = this.#mailbox(key);
      if (mailbox?.uidValidity === uidValidity) this.#mergeIdentities(mailbox.id, identities);
    });
  }

  async identityCounts(key: MailboxKey): Promise<ReadonlyMap<number, number>> {
    return guarded('the UID map cannot be read', () => this.#identitySegments(this.#mailbox(key)?.id ?? 0));
  }

  async highestUid(key: MailboxKey, uidValidity: UidValidity): Promise<number> {
    return guarded('the UID map cannot be read', () => {
      const epoch = this.#prepare('SELECT highest_uid FROM epoch WHERE mailbox = ? AND uid_validity = ?');
      return Number(epoch.get(this.#mailbox(key)?.id ?? 0, uidValidity)?.['highest_uid'] ?? 0);
    });
  }

  async loadGone(key: MailboxKey): Promise<GoneMessage[]> {
    return guarded('the UID map cannot be read', () =>
      this.#prepare('SELECT messages FROM gone WHERE mailbox = ? ORDER BY gone_at DESC, id DESC')
        .all(this.#mailbox(key)?.id ?? 0)
        .flatMap((row) => decodeGone(String(row['messages']))),
    );
  }

  async openEntries(key: MaildropKey): Promise<JournalEntry[]> {
    return guarded('the journal cannot be read', () =>
      this.#prepare(
        `SELECT journal.* FROM journal JOIN maildrop ON maildrop.id = journal.maildrop
         WHERE upstream = ? AND user = ? AND view = ? ORDER BY journal.id`,
      )
        .all(key.upstream, key.user, key.view)
        .map(journalEntry),
    );
  }

  async addEntry(key: MaildropKey, entry: Omit<JournalEntry, 'id'>): Promise<number> {
    return this.#transaction(() => {
      const added = this.#prepare(
        'INSERT INTO journal (maildrop, path, uid_validity, uids, action, folder, stage) VALUES (?, ?, ?, ?, ?, ?, ?)',
      ).run(this.#maildropId(key), entry.path, entry.uidValidity, entry.uids.join(','), entry.action, entry.folder ?? null, entry.stage);
      return Number(added.lastInsertRowid);
    });
  }

  async setStage(id: number, stage: string): Promise<void> {
    guarded('the journal cannot be written', () => this.#prepare('UPDATE journal SET stage = ? WHERE id = ?').run(stage, id));
  }

  async removeEntry(id: number): Promise<void> {
    guarded('the journal cannot be written', () => this.#prepare('DELETE FROM journal WHERE id = ?').run(id));
  }

  async upstreams(): Promise<string[]> {
    return guarded('the UID map cannot be read', () =>
      this.#prepare('SELECT DISTINCT upstream FROM maildrop ORDER BY upstream')
        .all()
        .map((row) => String(row['upstream'])),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#database.close();
  }

  #mailbox(key: MailboxKey): { readonly id: number; readonly uidValidity: number; readonly uidNext: number } | undefined {
    const row = this.#prepare(
      `SELECT mailbox.id, uid_validity, uid_next FROM mailbox JOIN maildrop ON maildrop.id = mailbox.maildrop
       WHERE upstream = ? AND user = ? AND view = ? AND path = ?`,
    ).get(key.maildrop.upstream, key.maildrop.user, key.maildrop.view, key.path);
    return row && { id: Number(row['id']), uidValidity: Number(row['uid_validity']), uidNext: Number(row['uid_next']) };
  }

  /** The mailbox's row, made or moved to the map's UIDVALIDITY. A new epoch starts without segments. */
  #mailboxId(key: MailboxKey, map: UidMap): number {
    const found = this.#mailbox(key);
    if (found?.uidValidity === map.uidValidity) return found.id;
    if (found !== undefined) {
      for (const table of ['segment', 'identity']) this.#prepare(`DELETE FROM ${table} WHERE mailbox = ?`).run(found.id);
      this.#prepare('UPDATE mailbox SET uid_validity = ? WHERE id = ?').run(map.uidValidity, found.id);
      return found.id;
    }
    const added = this.#prepare('INSERT INTO mailbox (maildrop, path, uid_validity) VALUES (?, ?, ?)').run(
      this.#maildropId(key.maildrop),
      key.path,
      map.uidValidity,
    );
    return Number(added.lastInsertRowid);
  }

  #raiseHighestUid(mailbox: number, { uidValidity, segments }: UidMap): void {
    const last = segments.get(Math.max(-1, ...segments.keys()));
    this.#prepare(
      `INSERT INTO epoch (mailbox, uid_validity, highest_uid) VALUES (?, ?, ?)
       ON CONFLICT DO UPDATE SET highest_uid = max(highest_uid, excluded.highest_uid)`,
    ).run(mailbox, uidValidity, last?.uids.at(-1) ?? 0);
  }

  #mergeIdentities(mailbox: number, identities: ReadonlyMap<Uid, string>): void {
    const put = this.#prepare('INSERT OR REPLACE INTO identity (mailbox, number, count, rows) VALUES (?, ?, ?, ?)');
    for (const [number, added] of Map.groupBy(identities, ([uid]) => segmentNumber(uid))) {
      const merged = new Map([...this.#identitiesIn(mailbox, number), ...added]);
      put.run(mailbox, number, merged.size, encodeIdentities(merged));
    }
  }

  /** Forgets identities of messages that are no longer there. */
  #pruneIdentities(mailbox: number, number: number, segment: Segment): void {
    const before = this.#identitiesIn(mailbox, number);
    if (before.size === 0) return;
    const kept = new Map(uidsOf(segment).flatMap((uid) => (before.has(uid) ? [[uid, before.get(uid) ?? ''] as const] : [])));
    if (kept.size === before.size) return;
    this.#prepare('UPDATE identity SET count = ?, rows = ? WHERE mailbox = ? AND number = ?').run(
      kept.size,
      encodeIdentities(kept),
      mailbox,
      number,
    );
  }

  #identitiesIn(mailbox: number, number: number): Map<Uid, string> {
    const rows = this.#prepare('SELECT rows FROM identity WHERE mailbox = ? AND number = ?').get(mailbox, number)?.['rows'];
    return rows instanceof Uint8Array ? decodeIdentities(rows) : new Map();
  }

  #identitySegments(mailbox: number): Map<number, number> {
    const rows = this.#prepare('SELECT number, count FROM identity WHERE mailbox = ?').all(mailbox);
    return new Map(rows.map((row) => [Number(row['number']), Number(row['count'])]));
  }

  #putGone(mailbox: number, { gone, now }: MapExtras): void {
    this.#prepare('DELETE FROM gone WHERE mailbox = ? AND gone_at < ?').run(mailbox, now - REMEMBERED_SECONDS);
    if (gone.length === 0) return;
    this.#prepare('INSERT INTO gone (mailbox, gone_at, messages) VALUES (?, ?, ?)').run(mailbox, now, encodeGone(gone));
  }

  #maildropId(key: MaildropKey): number {
    this.#prepare('INSERT OR IGNORE INTO maildrop (upstream, user, view) VALUES (?, ?, ?)').run(key.upstream, key.user, key.view);
    const row = this.#prepare('SELECT id FROM maildrop WHERE upstream = ? AND user = ? AND view = ?').get(key.upstream, key.user, key.view);
    return Number(row?.['id']);
  }

  #prepare(sql: string): StatementSync {
    const prepared = this.#statements.get(sql) ?? this.#database.prepare(sql);
    this.#statements.set(sql, prepared);
    return prepared;
  }

  #transaction<T>(work: () => T): T {
    return guarded('the state cannot be written', () => {
      this.#database.exec('BEGIN IMMEDIATE');
      try {
        const result = work();
        this.#database.exec('COMMIT');
        return result;
      } catch (error) {
        if (this.#database.isTransaction) this.#database.exec('ROLLBACK');
        throw error;
      }
    });
  }
}

function migrate(database: DatabaseSync): void {
  const version = Number(database.prepare('PRAGMA user_version').get()?.['user_version']);
  if (version > MIGRATIONS.length) throw new StoreError('STORE_TOO_NEW', 'the state was written by a newer popbridge');
  MIGRATIONS.slice(version).forEach((sql, index) => {
    database.exec(`BEGIN IMMEDIATE; ${sql} PRAGMA user_version = ${version + index + 1}; COMMIT;`);
  });
}

function storedSegment(rows: SQLOutputValue | undefined): Segment {
  if (!(rows instanceof Uint8Array)) throw new StoreError('STORE_CORRUPT', 'a segment of the UID map is no blob');
  return sound(() => decodeSegment(rows));
}

/** What was decoded, or STORE_CORRUPT. */
function sound<T>(decode: () => T): T {
  try {
    return decode();
  } catch (error) {
    throw new StoreError('STORE_CORRUPT', error instanceof Error ? error.message : String(error), { cause: error });
  }
}

function journalEntry(row: Record<string, SQLOutputValue>): JournalEntry {
  const uidValidity = Number(row['uid_validity']);
  if (!isUidValidity(uidValidity)) throw new StoreError('STORE_CORRUPT', 'a journal entry has no valid UIDVALIDITY');
  const { id, path, uids, action, folder, stage } = row;
  return {
    id: Number(id),
    path: String(path),
    uidValidity,
    uids: String(uids).split(',').map(Number).filter(isUid),
    action: String(action),
    folder: typeof folder === 'string' ? folder : undefined,
    stage: String(stage),
  };
}

function cacheKey({ maildrop, path }: MailboxKey): string {
  return JSON.stringify([maildrop.upstream, maildrop.user, maildrop.view, path]);
}

function mapOctets(map: UidMap): number {
  let messages = 1;
  for (const segment of map.segments.values()) messages += segment.uids.length;
  return messages * OCTETS_PER_MESSAGE;
}

function guarded<T>(what: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (error instanceof StoreError) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    throw new StoreError(/locked|busy/i.test(reason) ? 'STORE_LOCKED' : 'STORE_FAILED', `${what}: ${reason}`, { cause: error });
  }
}
