/** The unique-id, in lower case, of the formula and UID in a row of the statement below. */
const UNIQUE_ID = `lower(CASE
       WHEN substr(formula, 1, 1) = '=' THEN substr(formula, 2)
       WHEN instr(formula, '{') = 0 THEN formula
       ELSE substr(formula, 1, instr(formula, '{') - 1)
         || printf('%' || CASE WHEN instr(formula, ':') = 0 THEN 'd'
                               ELSE substr(formula, instr(formula, ':') + 1, instr(formula, '}') - instr(formula, ':') - 1) END, id_uid)
         || substr(formula, instr(formula, '}') + 1) END)`;

/** Messages that are gone had a row for each time that some of them went, with all of these as JSON. Now each unique-id has one row. */
const GONE_BY_ID = `CREATE TABLE gone_message (
     id INTEGER PRIMARY KEY,
     maildrop INTEGER NOT NULL REFERENCES maildrop (id) ON DELETE CASCADE,
     mailbox INTEGER NOT NULL REFERENCES mailbox (id) ON DELETE CASCADE,
     gone_at INTEGER NOT NULL,
     unique_id TEXT NOT NULL,
     formula TEXT NOT NULL,
     id_uid INTEGER NOT NULL,
     given TEXT NOT NULL,
     message_id TEXT,
     arrival INTEGER NOT NULL,
     octets INTEGER NOT NULL,
     true_octets INTEGER,
     server TEXT NOT NULL,
     retrieved_at INTEGER NOT NULL,
     deleted_at INTEGER NOT NULL,
     due_at INTEGER NOT NULL,
     UNIQUE (maildrop, unique_id)
   ) STRICT;
   CREATE INDEX gone_by_time ON gone_message (maildrop, gone_at);
   CREATE INDEX gone_by_given ON gone_message (maildrop, given) WHERE given <> '';
   CREATE INDEX gone_by_message_id ON gone_message (maildrop, message_id) WHERE message_id <> '';
   CREATE INDEX gone_by_look ON gone_message (maildrop, arrival, octets);
   CREATE TABLE spent (
     mailbox INTEGER NOT NULL REFERENCES mailbox (id) ON DELETE CASCADE,
     formula TEXT NOT NULL,
     highest_uid INTEGER NOT NULL,
     PRIMARY KEY (mailbox, formula)
   ) STRICT, WITHOUT ROWID;
   WITH stored AS MATERIALIZED (
     SELECT mailbox.maildrop, mailbox.id AS mailbox, mailbox.server, gone_at, gone.id AS batch, row.key AS place, row.value AS fields
     FROM gone JOIN mailbox ON mailbox.id = gone.mailbox, json_each(CASE WHEN json_valid(messages) THEN messages ELSE '[]' END) AS row
     WHERE row.type = 'array'
   ), known AS MATERIALIZED (
     SELECT maildrop, mailbox, server, gone_at, batch, place, fields ->> 0 AS formula, fields ->> 1 AS id_uid, fields ->> 2 AS keys,
            fields ->> 3 AS arrival, fields ->> 4 AS octets, fields ->> 5 AS true_octets,
            fields ->> 6 AS retrieved_at, fields ->> 7 AS deleted_at, fields ->> 8 AS due_at
     FROM stored
     WHERE typeof(fields ->> 0) = 'text' AND typeof(fields ->> 1) = 'integer' AND typeof(fields ->> 2) = 'text'
       AND typeof(fields ->> 3) IN ('integer', 'real') AND typeof(fields ->> 4) IN ('integer', 'real')
   )
   INSERT OR REPLACE INTO gone_message (maildrop, mailbox, gone_at, unique_id, formula, id_uid, given, message_id, arrival, octets,
                                        true_octets, server, retrieved_at, deleted_at, due_at)
   SELECT maildrop, mailbox, gone_at, ${UNIQUE_ID}, formula, id_uid,
          CASE WHEN substr(keys, 1, 1) = 'm' THEN '' WHEN instr(keys, ' ') > 0 THEN substr(keys, 1, instr(keys, ' ') - 1) ELSE keys END,
          CASE WHEN substr(keys, 1, 1) = 'm' THEN keys WHEN instr(keys, ' ') > 0 THEN substr(keys, instr(keys, ' ') + 1) END,
          CAST(arrival AS INTEGER), CAST(octets AS INTEGER), CASE WHEN true_octets >= 0 THEN CAST(true_octets AS INTEGER) END, server,
          CAST(coalesce(retrieved_at, 0) AS INTEGER), CAST(coalesce(deleted_at, 0) AS INTEGER), CAST(coalesce(due_at, 0) AS INTEGER)
   FROM known ORDER BY gone_at, batch, place;
   INSERT INTO spent (mailbox, formula, highest_uid)
   SELECT mailbox, CASE WHEN substr(formula, 1, 1) = '=' THEN lower(formula) ELSE formula END AS key, max(id_uid)
   FROM gone_message WHERE formula NOT LIKE '=GmailId%' GROUP BY mailbox, key;
   DROP TABLE gone;`;

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
  // A deletion that was promised on one server must never be carried out on another.
  `ALTER TABLE journal ADD COLUMN server TEXT NOT NULL DEFAULT '';`,
  GONE_BY_ID,
];
