/**
 * Removes messages, and only those: by UID, never by a bare EXPUNGE (RFC 3501 section 6.4.3 would take other clients'
 * \Deleted mail along). The server's word is not enough: what is still there afterwards is looked up.
 */
import { UpstreamError, type UpstreamFailureKind } from '../errors.ts';
import { MESSAGES_PER_COMMAND, uidBatches, type UidBatch } from '../imap/uid-set.ts';
import type { Uid } from '../maildrop/numbers.ts';
import { isUnsupported } from './imapflow-failure.ts';
import type { DeletePolicy, Removal, RemovalResult } from './upstream.ts';

/** Commands on the selected mailbox; `false` means that the server refused, a throw that the outcome is unknown. */
export interface RemovalCommands {
  readonly canMove: boolean;
  readonly canExpungeByUid: boolean;
  existing(uids: readonly Uid[], onlyUndeleted: boolean, signal: AbortSignal): Promise<Uid[]>;
  move(set: string, target: string, signal: AbortSignal): Promise<boolean>;
  /** Those that were copied, by the server's own account (COPYUID) where it gives one; undefined where it refused. */
  copy(batch: UidBatch, target: string, signal: AbortSignal): Promise<readonly Uid[] | undefined>;
  flagAndExpunge(set: string, signal: AbortSignal): Promise<boolean>;
  flagDeleted(set: string, signal: AbortSignal): Promise<boolean>;
  /** Makes others see the flags: some servers keep them to themselves while the mailbox is selected. */
  settle(signal: AbortSignal): Promise<void>;
  unflagDeleted(set: string, signal: AbortSignal): Promise<boolean>;
  destination(policy: DeletePolicy, signal: AbortSignal): Promise<string | undefined>;
  /** Why the last command was refused. */
  refusal(what: string): UpstreamError;
}

export type RemovalMethod = 'move' | 'copy-and-expunge' | 'expunge' | 'flag';

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
    const problem = await carryOut(commands, { ...removal, uids }, method, signal);
    if (method === 'flag' && problem === undefined) await commands.settle(signal);
    const remaining = await commands.existing(uids, method === 'flag', signal);
    if (method === 'move' && remaining.length === uids.length && isUnsupported(problem?.cause)) {
      method = removalMethod(removal.policy, { canMove: false, canExpungeByUid: commands.canExpungeByUid });
      continue;
    }
    const onlyFlagged = method === 'flag' && removal.policy.action !== 'flag';
    if (method !== 'move' || remaining.length === 0 || remaining.length === uids.length) {
      return { remaining, problem, onlyFlagged };
    }
    // Dovecot moves none of them, and may call that OK, where another client has just removed one.
    uids = remaining;
  }
}

/** Messages that lie in the target already must not come there again, whatever the server has learned meanwhile. */
function methodAfterCopy({ canExpungeByUid }: RemovalCommands): RemovalMethod {
  return canExpungeByUid ? 'expunge' : 'flag';
}

/** Gives the first refusal, and stops there. A throw means that the outcome is unknown. */
async function carryOut(
  commands: RemovalCommands,
  removal: Removal,
  method: RemovalMethod,
  signal: AbortSignal,
): Promise<UpstreamError | undefined> {
  const { uids, policy } = removal;
  switch (method) {
    case 'flag':
      return each(commands, uids, '\\Deleted was not stored', (set) => commands.flagDeleted(set, signal));
    case 'expunge':
      return expunge(commands, uids, signal);
    case 'move': {
      const target = await destination(commands, policy, signal);
      if (target instanceof UpstreamError) return target;
      return each(commands, uids, `MOVE to ${target} was refused`, (set) => commands.move(set, target, signal));
    }
    case 'copy-and-expunge':
      return copyAndExpunge(commands, removal, signal);
  }
}

/** COPY can't be repeated without making duplicates: its stages go to the journal. What was not copied is not expunged. */
async function copyAndExpunge(commands: RemovalCommands, removal: Removal, signal: AbortSignal): Promise<UpstreamError | undefined> {
  const target = await destination(commands, removal.policy, signal);
  if (target instanceof UpstreamError) return target;
  await removal.onStage('copying');
  let copied: Uid[] = [];
  let refused: UpstreamError | undefined;
  for (const batch of uidBatches(removal.uids, MESSAGES_PER_COMMAND)) {
    const done = await commands.copy(batch, target, signal);
    if (done === undefined) {
      refused = commands.refusal(`COPY to ${target} was refused`);
      break;
    }
    copied = copied.concat(done);
  }
  // Only of all of them may the journal say so: at the next login they would be expunged without another look.
  if (copied.length === removal.uids.length) await removal.onStage('copied');
  const notExpunged = await expunge(commands, copied, signal);
  return refused ?? notExpunged;
}

/** What could not be expunged must not stay flagged: it would be hidden here and lie in wait for somebody's EXPUNGE. */
async function expunge(commands: RemovalCommands, uids: readonly Uid[], signal: AbortSignal): Promise<UpstreamError | undefined> {
  const refused = await each(commands, uids, 'UID EXPUNGE was refused', (set) => commands.flagAndExpunge(set, signal));
  if (refused === undefined) return undefined;
  for (const { set } of uidBatches(await commands.existing(uids, false, signal))) await commands.unflagDeleted(set, signal);
  return refused;
}

const ANSWERS: ReadonlySet<UpstreamFailureKind> = new Set(['missing', 'forbidden', 'refused']);

/** The target folder, or why the server has none: an answer, so it is known that nothing was removed. */
async function destination(commands: RemovalCommands, policy: DeletePolicy, signal: AbortSignal): Promise<string | UpstreamError> {
  try {
    return (await commands.destination(policy, signal)) ?? '';
  } catch (error) {
    if (error instanceof UpstreamError && ANSWERS.has(error.kind)) return error;
    throw error;
  }
}

async function each(
  commands: RemovalCommands,
  uids: readonly Uid[],
  what: string,
  command: (set: string) => Promise<boolean>,
): Promise<UpstreamError | undefined> {
  for (const { set } of uidBatches(uids, MESSAGES_PER_COMMAND)) {
    if (!(await command(set))) return commands.refusal(what);
  }
  return undefined;
}
