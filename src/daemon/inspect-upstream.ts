/** Logs in once and reports what an operator wants to know of an upstream before any client does. Changes nothing there. */
import type { Clock } from '../clock.ts';
import type { ViewConfig } from '../config/schema.ts';
import type { SizeVerdict } from '../store/store.ts';
import { removalMethod } from '../upstream/removal.ts';
import { NOTHING_KNOWN, type Listing, type UpstreamMailbox, type UpstreamSession } from '../upstream/upstream.ts';
import { upstreamPolicy } from './deletion.ts';
import type { UpstreamService } from './login.ts';
import { countOctets, judged, NOTHING_MEASURED } from './measure-sizes.ts';
import { foldersOf } from './maildrop-folders.ts';

/** One folder of the maildrop. */
export interface FolderReport {
  readonly folder: string;
  readonly messages: number;
  readonly uidValidity: number;
  readonly isReadOnly: boolean;
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
  const session = await logIn(signal);
  const loginMs = Math.round(clock.monotonic() - startedAt);
  try {
    const folders: FolderReport[] = [];
    let deletion = '';
    let sizes = NOTHING_MEASURED;
    for (const { path } of await foldersOf(view, session, () => Promise.resolve([]), signal)) {
      const mailbox = await session.select(path, signal);
      const listing = await mailbox.list(NOTHING_KNOWN, signal);
      deletion ||= await deletionOf(view, session, mailbox, signal);
      sizes = await judgeSizes(mailbox, listing, sizes, signal);
      folders.push({
        folder: mailbox.path,
        messages: listing.uids.length - listing.deleted.size,
        uidValidity: mailbox.uidValidity,
        isReadOnly: mailbox.isReadOnly,
      });
    }
    const { capabilities } = session.abilities;
    const facts = { upstream: service.id, loginMs, folders, deletion, sizes, capabilities, warnings: warningsFor(view, session, folders) };
    return { ...facts, lines: linesOf(facts) };
  } finally {
    await session.logout();
  }
}

/** Looks at some messages, the latest first; not at large ones. */
async function judgeSizes(mailbox: UpstreamMailbox, { added }: Listing, before: SizeVerdict, signal: AbortSignal): Promise<SizeVerdict> {
  let sizes = before;
  for (let row = added.uids.length - 1; row >= 0 && sizes.measured < LOOKED_AT; row -= 1) {
    const [uid, octets = 0] = [added.uids[row], added.octets[row]];
    if (uid === undefined || octets > LARGE_OCTETS) continue;
    sizes = judged(sizes, octets, await countOctets(mailbox, uid, octets, signal));
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
  const warnings: string[] = [];
  if (policy === undefined) return warnings;
  for (const { folder } of folders.filter(({ isReadOnly }) => isReadOnly)) warnings.push(`${folder} is read-only: DELE will be refused`);
  if (removalMethod(policy, powersOf(session)) === 'flag' && policy.action !== 'flag') {
    warnings.push(`the server lacks MOVE and UIDPLUS: delete.action "${policy.action}" can only flag messages \\Deleted`);
  }
  return warnings;
}

function powersOf({ abilities }: UpstreamSession): { readonly canMove: boolean; readonly canExpungeByUid: boolean } {
  return { canMove: abilities.move, canExpungeByUid: abilities.uidPlus };
}

function linesOf(report: Omit<UpstreamReport, 'lines'>): string[] {
  return [
    `login: ok in ${report.loginMs} ms`,
    ...report.folders.map(
      ({ folder, messages, uidValidity, isReadOnly }) =>
        `mailbox: ${folder}, ${messages} messages, UIDVALIDITY ${uidValidity}${isReadOnly ? ', read-only' : ''}`,
    ),
    `delete: ${report.deletion}`,
    sizesLine(report.sizes, 'looked at now'),
    `capabilities: ${report.capabilities.join(' ')}`,
    ...report.warnings.map((warning) => `warning: ${warning}`),
  ];
}
