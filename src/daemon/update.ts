/**
 * The deletions of an UPDATE (RFC 1939 section 6, CONTRACT section 5.2): first all is written down, then the server is asked, then the
 * client is told what is true.
 */
import type { ViewConfig } from '../config/schema.ts';
import { toBridgeError, type BridgeError } from '../errors.ts';
import { withDeleted } from '../maildrop/map-changes.ts';
import type { MailboxPlan, UpdateOutcome, UpdatePlan } from '../maildrop/update-plan.ts';
import type { MaildropKey, Store } from '../store/store.ts';
import { dueMessages, hiddenUntil, upstreamPolicy } from './deletion.ts';
import type { SessionEvents } from './maildrop-session.ts';
import type { OpenMaps } from './open-maps.ts';
import { checkRemoval, mapAfter, removeChecked, type Checked, type RemovalReport, type RemovalRequest } from './removals.ts';
import type { UpstreamLink } from './upstream-link.ts';

export interface UpdateParts {
  readonly key: MaildropKey;
  readonly store: Store;
  readonly view: ViewConfig;
  readonly views: ReadonlyMap<string, ViewConfig>;
  readonly link: UpstreamLink;
  readonly maps: OpenMaps;
  readonly events: SessionEvents;
  /** Seconds since 1970. */
  readonly now: number;
}

/** Deletes what the plan says, as the view's configuration has it. Never rejects. */
export async function carryOutDeletions(parts: UpdateParts, { mailboxes, removeCount: total }: UpdatePlan): Promise<UpdateOutcome> {
  const plans = mailboxes.filter(({ remove }) => remove.length > 0);
  const hidden = hiddenUntil(parts.view.delete, parts.now);
  try {
    if (hidden === undefined) return await removeNow(parts, plans, total);
    await hide(parts, plans, hidden);
  } catch (error) {
    return nothingDone(parts, total, toBridgeError(error));
  }
  return removeDue(parts, plans);
}

/** Rejects where that is not on disk; then nothing is hidden. */
async function hide({ maps, now }: UpdateParts, plans: readonly MailboxPlan[], until: number): Promise<void> {
  const before = plans.map(({ mailbox }) => maps.at(mailbox));
  for (const { mailbox, remove } of plans) maps.change(mailbox, (map) => withDeleted(map, remove, now, until));
  try {
    await maps.save(now);
  } catch (error) {
    for (const [place, { mailbox }] of plans.entries()) maps.takeBack(mailbox, before[place] ?? maps.at(mailbox));
    throw error;
  }
}

/** What was hidden just now, and is due at once because every other view has deleted it before. */
async function removeDue(parts: UpdateParts, plans: readonly MailboxPlan[]): Promise<UpdateOutcome> {
  const due: MailboxPlan[] = [];
  try {
    for (const { mailbox } of plans) {
      const map = parts.maps.at(mailbox);
      const remove = await dueMessages({ ...parts, key: parts.maps.keyAt(mailbox), map, deletion: parts.view.delete });
      if (remove.length > 0) due.push({ mailbox, remove, seen: [] });
    }
    const total = due.reduce((sum, { remove }) => sum + remove.length, 0);
    return total === 0 ? { result: 'done' } : await removeNow(parts, due, total);
  } catch (error) {
    // They stay hidden and due, and are removed at the next login: nothing was promised that is not on disk.
    parts.link.notePause(error);
    parts.events.deleteFailed({ outcome: 'put off', error: toBridgeError(error) });
    return { result: 'done' };
  }
}

/** Rejects where nothing was done and nothing is on disk. */
async function removeNow(parts: UpdateParts, plans: readonly MailboxPlan[], total: number): Promise<UpdateOutcome> {
  const { store, events, view, link, maps, key } = parts;
  const signal = new AbortController().signal;
  const shown = maps.open.map(({ mailbox }) => mailbox.path);
  const policy = { ...(upstreamPolicy(view.delete) ?? { action: 'flag', folder: undefined }), shown };
  const removal = { store, events, policy, verify: view.delete.verify };
  const checked: Checked[] = [];
  for (const plan of plans) checked.push(await answering(parts, plan, (request) => checkRemoval(removal, request, signal)));
  const reports = await removeChecked(removal, key, checked, signal);
  for (const [place, report] of reports.entries()) {
    maps.change(plans[place]?.mailbox ?? 0, (map) => mapAfter(map, report));
    link.notePause(report.problem);
  }
  return outcomeOf(reports, total);
}

/** On a connection that has just answered: found dead only later, a server would leave us with an unknown outcome. */
async function answering<T>({ link, maps }: UpdateParts, plan: MailboxPlan, ask: (request: RemovalRequest) => Promise<T>): Promise<T> {
  const request = async (): Promise<RemovalRequest> => ({
    key: maps.keyAt(plan.mailbox),
    mailbox: await link.mailbox(plan.mailbox),
    map: maps.at(plan.mailbox),
    uids: plan.remove,
    told: maps.toldAt(plan.mailbox),
  });
  try {
    return await ask(await request());
  } catch (error) {
    if (!link.isLost(error)) throw error;
    return ask(await request());
  }
}

function outcomeOf(reports: readonly RemovalReport[], total: number): UpdateOutcome {
  if (reports.some(({ isUnknown }) => isUnknown)) return { result: 'unknown', total };
  const failed = reports.reduce((sum, report) => sum + report.failed, 0);
  if (failed === 0) return { result: 'done' };
  return { result: 'partial', failed, total, temporary: reports.every(({ problem }) => problem?.temporary ?? true) };
}

function nothingDone({ link, events }: UpdateParts, total: number, error: BridgeError): UpdateOutcome {
  link.notePause(error);
  events.deleteFailed({ failed: total, total, error });
  return { result: 'partial', failed: total, total, temporary: error.temporary };
}
