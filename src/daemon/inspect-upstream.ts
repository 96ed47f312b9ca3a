/** Logs in once and reports what an operator wants to know of an upstream before any client does. Changes nothing there. */
import type { Clock } from '../clock.ts';
import { removalMethod } from '../upstream/removal.ts';
import { NOTHING_KNOWN, type UpstreamLogin, type UpstreamMailbox, type UpstreamSession } from '../upstream/upstream.ts';
import type { UpstreamService } from './login.ts';

export interface UpstreamReport {
  readonly upstream: string;
  readonly loginMs: number;
  readonly folder: string;
  readonly messages: number;
  readonly uidValidity: number;
  readonly isReadOnly: boolean;
  readonly deletion: string;
  readonly capabilities: readonly string[];
  readonly warnings: readonly string[];
  /** The same for people. */
  readonly lines: readonly string[];
}

/** Rejects as a login does: CredentialsError or UpstreamError. */
export async function inspectUpstream(service: UpstreamService, login: UpstreamLogin, clock: Clock): Promise<UpstreamReport> {
  const signal = new AbortController().signal;
  const startedAt = clock.monotonic();
  const session = await service.upstream.login(login, signal);
  const loginMs = Math.round(clock.monotonic() - startedAt);
  try {
    const mailbox = await session.select(service.folder, signal);
    const listing = await mailbox.list(NOTHING_KNOWN, signal);
    const warnings = warningsFor(service, session, mailbox);
    const facts = {
      upstream: service.id,
      loginMs,
      folder: mailbox.path,
      messages: listing.uids.length - listing.deleted.size,
      uidValidity: mailbox.uidValidity,
      isReadOnly: mailbox.isReadOnly,
      deletion: await deletionOf(service, session, mailbox, signal),
      capabilities: session.abilities.capabilities,
      warnings,
    };
    return { ...facts, lines: linesOf(facts) };
  } finally {
    await session.logout();
  }
}

async function deletionOf(
  service: UpstreamService,
  session: UpstreamSession,
  mailbox: UpstreamMailbox,
  signal: AbortSignal,
): Promise<string> {
  const method = methodOf(service, session);
  if (method === 'flag') return 'flag \\Deleted';
  if (method === 'expunge') return 'UID EXPUNGE';
  const target = await mailbox.expectedDestination(service.policy, signal);
  return `${method === 'move' ? 'MOVE' : 'COPY + UID EXPUNGE'} to ${target.path}${target.mustBeCreated ? ' (to be created)' : ''}`;
}

function warningsFor(service: UpstreamService, session: UpstreamSession, mailbox: UpstreamMailbox): string[] {
  const warnings: string[] = [];
  if (mailbox.isReadOnly) warnings.push('the mailbox is read-only: DELE will be refused');
  if (methodOf(service, session) === 'flag' && service.policy.action !== 'flag') {
    warnings.push(`the server lacks MOVE and UIDPLUS: delete.action "${service.policy.action}" can only flag messages \\Deleted`);
  }
  return warnings;
}

function methodOf(service: UpstreamService, session: UpstreamSession): ReturnType<typeof removalMethod> {
  return removalMethod(service.policy, { canMove: session.abilities.move, canExpungeByUid: session.abilities.uidPlus });
}

function linesOf(report: Omit<UpstreamReport, 'lines'>): string[] {
  return [
    `login: ok in ${report.loginMs} ms`,
    `mailbox: ${report.folder}, ${report.messages} messages, UIDVALIDITY ${report.uidValidity}${report.isReadOnly ? ', read-only' : ''}`,
    `delete: ${report.deletion}`,
    `capabilities: ${report.capabilities.join(' ')}`,
    ...report.warnings.map((warning) => `warning: ${warning}`),
  ];
}
