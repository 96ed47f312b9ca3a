/** The schema, step by step: what stands here was released and is never edited, only added to. */
export const MIGRATIONS: readonly string[] = [
  `CREATE TABLE maildrop (
     id INTEGER PRIMARY KEY,
     upstream TEXT NOT NULL, user TEXT NOT NULL, view TEXT NOT NULL,
     UNIQUE (upstream, user, view)
   ) STRICT;
   CREATE TABLE mailbox (
     id INTEGER PRIMARY KEY,
     maildrop INTEGER NOT NULL REFERENCES maildrop (id) ON DELETE CASCADE,
     path TEXT NOT NULL,
     uid_validity INTEGER NOT NULL,
     UNIQUE (maildrop, path)
   ) STRICT;
   CREATE TABLE segment (
     mailbox INTEGER NOT NULL REFERENCES mailbox (id) ON DELETE CASCADE,
     number INTEGER NOT NULL,
     formula TEXT NOT NULL,
     rows BLOB NOT NULL,
     PRIMARY KEY (mailbox, number)
   ) STRICT, WITHOUT ROWID;
   CREATE TABLE journal (
     id INTEGER PRIMARY KEY AUTOINCREMENT,
     maildrop INTEGER NOT NULL REFERENCES maildrop (id) ON DELETE CASCADE,
     path TEXT NOT NULL,
     uid_validity INTEGER NOT NULL,
     uids TEXT NOT NULL,
     action TEXT NOT NULL,
     folder TEXT,
     stage TEXT NOT NULL
   ) STRICT;
   CREATE INDEX journal_of_maildrop ON journal (maildrop);`,
  // Segments of version 2 hold the formulas of their unique-ids. Those before are made anew: the ids follow from UIDVALIDITY and UID.
  `DELETE FROM segment;
   ALTER TABLE segment DROP COLUMN formula;`,
  `ALTER TABLE mailbox ADD COLUMN uid_next INTEGER NOT NULL DEFAULT 0;`,
  `CREATE TABLE identity (
     mailbox INTEGER NOT NULL REFERENCES mailbox (id) ON DELETE CASCADE,
     number INTEGER NOT NULL,
     count INTEGER NOT NULL,
     rows BLOB NOT NULL,
     PRIMARY KEY (mailbox, number)
   ) STRICT, WITHOUT ROWID;
   CREATE TABLE gone (
     id INTEGER PRIMARY KEY,
     mailbox INTEGER NOT NULL REFERENCES mailbox (id) ON DELETE CASCADE,
     gone_at INTEGER NOT NULL,
     messages TEXT NOT NULL
   ) STRICT;
   CREATE INDEX gone_of_mailbox ON gone (mailbox, gone_at);
   CREATE TABLE epoch (
     mailbox INTEGER NOT NULL REFERENCES mailbox (id) ON DELETE CASCADE,
     uid_validity INTEGER NOT NULL,
     highest_uid INTEGER NOT NULL,
     PRIMARY KEY (mailbox, uid_validity)
   ) STRICT, WITHOUT ROWID;`,
  // When a mailbox next has something to be removed, and whether its map could be made again; see derivations.ts.
  `ALTER TABLE mailbox ADD COLUMN next_due INTEGER;
   ALTER TABLE mailbox ADD COLUMN derivation TEXT;
   ALTER TABLE mailbox ADD COLUMN server TEXT NOT NULL DEFAULT '';
   CREATE TABLE size_verdict (
     upstream TEXT PRIMARY KEY,
     measured INTEGER NOT NULL,
     differing INTEGER NOT NULL,
     largest INTEGER NOT NULL
   ) STRICT, WITHOUT ROWID;`,
];
