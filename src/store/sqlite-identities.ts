/** The identities of messages in the SQLite file, apart from the UID map: only recognising and verifying read them. */
import type { Uid } from '../maildrop/numbers.ts';
import { UNIDENTIFIED, type Identity } from '../maildrop/rematch.ts';
import { segmentNumber, uidsOf, type Segment } from '../maildrop/uid-map.ts';
import { decodeIdentities, encodeIdentities, isLookedAt } from './identity-segment.ts';
import type { SqliteDatabase } from './sqlite-database.ts';

/** Mailboxes by their row ids; what is written is written within a transaction of the caller. */
export class SqliteIdentities {
  readonly #database: SqliteDatabase;

  constructor(database: SqliteDatabase) {
    this.#database = database;
  }

  /** Adds to what is known. */
  merge(mailbox: number, identities: ReadonlyMap<Uid, Identity>): void {
    const put = this.#database.prepare('INSERT OR REPLACE INTO identity (mailbox, number, count, rows) VALUES (?, ?, ?, ?)');
    for (const [number, added] of Map.groupBy(identities, ([uid]) => segmentNumber(uid))) {
      const merged = this.load(mailbox, number);
      for (const [uid, { given, messageId }] of added) {
        const before = merged.get(uid) ?? UNIDENTIFIED;
        merged.set(uid, { given: given || before.given, messageId: messageId ?? before.messageId });
      }
      put.run(mailbox, number, lookedAt(merged), encodeIdentities(merged));
    }
  }

  /** Forgets identities of messages that are no longer there. */
  prune(mailbox: number, number: number, segment: Segment): void {
    const before = this.load(mailbox, number);
    if (before.size === 0) return;
    const kept = new Map(uidsOf(segment).flatMap((uid) => (before.has(uid) ? [[uid, before.get(uid) ?? UNIDENTIFIED] as const] : [])));
    if (kept.size === before.size) return;
    this.#database
      .prepare('UPDATE identity SET count = ?, rows = ? WHERE mailbox = ? AND number = ?')
      .run(lookedAt(kept), encodeIdentities(kept), mailbox, number);
  }

  /** Of one segment. */
  load(mailbox: number, number: number): Map<Uid, Identity> {
    const rows = this.#database.prepare('SELECT rows FROM identity WHERE mailbox = ? AND number = ?').get(mailbox, number)?.['rows'];
    return rows instanceof Uint8Array ? decodeIdentities(rows) : new Map();
  }

  /** By segment, how many messages have been looked at for their Message-ID. */
  counts(mailbox: number): Map<number, number> {
    const rows = this.#database.prepare('SELECT number, count FROM identity WHERE mailbox = ?').all(mailbox);
    return new Map(rows.map((row) => [Number(row['number']), Number(row['count'])]));
  }
}

function lookedAt(identities: ReadonlyMap<Uid, Identity>): number {
  return [...identities.values()].filter(isLookedAt).length;
}
