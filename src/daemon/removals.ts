/**
 * Removes messages upstream as QUIT promised it (CONTRACT sections 5.1 and 5.2): makes sure that they are still the same ones, writes
 * the journal, then acts, then strikes the entry out. An entry left open is taken up at the next login.
 */
import { StoreError, toBridgeError, UpstreamError, type BridgeError, type UpstreamFailureKind } from '../errors.ts';
import type { Uid } from '../maildrop/numbers.ts';
import { knownMessage, segmentNumber, type UidMap } from '../maildrop/uid-map.ts';
import { UNIDENTIFIED } from '../maildrop/rematch.ts';
import { withoutMessages, withoutDeletion } from '../maildrop/map-changes.ts';
import type { Recorded } from '../maildrop/verification.ts';
import type { JournalEntry, MailboxKey, MaildropKey, Store } from '../store/store.ts';
import type { DeleteAction, DeletePolicy, RemovalResult, RemovalStage, UpstreamMailbox } from '../upstream/upstream.ts';
import type { SessionEvents } from './maildrop-session.ts';
import { compareMessages } from './same-messages.ts';

export interface RemovalParts {
  readonly store: Store;
  readonly events: Pick<SessionEvents, 'deleteFailed' | 'onlyFlagged'>;
  readonly policy: DeletePolicy;
  readonly verify: boolean;
}

/** What is to be removed from one mailbox. */
export interface RemovalRequest {
  readonly key: MailboxKey;
  readonly mailbox: UpstreamMailbox;
  readonly map: UidMap;
  readonly uids: readonly Uid[];
  /** Those of which the server told in the session that removes them. */
  readonly told?: readonly Uid[];
}

/** How it went with one mailbox. */
export interface RemovalReport {
  /** No longer in the mailbox: the map must not know them any more. Flagged ones are still there. */
  readonly removed: readonly Uid[];
  /** Flagged \Deleted, which is what hides them from now on: the map must not have them as due any more. */
  readonly flagged: readonly Uid[];
  /** Other messages than those that were listed: they were left alone. */
  readonly strangers: readonly Uid[];
  readonly failed: number;
  readonly problem: BridgeError | undefined;
  /** Nobody knows what the server did; the journal entry stays. */
  readonly isUnknown: boolean;
}

/** Which of the messages may be removed. Rejects with UpstreamError where the server doesn't answer. What is gone is not among them. */
export interface Checked extends RemovalRequest {
  readonly strangers: readonly Uid[];
  /** Of which the server tells too little: they are left alone too, and stay known as what they were. */
  readonly unread: readonly Uid[];
  readonly problem: BridgeError | undefined;
}

/**
 * Also finds out whether the connection still answers: found dead only later, the outcome would be unknown. Without `verify` nothing else is
 * looked at: the UID under its UIDVALIDITY is the message then.
 */
export async function checkRemoval({ store, verify }: RemovalParts, request: RemovalRequest, signal: AbortSignal): Promise<Checked> {
  const { key, mailbox, map, uids, told = [] } = request;
  if (!verify) {
    await mailbox.existing(uids, false, signal);
    return { ...request, strangers: [], unread: [], problem: undefined };
  }
  const identities = await store.loadIdentities(key, [...new Set(uids.map(segmentNumber))]);
  const recordedOf = (uid: Uid): Recorded | undefined => {
    // A map of another epoch knows nothing of these messages.
    const known = map.uidValidity === mailbox.uidValidity ? knownMessage(map, uid) : undefined;
    return known && { ...known, identity: identities.get(uid) ?? UNIDENTIFIED };
  };
  let listedNow: ReadonlySet<Uid> | undefined;
  // Hardly ever asked.
  const isListedNow = (uid: Uid): boolean => (listedNow ??= new Set(told)).has(uid);
  const compared = await compareMessages({ mailbox, uids, recordedOf, isListedNow }, signal);
  return { ...request, ...compared, uids: compared.same };
}

/** Removes from all these mailboxes of one maildrop: every journal entry first, before the first command. Rejects where the journal can't be written. */
export async function removeChecked(
  parts: RemovalParts,
  maildrop: MaildropKey,
  checked: readonly Checked[],
  signal: AbortSignal,
): Promise<RemovalReport[]> {
  const { store, events, policy } = parts;
  const work = checked.filter(({ uids }) => uids.length > 0);
  const entries = work.map(({ key, mailbox, map, uids }) => ({
    server: map.server,
    path: key.path,
    uidValidity: mailbox.uidValidity,
    uids,
    action: policy.action,
    folder: policy.folder,
    stage: 'planned',
  }));
  const ids = entries.length === 0 ? [] : await store.addEntries(maildrop, entries);
  const reports: RemovalReport[] = [];
  for (const one of checked) {
    const { strangers, unread } = one;
    if (unread.length > 0) events.deleteFailed({ failed: unread.length, error: one.problem });
    if (strangers.length > 0) {
      events.deleteFailed({ failed: strangers.length, total: one.uids.length + strangers.length, reason: NOT_THE_SAME });
    }
    const id = ids[work.indexOf(one)];
    const report = id === undefined ? NOTHING_TO_DO : await removeEntered(parts, one, id, signal);
    const failed = report.failed + strangers.length + unread.length;
    reports.push({ ...report, strangers, failed, problem: report.problem ?? one.problem });
  }
  return reports;
}

/** The map afterwards. Strangers get unique-ids of their own at the next listing. */
export function mapAfter(map: UidMap, { removed, strangers, flagged }: RemovalReport): UidMap {
  const gone = [...removed, ...strangers];
  return withoutDeletion(gone.length === 0 ? map : withoutMessages(map, gone), flagged);
}

export function endsTheConnection(error: unknown): boolean {
  if (error instanceof StoreError) return false;
  return !(error instanceof UpstreamError) || ENDS_THE_CONNECTION.has(error.kind);
}

const NOTHING_TO_DO: RemovalReport = { removed: [], flagged: [], strangers: [], failed: 0, problem: undefined, isUnknown: false };

async function removeEntered(
  { store, events, policy }: RemovalParts,
  { mailbox, uids }: Checked,
  id: number,
  signal: AbortSignal,
): Promise<RemovalReport> {
  try {
    const result = await mailbox.remove({ uids, policy, stage: 'planned', onStage: (stage) => store.setStage(id, stage) }, signal);
    await store.removeEntry(id);
    return told(events, uids, policy, result);
  } catch (error) {
    const problem = toBridgeError(error);
    events.deleteFailed({ total: uids.length, outcome: 'unknown', error: problem });
    return { ...NOTHING_TO_DO, problem, isUnknown: true };
  }
}

function told(events: RemovalParts['events'], uids: readonly Uid[], policy: DeletePolicy, result: RemovalResult): RemovalReport {
  const remaining = new Set(result.remaining);
  const done = uids.filter((uid) => !remaining.has(uid));
  const isFlagged = policy.action === 'flag' || result.onlyFlagged;
  if (result.onlyFlagged) events.onlyFlagged(done.length);
  const report = { ...NOTHING_TO_DO, removed: isFlagged ? [] : done, flagged: isFlagged ? done : [] };
  if (remaining.size === 0) return report;
  const problem = result.problem ?? new UpstreamError('refused', 'the server agreed, yet they are still there');
  events.deleteFailed({ failed: remaining.size, total: uids.length, error: problem });
  return { ...report, failed: remaining.size, problem: toBridgeError(problem) };
}

/** True when nothing is left to do for an entry of an earlier session. Throws only where the connection can no longer be used. */
export async function finishEntry(
  parts: RemovalParts,
  known: Omit<RemovalRequest, 'uids'> & { readonly forget: (strangers: readonly Uid[]) => Promise<void> },
  entry: JournalEntry,
  signal: AbortSignal,
): Promise<boolean> {
  const { store, events } = parts;
  const { mailbox } = known;
  const total = entry.uids.length;
  // Under another UIDVALIDITY those UIDs may be other messages.
  if (entry.uidValidity !== mailbox.uidValidity) {
    events.deleteFailed({ total, outcome: 'abandoned', reason: 'UIDVALIDITY changed' });
    return true;
  }
  if (entry.stage === 'copying') {
    // Nobody knows whether the copies were made. Making them again could put the mail into the folder twice.
    events.deleteFailed({ total, outcome: 'undone', reason: 'interrupted while copying; the messages are shown again' });
    return true;
  }
  const policy = { action: deleteAction(entry.action), folder: entry.folder };
  const stage: RemovalStage = entry.stage === 'copied' ? 'copied' : 'planned';
  try {
    const { uids, strangers, unread, problem } = await checkRemoval(parts, { ...known, uids: entry.uids }, signal);
    // As what the server refuses to remove, it is shown again.
    if (unread.length > 0) events.deleteFailed({ failed: unread.length, total, error: problem });
    if (strangers.length > 0) {
      events.deleteFailed({ failed: strangers.length, total, reason: NOT_THE_SAME });
      if (known.map.uidValidity === mailbox.uidValidity) await known.forget(strangers);
    }
    if (uids.length === 0) return true;
    const result = await mailbox.remove({ uids, policy, stage, onStage: (next) => store.setStage(entry.id, next) }, signal);
    if (result.problem instanceof UpstreamError && result.problem.kind === 'throttled') throw result.problem;
    if (result.remaining.length > 0) events.deleteFailed({ failed: result.remaining.length, total, error: result.problem });
    return true;
  } catch (error) {
    events.deleteFailed({ total, outcome: 'unknown', error: toBridgeError(error) });
    if (error instanceof UpstreamError && !ENDS_THE_CONNECTION.has(error.kind)) return false;
    throw error;
  }
}

const NOT_THE_SAME = 'not the messages that were listed; nothing was done to them';

/** Failures after which there is no connection left to list the mailbox on. */
const ENDS_THE_CONNECTION: ReadonlySet<UpstreamFailureKind> = new Set(['unreachable', 'timeout', 'throttled']);

const ACTIONS: readonly DeleteAction[] = ['trash', 'expunge', 'archive', 'move', 'flag'];

function deleteAction(text: string): DeleteAction {
  // An action of a newer version: flagging is what can't harm.
  return ACTIONS.find((action) => action === text) ?? 'flag';
}
