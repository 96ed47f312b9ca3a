/**
 * The SQLite file of the store (WAL, synchronous=FULL: what is committed survives a power cut): opened, checked, brought up to date.
 * Every failure becomes a StoreError.
 */
import { chmodSync, existsSync, renameSync } from 'node:fs';
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import { StoreError } from '../errors.ts';
import { inSlices } from '../slices.ts';

/** Nobody else has business there; and everybody waits with the one statement that waits. */
const BUSY_TIMEOUT_MS = 200;
/** SQLITE_CORRUPT and SQLITE_NOTADB. */
const DAMAGED: ReadonlySet<number> = new Set([11, 26]);
/** Extended codes hold the primary one in their lowest octet. */
const PRIMARY_CODE = 0xff;

/** What a file holds. */
export interface DatabaseKind {
  /** Its schema, step by step. */
  readonly migrations: readonly string[];
  readonly pragmas?: string;
}

export class SqliteDatabase implements Disposable {
  readonly #database: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();

  private constructor(database: DatabaseSync) {
    this.#database = database;
  }

  /** Opens or creates the file, readable by its owner alone. Throws STORE_CORRUPT where it is damaged. ":memory:" keeps nothing. */
  static open(path: string, { migrations, pragmas = '' }: DatabaseKind): SqliteDatabase {
    return guarded('the store cannot be opened', () => {
      const database = new DatabaseSync(path, { timeout: BUSY_TIMEOUT_MS });
      try {
        if (path !== ':memory:') chmodSync(path, 0o600);
        database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;' + pragmas);
        check(database);
        migrate(database, migrations);
      } catch (error) {
        database.close();
        throw error;
      }
      return new SqliteDatabase(database);
    });
  }

  prepare(sql: string): StatementSync {
    const prepared = this.#statements.get(sql) ?? this.#database.prepare(sql);
    this.#statements.set(sql, prepared);
    return prepared;
  }

  /** All of the work or none of it. */
  transaction<T>(work: () => T): T {
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

  [Symbol.dispose](): void {
    this.#database.close();
  }
}

/** Moves a damaged file, with what belongs to it, out of the way; gives its new name. */
export function moveAside(path: string, suffix: string): string {
  const aside = `${path}.corrupt-${suffix}`;
  for (const part of ['', '-wal', '-shm']) if (existsSync(path + part)) renameSync(path + part, aside + part);
  return aside;
}

/** Runs work on the store; what it throws becomes a StoreError that says what could not be done. */
export function guarded<T>(what: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (error instanceof StoreError) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    throw new StoreError(codeOf(error, reason), `${what}: ${reason}`, { cause: error });
  }
}

/** Reads from the store in slices; what that throws becomes a StoreError. */
export async function readInSlices<T>(work: Generator<void, T, void>): Promise<T> {
  try {
    return await inSlices(work);
  } catch (error) {
    return guarded('the UID map cannot be read', () => {
      throw error;
    });
  }
}

function codeOf(error: unknown, reason: string): StoreError['code'] {
  if (error instanceof Error && 'errcode' in error && DAMAGED.has(Number(error.errcode) & PRIMARY_CODE)) return 'STORE_CORRUPT';
  return /locked|busy/i.test(reason) ? 'STORE_LOCKED' : 'STORE_FAILED';
}

function check(database: DatabaseSync): void {
  const found = database.prepare('PRAGMA quick_check(1)').get()?.['quick_check'];
  if (found !== 'ok') throw new StoreError('STORE_CORRUPT', `the store is damaged: ${String(found)}`);
}

function migrate(database: DatabaseSync, migrations: readonly string[]): void {
  const version = Number(database.prepare('PRAGMA user_version').get()?.['user_version']);
  if (version > migrations.length) throw new StoreError('STORE_TOO_NEW', 'the state was written by a newer popbridge');
  migrations.slice(version).forEach((sql, index) => {
    database.exec(`BEGIN IMMEDIATE; ${sql} PRAGMA user_version = ${version + index + 1}; COMMIT;`);
  });
}
