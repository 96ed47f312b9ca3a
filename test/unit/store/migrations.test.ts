import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { MIGRATIONS } from '../../../src/store/migrations/migrations.ts';
import { encodeSegment } from '../../../src/store/segment.ts';
import { SqliteStore } from '../../../src/store/sqlite-store.ts';
import { keyOf, mapOf } from './maps.ts';

let folder: string;
let path: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'popbridge-migrations-'));
  path = join(folder, 'test.sqlite');
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

const open = (): SqliteStore => SqliteStore.open(path, { templates: new Map(), onRebuilt: () => {}, now: new Date(0) });

/** The octets of a map's first segment as version 2 had them: this one holds no states, and so differs in its first octet alone. */
function segmentOfVersion2(): Uint8Array {
  const [segment] = mapOf([1, 2]).segments.values();
  if (segment === undefined) throw new Error('the map has a segment');
  return encodeSegment(segment).with(0, 2);
}

/** A file as the popbridge of that version left it: a maildrop, a mailbox with a segment, a promised deletion. */
function fileOfVersion(version: number): void {
  const database = new DatabaseSync(path);
  for (const sql of MIGRATIONS.slice(0, version)) database.exec(sql);
  database.exec(`PRAGMA user_version = ${version};
    INSERT INTO maildrop (id, upstream, user, view) VALUES (1, 'one', 'alice', '');
    INSERT INTO mailbox (id, maildrop, path, uid_validity) VALUES (1, 1, 'INBOX', 7);
    INSERT INTO journal (maildrop, path, uid_validity, uids, action, folder, stage) VALUES (1, 'INBOX', 7, '2', 'move', 'Old', 'planned');`);
  if (version === 1) database.exec("INSERT INTO segment (mailbox, number, formula, rows) VALUES (1, 0, '7.{uid}', x'01')");
  else database.prepare('INSERT INTO segment (mailbox, number, rows) VALUES (1, 0, ?)').run(segmentOfVersion2());
  database.close();
}

const versions = MIGRATIONS.map((_, index) => index + 1);

test.each(versions)('a file of version %i is taken over, with the deletions that were promised in it', async (version) => {
  fileOfVersion(version);
  await using store = open();
  expect(await store.mailboxes()).toEqual([keyOf('alice')]);
  expect(await store.openEntries(keyOf('alice').maildrop)).toMatchObject([{ uids: [2], action: 'move', folder: 'Old' }]);
  expect(await store.unfinished({ upstream: 'one', user: 'alice' }, 0)).toEqual([keyOf('alice').maildrop]);
  expect(await store.sizeVerdict('one')).toEqual({ measured: 0, differing: 0, largest: 0 });
});

test.each(versions.slice(1))('a file of version %i keeps its UID map', async (version) => {
  fileOfVersion(version);
  await using store = open();
  expect(await store.loadMap(keyOf('alice'))).toEqual(mapOf([1, 2]));
});

test('a file of version 1 keeps the mailbox without its messages: their ids follow from UIDVALIDITY and UID', async () => {
  fileOfVersion(1);
  await using store = open();
  expect(await store.loadMap(keyOf('alice'))).toEqual(mapOf([]));
});

test.each(versions)('a file of version %i can be written, and read by whoever opens it next', async (version) => {
  fileOfVersion(version);
  const next = mapOf([1, 2, 3, 5000]);
  {
    await using store = open();
    await store.saveMaps([{ key: keyOf('alice'), previous: await store.loadMap(keyOf('alice')), next }], 0);
  }
  await using store = open();
  expect(await store.loadMap(keyOf('alice'))).toEqual(next);
});

test('every version comes to the same schema as a new file', () => {
  const schemaOf = (version: number): unknown[] => {
    if (version > 0) fileOfVersion(version);
    void open()[Symbol.asyncDispose]();
    const database = new DatabaseSync(path);
    const rows = database.prepare('SELECT name, sql FROM sqlite_schema ORDER BY name').all();
    const columns = database.prepare('SELECT m.name AS item, c.name FROM sqlite_schema m, pragma_table_info(m.name) c ORDER BY 1, 2').all();
    database.close();
    for (const part of ['', '-wal', '-shm', '.derivations']) rmSync(path + part, { force: true });
    return [rows, columns];
  };
  const fresh = schemaOf(0);
  for (const version of versions) expect(schemaOf(version)).toEqual(fresh);
});

test('a migration that fails leaves the file as it was', () => {
  const database = new DatabaseSync(path);
  database.exec('CREATE TABLE journal (x); PRAGMA user_version = 0;');
  database.close();
  expect(open).toThrow(expect.objectContaining({ code: 'STORE_FAILED' }));
  const after = new DatabaseSync(path);
  expect(
    after
      .prepare('SELECT name FROM sqlite_schema')
      .all()
      .map((row) => row['name']),
  ).toEqual(['journal']);
  after.close();
});
