/**
 * After a session: gathers the Message-IDs of messages, a part at a time, then leaves the server. Also where the server gives identities
 * of its own: another server would not know them. With them messages are found again when UIDVALIDITY changes (see recognise.ts).
 */
import { pause, type Clock } from '../clock.ts';
import type { Uid } from '../maildrop/numbers.ts';
import { uidsOf } from '../maildrop/uid-map.ts';
import type { Store } from '../store/store.ts';
import type { UpstreamSession } from '../upstream/upstream.ts';
import type { OpenMailbox } from './open-maildrop.ts';
import { messageIdKey } from './recognise.ts';

export interface LookBackRequest {
  readonly store: Store;
  readonly clock: Clock;
  readonly session: UpstreamSession;
  readonly mailboxes: readonly OpenMailbox[];
}

/** What is to be looked at in one mailbox. */
interface Missing {
  readonly open: OpenMailbox;
  readonly uids: readonly Uid[];
}

/** Header lines of about 250 octets each: some 500 KiB a session. */
const MAX_MESSAGES = 2_000;
/** Clients that log in again for each message come back within this time; their next login must not find the server busy. */
const QUIET_MS = 1_000;
/** A login that waits for the goodbye waits no longer. */
const GOODBYE_MS = 250;

/** Never rejects. When the signal aborts, the connection is left soon. */
export async function lookBack(request: LookBackRequest, signal: AbortSignal): Promise<void> {
  const { session } = request;
  const missing = signal.aborted || !session.isUsable ? [] : await missingIdentities(request).catch(() => []);
  if (missing.length === 0) {
    void session.logout();
    return;
  }
  // Where others do not see what is done in a selected mailbox, none is kept for no more than a client that may come.
  if (session.abilities.condstore) await pause(request.clock, QUIET_MS, signal);
  // What fails is nobody's loss: the next session goes on with it.
  if (!signal.aborted) await gather(request, missing, signal).catch(() => {});
  const left = new AbortController();
  await Promise.race([session.logout(), untilLate(request.clock, signal, left.signal)]);
  left.abort();
  session.destroy();
}

/** Resolves a little after somebody began to wait; early when the goodbye was said. */
async function untilLate(clock: Clock, signal: AbortSignal, left: AbortSignal): Promise<void> {
  const { promise: hurried, resolve } = Promise.withResolvers<void>();
  if (signal.aborted) resolve();
  signal.addEventListener('abort', () => resolve(), { once: true, signal: left });
  await hurried;
  await pause(clock, GOODBYE_MS, left);
}

/** The first of those that were never looked at. */
async function missingIdentities({ store, mailboxes }: LookBackRequest): Promise<Missing[]> {
  const missing: Missing[] = [];
  let left = MAX_MESSAGES;
  for (const open of mailboxes) {
    const uids = left > 0 ? await missingFrom(store, open, left) : [];
    if (uids.length > 0) missing.push({ open, uids });
    left -= uids.length;
  }
  return missing;
}

async function missingFrom(store: Store, { key, map }: OpenMailbox, most: number): Promise<Uid[]> {
  const counts = await store.identityCounts(key);
  const missing: Uid[] = [];
  for (const [number, segment] of map.segments) {
    if (missing.length >= most) break;
    if ((counts.get(number) ?? 0) >= segment.uids.length) continue;
    const known = await store.loadIdentities(key, [number]);
    for (const uid of uidsOf(segment)) if (known.get(uid)?.messageId === undefined) missing.push(uid);
  }
  return missing.slice(0, most);
}

async function gather({ store }: LookBackRequest, missing: readonly Missing[], signal: AbortSignal): Promise<void> {
  for (const { open, uids } of missing) {
    const messageIds = await open.mailbox.messageIds(uids, signal);
    // A message without a row was not looked at.
    const identities = new Map([...messageIds].map(([uid, messageId]) => [uid, { given: '', messageId: messageIdKey(messageId) }]));
    await store.addIdentities(open.key, open.map.uidValidity, identities);
  }
}
