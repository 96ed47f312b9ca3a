/**
 * Unique-ids that were given to messages and are no longer in a UID map: none of them is ever given to another message. For each formula
 * the highest UID that stood in such an id is kept, so this stays small however many messages go.
 */
import { isGmailId, isVerbatim, type UniqueIdFormula } from '../maildrop/unique-id.ts';
import { sourceAt, type IdSource, type Segment } from '../maildrop/uid-map.ts';
import { batched } from './batched.ts';
import type { SqliteDatabase } from './sqlite-database.ts';
import type { UsedIds } from './store.ts';

/** So many ids are looked up with one statement. */
const BATCH = 200;

/** Mailboxes and maildrops by their row ids; what is written is written within a transaction of the caller. */
export class SqliteSpent {
  readonly #database: SqliteDatabase;

  constructor(database: SqliteDatabase) {
    this.#database = database;
  }

  note(mailbox: number, sources: Iterable<IdSource>): void {
    const highest = new Map<UniqueIdFormula, number>();
    for (const { formula, idUid } of sources) {
      // Gmail calls the same message so for ever.
      if (isGmailId(formula)) continue;
      const key = isVerbatim(formula) ? formula.toLowerCase() : formula;
      highest.set(key, Math.max(highest.get(key) ?? 0, idUid));
    }
    const put = this.#database.prepare(
      `INSERT INTO spent (mailbox, formula, highest_uid) VALUES (?, ?, ?)
       ON CONFLICT DO UPDATE SET highest_uid = max(highest_uid, excluded.highest_uid)`,
    );
    for (const [formula, uid] of highest) put.run(mailbox, formula, uid);
  }

  /** Of every mailbox of a maildrop. */
  used(maildrop: number): UsedIds {
    const epochs = this.#database
      .prepare('SELECT path, epoch.uid_validity, highest_uid FROM epoch JOIN mailbox ON mailbox.id = epoch.mailbox WHERE maildrop = ?')
      .all(maildrop);
    const formulas = this.#database
      .prepare(
        `SELECT path, formula, highest_uid FROM spent JOIN mailbox ON mailbox.id = spent.mailbox
         WHERE maildrop = ? AND NOT (formula >= '=' AND formula < '>')`,
      )
      .all(maildrop);
    return {
      epochs: epochs.map((row) => ({
        path: String(row['path']),
        uidValidity: Number(row['uid_validity']),
        highestUid: Number(row['highest_uid']),
      })),
      formulas: formulas.map((row) => ({
        path: String(row['path']),
        formula: String(row['formula']),
        highestUid: Number(row['highest_uid']),
      })),
    };
  }

  /** Which of those texts, in lower case, are ids that follow from no formula. */
  *among(maildrop: number, uniqueIds: Iterable<string>): Generator<void, Set<string>, void> {
    const found = new Set<string>();
    const any = `SELECT 1 FROM mailbox JOIN spent ON spent.mailbox = mailbox.id AND formula >= '=' AND formula < '>' WHERE maildrop = ? LIMIT 1`;
    if (this.#database.prepare(any).get(maildrop) === undefined) return found;
    const look = this.#database.prepare(
      `SELECT wanted.value FROM json_each(?) AS wanted CROSS JOIN mailbox ON mailbox.maildrop = ?
       JOIN spent ON spent.mailbox = mailbox.id AND spent.formula = '=' || wanted.value`,
    );
    for (const batch of batched(uniqueIds, BATCH)) {
      for (const row of look.all(JSON.stringify(batch), maildrop)) found.add(String(row['value']));
      yield;
    }
    return found;
  }
}

/** Ids of one segment that none of its messages has any more, because the message went or got another id. */
export function* leftBehind(before: Segment, after: Segment | undefined): Generator<IdSource, void, void> {
  const uids = after?.uids ?? new Uint32Array();
  let at = 0;
  for (const [index, uid] of before.uids.entries()) {
    const source = sourceAt(before, index);
    while (at < uids.length && (uids[at] ?? 0) < uid) at += 1;
    const next = after !== undefined && uids[at] === uid ? sourceAt(after, at) : undefined;
    if (next?.formula !== source.formula || next.idUid !== source.idUid) yield source;
  }
}
