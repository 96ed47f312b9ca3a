import { FakeClock } from '../../support/fake-clock.ts';
import { describe, expect, test } from 'vitest';
import { uid, uids, uidValidity, viewConfig } from '../../support/fake-maildrop.ts';
import type { MaildropConfig, ViewConfig } from '../../../src/config/schema.ts';
import { ListedChanges } from '../../../src/daemon/listed-changes.ts';
import { SnapshotCache } from '../../../src/daemon/snapshot-cache.ts';
import { openMaildrop, type OpenRequest } from '../../../src/daemon/open-maildrop.ts';
import { derivationText } from '../../../src/daemon/derivation.ts';
import { usedFormulas } from '../../../src/daemon/used-ids.ts';
import { withIdSources, withoutMessages } from '../../../src/maildrop/map-changes.ts';
import { verbatimSource } from '../../../src/maildrop/uid-map.ts';
import { UpstreamError } from '../../../src/errors.ts';
import { parseTemplate } from '../../../src/maildrop/unique-id.ts';
import { SqliteStore } from '../../../src/store/sqlite-store.ts';
import type { UpstreamMailbox, UpstreamSession } from '../../../src/upstream/upstream.ts';
import { keyOf } from '../store/maps.ts';

/** A mailbox with one message, which the server calls that. */
function mailboxWith(path: string, identity: string | undefined, { octets = 10, listed = [1] } = {}): UpstreamMailbox {
  const all = uids(...listed);
  const refused = (): Promise<never> => Promise.reject(new UpstreamError('protocol', 'not asked for here'));
  return {
    path,
    uidValidity: uidValidity(7),
    isReadOnly: false,
    list: () =>
      Promise.resolve({
        uidValidity: uidValidity(7),
        uidNext: 2,
        modSeq: undefined,
        uids: all,
        deleted: new Set(),
        added: {
          uids: all,
          octets: all.map(() => octets),
          arrivals: all.map((one) => one * 100),
          identities: all.map(() => identity),
          messageIds: new Map(),
        },
        isUnchanged: false,
        isOther: false,
      }),
    fetch: () => {
      throw new UpstreamError('protocol', 'not fetched here');
    },
    existing: (all) => Promise.resolve([...all]),
    messageIds: () => Promise.resolve(new Map()),
    rows: refused,
    beginning: refused,
    unseen: () => Promise.resolve(new Set()),
    isEmptyMessage: () => Promise.resolve(false),
    close: () => {},
    addSeen: refused,
    remove: refused,
    expectedDestination: refused,
  };
}

function sessionWith(mailboxes: Readonly<Record<string, UpstreamMailbox>>, capabilities: readonly string[]): UpstreamSession {
  return {
    server: 'fake:143',
    abilities: { move: true, uidPlus: true, condstore: true, capabilities },
    onEnd: () => {},
    isUsable: true,
    isKept: false,
    operations: 0,
    select: (path) => {
      const mailbox = mailboxes[path];
      return mailbox === undefined ? Promise.reject(new UpstreamError('missing', path)) : Promise.resolve(mailbox);
    },
    folders: () => Promise.resolve({ folders: [], prefix: '' }),
    wasMissing: () => false,
    isFatal: () => false,
    logout: () => Promise.resolve(),
    destroy: () => {},
  };
}

function gmailView(folders: MaildropConfig['folders']): ViewConfig {
  const uniqueId = parseTemplate('gmail');
  if ('problem' in uniqueId) throw new Error(uniqueId.problem);
  return viewConfig({ maildrop: { folders, uniqueId } });
}

function request(store: SqliteStore, session: UpstreamSession, view: ViewConfig): OpenRequest {
  return {
    key: keyOf('alice').maildrop,
    store,
    snapshots: new SnapshotCache(),
    listedChanges: new ListedChanges(),
    session,
    view,
    isRecent: false,
    views: new Map([['', view]]),
    tryLock: () => () => {},
    inTurn: (work) => work(),
    events: {
      deleteFailed: () => {},
      seenFailed: () => {},
      saveFailed: () => {},
      onlyFlagged: () => {},
      folderSkipped: () => {},
      messagesUnlistable: () => {},
      mapRematched: () => {},
      mapRebuilt: () => {},
    },
    clock: new FakeClock(),
    now: 1_000,
  };
}

async function idsOf(session: UpstreamSession, view: ViewConfig): Promise<string[]> {
  await using store = SqliteStore.open(':memory:', { templates: new Map(), onRebuilt: () => {}, now: new Date(0) });
  const { maildrop } = await openMaildrop(request(store, session, view), new AbortController().signal);
  return Array.from(maildrop.scanListing(), ({ uniqueId }) => uniqueId);
}

const GMAIL = ['X-GM-EXT-1'];

test('messages of Gmail have the ids that its own POP3 server gives', async () => {
  expect(await idsOf(sessionWith({ INBOX: mailboxWith('INBOX', 'g255') }, GMAIL), gmailView(['INBOX']))).toEqual(['GmailIdff']);
});

test('ids of Gmail are refused where the server is not Gmail', async () => {
  const opening = idsOf(sessionWith({ INBOX: mailboxWith('INBOX', undefined) }, []), gmailView(['INBOX']));
  await expect(opening).rejects.toMatchObject({ kind: 'forbidden' });
});

test('a message that lies in two folders, as under two labels of Gmail, has not the same id twice', async () => {
  const mailboxes = { INBOX: mailboxWith('INBOX', 'g255'), Work: mailboxWith('Work', 'g255') };
  const ids = await idsOf(sessionWith(mailboxes, GMAIL), gmailView(['INBOX', 'Work']));
  expect(ids).toHaveLength(2);
  expect(new Set(ids).size).toBe(2);
});

function viewOf(folders: MaildropConfig['folders'], template: string): ViewConfig {
  const uniqueId = parseTemplate(template);
  if ('problem' in uniqueId) throw new Error(uniqueId.problem);
  return viewConfig({ maildrop: { folders, uniqueId } });
}

describe('an id that was given to a message is never given to another one', () => {
  /** Ids of what is shown of a folder whose messages look unlike those of every other. */
  async function shown(store: SqliteStore, view: ViewConfig, listed: readonly number[] = [1, 2, 3]): Promise<string[]> {
    const [path = ''] = view.maildrop.folders;
    const session = sessionWith({ [path]: mailboxWith(path, undefined, { octets: path.length, listed: [...listed] }) }, []);
    const { maildrop } = await openMaildrop(request(store, session, view), new AbortController().signal);
    return Array.from(maildrop.scanListing(), ({ uniqueId }) => uniqueId);
  }
  const inMemory = (): SqliteStore => SqliteStore.open(':memory:', { templates: new Map(), onRebuilt: () => {}, now: new Date(0) });
  const key = keyOf('alice');

  async function withoutUid(store: SqliteStore, number: number): Promise<void> {
    const map = await store.loadMap(key);
    if (map === undefined) throw new Error('no map');
    await store.saveMaps([{ key, previous: map, next: withoutMessages(map, uids(number)) }], 1_000);
  }

  test('where another folder is shown under a template without the folder, also ids of what clients deleted', async () => {
    await using store = inMemory();
    const before = await shown(store, viewOf(['INBOX'], 'cyrus'));
    await withoutUid(store, 2);
    const after = await shown(store, viewOf(['Support'], 'cyrus'), [1, 2, 3, 4]);
    expect(before).toEqual(['7.1', '7.2', '7.3']);
    expect(after.filter((id) => before.includes(id))).toEqual([]);
    expect(after.at(-1)).toBe('7.4');
    expect(await shown(store, viewOf(['Support'], 'cyrus'), [1, 2, 3, 4])).toEqual(after);
  });

  test('where the other folder had all its messages removed, or none is left of its map', async () => {
    await using store = inMemory();
    const before = await shown(store, viewOf(['INBOX'], 'cyrus'));
    await shown(store, viewOf(['INBOX'], 'cyrus'), []);
    const after = await shown(store, viewOf(['Support'], 'cyrus'));
    expect(after.filter((id) => before.includes(id))).toEqual([]);
  });

  test('where another template makes the same text', async () => {
    await using store = inMemory();
    const before = await shown(store, viewOf(['INBOX'], '1{uid:08d}.{uidvalidity}'), [2]);
    await withoutUid(store, 2);
    const after = await shown(store, viewOf(['Other'], '10{uid:07d}.{uidvalidity}'), [2]);
    expect(before).toEqual(['100000002.7']);
    expect(after).not.toEqual(before);
  });

  test('where it was imported, and its message was deleted', async () => {
    await using store = inMemory();
    await shown(store, viewOf(['INBOX'], 'popbridge'));
    const map = await store.loadMap(key);
    if (map === undefined) throw new Error('no map');
    const imported = withIdSources(map, new Map([[uid(1), verbatimSource('7.3')]]));
    await store.saveMaps([{ key, previous: map, next: imported }], 1_000);
    await withoutUid(store, 1);
    expect(await shown(store, viewOf(['Support'], 'cyrus'))).not.toContain('7.3');
  });

  test('where a map is lost, its own messages get the same ids again, those of others none of them', async () => {
    await using store = inMemory();
    const before = await shown(store, viewOf(['INBOX'], 'cyrus'));
    const used = await store.usedIds(key.maildrop);
    const view = viewOf(['INBOX'], 'cyrus');
    const formula = '7.{uid:01d}';
    const { uniqueId } = view.maildrop;
    expect(usedFormulas(used, uniqueId, { path: 'INBOX', formula, isMadeAnew: true })).toEqual([]);
    expect(usedFormulas(used, uniqueId, { path: 'INBOX', formula, isMadeAnew: false })).toMatchObject([{ formula, highestUid: 3 }]);
    expect(usedFormulas(used, uniqueId, { path: 'Support', formula, isMadeAnew: true })).toMatchObject([{ formula, highestUid: 3 }]);
    expect(before).toHaveLength(3);
  });

  test('where the folder changed, a damaged store is not made anew from a template without the folder', () => {
    const { uniqueId } = viewOf(['INBOX'], 'cyrus').maildrop;
    expect(derivationText(uniqueId, 'INBOX')).not.toBe(derivationText(uniqueId, 'Support'));
    const { uniqueId: withFolder } = viewOf(['INBOX'], 'popbridge').maildrop;
    expect(derivationText(withFolder, 'INBOX')).toBe(derivationText(withFolder, 'Support'));
  });
});
