/** Goes on measuring sizes after a client was sent away, until all are known or the next login of the account begins. */
import type { MailboxKey } from '../store/store.ts';
import { measured, type MeasureParts, type Unmeasured } from './measure-sizes.ts';
import { foldersOf } from './maildrop-folders.ts';
import type { OpenRequest } from './open-maildrop.ts';

/** Never rejects. When the signal aborts the connection is left soon. */
export async function measureLater(request: OpenRequest, signal: AbortSignal): Promise<void> {
  const { session, store, clock, view } = request;
  const parts = { store, clock, uniqueId: view.maildrop.uniqueId };
  try {
    for (const { path } of await foldersOf(view, session, () => Promise.resolve([]), signal)) {
      const mailbox = await session.select(path, signal);
      await measureMailbox(request, parts, { key: { maildrop: request.key, path: mailbox.path }, mailbox }, signal);
    }
  } catch {
    // What fails is nobody's loss: the next login goes on with it, and says what is wrong.
  } finally {
    void session.logout();
  }
}

async function measureMailbox(
  { store, key, session, tryLock }: OpenRequest,
  parts: MeasureParts,
  { key: mailboxKey, mailbox }: { readonly key: MailboxKey } & Pick<Unmeasured, 'mailbox'>,
  signal: AbortSignal,
): Promise<void> {
  // A session that opened the maildrop meanwhile has a map of its own.
  const unlock = tryLock(key.view);
  if (unlock === undefined) return;
  try {
    const map = await store.loadMap(mailboxKey);
    const isOfThisMailbox = map?.uidValidity === mailbox.uidValidity && map.server === session.server;
    if (isOfThisMailbox) await measured(parts, { key: mailboxKey, mailbox, map, stored: map }, () => true, signal);
  } finally {
    unlock();
  }
}
