/**
 * Messages that went from a maildrop, in the SQLite file: one row for each unique-id. They are looked up by what could tell that one of
 * them came back, and never loaded all at once.
 */
import type { SQLOutputValue } from 'node:sqlite';
import { idsFrom, type IdSource } from '../maildrop/uid-map.ts';
import { batched } from './batched.ts';
import type { SqliteDatabase } from './sqlite-database.ts';
import type { GoneMessage, Resemblance, Tombstone } from './store.ts';

/** Messages that went are remembered for at least a year. */
const REMEMBERED_SECONDS = 400 * 24 * 60 * 60;
/** So many of them are remembered of one maildrop; of more the oldest are forgotten. A row with its indexes takes about 400 octets. */
export const MOST_REMEMBERED = 250_000;
/** So many rows are written, read or forgotten with one statement or in one transaction. */
export const GONE_BATCH = 200;
/** So many rows come with one statement: a key may have many. */
const PAGE = 1_000;

const FIELDS = `mailbox.path AS path, gone.id AS id, gone_at, formula, id_uid, given, message_id, arrival, octets, true_octets, gone.server AS server,
  retrieved_at, deleted_at, due_at`;

/** Maildrops and mailboxes by their row ids; what is written is written within a transaction of the caller. */
export class SqliteGone {
  readonly #database: SqliteDatabase;
  readonly #most: number;

  /** `most`: how many are remembered of one maildrop. */
  constructor(database: SqliteDatabase, most = MOST_REMEMBERED) {
    this.#database = database;
    this.#most = most;
  }

  /** Each unique-id is remembered as it was last. */
  put(place: { readonly maildrop: number; readonly mailbox: number }, messages: readonly GoneMessage[], now: number): void {
    const put = this.#database.prepare(
      `INSERT OR REPLACE INTO gone_message (maildrop, mailbox, gone_at, unique_id, formula, id_uid, given, message_id, arrival, octets,
         true_octets, server, retrieved_at, deleted_at, due_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    );
    const idOf = idsFrom();
    for (const message of messages) {
      const { formula, idUid, identity, arrival, octets, trueOctets = null, server, state } = message;
      const id = idOf(message).toLowerCase();
      const { given, messageId = null } = identity;
      const { retrievedAt, deletedAt, dueAt } = state;
      const { maildrop, mailbox } = place;
      put.run(
        maildrop,
        mailbox,
        now,
        id,
        formula,
        idUid,
        given,
        messageId,
        arrival,
        octets,
        trueOctets,
        server,
        retrievedAt,
        deletedAt,
        dueAt,
      );
    }
  }

  /** Forgets a batch of what is too old. True when there may be more. */
  forgetOld(maildrop: number, now: number): boolean {
    const { changes } = this.#database
      .prepare('DELETE FROM gone_message WHERE id IN (SELECT id FROM gone_message WHERE maildrop = ? AND gone_at < ? LIMIT ?)')
      .run(maildrop, now - REMEMBERED_SECONDS, GONE_BATCH);
    return Number(changes) === GONE_BATCH;
  }

  /** Forgets a batch of the oldest where there are too many. True when there are still too many. */
  forgetExcess(maildrop: number): boolean {
    const count = Number(this.#database.prepare('SELECT count(*) AS count FROM gone_message WHERE maildrop = ?').get(maildrop)?.['count']);
    const excess = Math.min(Math.max(count - this.#most, 0), GONE_BATCH);
    if (excess === 0) return false;
    this.#database
      .prepare('DELETE FROM gone_message WHERE id IN (SELECT id FROM gone_message WHERE maildrop = ? ORDER BY gone_at, id LIMIT ?)')
      .run(maildrop, excess);
    return count - excess > this.#most;
  }

  /** Forgets messages that were found again. */
  remove(maildrop: number, sources: readonly IdSource[]): void {
    const remove = this.#database.prepare('DELETE FROM gone_message WHERE maildrop = ? AND unique_id = ?');
    const idOf = idsFrom();
    for (const source of sources) remove.run(maildrop, idOf(source).toLowerCase());
  }

  hasAny(maildrop: number): boolean {
    return this.#database.prepare('SELECT 1 FROM gone_message WHERE maildrop = ? LIMIT 1').get(maildrop) !== undefined;
  }

  /** True where a Message-ID could tell that one of them came back. */
  hasMessageIds(maildrop: number): boolean {
    const first = `SELECT 1 FROM gone_message WHERE maildrop = ? AND message_id <> '' LIMIT 1`;
    return this.#database.prepare(first).get(maildrop) !== undefined;
  }

  /** All that resemble, the latest first. Yields between statements. */
  *find(maildrop: number, { given, messageIds, uniqueIds, looks }: Resemblance): Generator<void, Tombstone[], void> {
    const found = new Map<number, Tombstone>();
    const ways: readonly (readonly [condition: string, keys: readonly unknown[]])[] = [
      [`given = wanted.value AND given <> ''`, given],
      [`message_id = wanted.value AND message_id <> ''`, messageIds],
      ['unique_id = wanted.value', uniqueIds],
      ['arrival = wanted.value ->> 0 AND octets = wanted.value ->> 1', looks.map(({ arrival, octets }) => [arrival, octets])],
    ];
    for (const [condition, keys] of ways) {
      const select = this.#database.prepare(
        `SELECT ${FIELDS} FROM json_each(?) AS wanted CROSS JOIN gone_message AS gone ON gone.maildrop = ? AND ${condition}
         JOIN mailbox ON mailbox.id = gone.mailbox WHERE gone.id > ? ORDER BY gone.id LIMIT ${PAGE}`,
      );
      for (const some of batched(keys, GONE_BATCH)) {
        const batch = JSON.stringify(some);
        for (let [after, isAll] = [0, false]; !isAll;) {
          const rows = select.all(batch, maildrop, after);
          for (const row of rows) {
            after = Number(row['id']);
            found.set(after, tombstone(row));
          }
          isAll = rows.length < PAGE;
          yield;
        }
      }
    }
    return [...found].sort(([id, one], [otherId, other]) => other.goneAt - one.goneAt || otherId - id).map(([, message]) => message);
  }

  /** All of a maildrop in parts, the latest first. */
  *all(maildrop: number): Generator<Tombstone[], void, void> {
    const select = this.#database.prepare(
      `SELECT ${FIELDS} FROM gone_message AS gone JOIN mailbox ON mailbox.id = gone.mailbox
       WHERE gone.maildrop = ? AND (gone_at, gone.id) < (?, ?) ORDER BY gone_at DESC, gone.id DESC LIMIT ${GONE_BATCH}`,
    );
    let [at, id] = [Number.MAX_SAFE_INTEGER, 0];
    for (;;) {
      const rows = select.all(maildrop, at, id);
      const last = rows.at(-1);
      if (last === undefined) return;
      yield rows.map(tombstone);
      [at, id] = [Number(last['gone_at']), Number(last['id'])];
    }
  }

  /** Which of those texts, in lower case, are unique-ids of messages that are gone. */
  *among(maildrop: number, uniqueIds: Iterable<string>): Generator<void, Set<string>, void> {
    const found = new Set<string>();
    const look = this.#database.prepare('SELECT value FROM json_each(?) CROSS JOIN gone_message ON maildrop = ? AND unique_id = value');
    for (const batch of this.hasAny(maildrop) ? batched(uniqueIds, GONE_BATCH) : []) {
      for (const row of look.all(JSON.stringify(batch), maildrop)) found.add(String(row['value']));
      yield;
    }
    return found;
  }
}

function tombstone(row: Record<string, SQLOutputValue>): Tombstone {
  const { message_id: messageId, true_octets: trueOctets } = row;
  return {
    path: String(row['path']),
    goneAt: Number(row['gone_at']),
    formula: String(row['formula']),
    idUid: Number(row['id_uid']),
    identity: { given: String(row['given']), messageId: typeof messageId === 'string' ? messageId : undefined },
    arrival: Number(row['arrival']),
    octets: Number(row['octets']),
    trueOctets: typeof trueOctets === 'number' ? trueOctets : undefined,
    server: String(row['server']),
    state: { retrievedAt: Number(row['retrieved_at']), deletedAt: Number(row['deleted_at']), dueAt: Number(row['due_at']) },
  };
}
