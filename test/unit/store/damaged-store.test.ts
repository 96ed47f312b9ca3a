import {
  existsSync,
  mkdtempSync,
  openSync,
  closeSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { StoreError } from '../../../src/errors.ts';
import { moveAside } from '../../../src/store/sqlite-database.ts';
import { SqliteStore } from '../../../src/store/sqlite-store.ts';
import type { MailboxKey } from '../../../src/store/store.ts';
import { uids, uidValidity } from '../../support/fake-maildrop.ts';
import { keyOf, mapOf } from './maps.ts';

/** Enough for several pages of the file. */
const MANY = Array.from({ length: 5_000 }, (_, index) => index + 1);
const NOW = new Date(1_600_000_000_000);
const ASIDE = 'test.sqlite.corrupt-2020-09-13T12-26-40-000Z';

let folder: string;
let path: string;
let rebuilt: { movedTo: string; error: StoreError }[];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'popbridge-damaged-'));
  path = join(folder, 'test.sqlite');
  rebuilt = [];
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

function open(templates: Readonly<Record<string, string>> = { one: 'T' }): SqliteStore {
  return SqliteStore.open(path, {
    templates: new Map(Object.entries(templates)),
    onRebuilt: (movedTo, error) => rebuilt.push({ movedTo, error }),
    now: NOW,
  });
}

async function save(store: SqliteStore, key: MailboxKey, derivation: string | undefined): Promise<void> {
  await store.saveMaps([{ key, previous: undefined, next: mapOf(MANY), derivation }], 1_000);
}

/** A store in which the map of alice has that derivation, then closed. */
async function closedStore(derivation: string | undefined): Promise<void> {
  await using store = open();
  await save(store, keyOf('alice'), derivation);
}

function overwrite(position: number, octets: number): void {
  const file = openSync(path, 'r+');
  writeSync(file, Buffer.alloc(octets, 0xaa), 0, octets, position);
  closeSync(file);
}

/** Every page but the first: the header is sound, and quick_check is not. */
function damagePages(): void {
  const { size } = statSync(path);
  overwrite(4096, size - 4096);
}

const DAMAGES: readonly (readonly [string, () => void])[] = [
  ['garbage in its header', () => overwrite(0, 100)],
  ['garbage behind its header', () => damagePages()],
  ['half of its end missing', () => truncateSync(path, Math.floor(statSync(path).size / 2))],
  ['the text of another file', () => writeFileSync(path, 'no database '.repeat(1_000))],
];

describe.each(DAMAGES)('a file with %s', (_, damage) => {
  test('is moved aside and made anew, where every unique-id follows from the template', async () => {
    await closedStore('T');
    damage();
    const damaged = readFileSync(path);
    {
      await using store = open();
      expect(rebuilt).toEqual([{ movedTo: join(folder, ASIDE), error: expect.objectContaining({ code: 'STORE_CORRUPT' }) }]);
      expect(readFileSync(join(folder, ASIDE)).equals(damaged)).toBe(true);
      expect(await store.mailboxes()).toEqual([]);
      await save(store, keyOf('alice'), 'T');
    }
    await using store = open();
    expect(await store.loadMap(keyOf('alice'))).toEqual(mapOf(MANY));
    expect(rebuilt).toHaveLength(1);
  });

  test('is refused and left alone, where one does not', async () => {
    await closedStore(undefined);
    damage();
    const before = readdirSync(folder).toSorted();
    expect(() => open()).toThrow(expect.objectContaining({ code: 'STORE_CORRUPT' }));
    expect(() => open()).toThrow(/test\.sqlite is damaged and holds unique-ids that can't be made again; restore it from a backup/);
    expect(readdirSync(folder).toSorted()).toEqual(before);
    expect(rebuilt).toEqual([]);
  });
});

describe('a damaged file is refused', () => {
  const refused = (templates?: Readonly<Record<string, string>>): void => {
    overwrite(0, 100);
    expect(() => open(templates)).toThrow(/can't be made again/);
    expect(existsSync(path)).toBe(true);
  };

  test('where the template has been changed since', async () => {
    await closedStore('T');
    refused({ one: 'U' });
  });

  test('where its upstream is no longer configured', async () => {
    await closedStore('T');
    refused({});
  });

  test('where another upstream in it is not to be made again', async () => {
    {
      await using store = open();
      await save(store, keyOf('alice'), 'T');
      await save(store, keyOf('alice', { upstream: 'two' }), undefined);
    }
    refused({ one: 'T', two: 'T' });
  });

  test('where one id was once imported, though all have followed from the template since', async () => {
    {
      await using store = open();
      await save(store, keyOf('alice'), 'T');
      await save(store, keyOf('bob'), undefined);
      await save(store, keyOf('bob'), 'T');
    }
    refused();
  });

  test('where two templates were used, also when the last one is configured', async () => {
    {
      await using store = open();
      await save(store, keyOf('alice'), 'T');
      await save(store, keyOf('bob'), 'U');
    }
    refused({ one: 'U' });
  });

  test.each([
    ['is missing', () => rmSync(`${path}.derivations`)],
    ['is empty', () => writeFileSync(`${path}.derivations`, '')],
    ['is no JSON', () => writeFileSync(`${path}.derivations`, '{"one":"T"')],
    ['is JSON of another kind', () => writeFileSync(`${path}.derivations`, '["T"]')],
    ['holds something else than templates', () => writeFileSync(`${path}.derivations`, '{"one":3}')],
    ['holds nothing', () => writeFileSync(`${path}.derivations`, '{}')],
  ])('where the file of derivations %s', async (_, spoil) => {
    await closedStore('T');
    spoil();
    refused();
  });

  test('where the file of derivations was missing for a while', async () => {
    await closedStore(undefined);
    rmSync(`${path}.derivations`);
    {
      await using store = open();
      await save(store, keyOf('bob'), 'T');
    }
    refused();
  });

  test('not for a deletion that was promised and is not yet done: it is undone, the message is shown again', async () => {
    {
      await using store = open();
      await save(store, keyOf('alice'), 'T');
      const entry = {
        server: 'imap.test:993',
        path: 'INBOX',
        uidValidity: uidValidity(7),
        uids: uids(3),
        action: 'trash',
        folder: undefined,
        stage: 'planned',
      };
      await store.addEntries(keyOf('alice').maildrop, [entry]);
    }
    overwrite(0, 100);
    await using rebuiltStore = open();
    expect([rebuilt.length, await rebuiltStore.openEntries(keyOf('alice').maildrop)]).toEqual([1, []]);
  });
});

test('a file that became empty is refused where it held what can not be made again', async () => {
  await closedStore(undefined);
  truncateSync(path, 0);
  expect(() => open()).toThrow(/can't be made again/);
});

test('a file that was moved away is as one that never was: what it held bears on nothing', async () => {
  await closedStore(undefined);
  rmSync(path);
  await closedStore('T');
  overwrite(0, 100);
  await using _ = open();
  expect(rebuilt).toHaveLength(1);
});

test('what belongs to a damaged file is moved aside with it', () => {
  for (const part of ['', '-wal', '-shm']) writeFileSync(path + part, `content${part}`);
  expect(moveAside(path, 'x')).toBe(`${path}.corrupt-x`);
  expect(readdirSync(folder).toSorted()).toEqual(['', '-shm', '-wal'].map((part) => `test.sqlite.corrupt-x${part}`));
  expect(readFileSync(`${path}.corrupt-x-wal`, 'utf8')).toBe('content-wal');
});

test('a file that is only too new is never moved aside', async () => {
  await closedStore('T');
  const database = new DatabaseSync(path);
  database.exec('PRAGMA user_version = 999');
  database.close();
  expect(() => open()).toThrow(expect.objectContaining({ code: 'STORE_TOO_NEW' }));
  expect([existsSync(path), rebuilt]).toEqual([true, []]);
});
