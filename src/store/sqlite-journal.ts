/** The journal of deletions in the SQLite file: what DELE and QUIT promised and is not known to be done. */
import type { SQLOutputValue } from 'node:sqlite';
import { StoreError } from '../errors.ts';
import { isUid, isUidValidity } from '../maildrop/numbers.ts';
import { guarded, type SqliteDatabase } from './sqlite-database.ts';
import type { JournalEntry, MaildropKey } from './store.ts';

export class SqliteJournal {
  readonly #database: SqliteDatabase;

  constructor(database: SqliteDatabase) {
    this.#database = database;
  }

  /** Oldest first. */
  async openEntries(key: MaildropKey): Promise<JournalEntry[]> {
    return guarded('the journal cannot be read', () =>
      this.#database
        .prepare(
          `SELECT journal.* FROM journal JOIN maildrop ON maildrop.id = journal.maildrop
           WHERE upstream = ? AND user = ? AND view = ? ORDER BY journal.id`,
        )
        .all(key.upstream, key.user, key.view)
        .map(journalEntry),
    );
  }

  /** Within a transaction of the caller. */
  add(maildrop: number, entries: readonly Omit<JournalEntry, 'id'>[]): number[] {
    const add = this.#database.prepare(
      'INSERT INTO journal (maildrop, server, path, uid_validity, uids, action, folder, stage) VALUES (?, ?, ?, ?, ?, ?, ?, ?)',
    );
    return entries.map(({ server, path, uidValidity, uids, action, folder, stage }) =>
      Number(add.run(maildrop, server, path, uidValidity, uids.join(','), action, folder ?? null, stage).lastInsertRowid),
    );
  }

  async setStage(id: number, stage: string): Promise<void> {
    guarded('the journal cannot be written', () => this.#database.prepare('UPDATE journal SET stage = ? WHERE id = ?').run(stage, id));
  }

  async remove(id: number): Promise<void> {
    guarded('the journal cannot be written', () => this.#database.prepare('DELETE FROM journal WHERE id = ?').run(id));
  }
}

function journalEntry(row: Record<string, SQLOutputValue>): JournalEntry {
  const uidValidity = Number(row['uid_validity']);
  if (!isUidValidity(uidValidity)) throw new StoreError('STORE_CORRUPT', 'a journal entry has no valid UIDVALIDITY');
  const { id, server, path, uids, action, folder, stage } = row;
  return {
    id: Number(id),
    server: String(server),
    path: String(path),
    uidValidity,
    uids: String(uids).split(',').map(Number).filter(isUid),
    action: String(action),
    folder: typeof folder === 'string' ? folder : undefined,
    stage: String(stage),
  };
}
