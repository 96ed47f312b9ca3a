/**
 * Removes messages, and only those: by UID, never by a bare EXPUNGE (RFC 3501 section 6.4.3 would take other clients'
 * \Deleted mail along). The server's word is not enough: what is still there afterwards is looked up.
 */
import { isRefusal, UpstreamError } from '../errors.ts';
import { MESSAGES_PER_COMMAND, uidBatches, type UidBatch } from '../imap/uid-set.ts';
import type { Uid } from '../maildrop/numbers.ts';
import type { DeletePolicy, Removal, RemovalResult } from './upstream.ts';

/** How the server answered a command. */
export interface CommandOutcome {
  /** OK, NO or BAD. */
  readonly status: string;
  /** The response code, if there is one, and the text. */
  readonly text: string;
  /** Why it was refused; undefined where it was not. */
  readonly refusal: UpstreamError | undefined;
}

/** Commands on the selected mailbox. A throw means that nobody knows what the server did. */
export interface RemovalCommands {
  readonly canMove: boolean;
  readonly canExpungeByUid: boolean;
  /** Which of the messages are there, of those without \Deleted or of all. Throws where the server names others. */
  existing(uids: readonly Uid[], onlyUndeleted: boolean, signal: AbortSignal): Promise<Uid[]>;
  /** The same, asked in another way. */
  existingByFetch(uids: readonly Uid[], onlyUndeleted: boolean, signal: AbortSignal): Promise<Uid[]>;
  /** `copied`: which of them lie in the target now, by the server's own account (COPYUID) where it gives one. */
  move(batch: UidBatch, target: string, signal: AbortSignal): Promise<CommandOutcome & { readonly copied: readonly Uid[] }>;
  /** `copied`: which of them, by the server's own account (COPYUID) where it gives one. */
  copy(batch: UidBatch, target: string, signal: AbortSignal): Promise<CommandOutcome & { readonly copied: readonly Uid[] }>;
  flagDeleted(set: string, signal: AbortSignal): Promise<CommandOutcome>;
  unflagDeleted(set: string, signal: AbortSignal): Promise<CommandOutcome>;
  /** UID EXPUNGE. */
  expunge(set: string, signal: AbortSignal): Promise<CommandOutcome>;
  /** The server does not know a command that it announces: it is not to be asked again. */
  noteRefused(what: 'MOVE' | 'UID EXPUNGE'): void;
  /** Makes others see the flags: some servers keep them to themselves while the mailbox is selected. */
  settle(signal: AbortSignal): Promise<void>;
  destination(policy: DeletePolicy, signal: AbortSignal): Promise<string | undefined>;
}

export type RemovalMethod = 'move' | 'copy-and-expunge' | 'expunge' | 'flag';

/** How far it came. */
interface Carried {
  /** The first refusal; nothing more was done after it. */
  readonly problem: UpstreamError | undefined;
  /** The messages are flagged \Deleted, and that is all that the server does. */
  readonly isFlagged: boolean;
  /** The server does not know the command that was refused. */
  readonly isUnknownCommand: boolean;
  /** These lie in the target. */
  readonly copied: readonly Uid[];
  /** Of these the server said that it removed them. */
  readonly expunged: readonly Uid[];
}

/** How this server can carry out that policy (CONTRACT section 5.10); `flag` is what is left where it can do nothing better. */
export function removalMethod(
  policy: DeletePolicy,
  server: { readonly canMove: boolean; readonly canExpungeByUid: boolean },
): RemovalMethod {
  if (policy.action === 'flag') return 'flag';
  if (policy.action === 'expunge') return server.canExpungeByUid ? 'expunge' : 'flag';
  if (server.canMove) return 'move';
  return server.canExpungeByUid ? 'copy-and-expunge' : 'flag';
}

export async function removeMessages(commands: RemovalCommands, removal: Removal, signal: AbortSignal): Promise<RemovalResult> {
  let method = removal.stage === 'copied' ? methodAfterCopy(commands) : removalMethod(removal.policy, commands);
  for (let { uids } = removal; ;) {
    const carried = await carryOut(commands, { ...removal, uids }, method, signal);
    if (carried.isFlagged) await commands.settle(signal);
    const remaining = await left(commands, uids, carried, signal);
    const { problem } = carried;
    if (remaining.length === 0) return { remaining, problem, onlyFlagged: carried.isFlagged && removal.policy.action !== 'flag' };
    if (method !== 'move') return withoutEffect(commands, removal, carried, remaining, signal);
    const copied = new Set(carried.copied);
    const twice = remaining.filter((uid) => copied.has(uid));
    if (twice.length > 0) {
      const rest = await removeMessages(commands, { ...removal, uids: twice, stage: 'copied' }, signal);
      const still = new Set(rest.remaining);
      return { ...rest, problem: rest.problem ?? problem, remaining: remaining.filter((uid) => still.has(uid) || !copied.has(uid)) };
    }
    if (remaining.length === uids.length) {
      const isDone = problem === undefined && (await commands.existingByFetch(uids, true, signal)).length === 0;
      if (isDone) return { remaining: [], problem, onlyFlagged: true };
      if (problem === undefined || carried.isUnknownCommand) commands.noteRefused('MOVE');
      if (!carried.isUnknownCommand) return { remaining, problem, onlyFlagged: false };
      method = removalMethod(removal.policy, commands);
    }
    // Dovecot moves none of them, and may call that OK, where another client has just removed one.
    uids = remaining;
  }
}

/**
 * What is still there and not flagged. An answer and its result may contradict each other: that nothing is left after a refusal, or that
 * something is left though the server agreed. Then it is asked for in another way too.
 */
async function left(
  commands: RemovalCommands,
  uids: readonly Uid[],
  { isFlagged, problem }: Pick<Carried, 'isFlagged' | 'problem'>,
  signal: AbortSignal,
): Promise<Uid[]> {
  const remaining = await commands.existing(uids, isFlagged, signal);
  const isContradiction = (remaining.length === 0) === (problem !== undefined);
  return isContradiction ? commands.existingByFetch(uids, isFlagged, signal) : remaining;
}

/**
 * Some are still there. Those that the server agreed to expunge, and did not, stay flagged, as on a server without UID EXPUNGE; what lies in
 * another folder too must at least be flagged.
 */
async function withoutEffect(
  commands: RemovalCommands,
  { policy }: Removal,
  { problem, isFlagged, copied, expunged }: Carried,
  remaining: readonly Uid[],
  signal: AbortSignal,
): Promise<RemovalResult> {
  const agreed = new Set(expunged);
  const idle = remaining.filter((uid) => agreed.has(uid));
  if (idle.length === 0) return { remaining, problem, onlyFlagged: isFlagged && policy.action !== 'flag' };
  if (idle.length === expunged.length) commands.noteRefused('UID EXPUNGE');
  await commands.settle(signal);
  const bare = await commands.existingByFetch(idle, true, signal);
  const rest = remaining.filter((uid) => !agreed.has(uid));
  if (bare.length === 0) return { remaining: rest, problem, onlyFlagged: true };
  if (copied.length > 0) throw new UpstreamError('refused', 'the messages were copied, and the server neither removes nor flags them');
  for (const { set } of uidBatches(idle)) await commands.unflagDeleted(set, signal);
  return { remaining, problem: new UpstreamError('refused', 'UID EXPUNGE had no effect'), onlyFlagged: false };
}

/** Messages that lie in the target already must not come there again, whatever the server has learned meanwhile. */
function methodAfterCopy({ canExpungeByUid }: RemovalCommands): RemovalMethod {
  return canExpungeByUid ? 'expunge' : 'flag';
}

async function carryOut(commands: RemovalCommands, removal: Removal, method: RemovalMethod, signal: AbortSignal): Promise<Carried> {
  const { uids, policy } = removal;
  switch (method) {
    case 'flag': {
      const carried = await each(uids, '\\Deleted was not stored', (set) => commands.flagDeleted(set, signal));
      return { ...carried, isFlagged: carried.problem === undefined };
    }
    case 'expunge':
      return expunge(commands, uids, removal.stage === 'copied', signal);
    case 'move': {
      const target = await destination(commands, policy, signal);
      if (target instanceof UpstreamError) return { ...DONE, problem: target };
      return moveTo(commands, uids, target, signal);
    }
    case 'copy-and-expunge':
      return copyAndExpunge(commands, removal, signal);
  }
}

const DONE: Carried = { problem: undefined, isFlagged: false, isUnknownCommand: false, copied: [], expunged: [] };

async function moveTo(commands: RemovalCommands, uids: readonly Uid[], target: string, signal: AbortSignal): Promise<Carried> {
  let copied: Uid[] = [];
  for (const batch of uidBatches(uids, MESSAGES_PER_COMMAND)) {
    const outcome = await commands.move(batch, target, signal);
    copied = copied.concat(outcome.copied);
    if (outcome.refusal !== undefined) return { ...refusedBy(`MOVE to ${target} was refused`, outcome, outcome.refusal), copied };
  }
  return { ...DONE, copied };
}

/** COPY can't be repeated without making duplicates: its stages go to the journal. What was not copied is not expunged. */
async function copyAndExpunge(commands: RemovalCommands, removal: Removal, signal: AbortSignal): Promise<Carried> {
  const target = await destination(commands, removal.policy, signal);
  if (target instanceof UpstreamError) return { ...DONE, problem: target };
  await removal.onStage('copying');
  let copied: Uid[] = [];
  let refused: UpstreamError | undefined;
  for (const batch of uidBatches(removal.uids, MESSAGES_PER_COMMAND)) {
    const outcome = await commands.copy(batch, target, signal);
    copied = copied.concat(outcome.copied);
    if (outcome.refusal === undefined) continue;
    refused = worded(`COPY to ${target} was refused`, outcome.refusal);
    break;
  }
  // Only of all of them may the journal say so: at the next login they would be expunged without another look.
  if (copied.length === removal.uids.length) await removal.onStage('copied');
  const carried = await expunge(commands, copied, true, signal);
  return { ...carried, problem: refused ?? carried.problem, copied };
}

/**
 * Flags and expunges. Where UID EXPUNGE is refused, copies that were made must not be made again, so the messages stay flagged, which hides them;
 * so they do where the server does not know the command, as on a server that never announced it. Else they are unflagged: they would lie in wait
 * for somebody's EXPUNGE. `areCopied`: they lie in another folder too.
 */
async function expunge(commands: RemovalCommands, uids: readonly Uid[], areCopied: boolean, signal: AbortSignal): Promise<Carried> {
  const flagged = await each(uids, '\\Deleted was not stored', (set) => commands.flagDeleted(set, signal));
  if (flagged.problem !== undefined && areCopied) {
    throw new UpstreamError('refused', `the messages were copied and cannot be flagged: ${flagged.problem.message}`, {
      cause: flagged.problem,
    });
  }
  if (flagged.problem !== undefined) return unflagged(commands, uids, flagged, signal);
  const expunged = await each(uids, 'UID EXPUNGE was refused', (set) => commands.expunge(set, signal));
  if (expunged.problem === undefined) return { ...DONE, copied: areCopied ? uids : [], expunged: uids };
  if (expunged.isUnknownCommand) commands.noteRefused('UID EXPUNGE');
  if (expunged.isUnknownCommand || areCopied) return { ...DONE, isFlagged: true };
  return unflagged(commands, uids, expunged, signal);
}

async function unflagged(commands: RemovalCommands, uids: readonly Uid[], carried: Carried, signal: AbortSignal): Promise<Carried> {
  for (const { set } of uidBatches(await commands.existing(uids, false, signal))) await commands.unflagDeleted(set, signal);
  return { ...carried, isUnknownCommand: false };
}

/** The target folder, or why the server has none: an answer, so it is known that nothing was removed. */
async function destination(commands: RemovalCommands, policy: DeletePolicy, signal: AbortSignal): Promise<string | UpstreamError> {
  try {
    return (await commands.destination(policy, signal)) ?? '';
  } catch (error) {
    if (isRefusal(error)) return error;
    throw error;
  }
}

/** Sends a command for each batch, until one is refused. */
async function each(uids: readonly Uid[], what: string, command: (set: string) => Promise<CommandOutcome>): Promise<Carried> {
  for (const { set } of uidBatches(uids, MESSAGES_PER_COMMAND)) {
    const outcome = await command(set);
    if (outcome.refusal !== undefined) return refusedBy(what, outcome, outcome.refusal);
  }
  return DONE;
}

function refusedBy(what: string, outcome: CommandOutcome, refusal: UpstreamError): Carried {
  return { ...DONE, problem: worded(what, refusal), isUnknownCommand: isUnknown(outcome) };
}

function worded(what: string, refusal: UpstreamError): UpstreamError {
  return new UpstreamError(refusal.kind, `${what}: ${refusal.message}`, { cause: refusal, retryAfterMs: refusal.retryAfterMs });
}

/** The server refuses a command as one that it does not know: go-imap says so of MOVE before a backend without it. */
function isUnknown({ status, text, refusal }: CommandOutcome): boolean {
  if (text.startsWith('[') || refusal?.kind !== 'refused') return false;
  return status === 'BAD' || /support|implement|unknown command/i.test(text);
}
