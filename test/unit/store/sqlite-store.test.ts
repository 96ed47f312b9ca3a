import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { StoreError } from '../../../src/errors.ts';
import { withDeleted, withoutMessages, withTrueOctets } from '../../../src/maildrop/map-changes.ts';
import { knownMessage, NEVER_DUE, UNTOUCHED, type UidMap } from '../../../src/maildrop/uid-map.ts';
import { SqliteStore } from '../../../src/store/sqlite-store.ts';
import type { GoneMessage, MailboxKey } from '../../../src/store/store.ts';
import { uids, uidValidity } from '../../support/fake-maildrop.ts';
import { keyOf, mapOf } from './maps.ts';

let folder: string;
let path: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'popbridge-store-'));
  path = join(folder, 'test.sqlite');
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

const open = (file: string): SqliteStore => SqliteStore.open(file, { templates: new Map(), onRebuilt: () => {}, now: new Date(0) });

const save = (store: SqliteStore, at: MailboxKey, previous: UidMap | undefined, next: UidMap): Promise<void> =>
  store.saveMaps([{ key: at, previous, next }], 1_000_000);

describe('the store', () => {
  test('gives back what was saved, also after it was closed and opened again', async () => {
    const map = withTrueOctets(mapOf([1, 2, 3000]), uids(2)[0] ?? fail(), 21);
    {
      await using store = open(path);
      expect(await store.loadMap(keyOf('alice'))).toBeUndefined();
      await save(store, keyOf('alice'), undefined, map);
    }
    await using store = open(path);
    expect(await store.loadMap(keyOf('alice'))).toEqual(map);
    expect(await store.mailboxes()).toEqual([keyOf('alice')]);
  });

  test('keeps users, upstreams and mailboxes apart', async () => {
    await using store = open(path);
    await save(store, keyOf('alice'), undefined, mapOf([1]));
    for (const other of [keyOf('bob'), keyOf('alice', { upstream: 'two' }), keyOf('alice', { path: 'Other' })])
      expect(await store.loadMap(other)).toBeUndefined();
  });

  test('writes only the segments that changed, and drops those that are gone', async () => {
    await using store = open(path);
    const before = mapOf([1, 2000, 5000]);
    await save(store, keyOf('alice'), undefined, before);
    const database = new DatabaseSync(path);
    database.exec("UPDATE segment SET rows = x'00'");
    const after = mapOf([1, 2000, 2001], 7, before);
    await save(store, keyOf('alice'), before, after);
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
      await save(store, keyOf('alice'), undefined, before);
      await save(store, keyOf('alice'), before, mapOf([5], 8, before));
    }
    await using store = open(path);
    const map = await store.loadMap(keyOf('alice'));
    expect(map?.uidValidity).toBe(8);
    expect(knownMessage(map ?? fail(), uids(5)[0] ?? fail())?.declaredOctets).toBe(50);
    expect(map?.segments.size).toBe(1);
  });

  test('says of a segment that makes no sense that it does not, and saves over it', async () => {
    {
      await using store = open(path);
      await save(store, keyOf('alice'), undefined, mapOf([1, 2, 3000]));
    }
    const database = new DatabaseSync(path);
    database.exec("UPDATE segment SET rows = x'0105' WHERE number = 2");
    database.close();
    const fresh = mapOf([1]);
    {
      await using store = open(path);
      await expect(store.loadMap(keyOf('alice'))).rejects.toMatchObject({ code: 'STORE_CORRUPT' });
      await save(store, keyOf('alice'), undefined, fresh);
    }
    await using store = open(path);
    expect(await store.loadMap(keyOf('alice'))).toEqual(fresh);
  });

  test('keeps the journal until an entry is done, oldest first, across a restart', async () => {
    const entry = { path: 'INBOX', uidValidity: uidValidity(7), uids: uids(3, 9), action: 'trash', folder: undefined, stage: 'planned' };
    let first: number;
    {
      await using store = open(path);
      [first = 0] = await store.addEntries(keyOf('alice').maildrop, [entry]);
      const [second = 0] = await store.addEntries(keyOf('alice').maildrop, [{ ...entry, folder: 'Bin', uids: uids(4) }]);
      await store.addEntries(keyOf('bob').maildrop, [entry]);
      await store.setStage(second, 'copied');
    }
    await using store = open(path);
    const entries = await store.openEntries(keyOf('alice').maildrop);
    expect(entries.map(({ uids: numbers, folder: target, stage }) => [numbers, target, stage])).toEqual([
      [[3, 9], undefined, 'planned'],
      [[4], 'Bin', 'copied'],
    ]);
    await store.removeEntry(first);
    expect(await store.openEntries(keyOf('alice').maildrop)).toHaveLength(1);
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
    await save(store, keyOf('alice'), undefined, before);
    const other = new DatabaseSync(path);
    other.exec('BEGIN IMMEDIATE');
    await expect(save(store, keyOf('alice'), before, mapOf([1, 2, 3], 7, before))).rejects.toMatchObject({ code: 'STORE_LOCKED' });
    other.exec('ROLLBACK');
    other.close();
    expect(await store.loadMap(keyOf('alice'))).toEqual(before);
  });

  test('saves maps of several mailboxes in one transaction: all of them, or none where one can not be written', async () => {
    await using store = open(path);
    const [inbox, other] = [keyOf('alice'), keyOf('alice', { path: 'Other' })];
    const before = mapOf([1]);
    await save(store, inbox, undefined, before);
    const change = { key: inbox, previous: before, next: mapOf([1, 2], 7, before) };
    const broken = { key: other, previous: undefined, next: { ...mapOf([3]), uidNext: Number.NaN } };
    await expect(store.saveMaps([change, broken], 0)).rejects.toMatchObject({ code: 'STORE_FAILED' });
    expect([await store.loadMap(inbox), await store.loadMap(other)]).toEqual([before, undefined]);
    expect(await store.mailboxes()).toEqual([inbox]);
    await store.saveMaps([change, { ...broken, next: mapOf([3]) }], 0);
    expect([await store.loadMap(inbox), await store.loadMap(other)]).toEqual([change.next, mapOf([3])]);
  });

  test('names every mailbox there is a map of, and those of one upstream, user or view', async () => {
    await using store = open(path);
    const keys = [
      keyOf('alice'),
      keyOf('alice', { path: 'Other' }),
      keyOf('alice', { view: 'laptop' }),
      keyOf('bob'),
      keyOf('alice', { upstream: 'two' }),
    ];
    for (const one of keys.toReversed()) await save(store, one, undefined, mapOf([1]));
    const sorted = (all: readonly MailboxKey[]): string[] => all.map((one) => JSON.stringify(one)).toSorted();
    expect(sorted(await store.mailboxes())).toEqual(sorted(keys));
    expect(sorted(await store.mailboxes({ upstream: 'one', user: 'alice' }))).toEqual(sorted(keys.slice(0, 3)));
    expect(sorted(await store.mailboxes({ upstream: 'one', user: 'alice', view: '' }))).toEqual(sorted(keys.slice(0, 2)));
    expect(await store.mailboxes({ view: 'laptop' })).toEqual([keys[2]]);
    expect(await store.mailboxes({ user: "x' OR 1=1" })).toEqual([]);
  });

  test('names the maildrops of an account in which something is still to be done: promised, or due by then', async () => {
    await using store = open(path);
    const account = { upstream: 'one', user: 'alice' };
    const entry = { path: 'INBOX', uidValidity: uidValidity(7), uids: uids(3), action: 'trash', folder: undefined, stage: 'planned' };
    const [promised = 0] = await store.addEntries(keyOf('alice', { view: 'promised' }).maildrop, [entry]);
    await store.addEntries(keyOf('bob').maildrop, [entry]);
    const due = withDeleted(mapOf([1, 2]), uids(2), 500, 1_000);
    await save(store, keyOf('alice', { view: 'due' }), undefined, due);
    await save(store, keyOf('alice', { view: 'hidden' }), undefined, withDeleted(mapOf([1, 2]), uids(2), 500, NEVER_DUE));
    await save(store, keyOf('alice', { view: 'untouched' }), undefined, mapOf([1]));
    const viewsAt = async (now: number): Promise<string[]> => (await store.unfinished(account, now)).map(({ view }) => view);
    expect(await viewsAt(999)).toEqual(['promised']);
    expect(await viewsAt(1_000)).toEqual(['due', 'promised']);
    await store.removeEntry(promised);
    await save(store, keyOf('alice', { view: 'due' }), due, withoutMessages(due, uids(2)));
    expect(await viewsAt(NEVER_DUE)).toEqual([]);
  });

  test('adds up how often sizes were true, by upstream, across a restart', async () => {
    {
      await using store = open(path);
      expect(await store.sizeVerdict('one')).toEqual({ measured: 0, differing: 0, largest: 0 });
      await store.noteSizes('one', { measured: 10, differing: 2, largest: 7 });
      await store.noteSizes('two', { measured: 1, differing: 1, largest: 99 });
    }
    await using store = open(path);
    await store.noteSizes('one', { measured: 5, differing: 1, largest: 3 });
    expect(await store.sizeVerdict('one')).toEqual({ measured: 15, differing: 3, largest: 7 });
  });

  test('remembers the highest UID ever saved under each UIDVALIDITY, though the message went', async () => {
    await using store = open(path);
    const maps = [mapOf([1, 2000]), mapOf([1]), mapOf([5], 8), mapOf([], 8), mapOf([3])];
    let previous: UidMap | undefined;
    for (const next of maps) {
      await save(store, keyOf('alice'), previous, next);
      previous = next;
    }
    const highest = (validity: number): Promise<number> => store.highestUid(keyOf('alice'), uidValidity(validity));
    expect([await highest(7), await highest(8), await highest(9)]).toEqual([2000, 5, 0]);
    expect(await store.highestUid(keyOf('bob'), uidValidity(7))).toBe(0);
  });

  test('remembers messages that went with all that was known of them, the latest first, for 400 days', async () => {
    await using store = open(path);
    const map = mapOf([1]);
    const states = { retrievedAt: 5, deletedAt: 6, dueAt: NEVER_DUE };
    const identity = { given: 'eA', messageId: 'mB' };
    const known: GoneMessage = { formula: '7.{uid}', idUid: 3, identity, arrival: 30, octets: 300, trueOctets: 301, state: states };
    const bare: GoneMessage = {
      ...known,
      formula: '=any id at all',
      identity: { given: '', messageId: undefined },
      trueOctets: undefined,
      state: UNTOUCHED,
    };
    const day = 24 * 60 * 60;
    const went = async (gone: GoneMessage, at: number): Promise<void> =>
      store.saveMaps([{ key: keyOf('alice'), previous: map, next: map, gone: [gone] }], at);
    await went(known, 10 * day);
    await went(bare, 20 * day);
    const expected = [
      { ...bare, path: 'INBOX', goneAt: 20 * day },
      { ...known, path: 'INBOX', goneAt: 10 * day },
    ];
    expect(await store.loadGone(keyOf('alice').maildrop)).toEqual(expected);
    expect(await store.loadGone(keyOf('bob').maildrop)).toEqual([]);
    await store.saveMaps([{ key: keyOf('alice'), previous: map, next: map }], 411 * day);
    expect(await store.loadGone(keyOf('alice').maildrop)).toEqual(expected.slice(0, 1));
  });

  test('forgets the identity of a message with the message, and all of them in a new epoch', async () => {
    await using store = open(path);
    const identity = { given: `e${Buffer.alloc(16, 1).toString('base64url')}`, messageId: undefined };
    const before = mapOf([1, 2, 3000]);
    const identities = new Map(uids(1, 2, 3000).map((one) => [one, identity]));
    await store.saveMaps([{ key: keyOf('alice'), previous: undefined, next: before, identities }], 0);
    const after = withoutMessages(before, uids(2, 3000));
    await save(store, keyOf('alice'), before, after);
    expect(await store.loadIdentities(keyOf('alice'))).toEqual(new Map([[1, identity]]));
    await store.addIdentities(keyOf('alice'), uidValidity(8), identities);
    expect(await store.loadIdentities(keyOf('alice'))).toEqual(new Map([[1, identity]]));
    await save(store, keyOf('alice'), after, mapOf([1], 8));
    expect(await store.loadIdentities(keyOf('alice'))).toEqual(new Map());
  });

  test('tells the template from which a map can be made again, until one is saved without', async () => {
    await using store = open(path);
    const map = mapOf([1]);
    expect(await store.derivationOf(keyOf('alice'))).toBeUndefined();
    await store.saveMaps([{ key: keyOf('alice'), previous: undefined, next: map, derivation: 'T' }], 0);
    expect(await store.derivationOf(keyOf('alice'))).toBe('T');
    await save(store, keyOf('alice'), map, map);
    expect(await store.derivationOf(keyOf('alice'))).toBeUndefined();
  });

  test('memory: keeps nothing on disk', async () => {
    await using store = open(':memory:');
    await save(store, keyOf('alice'), undefined, mapOf([1]));
    expect(await store.loadMap(keyOf('alice'))).toEqual(mapOf([1]));
  });
});

function fail(): never {
  throw new Error('it should be there');
}
