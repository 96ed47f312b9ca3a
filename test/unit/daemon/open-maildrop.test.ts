import { FakeClock } from '../../support/fake-clock.ts';
import { expect, test } from 'vitest';
import { uids, uidValidity, viewConfig } from '../../support/fake-maildrop.ts';
import type { MaildropConfig, ViewConfig } from '../../../src/config/schema.ts';
import { SnapshotCache } from '../../../src/daemon/snapshot-cache.ts';
import { openMaildrop, type OpenRequest } from '../../../src/daemon/open-maildrop.ts';
import { UpstreamError } from '../../../src/errors.ts';
import { parseTemplate } from '../../../src/maildrop/unique-id.ts';
import { SqliteStore } from '../../../src/store/sqlite-store.ts';
import type { UpstreamMailbox, UpstreamSession } from '../../../src/upstream/upstream.ts';
import { keyOf } from '../store/maps.ts';

/** A mailbox with one message, which the server calls that. */
function mailboxWith(path: string, identity: string | undefined): UpstreamMailbox {
  const refused = (): Promise<never> => Promise.reject(new UpstreamError('protocol', 'not asked for here'));
  return {
    path,
    uidValidity: uidValidity(7),
    isReadOnly: false,
    list: () =>
      Promise.resolve({
        uidValidity: uidValidity(7),
        uidNext: 2,
        uids: uids(1),
        deleted: new Set(),
        added: { uids: uids(1), octets: [10], arrivals: [100], identities: [identity], messageIds: new Map() },
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
