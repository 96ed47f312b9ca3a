/**
 * After a session: gathers the Message-IDs of messages that the server gives no identity of its own for, a part at a time, then
 * leaves the server. With them messages are found again when UIDVALIDITY changes (see recognise.ts).
 */
import { pause, type Clock } from '../clock.ts';
import type { Uid } from '../maildrop/numbers.ts';
import { uidsOf, type UidMap } from '../maildrop/uid-map.ts';
import type { MailboxKey, Store } from '../store/store.ts';
import type { OpenConnection } from './maildrop-session.ts';
import { messageIdKey } from './recognise.ts';

export interface LookBackRequest {
  readonly store: Store;
  readonly clock: Clock;
  readonly key: MailboxKey;
  readonly connection: OpenConnection;
  readonly map: UidMap;
}

/** Header lines of about 100 octets each: some 200 KiB a session. */
const MAX_MESSAGES = 2_000;
/** Clients that log in again for each message come back within this time; their next login must not find the server busy. */
const QUIET_MS = 1_000;
/** A login that waits for the goodbye waits no longer. */
const GOODBYE_MS = 250;

/** Never rejects. When the signal aborts, the connection is left soon. */
export async function lookBack(request: LookBackRequest, signal: AbortSignal): Promise<void> {
  const { session } = request.connection;
  const missing = signal.aborted || !session.isUsable ? [] : await missingIdentities(request).catch(() => []);
  if (missing.length === 0) {
    void session.logout();
    return;
  }
  await pause(request.clock, QUIET_MS, signal);
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
async function missingIdentities({ store, key, map }: LookBackRequest): Promise<readonly Uid[]> {
  const counts = await store.identityCounts(key);
  const missing: Uid[] = [];
  for (const [number, segment] of map.segments) {
    if (missing.length >= MAX_MESSAGES) break;
    if ((counts.get(number) ?? 0) >= segment.uids.length) continue;
    const known = await store.loadIdentities(key, [number]);
    missing.push(...uidsOf(segment).filter((uid) => !known.has(uid)));
  }
  return missing.slice(0, MAX_MESSAGES);
}

async function gather({ store, key, connection, map }: LookBackRequest, uids: readonly Uid[], signal: AbortSignal): Promise<void> {
  const messageIds = await connection.mailbox.messageIds(uids, signal);
  await store.addIdentities(key, map.uidValidity, new Map(uids.map((uid) => [uid, messageIdKey(messageIds.get(uid))])));
}
