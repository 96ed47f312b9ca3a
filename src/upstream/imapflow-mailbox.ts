/**
 * One selected mailbox over imapflow. imapflow answers many a refusal with `false` or with fewer rows instead of an error
 * (TRAPS 3.1): here every answer is checked, and rows are counted against what the mailbox holds.
 */
import { UpstreamError } from '../errors.ts';
import { isPersonal, isTopLevel } from '../imap/namespaces.ts';
import { MESSAGES_PER_COMMAND, uidBatches, type UidBatch } from '../imap/uid-set.ts';
import { messageIdIn } from '../maildrop/message-id.ts';
import { isUid, type Uid, type UidValidity } from '../maildrop/numbers.ts';
import { fetchHeader, fetchWhole } from './imapflow-fetch.ts';
import { commandFailure } from './imapflow-failure.ts';
import { IDENTITY_KINDS } from '../maildrop/rematch.ts';
import { destinationFolder, expectedDestination, type FolderCommands } from './destination.ts';
import type { OperationRunner } from './imapflow-upstream.ts';
import { removeMessages, type RemovalCommands } from './removal.ts';
import type {
  DeletePolicy,
  FetchRequest,
  KnownMailbox,
  Listing,
  ListingRows,
  Removal,
  RemovalResult,
  UpstreamMailbox,
} from './upstream.ts';
import type { ChosenFolder, ListedFolder } from '../imap/special-use.ts';

export class ImapflowMailbox implements UpstreamMailbox, RemovalCommands, FolderCommands {
  readonly path: string;
  readonly uidValidity: UidValidity;
  readonly isReadOnly: boolean;
  readonly #runner: OperationRunner;

  constructor(
    runner: OperationRunner,
    selected: { readonly path: string; readonly uidValidity: UidValidity; readonly isReadOnly: boolean },
  ) {
    this.#runner = runner;
    this.path = selected.path;
    this.uidValidity = selected.uidValidity;
    this.isReadOnly = selected.isReadOnly;
  }

  get canMove(): boolean {
    return this.#flow.capabilities.has('MOVE');
  }

  get canExpungeByUid(): boolean {
    return this.#flow.capabilities.has('UIDPLUS');
  }

  /** A listing that does not add up is asked for once more: some servers now and then leave rows out. */
  async list(known: KnownMailbox, signal: AbortSignal): Promise<Listing> {
    const first = await this.#tryList(known, signal);
    if (first !== undefined) return first;
    // A NOOP lets the server tell of what was expunged meanwhile (RFC 3501 section 7.4.1).
    await this.#runner.run(signal, () => this.#flow.noop());
    const second = await this.#tryList(known, signal);
    if (second === undefined) throw incomplete(this.path);
    return second;
  }

  async *fetch(request: FetchRequest, signal: AbortSignal): AsyncGenerator<Uint8Array, void, void> {
    try {
      if (request.part === 'header') yield* fetchHeader(this.#runner, request, signal);
      else yield* fetchWhole(this.#runner, request, signal);
    } catch (error) {
      throw error instanceof UpstreamError && error.kind === 'message-unreadable'
        ? await this.#whyUnreadable(request.uid, error, signal)
        : error;
    }
  }

  async messageIds(uids: readonly Uid[], signal: AbortSignal): Promise<ReadonlyMap<Uid, string>> {
    const found = new Map<Uid, string>();
    for (const { set } of uidBatches(uids, MESSAGES_PER_COMMAND)) {
      await this.#runner.runLong(signal, async () => {
        for await (const row of this.#flow.fetch(set, { uid: true, headers: ['message-id'] }, { uid: true })) {
          const messageId = Buffer.isBuffer(row.headers) ? messageIdIn(row.headers) : undefined;
          if (isUid(row.uid) && messageId !== undefined) found.set(row.uid, messageId);
        }
      });
    }
    return found;
  }

  async addSeen(uids: readonly Uid[], signal: AbortSignal): Promise<void> {
    for (const { set } of uidBatches(uids, MESSAGES_PER_COMMAND)) {
      const stored = await this.#runner.run(signal, () => this.#flow.messageFlagsAdd(set, ['\\Seen'], { uid: true, silent: true }));
      if (!stored) throw this.refusal('\\Seen was not stored');
    }
  }

  remove(removal: Removal, signal: AbortSignal): Promise<RemovalResult> {
    return removeMessages(this, removal, signal);
  }

  destination(policy: DeletePolicy, signal: AbortSignal): Promise<string | undefined> {
    return destinationFolder(this, policy, signal);
  }

  expectedDestination(policy: DeletePolicy, signal: AbortSignal): Promise<ChosenFolder> {
    return expectedDestination(this, policy, signal);
  }

  // RemovalCommands: each answers whether the server agreed, and throws when it can't be known.

  async existing(uids: readonly Uid[], onlyUndeleted: boolean, signal: AbortSignal): Promise<Uid[]> {
    let found: Uid[] = [];
    for (const { set } of uidBatches(uids)) {
      found = found.concat(await this.#search(onlyUndeleted ? { uid: set, deleted: false } : { uid: set }, signal));
    }
    return found;
  }

  move(set: string, target: string, signal: AbortSignal): Promise<boolean> {
    if (!this.canMove) throw new UpstreamError('protocol', 'MOVE is not offered');
    return this.#agreed(signal, () => this.#flow.messageMove(set, target, { uid: true }));
  }

  async copy({ set, uids }: UidBatch, target: string, signal: AbortSignal): Promise<readonly Uid[] | undefined> {
    let copied: ReadonlyMap<number, number> | undefined;
    const hasAgreed = await this.#agreed(signal, async () => {
      const answer = await this.#flow.messageCopy(set, target, { uid: true });
      copied = answer === false ? undefined : answer?.uidMap;
      return answer;
    });
    if (!hasAgreed) return undefined;
    return uids.filter((uid) => copied?.has(uid) ?? true);
  }

  /** STORE \Deleted and UID EXPUNGE. Never without UIDPLUS: imapflow would send a bare EXPUNGE. */
  flagAndExpunge(set: string, signal: AbortSignal): Promise<boolean> {
    if (!this.canExpungeByUid) throw new UpstreamError('protocol', 'UIDPLUS is not offered');
    return this.#agreed(signal, () => this.#flow.messageDelete(set, { uid: true }));
  }

  flagDeleted(set: string, signal: AbortSignal): Promise<boolean> {
    return this.#agreed(signal, () => this.#flow.messageFlagsAdd(set, ['\\Deleted'], { uid: true, silent: true }));
  }

  unflagDeleted(set: string, signal: AbortSignal): Promise<boolean> {
    return this.#agreed(signal, () => this.#flow.messageFlagsRemove(set, ['\\Deleted'], { uid: true, silent: true }));
  }

  refusal(what: string): UpstreamError {
    const reason = this.#runner.client.takeRefusal();
    if (reason === undefined) return new UpstreamError('refused', what);
    const failure = commandFailure(reason);
    return new UpstreamError(failure.kind, `${what}: ${failure.message}`, { cause: reason, retryAfterMs: failure.retryAfterMs });
  }

  // FolderCommands

  async folders(signal: AbortSignal): Promise<{ readonly folders: ListedFolder[]; readonly prefix: string }> {
    const listed = await this.#runner.run(signal, () => this.#flow.list());
    const { personal, other, shared } = this.#flow.namespaces ?? {};
    const namespaces = { personal: prefixes(personal), foreign: [...prefixes(other), ...prefixes(shared)] };
    const folders = listed.map((folder): ListedFolder => ({
      path: folder.path,
      isSelectable: !folder.flags.has('\\Noselect') && !folder.flags.has('\\NonExistent'),
      role: isPersonal(folder.path, namespaces) ? roleIn(folder.flags) : undefined,
      namedRole: isTopLevel(folder, namespaces) ? roleIn(new Set([folder.specialUse])) : undefined,
    }));
    return { folders, prefix: this.#flow.namespace?.prefix ?? '' };
  }

  async createFolder(path: string, signal: AbortSignal): Promise<string> {
    const created = await this.#runner.run(signal, () => this.#flow.mailboxCreate(path));
    await this.#runner.run(signal, () => this.#flow.mailboxSubscribe(created.path));
    return created.path;
  }

  get #flow(): OperationRunner['client']['flow'] {
    return this.#runner.client.flow;
  }

  async #agreed(signal: AbortSignal, command: () => Promise<unknown>): Promise<boolean> {
    const answer = await this.#runner.run(signal, command);
    const hasAgreed = answer !== false && answer !== undefined;
    // imapflow answers `false` to a lost connection too; then nobody knows what the server did.
    if (!hasAgreed && this.#runner.client.wasCutOff) {
      throw new UpstreamError('unreachable', 'the connection was lost while the server was at work');
    }
    return hasAgreed;
  }

  /** A whole listing, or undefined when its parts don't agree. */
  async #tryList(known: KnownMailbox, signal: AbortSignal): Promise<Listing | undefined> {
    const { uidValidity } = this;
    const uidNext = this.#uidNext();
    if (this.#exists() === 0) return { uidValidity, uidNext, uids: [], deleted: new Set(), added: noRows() };
    const isUnchanged = this.#isUnchanged(known, uidNext);
    const uids = isUnchanged ? known.uids() : await this.#search({ all: true }, signal);
    if (uids.length !== this.#exists()) return undefined;
    const deleted = new Set(await this.#search({ deleted: true }, signal));
    const unknown = isUnchanged ? [] : uids.filter((uid) => !known.has(uid));
    const added = await this.#rows(unknown, signal);
    return added.uids.length === unknown.length ? { uidValidity, uidNext, uids, deleted, added } : undefined;
  }

  /** Without a new UID nothing came, and with as many messages as before nothing went (RFC 3501 section 2.3.1.1). */
  #isUnchanged(known: KnownMailbox, uidNext: number): boolean {
    if (uidNext === 0 || uidNext !== known.uidNext || known.count !== this.#exists()) return false;
    // A server whose UIDNEXT is no more than a UID that it gave away tells nothing by it.
    return uidNext > (known.uids().at(-1) ?? 0);
  }

  /** As SELECT told it; 0 where it didn't. */
  #uidNext(): number {
    const selected = this.#flow.mailbox;
    return selected !== false && isUid(selected.uidNext) ? selected.uidNext : 0;
  }

  #exists(): number {
    const selected = this.#flow.mailbox;
    if (selected === false || selected.path !== this.path || Number(selected.uidValidity) !== this.uidValidity) {
      throw new UpstreamError('unreachable', `${this.path} is no longer selected`);
    }
    return selected.exists;
  }

  async #rows(uids: readonly Uid[], signal: AbortSignal): Promise<ListingRows> {
    const rows = noRows();
    for (const batch of uidBatches(uids, MESSAGES_PER_COMMAND)) {
      const wanted = new Set<number>(batch.uids);
      const octetsOf = new Map<Uid, readonly [octets: number, arrival: number, identity: string | undefined]>();
      await this.#runner.runLong(signal, async () => {
        for await (const row of this.#flow.fetch(batch.set, { uid: true, size: true, internalDate: true }, { uid: true })) {
          if (!isUid(row.uid) || !wanted.has(row.uid)) continue;
          octetsOf.set(row.uid, [row.size ?? 0, seconds(row.internalDate), this.#identity(row.emailId)]);
        }
      });
      for (const uid of batch.uids) {
        const row = octetsOf.get(uid);
        if (row === undefined) continue;
        rows.uids.push(uid);
        rows.octets.push(row[0]);
        rows.arrivals.push(row[1]);
        rows.identities.push(row[2]);
      }
    }
    return rows;
  }

  /** imapflow asks for EMAILID, else for X-GM-MSGID, where the server has it. */
  #identity(emailId: string | undefined): string | undefined {
    if (typeof emailId !== 'string' || emailId === '') return undefined;
    return (this.#flow.capabilities.has('OBJECTID') ? IDENTITY_KINDS.emailId : IDENTITY_KINDS.gmailId) + emailId;
  }

  /** UIDs found, ascending and each once, all of them valid. */
  async #search(query: Parameters<OperationRunner['client']['flow']['search']>[0], signal: AbortSignal): Promise<Uid[]> {
    const found = await this.#runner.runLong(signal, () => this.#flow.search(query, { uid: true }));
    if (!Array.isArray(found)) throw this.refusal('UID SEARCH was refused');
    const uids = found.filter(isUid);
    if (uids.length !== found.length) throw new UpstreamError('protocol', 'UID SEARCH gave something that is no UID');
    return uids;
  }

  /** No octets came: is the message gone, or can the server not read it? */
  async #whyUnreadable(uid: Uid, error: UpstreamError, signal: AbortSignal): Promise<UpstreamError> {
    const [still] = await this.existing([uid], false, signal);
    return still === undefined ? new UpstreamError('message-gone', `message with UID ${uid} is gone`, { cause: error }) : error;
  }
}

function noRows(): ListingRows {
  return { uids: [], octets: [], arrivals: [], identities: [] };
}

function incomplete(path: string): UpstreamError {
  return new UpstreamError('incomplete', `the server's listing of ${path} does not add up, twice`);
}

function seconds(date: Date | string | undefined): number {
  return date instanceof Date ? Math.floor(date.getTime() / 1000) : 0;
}

function prefixes(namespaces: readonly { readonly prefix: string }[] | false | undefined): string[] {
  return (namespaces || []).map(({ prefix }) => prefix);
}

function roleIn(flags: ReadonlySet<string | undefined>): ListedFolder['role'] {
  if (flags.has('\\Trash')) return 'trash';
  return flags.has('\\Archive') ? 'archive' : undefined;
}
