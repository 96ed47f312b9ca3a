/** The schema of local accounts, step by step: what stands here was released and is never edited, only added to. */
export const ACCOUNT_MIGRATIONS: readonly string[] = [
  `CREATE TABLE account (
     upstream TEXT NOT NULL, user TEXT NOT NULL,
     upstream_user TEXT NOT NULL,
     kind TEXT NOT NULL,
     created_at INTEGER NOT NULL,
     PRIMARY KEY (upstream, user)
   ) STRICT, WITHOUT ROWID;
   CREATE TABLE device (
     upstream TEXT NOT NULL, user TEXT NOT NULL,
     name TEXT NOT NULL,
     hash TEXT NOT NULL,
     created_at INTEGER NOT NULL,
     used_at INTEGER NOT NULL,
     PRIMARY KEY (upstream, user, name),
     FOREIGN KEY (upstream, user) REFERENCES account (upstream, user) ON DELETE CASCADE
   ) STRICT, WITHOUT ROWID;
   CREATE TABLE secret (
     upstream TEXT NOT NULL, user TEXT NOT NULL,
     purpose TEXT NOT NULL,
     sealed BLOB NOT NULL,
     PRIMARY KEY (upstream, user, purpose)
   ) STRICT, WITHOUT ROWID;
   CREATE TABLE sign_in (
     upstream TEXT NOT NULL, user TEXT NOT NULL,
     state TEXT NOT NULL,
     expires_at INTEGER NOT NULL,
     reason TEXT NOT NULL,
     PRIMARY KEY (upstream, user)
   ) STRICT, WITHOUT ROWID;`,
];
