/** The identities of messages in the SQLite file, apart from the UID map: only recognising and verifying read them. */
import type { Uid } from '../maildrop/numbers.ts';
import { UNIDENTIFIED, type Identity } from '../maildrop/rematch.ts';
import type { Segment } from '../maildrop/uid-map.ts';
import { decodeIdentities, encodeIdentities, isLookedAt } from './identity-segment.ts';
import type { SqliteDatabase } from './sqlite-database.ts';

/** Mailboxes by their row ids; what is written is written within a transaction of the caller. */
export class SqliteIdentities {
  readonly #database: SqliteDatabase;

  constructor(database: SqliteDatabase) {
    this.#database = database;
  }

  /** Adds to what is known of one segment, and forgets messages that are not in `kept`, where that is given. */
  update(
    mailbox: number,
    number: number,
    { kept, added }: { readonly kept?: Segment | undefined; readonly added: Iterable<readonly [Uid, Identity]> },
  ): void {
    const known = this.load(mailbox, number);
    const isThere = kept === undefined || known.size === 0 ? undefined : new Set<number>(kept.uids);
    let hasChanged = false;
    for (const uid of isThere === undefined ? [] : [...known.keys()]) {
      if (isThere?.has(uid) === false) hasChanged = known.delete(uid);
    }
    for (const [uid, { given, messageId }] of added) {
      const before = known.get(uid) ?? UNIDENTIFIED;
      known.set(uid, { given: given || before.given, messageId: messageId ?? before.messageId });
      hasChanged = true;
    }
    if (!hasChanged) return;
    this.#database
      .prepare('INSERT OR REPLACE INTO identity (mailbox, number, count, rows) VALUES (?, ?, ?, ?)')
      .run(mailbox, number, lookedAt(known), encodeIdentities(known));
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
