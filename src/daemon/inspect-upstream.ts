/** Logs in once and reports what an operator wants to know of an upstream before any client does. Changes nothing there. */
import type { Clock } from '../clock.ts';
import type { ViewConfig } from '../config/schema.ts';
import { isRefusal, UpstreamError } from '../errors.ts';
import type { SizeVerdict } from '../store/store.ts';
import { removalMethod } from '../upstream/removal.ts';
import { NOTHING_KNOWN, type Listing, type UpstreamMailbox, type UpstreamSession } from '../upstream/upstream.ts';
import { upstreamPolicy } from './deletion.ts';
import { fatal, mayBeSkipped } from './list-mailboxes.ts';
import { MAX_ATTEMPTS, type UpstreamService } from './login.ts';
import { countOctets, isOfOneMessage, judged, NOTHING_MEASURED } from './measure-sizes.ts';
import { foldersOf, noneMatches, type MaildropFolder } from './maildrop-folders.ts';

/** One folder of the maildrop. */
export interface FolderReport {
  readonly folder: string;
  readonly messages: number;
  readonly uidValidity: number;
  readonly isReadOnly: boolean;
  /** Messages among them that the server does not list: a session shows them, and reading one is an error. */
  readonly unlisted: number;
}

export interface UpstreamReport {
  readonly upstream: string;
  readonly loginMs: number;
  readonly folders: readonly FolderReport[];
  readonly deletion: string;
  /** How often RFC822.SIZE was what RETR sends, of the messages looked at now. */
  readonly sizes: SizeVerdict;
  /** The same of all messages that the daemon ever read, where its state is at hand. */
  readonly sizesBefore?: SizeVerdict;
  readonly capabilities: readonly string[];
  readonly warnings: readonly string[];
  /** The same for people. */
  readonly lines: readonly string[];
}

/** Rejects as a login does: CredentialsError or UpstreamError. */
export async function inspectUpstream(
  service: UpstreamService,
  view: ViewConfig,
  logIn: (signal: AbortSignal) => Promise<UpstreamSession>,
  clock: Clock,
): Promise<UpstreamReport> {
  const signal = new AbortController().signal;
  const startedAt = clock.monotonic();
  let session = await logIn(signal);
  const loginMs = Math.round(clock.monotonic() - startedAt);
  try {
    for (let attempts = 1; ; attempts += 1) {
      try {
        return await inspect(session, { upstream: service.id, loginMs }, view, signal);
      } catch (error) {
        // As at a login: the message over which the server ended the connection is found by asking again.
        const isCut = error instanceof UpstreamError && error.kind === 'cut-while-listing';
        if (!isCut || attempts === MAX_ATTEMPTS) throw error;
        session.destroy();
        session = await logIn(signal);
      }
    }
  } finally {
    await session.logout();
  }
}

async function inspect(
  session: UpstreamSession,
  login: Pick<UpstreamReport, 'upstream' | 'loginMs'>,
  view: ViewConfig,
  signal: AbortSignal,
): Promise<UpstreamReport> {
  const folders: FolderReport[] = [];
  const leftOut: { readonly folder: string; readonly error: UpstreamError }[] = [];
  let deletion = '';
  let sizes = NOTHING_MEASURED;
  for (const folder of await foldersOf(view, session, () => Promise.resolve([]), signal)) {
    try {
      if (!folder.isNamed && session.isFatal(folder.path)) throw fatal(folder);
      const mailbox = await session.select(folder.path, signal);
      const listing = await mailbox.list(NOTHING_KNOWN, signal);
      deletion ||= await deletionOf(view, session, mailbox, signal);
      sizes = await judgeSizes(mailbox, listing, sizes, signal);
      folders.push(folderReport(mailbox, listing));
    } catch (error) {
      leftOut.push({ folder: folder.path, error: orThrown(error, folder, session) });
    }
  }
  if (folders.length === 0) throw leftOut[0]?.error ?? noneMatches(view);
  const { capabilities } = session.abilities;
  const warnings = [
    ...leftOut.map(({ folder, error }) => `${folder}: the server does not open it, so it is left out: ${error.message}`),
    ...warningsFor(view, session, folders),
  ];
  const facts = { ...login, folders, deletion, sizes, capabilities, warnings };
  return { ...facts, lines: linesOf(facts) };
}

function folderReport(mailbox: UpstreamMailbox, { uids, deleted, added }: Listing): FolderReport {
  const { path, uidValidity, isReadOnly } = mailbox;
  return { folder: path, messages: uids.length - deleted.size, uidValidity, isReadOnly, unlisted: added.untold?.length ?? 0 };
}

/** Gives the error of a folder without which a login goes on; throws any other, with the folder's name where the server refused that folder. */
function orThrown(error: unknown, folder: MaildropFolder, session: UpstreamSession): UpstreamError {
  if (!(error instanceof UpstreamError)) throw error;
  if (mayBeSkipped(error, folder, { session, isShown: false })) return error;
  throw isRefusal(error) ? new UpstreamError(error.kind, `${folder.path}: ${error.message}`, { cause: error }) : error;
}

/** Looks at some messages, the latest first; not at large ones. */
async function judgeSizes(mailbox: UpstreamMailbox, { added }: Listing, before: SizeVerdict, signal: AbortSignal): Promise<SizeVerdict> {
  let sizes = before;
  for (let row = added.uids.length - 1; row >= 0 && sizes.measured < LOOKED_AT; row -= 1) {
    const [uid, octets = 0] = [added.uids[row], added.octets[row]];
    if (uid === undefined || octets > LARGE_OCTETS) continue;
    if (added.untold?.includes(uid) === true) continue;
    try {
      sizes = judged(sizes, octets, await countOctets(mailbox, uid, octets, signal));
    } catch (error) {
      // A message that can't be read says nothing about sizes. A session tells its client when it is read.
      if (!isOfOneMessage(error)) throw error;
    }
  }
  return sizes;
}

const LOOKED_AT = 10;
const LARGE_OCTETS = 256 * 1024;

/** The verdict in words; `seen` says over which messages. */
export function sizesLine({ measured, differing, largest }: SizeVerdict, seen: string): string {
  if (measured === 0) return `sizes: none known ${seen}`;
  const exact = `sizes: RFC822.SIZE is what RETR sends for ${measured - differing} of ${measured} messages ${seen}`;
  return differing === 0 ? exact : `${exact}; off by up to ${largest} octets`;
}

async function deletionOf(view: ViewConfig, session: UpstreamSession, mailbox: UpstreamMailbox, signal: AbortSignal): Promise<string> {
  const policy = upstreamPolicy(view.delete);
  if (policy === undefined) return 'hidden from POP3, nothing upstream';
  const method = removalMethod(policy, powersOf(session));
  if (method === 'flag') return 'flag \\Deleted';
  if (method === 'expunge') return 'UID EXPUNGE';
  const target = await mailbox.expectedDestination(policy, signal);
  return `${method === 'move' ? 'MOVE' : 'COPY + UID EXPUNGE'} to ${target.path}${target.mustBeCreated ? ' (to be created)' : ''}`;
}

function warningsFor(view: ViewConfig, session: UpstreamSession, folders: readonly FolderReport[]): string[] {
  const policy = upstreamPolicy(view.delete);
  const warnings = folders.flatMap(({ folder, unlisted }) => (unlisted === 0 ? [] : [`${folder}: ${unlistedText(unlisted)}`]));
  if (policy === undefined) return warnings;
  for (const { folder } of folders.filter(({ isReadOnly }) => isReadOnly)) warnings.push(`${folder} is read-only: DELE will be refused`);
  if (removalMethod(policy, powersOf(session)) === 'flag' && policy.action !== 'flag') {
    warnings.push(`the server lacks MOVE and UIDPLUS: delete.action "${policy.action}" can only flag messages \\Deleted`);
  }
  return warnings;
}

function unlistedText(count: number): string {
  return count === 1
    ? 'the server does not list 1 message; LIST gives it 0 octets, and reading it is an error'
    : `the server does not list ${count} messages; LIST gives them 0 octets, and reading one is an error`;
}

function powersOf({ abilities }: UpstreamSession): { readonly canMove: boolean; readonly canExpungeByUid: boolean } {
  return { canMove: abilities.move, canExpungeByUid: abilities.uidPlus };
}

function linesOf(report: Omit<UpstreamReport, 'lines'>): string[] {
  return [
    `login: ok in ${report.loginMs} ms`,
    ...report.folders.map(
      ({ folder, messages, uidValidity, isReadOnly }) =>
        `mailbox: ${folder}, ${messages} ${messages === 1 ? 'message' : 'messages'}, UIDVALIDITY ${uidValidity}${isReadOnly ? ', read-only' : ''}`,
    ),
    `delete: ${report.deletion}`,
    sizesLine(report.sizes, 'looked at now'),
    `capabilities: ${report.capabilities.join(' ')}`,
    ...report.warnings.map((warning) => `warning: ${warning}`),
  ];
}
