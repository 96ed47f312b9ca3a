import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { StoreError } from '../../../src/errors.ts';
import { withDeleted, withIdSources, withoutMessages, withTrueOctets } from '../../../src/maildrop/map-changes.ts';
import { knownMessage, NEVER_DUE, UNTOUCHED, verbatimSource, type UidMap } from '../../../src/maildrop/uid-map.ts';
import { SqliteStore } from '../../../src/store/sqlite-store.ts';
import type { GoneMessage, MailboxKey, Tombstone } from '../../../src/store/store.ts';
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

async function allGone(store: SqliteStore, user: string): Promise<Tombstone[]> {
  return (await Array.fromAsync(store.allGone(keyOf(user).maildrop))).flat();
}

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
    const entry = {
      server: 'imap.test:993',
      path: 'INBOX',
      uidValidity: uidValidity(7),
      uids: uids(3, 9),
      action: 'trash',
      folder: undefined,
      stage: 'planned',
    };
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
    const entry = {
      server: 'imap.test:993',
      path: 'INBOX',
      uidValidity: uidValidity(7),
      uids: uids(3),
      action: 'trash',
      folder: undefined,
      stage: 'planned',
    };
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
    expect((await store.usedIds(keyOf('alice').maildrop)).epochs).toEqual([
      { path: 'INBOX', uidValidity: 7, highestUid: 2000 },
      { path: 'INBOX', uidValidity: 8, highestUid: 5 },
    ]);
    expect(await store.usedIds(keyOf('bob').maildrop)).toEqual({ epochs: [], formulas: [] });
  });

  test('remembers messages that went with all that was known of them, the latest first, for 400 days', async () => {
    await using store = open(path);
    const map = mapOf([1]);
    const states = { retrievedAt: 5, deletedAt: 6, dueAt: NEVER_DUE };
    const identity = { given: 'eA', messageId: 'mB' };
    const server = 'imap.test:993';
    const known: GoneMessage = { formula: '7.{uid}', idUid: 3, identity, arrival: 30, octets: 300, trueOctets: 301, server, state: states };
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
    expect(await allGone(store, 'alice')).toEqual(expected);
    expect(await allGone(store, 'bob')).toEqual([]);
    await store.saveMaps([{ key: keyOf('alice'), previous: map, next: map }], 411 * day);
    expect(await allGone(store, 'alice')).toEqual(expected.slice(0, 1));
  });

  const gone = (idUid: number, fields: Partial<GoneMessage> = {}): GoneMessage => ({
    formula: '7.{uid}',
    idUid,
    identity: { given: `e${idUid}`, messageId: `m${idUid}` },
    arrival: idUid * 10,
    octets: idUid * 100,
    trueOctets: undefined,
    server: 'imap.test:993',
    state: UNTOUCHED,
    ...fields,
  });
  const uidsOf = (messages: readonly Tombstone[]): number[] => messages.map(({ idUid }) => idUid);
  const NOTHING = { given: [], messageIds: [], uniqueIds: [], looks: [] };

  test('remembers each unique-id once, as it was last, whatever its case, until it is found again', async () => {
    await using store = open(path);
    const map = mapOf([1]);
    const change = { key: keyOf('alice'), previous: map, next: map };
    for (let round = 1; round <= 3; round += 1) await store.saveMaps([{ ...change, gone: [gone(3, { octets: round }), gone(4)] }], round);
    await store.saveMaps([{ ...change, gone: [gone(1, { formula: '=Any-ID' }), gone(1, { formula: '=any-id', octets: 7 })] }], 4);
    expect((await allGone(store, 'alice')).map(({ formula, idUid, octets }) => [formula, idUid, octets])).toEqual([
      ['=any-id', 1, 7],
      ['7.{uid}', 4, 400],
      ['7.{uid}', 3, 3],
    ]);
    await store.saveMaps([{ ...change, found: [gone(3), gone(1, { formula: '=ANY-id' })] }], 5);
    expect(uidsOf(await allGone(store, 'alice'))).toEqual([4]);
  });

  test('finds messages that went by what they could be recognised by, in their own maildrop', async () => {
    await using store = open(path);
    const map = mapOf([1]);
    const { maildrop } = keyOf('alice');
    const all = Array.from({ length: 1_500 }, (_, index) => gone(index + 1, { arrival: 5, octets: index < 1_200 ? 50 : 60 }));
    await store.saveMaps([{ key: keyOf('alice'), previous: map, next: map, gone: all }], 9);
    expect(uidsOf(await store.findGone(maildrop, { ...NOTHING, given: ['e3', 'e7', 'x'] }))).toEqual([7, 3]);
    expect(uidsOf(await store.findGone(maildrop, { ...NOTHING, messageIds: ['m3'], uniqueIds: ['7.9'] }))).toEqual([9, 3]);
    expect(await store.findGone(maildrop, { ...NOTHING, looks: [{ arrival: 5, octets: 50 }] })).toHaveLength(1_200);
    expect(await store.findGone(maildrop, { ...NOTHING, given: [''], messageIds: [''] })).toEqual([]);
    expect(await store.findGone(keyOf('bob').maildrop, { ...NOTHING, given: ['e3'] })).toEqual([]);
    expect([await store.hasGone(maildrop), await store.hasGone(keyOf('bob').maildrop)]).toEqual([true, false]);
    expect([await store.hasGoneMessageIds(maildrop), await store.hasGoneMessageIds(keyOf('bob').maildrop)]).toEqual([true, false]);
  });

  test('forgets the oldest of more than it remembers, and still knows that their ids were given away', async () => {
    await using store = SqliteStore.open(path, { templates: new Map(), onRebuilt: () => {}, now: new Date(0), mostRemembered: 300 });
    const map = mapOf([1]);
    const change = { key: keyOf('alice'), previous: map, next: map };
    await store.saveMaps([{ ...change, gone: Array.from({ length: 1_000 }, (_, index) => gone(index + 1)) }], 1);
    await store.saveMaps([{ ...change, gone: [gone(5_000), gone(1, { formula: '=Imported' }), gone(1, { formula: '=GmailId1' })] }], 2);
    await store.saveMaps([{ ...change, gone: Array.from({ length: 300 }, (_, index) => gone(index + 2_000)) }], 3);
    const left = uidsOf(await allGone(store, 'alice'));
    expect([left.length, Math.min(...left), Math.max(...left)]).toEqual([300, 2_000, 2_299]);
    const { maildrop } = keyOf('alice');
    expect((await store.usedIds(maildrop)).formulas).toEqual([{ path: 'INBOX', formula: '7.{uid}', highestUid: 5_000 }]);
    // Gmail names the same message so for ever.
    expect(await store.idsAmong(maildrop, ['imported', 'gmailid1', '7.2000', 'other'])).toEqual(new Set(['imported', '7.2000']));
    expect(await store.idsAmong(keyOf('bob').maildrop, ['imported'])).toEqual(new Set());
  });

  test('knows which ids left a map, by DELE or because a message got another one', async () => {
    await using store = open(path);
    const before = withIdSources(mapOf([1, 2, 3, 3000]), new Map([[uids(1)[0] ?? fail(), verbatimSource('Imported')]]));
    await save(store, keyOf('alice'), undefined, before);
    const after = withIdSources(withoutMessages(before, uids(1, 3000)), new Map([[uids(2)[0] ?? fail(), verbatimSource('x')]]));
    await save(store, keyOf('alice'), before, after);
    const { maildrop } = keyOf('alice');
    expect((await store.usedIds(maildrop)).formulas).toEqual([{ path: 'INBOX', formula: '1234abcd.00000007.{uid:08x}', highestUid: 3000 }]);
    expect(await store.idsAmong(maildrop, ['imported', 'x'])).toEqual(new Set(['imported']));
  });

  test('a map that is saved while it is loaded is the one that comes', async () => {
    const all = Array.from({ length: 30_000 }, (_, index) => index + 1);
    {
      await using store = open(path);
      await save(store, keyOf('alice'), undefined, mapOf(all));
    }
    await using store = open(path);
    const next = mapOf([7]);
    const loads = [store.loadMap(keyOf('alice')), store.loadMap(keyOf('alice'))];
    await save(store, keyOf('alice'), undefined, next);
    expect(await Promise.all(loads)).toEqual([next, next]);
    expect(await store.loadMap(keyOf('alice'))).toBe(next);
  });

  test('saves and loads a large mailbox without keeping the event loop for long', async () => {
    const all = Array.from({ length: 60_000 }, (_, index) => index + 1);
    await using store = open(path);
    const map = mapOf(all);
    let turns = 0;
    const timer = setInterval(() => (turns += 1), 0);
    const went = all.map((one) => gone(one));
    await store.saveMaps([{ key: keyOf('alice'), previous: undefined, next: map, gone: went.slice(0, 10_000) }], 1);
    const whileSaving = turns;
    await store.findGone(keyOf('alice').maildrop, { ...NOTHING, uniqueIds: went.map(({ idUid }) => `7.${idUid}`) });
    clearInterval(timer);
    // One for each transaction of 200 messages, at least; and some more.
    expect(whileSaving).toBeGreaterThan(30);
    expect(turns).toBeGreaterThan(whileSaving);
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
