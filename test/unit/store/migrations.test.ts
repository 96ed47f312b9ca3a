import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { idFrom } from '../../../src/maildrop/uid-map.ts';
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

test.each([4, 5])('messages that are gone are taken over from a file of version %i, each unique-id once', async (version) => {
  fileOfVersion(version);
  const database = new DatabaseSync(path);
  const put = database.prepare('INSERT INTO gone (mailbox, gone_at, messages) VALUES (1, ?, ?)');
  put.run(10, JSON.stringify([['83ecb521.00000007.{uid:08x}', 255, 'mA', 100, 1000]]));
  put.run(
    20,
    JSON.stringify([
      ['83ecb521.00000007.{uid:08x}', 255, 'eB mA', 100, 1000, 1001, 4, 5, 6],
      ['7.{uid}', 3, 'eC', 1, 2, -1, 0, 0, 0],
    ]),
  );
  put.run(
    30,
    JSON.stringify([
      ['=<Old@id>', 8, '', -1, 2 ** 40],
      ['=GmailIdff', 1, 'gD', 1, 2],
      ['UID{uid:01d}-7', 12, 'mE', 3, 4],
    ]),
  );
  for (const text of ['', '{', '7', '[7]', '["a"]', '[["a"]]', '[[1,2,3,4,5]]', '{"a":1}']) put.run(40, text);
  database.close();
  await using store = open();
  const { maildrop } = keyOf('alice');
  const all = (await Array.fromAsync(store.allGone(maildrop))).flat();
  expect(all.map((one) => [idFrom(one), one.identity.given, one.identity.messageId, one.arrival, one.octets, one.trueOctets])).toEqual([
    ['UID12-7', '', 'mE', 3, 4, undefined],
    ['GmailIdff', 'gD', undefined, 1, 2, undefined],
    ['<Old@id>', '', undefined, -1, 2 ** 40, undefined],
    ['7.3', 'eC', undefined, 1, 2, undefined],
    ['83ecb521.00000007.000000ff', 'eB', 'mA', 100, 1000, 1001],
  ]);
  expect(all.at(-1)).toMatchObject({ path: 'INBOX', goneAt: 20, state: { retrievedAt: 4, deletedAt: 5, dueAt: 6 } });
  const wanted = all.map((one) => idFrom(one).toLowerCase());
  expect(await store.idsAmong(maildrop, wanted)).toEqual(new Set(wanted));
  expect((await store.usedIds(maildrop)).formulas.map(({ formula, highestUid }) => [formula, highestUid])).toEqual([
    ['7.{uid}', 3],
    ['83ecb521.00000007.{uid:08x}', 255],
    ['UID{uid:01d}-7', 12],
  ]);
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
