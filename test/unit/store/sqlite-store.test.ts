import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { StoreError } from '../../../src/errors.ts';
import { reconcile } from '../../../src/maildrop/reconcile.ts';
import { withTrueOctets } from '../../../src/maildrop/map-changes.ts';
import { knownMessage, type UidMap } from '../../../src/maildrop/uid-map.ts';
import { SqliteStore } from '../../../src/store/sqlite-store.ts';
import type { MailboxKey } from '../../../src/store/store.ts';
import { newIds, uids, uidValidity } from '../../support/fake-maildrop.ts';

let folder: string;
let path: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'popbridge-store-'));
  path = join(folder, 'test.sqlite');
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

const key = (user: string, upstream = 'one'): MailboxKey => ({ maildrop: { upstream, user, view: '' }, path: 'INBOX' });

const open = (file: string): SqliteStore => SqliteStore.open(file, { templates: new Map(), onRebuilt: () => {}, now: new Date(0) });

const save = (store: SqliteStore, at: MailboxKey, previous: UidMap | undefined, next: UidMap): Promise<void> =>
  store.saveMaps([{ key: at, previous, next }], 1_000_000);

function mapOf(numbers: readonly number[], validity = 7, stored?: UidMap): UidMap {
  const all = uids(...numbers);
  const octets = numbers.map((number) => number * 10);
  const listed = { uidValidity: uidValidity(validity), uidNext: 0, server: '', uids: all, added: { uids: all, octets, arrivals: octets } };
  return reconcile(stored, listed, newIds(listed.uidValidity));
}

describe('the store', () => {
  test('gives back what was saved, also after it was closed and opened again', async () => {
    const map = withTrueOctets(mapOf([1, 2, 3000]), uids(2)[0] ?? fail(), 21);
    {
      await using store = open(path);
      expect(await store.loadMap(key('alice'))).toBeUndefined();
      await save(store, key('alice'), undefined, map);
    }
    await using store = open(path);
    expect(await store.loadMap(key('alice'))).toEqual(map);
    expect(await store.mailboxes()).toEqual([key('alice')]);
  });

  test('keeps users, upstreams and mailboxes apart', async () => {
    await using store = open(path);
    await save(store, key('alice'), undefined, mapOf([1]));
    for (const other of [key('bob'), key('alice', 'two'), { ...key('alice'), path: 'Other' }])
      expect(await store.loadMap(other)).toBeUndefined();
  });

  test('writes only the segments that changed, and drops those that are gone', async () => {
    await using store = open(path);
    const before = mapOf([1, 2000, 5000]);
    await save(store, key('alice'), undefined, before);
    const database = new DatabaseSync(path);
    database.exec("UPDATE segment SET rows = x'00'");
    const after = mapOf([1, 2000, 2001], 7, before);
    await save(store, key('alice'), before, after);
    const rows = database.prepare('SELECT number, length(rows) = 1 AS untouched FROM segment ORDER BY number').all();
    database.close();
    expect(rows.map((row) => ({ ...row }))).toEqual([
      { number: 0, untouched: 1 },
      { number: 1, untouched: 0 },
    ]);
  });

  test('starts a new epoch without anything of the old one', async () => {
    {
      await using store = open(path);
      const before = mapOf([1, 2000]);
      await save(store, key('alice'), undefined, before);
      await save(store, key('alice'), before, mapOf([5], 8, before));
    }
    await using store = open(path);
    const map = await store.loadMap(key('alice'));
    expect(map?.uidValidity).toBe(8);
    expect(knownMessage(map ?? fail(), uids(5)[0] ?? fail())?.declaredOctets).toBe(50);
    expect(map?.segments.size).toBe(1);
  });

  test('says of a segment that makes no sense that it does not, and saves over it', async () => {
    {
      await using store = open(path);
      await save(store, key('alice'), undefined, mapOf([1, 2, 3000]));
    }
    const database = new DatabaseSync(path);
    database.exec("UPDATE segment SET rows = x'0105' WHERE number = 2");
    database.close();
    const fresh = mapOf([1]);
    {
      await using store = open(path);
      await expect(store.loadMap(key('alice'))).rejects.toMatchObject({ code: 'STORE_CORRUPT' });
      await save(store, key('alice'), undefined, fresh);
    }
    await using store = open(path);
    expect(await store.loadMap(key('alice'))).toEqual(fresh);
  });

  test('keeps the journal until an entry is done, oldest first, across a restart', async () => {
    const entry = { path: 'INBOX', uidValidity: uidValidity(7), uids: uids(3, 9), action: 'trash', folder: undefined, stage: 'planned' };
    let first: number;
    {
      await using store = open(path);
      [first = 0] = await store.addEntries(key('alice').maildrop, [entry]);
      const [second = 0] = await store.addEntries(key('alice').maildrop, [{ ...entry, folder: 'Bin', uids: uids(4) }]);
      await store.addEntries(key('bob').maildrop, [entry]);
      await store.setStage(second, 'copied');
    }
    await using store = open(path);
    const entries = await store.openEntries(key('alice').maildrop);
    expect(entries.map(({ uids: numbers, folder: target, stage }) => [numbers, target, stage])).toEqual([
      [[3, 9], undefined, 'planned'],
      [[4], 'Bin', 'copied'],
    ]);
    await store.removeEntry(first);
    expect(await store.openEntries(key('alice').maildrop)).toHaveLength(1);
  });

  test('waits for the disk: WAL and synchronous=FULL, readable by its owner alone', async () => {
    await using _ = open(path);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(existsSync(`${path}-wal`)).toBe(true);
    expect(statSync(`${path}-wal`).mode & 0o777).toBe(0o600);
  });

  test('is refused by name where it was written by a newer popbridge, is no database, or can not be opened', () => {
    const database = new DatabaseSync(path);
    database.exec('PRAGMA user_version = 999');
    database.close();
    expect(() => open(path)).toThrow(expect.objectContaining({ code: 'STORE_TOO_NEW' }));
    writeFileSync(join(folder, 'text'), 'this is no database at all, not even a small one'.repeat(50));
    expect(() => open(join(folder, 'text'))).toThrow(StoreError);
    expect(() => open(join(folder, 'absent', 'x.sqlite'))).toThrow(StoreError);
  });

  test('a save that fails changes nothing, and the next load tells what is on disk', async () => {
    await using store = open(path);
    const before = mapOf([1, 2]);
    await save(store, key('alice'), undefined, before);
    const other = new DatabaseSync(path);
    other.exec('BEGIN IMMEDIATE');
    await expect(save(store, key('alice'), before, mapOf([1, 2, 3], 7, before))).rejects.toMatchObject({ code: 'STORE_LOCKED' });
    other.exec('ROLLBACK');
    other.close();
    expect(await store.loadMap(key('alice'))).toEqual(before);
  });

  test('memory: keeps nothing on disk', async () => {
    await using store = open(':memory:');
    await save(store, key('alice'), undefined, mapOf([1]));
    expect(await store.loadMap(key('alice'))).toEqual(mapOf([1]));
  });
});

function fail(): never {
  throw new Error('it should be there');
}
