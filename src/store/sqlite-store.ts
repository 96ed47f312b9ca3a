/**
 * The store in one SQLite file. Statements are short and block the loop only for that long; loaded maps are kept in memory, bounded
 * by their size.
 */
import { existsSync, statSync } from 'node:fs';
import type { SQLOutputValue, StatementSync } from 'node:sqlite';
import { StoreError } from '../errors.ts';
import { isUidValidity, type Uid, type UidValidity } from '../maildrop/numbers.ts';
import type { Identity } from '../maildrop/rematch.ts';
import { firstDue, type Segment, type UidMap } from '../maildrop/uid-map.ts';
import { Derivations } from './derivations.ts';
import { MapCache } from './map-cache.ts';
import { decodeGone, encodeGone } from './gone-messages.ts';
import { decodeSegment, encodeSegment } from './segment.ts';
import { MIGRATIONS } from './migrations/migrations.ts';
import { guarded, moveAside, SqliteDatabase } from './sqlite-database.ts';
import { SqliteIdentities } from './sqlite-identities.ts';
import { SqliteJournal } from './sqlite-journal.ts';
import type { GoneMessage, JournalEntry, Lease, MailboxKey, MaildropKey, MapChange, SizeVerdict, Store, Tombstone } from './store.ts';

/** Messages that went are remembered for at least a year. */
const REMEMBERED_SECONDS = 400 * 24 * 60 * 60;

export interface StoreSettings {
  /** By upstream, the template of unique-ids configured now. */
  readonly templates: ReadonlyMap<string, string>;
  /** The file was damaged and was moved aside, under that name; nothing that a client can see is lost with it. */
  readonly onRebuilt: (movedTo: string, error: StoreError) => void;
  /** Of the name of a damaged file. */
  readonly now: Date;
}

export class SqliteStore implements Store {
  readonly #database: SqliteDatabase;
  readonly #derivations: Derivations;
  readonly #journal: SqliteJournal;
  readonly #identities: SqliteIdentities;
  readonly #leases = new Set<string>();
  readonly #maps = new MapCache();

  private constructor(database: SqliteDatabase, derivations: Derivations) {
    this.#database = database;
    this.#derivations = derivations;
    this.#journal = new SqliteJournal(database);
    this.#identities = new SqliteIdentities(database);
  }

  /**
   * Opens or creates the file. A damaged one is moved aside where all in it can be made again, else STORE_CORRUPT is thrown.
   * ":memory:" keeps nothing.
   */
  static open(path: string, settings: StoreSettings): SqliteStore {
    const file = path === ':memory:' ? undefined : path;
    const derivations = guarded('the UID map cannot be opened', () => Derivations.of(file));
    try {
      if (file !== undefined) refuseEmptied(file, derivations);
      return new SqliteStore(SqliteDatabase.open(path, { migrations: MIGRATIONS }), derivations);
    } catch (error) {
      if (!(error instanceof StoreError) || error.code !== 'STORE_CORRUPT' || file === undefined || !existsSync(file)) throw error;
      if (!derivations.areAll(settings.templates)) throw notDerivable(file, error);
      settings.onRebuilt(moveAside(file, settings.now.toISOString().replaceAll(/[:.]/g, '-')), error);
      return new SqliteStore(SqliteDatabase.open(file, { migrations: MIGRATIONS }), Derivations.of(file));
    }
  }

  /** In memory: only one process has the file (see open-store.ts), and what it held ends with it. So a lease is never lost. */
  async acquireLease({ upstream, user, view }: MaildropKey): Promise<Lease | undefined> {
    const name = JSON.stringify([upstream, user, view]);
    if (this.#leases.has(name)) return undefined;
    this.#leases.add(name);
    return {
      release: async () => {
        this.#leases.delete(name);
      },
    };
  }

  async loadMap(key: MailboxKey): Promise<UidMap | undefined> {
    const cached = this.#maps.get(key);
    if (cached !== undefined) return cached;
    return guarded('the UID map cannot be read', () => {
      const mailbox = this.#mailbox(key);
      if (mailbox === undefined || !isUidValidity(mailbox.uidValidity)) return undefined;
      const segments = new Map<number, Segment>();
      for (const row of this.#prepare('SELECT number, rows FROM segment WHERE mailbox = ?').all(mailbox.id)) {
        segments.set(Number(row['number']), storedSegment(row['rows']));
      }
      const map = { uidValidity: mailbox.uidValidity, uidNext: mailbox.uidNext, server: mailbox.server, segments };
      this.#maps.set(key, map);
      return map;
    });
  }

  async saveMaps(changes: readonly MapChange[], now: number): Promise<void> {
    if (changes.length === 0) return;
    guarded('the state cannot be written', () => {
      for (const { key, derivation } of changes) this.#derivations.note(key.maildrop.upstream, derivation);
    });
    this.#transaction(() => {
      for (const change of changes) this.#save(change, now);
    });
    for (const { key, next } of changes) this.#maps.set(key, next);
  }

  async derivationOf(key: MailboxKey): Promise<string | undefined> {
    return guarded('the UID map cannot be read', () => this.#mailbox(key)?.derivation);
  }

  async loadIdentities(key: MailboxKey, segments?: readonly number[]): Promise<ReadonlyMap<Uid, Identity>> {
    return guarded('the UID map cannot be read', () => {
      const mailbox = this.#mailbox(key)?.id ?? 0;
      const all = new Map<Uid, Identity>();
      for (const number of segments ?? this.#identities.counts(mailbox).keys()) {
        for (const [uid, identity] of this.#identities.load(mailbox, number)) all.set(uid, identity);
      }
      return all;
    });
  }

  async addIdentities(key: MailboxKey, uidValidity: UidValidity, identities: ReadonlyMap<Uid, Identity>): Promise<void> {
    this.#transaction(() => {
      const mailbox = this.#mailbox(key);
      if (mailbox?.uidValidity === uidValidity) this.#identities.merge(mailbox.id, identities);
    });
  }

  async identityCounts(key: MailboxKey): Promise<ReadonlyMap<number, number>> {
    return guarded('the UID map cannot be read', () => this.#identities.counts(this.#mailbox(key)?.id ?? 0));
  }

  async highestUid(key: MailboxKey, uidValidity: UidValidity): Promise<number> {
    return guarded('the UID map cannot be read', () => {
      const epoch = this.#prepare('SELECT highest_uid FROM epoch WHERE mailbox = ? AND uid_validity = ?');
      return Number(epoch.get(this.#mailbox(key)?.id ?? 0, uidValidity)?.['highest_uid'] ?? 0);
    });
  }

  async loadGone(key: MaildropKey): Promise<Tombstone[]> {
    return guarded('the UID map cannot be read', () =>
      this.#prepare(
        `SELECT path, gone_at, messages FROM gone JOIN mailbox ON mailbox.id = gone.mailbox JOIN maildrop ON maildrop.id = mailbox.maildrop
         WHERE upstream = ? AND user = ? AND view = ? ORDER BY gone_at DESC, gone.id DESC`,
      )
        .all(key.upstream, key.user, key.view)
        .flatMap((row) =>
          decodeGone(String(row['messages'])).map((gone) =>
            Object.assign(gone, { path: String(row['path']), goneAt: Number(row['gone_at']) }),
          ),
        ),
    );
  }

  openEntries(key: MaildropKey): Promise<JournalEntry[]> {
    return this.#journal.openEntries(key);
  }

  async addEntries(key: MaildropKey, entries: readonly Omit<JournalEntry, 'id'>[]): Promise<number[]> {
    return this.#transaction(() => this.#journal.add(this.#maildropId(key), entries));
  }

  setStage(id: number, stage: string): Promise<void> {
    return this.#journal.setStage(id, stage);
  }

  removeEntry(id: number): Promise<void> {
    return this.#journal.remove(id);
  }

  async unfinished({ upstream, user }: Omit<MaildropKey, 'view'>, now: number): Promise<MaildropKey[]> {
    return guarded('the journal cannot be read', () =>
      this.#prepare(
        `SELECT view FROM maildrop WHERE upstream = ? AND user = ? AND (
           EXISTS (SELECT 1 FROM journal WHERE journal.maildrop = maildrop.id)
           OR EXISTS (SELECT 1 FROM mailbox WHERE mailbox.maildrop = maildrop.id AND next_due <= ?)) ORDER BY view`,
      )
        .all(upstream, user, now)
        .map((row) => ({ upstream, user, view: String(row['view']) })),
    );
  }

  async mailboxes({ upstream, user, view }: Partial<MaildropKey> = {}): Promise<MailboxKey[]> {
    return guarded('the UID map cannot be read', () =>
      this.#prepare(
        `SELECT upstream, user, view, path FROM mailbox JOIN maildrop ON maildrop.id = mailbox.maildrop
         WHERE upstream = coalesce(?, upstream) AND user = coalesce(?, user) AND view = coalesce(?, view)
         ORDER BY upstream, user, view, mailbox.id`,
      )
        .all(upstream ?? null, user ?? null, view ?? null)
        .map((row) => ({
          maildrop: { upstream: String(row['upstream']), user: String(row['user']), view: String(row['view']) },
          path: String(row['path']),
        })),
    );
  }

  async noteSizes(upstream: string, { measured, differing, largest }: SizeVerdict): Promise<void> {
    guarded('the state cannot be written', () =>
      this.#prepare(
        `INSERT INTO size_verdict (upstream, measured, differing, largest) VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET
         measured = measured + excluded.measured, differing = differing + excluded.differing, largest = max(largest, excluded.largest)`,
      ).run(upstream, measured, differing, largest),
    );
  }

  async sizeVerdict(upstream: string): Promise<SizeVerdict> {
    return guarded('the UID map cannot be read', () => {
      const row = this.#prepare('SELECT measured, differing, largest FROM size_verdict WHERE upstream = ?').get(upstream);
      return {
        measured: Number(row?.['measured'] ?? 0),
        differing: Number(row?.['differing'] ?? 0),
        largest: Number(row?.['largest'] ?? 0),
      };
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#database[Symbol.dispose]();
  }

  #save({ key, previous, next, identities, gone, derivation }: MapChange, now: number): void {
    const mailbox = this.#mailboxId(key, next);
    this.#prepare('UPDATE mailbox SET uid_next = ?, server = ?, next_due = ?, derivation = ? WHERE id = ?').run(
      next.uidNext,
      next.server,
      firstDue(next) ?? null,
      derivation ?? null,
      mailbox,
    );
    if (previous === undefined) this.#forget(mailbox);
    const put = this.#prepare('INSERT OR REPLACE INTO segment (mailbox, number, rows) VALUES (?, ?, ?)');
    const drop = this.#prepare('DELETE FROM segment WHERE mailbox = ? AND number = ?');
    for (const [number, segment] of next.segments) {
      if (previous?.segments.get(number) === segment) continue;
      put.run(mailbox, number, encodeSegment(segment));
      this.#identities.prune(mailbox, number, segment);
    }
    for (const number of previous?.segments.keys() ?? []) {
      if (next.segments.has(number)) continue;
      drop.run(mailbox, number);
      this.#prepare('DELETE FROM identity WHERE mailbox = ? AND number = ?').run(mailbox, number);
    }
    this.#raiseHighestUid(mailbox, next);
    if (identities !== undefined) this.#identities.merge(mailbox, identities);
    this.#putGone(mailbox, gone ?? [], now);
  }

  #mailbox(key: MailboxKey): MailboxRow | undefined {
    const row = this.#prepare(
      `SELECT mailbox.id, uid_validity, uid_next, derivation, server FROM mailbox JOIN maildrop ON maildrop.id = mailbox.maildrop
       WHERE upstream = ? AND user = ? AND view = ? AND path = ?`,
    ).get(key.maildrop.upstream, key.maildrop.user, key.maildrop.view, key.path);
    if (row === undefined) return undefined;
    const { id, uid_validity: uidValidity, uid_next: uidNext, derivation, server } = row;
    return {
      id: Number(id),
      uidValidity: Number(uidValidity),
      uidNext: Number(uidNext),
      server: String(server),
      derivation: typeof derivation === 'string' ? derivation : undefined,
    };
  }

  /** The mailbox's row, made or moved to the map's UIDVALIDITY. A new epoch starts without segments. */
  #mailboxId(key: MailboxKey, map: UidMap): number {
    const found = this.#mailbox(key);
    if (found?.uidValidity === map.uidValidity) return found.id;
    if (found !== undefined) {
      this.#forget(found.id);
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

  #forget(mailbox: number): void {
    for (const table of ['segment', 'identity']) this.#prepare(`DELETE FROM ${table} WHERE mailbox = ?`).run(mailbox);
  }

  #raiseHighestUid(mailbox: number, { uidValidity, segments }: UidMap): void {
    const last = segments.get(Math.max(-1, ...segments.keys()));
    this.#prepare(
      `INSERT INTO epoch (mailbox, uid_validity, highest_uid) VALUES (?, ?, ?)
       ON CONFLICT DO UPDATE SET highest_uid = max(highest_uid, excluded.highest_uid)`,
    ).run(mailbox, uidValidity, last?.uids.at(-1) ?? 0);
  }

  #putGone(mailbox: number, gone: readonly GoneMessage[], now: number): void {
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
    return this.#database.prepare(sql);
  }

  #transaction<T>(work: () => T): T {
    return this.#database.transaction(work);
  }
}

interface MailboxRow {
  readonly id: number;
  readonly uidValidity: number;
  readonly uidNext: number;
  readonly server: string;
  readonly derivation: string | undefined;
}

/** SQLite takes an empty file for a new one; where ids were written down it is what is left of a damaged one. */
function refuseEmptied(file: string, derivations: Derivations): void {
  if (derivations.isEmpty || (statSync(file, { throwIfNoEntry: false })?.size ?? 1) > 0) return;
  throw new StoreError('STORE_CORRUPT', `${file} is empty`);
}

function notDerivable(path: string, error: StoreError): StoreError {
  const problem = `${path} is damaged and holds unique-ids that can't be made again; restore it from a backup, or move it away: then clients fetch all mail again`;
  return new StoreError('STORE_CORRUPT', `${problem} (${error.message})`, { cause: error });
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
