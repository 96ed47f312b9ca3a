import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { uids, uidValidity, viewConfig } from '../../support/fake-maildrop.ts';
import type { DeletionConfig, ViewConfig } from '../../../src/config/schema.ts';
import { dueMessages, hiddenUntil, upstreamPolicy } from '../../../src/daemon/deletion.ts';
import { withDeleted } from '../../../src/maildrop/map-changes.ts';
import { NEVER_DUE, type UidMap } from '../../../src/maildrop/uid-map.ts';
import { SqliteStore } from '../../../src/store/sqlite-store.ts';
import { keyOf, mapOf } from '../store/maps.ts';

const deletion = (fields: Partial<DeletionConfig> = {}): DeletionConfig => viewConfig({ delete: fields }).delete;

describe('a message that a client deleted', () => {
  test.each<readonly [string, Partial<DeletionConfig>, number | undefined]>([
    ['is removed at once', {}, undefined],
    ['is kept for as long as configured', { afterSeconds: 50 }, 1_050],
    ['is kept until every view deleted it', { when: 'all-views' }, 1_000],
    ['is kept until every view deleted it, and for as long as configured', { when: 'all-views', afterSeconds: 50 }, 1_050],
    ['is hidden for ever', { action: 'hide' }, NEVER_DUE],
    ['is hidden for ever, also with views', { action: 'hide', when: 'all-views', afterSeconds: 50 }, NEVER_DUE],
  ])('%s', (_, fields, until) => expect(hiddenUntil(deletion(fields), 1_000)).toBe(until));

  test('is removed as configured, and never where it is only hidden', () => {
    expect(upstreamPolicy(deletion({ action: 'move', folder: 'Old' }))).toEqual({ action: 'move', folder: 'Old' });
    expect(upstreamPolicy(deletion({ action: 'hide' }))).toBeUndefined();
  });
});

describe('due to be removed', () => {
  let store: SqliteStore;

  beforeEach(() => {
    store = SqliteStore.open(':memory:', { templates: new Map(), onRebuilt: () => {}, now: new Date(0) });
  });

  afterEach(() => store[Symbol.asyncDispose]());

  const MAP = mapOf([1, 2, 3, 2000]);

  /** What view "a" may remove at second 1,000, besides which there are those views. */
  const due = (
    map: UidMap,
    when: DeletionConfig['when'] = 'any-view',
    others: Readonly<Record<string, ViewConfig>> = {},
  ): Promise<number[]> =>
    dueMessages({
      store,
      key: keyOf('alice', { view: 'a' }),
      map,
      deletion: deletion({ when }),
      views: new Map(Object.entries({ '': viewConfig(), a: viewConfig(), ...others })),
      now: 1_000,
    });

  const stored = (view: string, map: UidMap): Promise<void> =>
    store.saveMaps([{ key: keyOf('alice', { view }), previous: undefined, next: map }], 0);

  test('is what was deleted and whose time has come', async () => {
    const map = withDeleted(withDeleted(withDeleted(MAP, uids(2000, 1), 500, 1_000), uids(2), 500, 1_001), uids(3), 500, NEVER_DUE);
    expect(await due(map)).toEqual([1, 2000]);
    expect(await due(MAP)).toEqual([]);
  });

  test('is nothing where deletions are only hidden', async () => {
    const map = withDeleted(MAP, uids(1), 500, 600);
    const views = new Map([['a', viewConfig()]]);
    expect(await dueMessages({ store, key: keyOf('alice'), map, deletion: deletion({ action: 'hide' }), views, now: 1_000 })).toEqual([]);
  });

  describe('where every view must have deleted it,', () => {
    const mine = withDeleted(MAP, uids(1, 2, 3), 500, 600);

    test('is what the other views have deleted too: hidden there for ever, or due there', async () => {
      await stored('b', withDeleted(mine, uids(2000), 500, 600));
      await stored('c', withDeleted(withDeleted(withDeleted(MAP, uids(1), 500, NEVER_DUE), uids(2), 500, 1_000), uids(3), 500, 1_001));
      expect(await due(mine, 'all-views', { b: viewConfig(), c: viewConfig() })).toEqual([1, 2]);
    });

    test('is nothing of a view that was never opened', async () => {
      expect(await due(mine, 'all-views', { b: viewConfig() })).toEqual([]);
    });

    test('is nothing where another view saw the mailbox under another UIDVALIDITY last', async () => {
      await stored('b', { ...mine, uidValidity: uidValidity(8) });
      expect(await due(mine, 'all-views', { b: viewConfig() })).toEqual([]);
    });

    test('is no message that another view has not listed yet', async () => {
      await stored('b', withDeleted(mapOf([1]), uids(1), 500, 600));
      expect(await due(mine, 'all-views', { b: viewConfig() })).toEqual([1]);
    });

    test('is everything where there is no other view', async () => expect(await due(mine, 'all-views')).toEqual([1, 2, 3]));

    test.each([
      [['Other'], [1, 2, 3]],
      [['Other/*'], [1, 2, 3]],
      [['INBOX'], []],
      [['Other', 'inbox'], []],
      [['*'], []],
      [['%'], []],
      [['IN\\BOX'], [1, 2, 3]],
      [['INBO\\*'], [1, 2, 3]],
    ])('a view of %j bears on INBOX as it may show it', async (folders, expected) => {
      expect(await due(mine, 'all-views', { b: viewConfig({ maildrop: { folders } }) })).toEqual(expected);
    });

    test.each(['Any questions?', 'Any questions\\?', 'Any*'])('a view of %j bears on the folder "Any questions?"', async (text) => {
      const key = keyOf('alice', { view: 'a', path: 'Any questions?' });
      const views = new Map([
        ['a', viewConfig()],
        ['b', viewConfig({ maildrop: { folders: [text] } })],
      ]);
      expect(await dueMessages({ store, key, map: mine, deletion: deletion({ when: 'all-views' }), views, now: 1_000 })).toEqual([]);
    });

    test('the tables of the file are no view', async () => {
      await stored('', MAP);
      expect(await due(mine, 'all-views')).toEqual([1, 2, 3]);
    });
  });
});
