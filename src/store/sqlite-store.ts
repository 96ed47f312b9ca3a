/**
 * The store in one SQLite file. Statements are short and block the loop only for that long; loaded maps are kept in memory, bounded
 * by their size.
 */
import { existsSync, statSync } from 'node:fs';
import type { SQLOutputValue, StatementSync } from 'node:sqlite';
import { StoreError } from '../errors.ts';
import { isUidValidity, type Uid, type UidValidity } from '../maildrop/numbers.ts';
import type { Identity } from '../maildrop/rematch.ts';
import { segmentNumber, type Segment, type UidMap } from '../maildrop/uid-map.ts';
import { Derivations } from './derivations.ts';
import { MapCache } from './map-cache.ts';
import { inSlices, othersTurn } from '../slices.ts';
import { decodeSegment } from './segment.ts';
import { MIGRATIONS } from './migrations/migrations.ts';
import { guarded, moveAside, readInSlices, SqliteDatabase } from './sqlite-database.ts';
import { SqliteGone } from './sqlite-gone.ts';
import { SqliteIdentities } from './sqlite-identities.ts';
import { SqliteJournal } from './sqlite-journal.ts';
import { SqliteMaps, type SaveParts } from './sqlite-maps.ts';
import { SqliteSpent } from './sqlite-spent.ts';
import type {
  JournalEntry,
  Lease,
  MailboxKey,
  MaildropKey,
  MapChange,
  Resemblance,
  SizeVerdict,
  Store,
  Tombstone,
  UsedIds,
} from './store.ts';

/** A save with no more parts than that is one transaction. */
const PARTS_AT_ONCE = 4;

export interface StoreSettings {
  /** By upstream, the template of unique-ids configured now. */
  readonly templates: ReadonlyMap<string, string>;
  /** The file was damaged and was moved aside, under that name; nothing that a client can see is lost with it. */
  readonly onRebuilt: (movedTo: string, error: StoreError) => void;
  /** Of the name of a damaged file. */
  readonly now: Date;
  /** How many messages that went are remembered of one maildrop, where it is not as usual. */
  readonly mostRemembered?: number;
}

export class SqliteStore implements Store {
  readonly #database: SqliteDatabase;
  readonly #derivations: Derivations;
  readonly #journal: SqliteJournal;
  readonly #identities: SqliteIdentities;
  readonly #gone: SqliteGone;
  readonly #spent: SqliteSpent;
  readonly #tables: SqliteMaps;
  readonly #loads = new Map<string, Promise<UidMap | undefined>>();
  /** Mailboxes that were saved while a load of them was running. */
  readonly #outdated = new Set<string>();
  readonly #leases = new Set<string>();
  readonly #maps = new MapCache();

  private constructor(database: SqliteDatabase, derivations: Derivations, { mostRemembered }: StoreSettings) {
    this.#database = database;
    this.#derivations = derivations;
    this.#journal = new SqliteJournal(database);
    this.#identities = new SqliteIdentities(database);
    this.#gone = new SqliteGone(database, mostRemembered);
    this.#spent = new SqliteSpent(database);
    this.#tables = new SqliteMaps(database, { identities: this.#identities, gone: this.#gone, spent: this.#spent });
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
      return new SqliteStore(SqliteDatabase.open(path, { migrations: MIGRATIONS }), derivations, settings);
    } catch (error) {
      if (!(error instanceof StoreError) || error.code !== 'STORE_CORRUPT' || file === undefined || !existsSync(file)) throw error;
      if (!derivations.areAll(settings.templates)) throw notDerivable(file, error);
      settings.onRebuilt(moveAside(file, settings.now.toISOString().replaceAll(/[:.]/g, '-')), error);
      return new SqliteStore(SqliteDatabase.open(file, { migrations: MIGRATIONS }), Derivations.of(file), settings);
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

  loadMap(key: MailboxKey): Promise<UidMap | undefined> {
    const cached = this.#maps.get(key);
    if (cached !== undefined) return Promise.resolve(cached);
    const name = JSON.stringify(key);
    const load = this.#loads.get(name) ?? this.#load(key, name);
    this.#loads.set(name, load);
    return load;
  }

  /** Reads again where the map was saved meanwhile. */
  async #load(key: MailboxKey, name: string): Promise<UidMap | undefined> {
    try {
      for (;;) {
        this.#outdated.delete(name);
        const map = await readInSlices(this.#read(key));
        const saved = this.#outdated.has(name) ? this.#maps.get(key) : map;
        if (this.#outdated.has(name) && saved === undefined) continue;
        if (saved !== undefined) this.#maps.set(key, saved);
        return saved;
      }
    } finally {
      this.#loads.delete(name);
    }
  }

  /** All rows are read at once, so that they are of one time, and decoded segment by segment. */
  *#read(key: MailboxKey): Generator<void, UidMap | undefined, void> {
    const mailbox = this.#tables.mailbox(key);
    if (mailbox === undefined || !isUidValidity(mailbox.uidValidity)) return undefined;
    const segments = new Map<number, Segment>();
    for (const row of this.#prepare('SELECT number, rows FROM segment WHERE mailbox = ?').all(mailbox.id)) {
      segments.set(Number(row['number']), storedSegment(row['rows']));
      yield;
    }
    return { uidValidity: mailbox.uidValidity, uidNext: mailbox.uidNext, server: mailbox.server, segments };
  }

  async saveMaps(changes: readonly MapChange[], now: number): Promise<void> {
    if (changes.length === 0) return;
    guarded('the state cannot be written', () => {
      for (const { key, derivation } of changes) this.#derivations.note(key.maildrop.upstream, derivation);
    });
    const parts: SaveParts[] = [];
    for (const change of changes) parts.push(await inSlices(this.#tables.save(change, now)));
    const before = parts.flatMap((part) => part.before);
    const after = parts.flatMap((part) => part.after);
    const saveAll = (): void => {
      for (const { map } of parts) map();
    };
    const areFew = before.length + after.length <= PARTS_AT_ONCE;
    if (!areFew) await this.#runApart(before);
    this.#run(areFew ? [...before, saveAll, ...after] : [saveAll]);
    for (const { key, next } of changes) {
      const name = JSON.stringify(key);
      if (this.#loads.has(name)) this.#outdated.add(name);
      this.#maps.set(key, next);
    }
    if (!areFew) await this.#runApart(after);
    await this.#forgetGone(changes, now);
  }

  /** One after another, each in a transaction of its own, with pauses. */
  async #runApart(parts: readonly (() => void)[]): Promise<void> {
    for (const part of parts) {
      this.#run([part]);
      await othersTurn();
    }
  }

  async #forgetGone(changes: readonly MapChange[], now: number): Promise<void> {
    for (const { key, gone = [] } of changes) {
      const maildrop = this.#tables.maildrop(key.maildrop);
      while (this.#transaction(() => this.#gone.forgetOld(maildrop, now))) await othersTurn();
      while (gone.length > 0 && this.#transaction(() => this.#gone.forgetExcess(maildrop))) await othersTurn();
    }
  }

  async derivationOf(key: MailboxKey): Promise<string | undefined> {
    return guarded('the UID map cannot be read', () => this.#tables.mailbox(key)?.derivation);
  }

  async loadIdentities(key: MailboxKey, segments?: readonly number[]): Promise<ReadonlyMap<Uid, Identity>> {
    const mailbox = guarded('the UID map cannot be read', () => this.#tables.mailbox(key)?.id ?? 0);
    return readInSlices(this.#readIdentities(mailbox, segments));
  }

  *#readIdentities(mailbox: number, segments: readonly number[] | undefined): Generator<void, Map<Uid, Identity>, void> {
    const all = new Map<Uid, Identity>();
    for (const number of segments ?? this.#identities.counts(mailbox).keys()) {
      for (const [uid, identity] of this.#identities.load(mailbox, number)) all.set(uid, identity);
      yield;
    }
    return all;
  }

  async addIdentities(key: MailboxKey, uidValidity: UidValidity, identities: ReadonlyMap<Uid, Identity>): Promise<void> {
    for (const [number, added] of Map.groupBy(identities, ([uid]) => segmentNumber(uid))) {
      this.#transaction(() => {
        const mailbox = this.#tables.mailbox(key);
        if (mailbox?.uidValidity === uidValidity) this.#identities.update(mailbox.id, number, { added });
      });
      await othersTurn();
    }
  }

  async identityCounts(key: MailboxKey): Promise<ReadonlyMap<number, number>> {
    return guarded('the UID map cannot be read', () => this.#identities.counts(this.#tables.mailbox(key)?.id ?? 0));
  }

  async usedIds(key: MaildropKey): Promise<UsedIds> {
    return guarded('the UID map cannot be read', () => this.#spent.used(this.#tables.maildrop(key)));
  }

  async idsAmong(key: MaildropKey, uniqueIds: Iterable<string>): Promise<ReadonlySet<string>> {
    const maildrop = this.#tables.maildrop(key);
    const gone = await readInSlices(this.#gone.among(maildrop, uniqueIds));
    return gone.union(await readInSlices(this.#spent.among(maildrop, uniqueIds)));
  }

  async *allGone(key: MaildropKey): AsyncGenerator<readonly Tombstone[], void, void> {
    for (const some of this.#gone.all(this.#tables.maildrop(key))) {
      yield some;
      await othersTurn();
    }
  }

  async findGone(key: MaildropKey, like: Resemblance): Promise<Tombstone[]> {
    return readInSlices(this.#gone.find(this.#tables.maildrop(key), like));
  }

  async hasGone(key: MaildropKey): Promise<boolean> {
    return guarded('the UID map cannot be read', () => this.#gone.hasAny(this.#tables.maildrop(key)));
  }

  async hasGoneMessageIds(key: MaildropKey): Promise<boolean> {
    return guarded('the UID map cannot be read', () => this.#gone.hasMessageIds(this.#tables.maildrop(key)));
  }

  openEntries(key: MaildropKey): Promise<JournalEntry[]> {
    return this.#journal.openEntries(key);
  }

  async addEntries(key: MaildropKey, entries: readonly Omit<JournalEntry, 'id'>[]): Promise<number[]> {
    return this.#transaction(() => this.#journal.add(this.#tables.madeMaildrop(key), entries));
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

  #run(parts: readonly (() => void)[]): void {
    this.#transaction(() => {
      for (const part of parts) part();
    });
  }

  #prepare(sql: string): StatementSync {
    return this.#database.prepare(sql);
  }

  #transaction<T>(work: () => T): T {
    return this.#database.transaction(work);
  }
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
