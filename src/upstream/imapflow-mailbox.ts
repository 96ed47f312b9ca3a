/**
 * One selected mailbox over imapflow. imapflow answers many a refusal with `false` or with fewer rows instead of an error
 * (TRAPS 3.1): here every answer is checked, and rows are counted against what the mailbox holds.
 */
import { UpstreamError } from '../errors.ts';
import { MESSAGES_PER_COMMAND, uidBatches, type UidBatch } from '../imap/uid-set.ts';
import { messageIdIn, TELLING_FIELDS } from '../maildrop/message-id.ts';
import { asUid, isUid, type Uid, type UidValidity } from '../maildrop/numbers.ts';
import { fetchHeader, fetchWhole } from './imapflow-fetch.ts';
import { commandFailure } from './imapflow-failure.ts';
import { IDENTITY_KINDS } from '../maildrop/rematch.ts';
import { destinationFolder, expectedDestination, type FolderCommands } from './destination.ts';
import { listFolders } from './imapflow-folders.ts';
import type { OperationRunner } from './imapflow-upstream.ts';
import { removeMessages, type RemovalCommands } from './removal.ts';
import {
  NOTHING_KNOWN,
  type DeletePolicy,
  type FetchRequest,
  type FolderList,
  type KnownMailbox,
  type Listing,
  type ListingRows,
  type Removal,
  type RemovalResult,
  type RowsRequest,
  type UpstreamMailbox,
} from './upstream.ts';
import type { ChosenFolder } from '../imap/special-use.ts';

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
    // Another mailbox may have been used since this one was opened.
    if (!this.#isSelected) await this.#runner.run(signal, () => Promise.resolve());
    let attempt = await this.#tryList(known, signal);
    if (attempt === undefined) {
      // A NOOP lets the server tell of what was expunged meanwhile (RFC 3501 section 7.4.1).
      await this.#runner.run(signal, () => this.#flow.noop());
      attempt = await this.#tryList(known, signal);
    }
    if (attempt === 'others') {
      const anew = await this.list(NOTHING_KNOWN, signal);
      return { ...anew, isOther: true };
    }
    if (attempt === undefined) throw incomplete(this.path);
    return attempt;
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

  async rows(uids: readonly Uid[], { withMessageIds }: RowsRequest, signal: AbortSignal): Promise<ListingRows> {
    const rows = noRows();
    const query = { uid: true, size: true, internalDate: true, ...(withMessageIds ? { headers: [...TELLING_FIELDS] } : {}) };
    for (const batch of uidBatches(uids, MESSAGES_PER_COMMAND)) {
      const wanted = new Set<number>(batch.uids);
      const octetsOf = new Map<Uid, readonly [octets: number, arrival: number, identity: string | undefined]>();
      await this.#runner.runLong(signal, async () => {
        for await (const row of this.#flow.fetch(batch.set, query, { uid: true })) {
          if (!isUid(row.uid) || !wanted.has(row.uid)) continue;
          if (Buffer.isBuffer(row.headers)) rows.messageIds.set(row.uid, messageIdIn(row.headers) ?? '');
          // News of flags may come in between.
          if (row.size === undefined && row.internalDate === undefined) continue;
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

  async messageIds(uids: readonly Uid[], signal: AbortSignal): Promise<ReadonlyMap<Uid, string>> {
    const found = new Map<Uid, string>();
    for (const { set } of uidBatches(uids, MESSAGES_PER_COMMAND)) {
      await this.#runner.runLong(signal, async () => {
        for await (const row of this.#flow.fetch(set, { uid: true, headers: [...TELLING_FIELDS] }, { uid: true })) {
          if (isUid(row.uid) && Buffer.isBuffer(row.headers)) found.set(row.uid, messageIdIn(row.headers) ?? '');
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

  async unseen(signal: AbortSignal): Promise<ReadonlySet<Uid>> {
    return new Set(await this.#search({ seen: false }, signal));
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

  folders(signal: AbortSignal): Promise<FolderList> {
    return listFolders(this.#runner, signal);
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

  /** A whole listing; undefined when its parts don't agree, `others` when those known are not what they were. */
  async #tryList(known: KnownMailbox, signal: AbortSignal): Promise<Listing | 'others' | undefined> {
    const { uidValidity } = this;
    const uidNext = this.#uidNext();
    if (this.#exists() === 0) return { uidValidity, uidNext, uids: [], deleted: new Set(), added: noRows(), isOther: false };
    // It never goes back (RFC 3501 section 2.3.1.1), but where the mailbox does: then UIDs are given away a second time.
    if (uidNext > 0 && uidNext < known.uidNext) return 'others';
    const rest = (await this.#onlyCame(known, uidNext, signal)) ?? (await this.#allOf(known, signal));
    if (rest === undefined || rest === 'others') return rest;
    if (rest.uids.length !== this.#exists()) return undefined;
    const deleted = new Set(await this.#search({ deleted: true }, signal));
    return { uidValidity, uidNext, ...rest, deleted, isOther: false };
  }

  /** By the live UIDs. */
  async #allOf(known: KnownMailbox, signal: AbortSignal): Promise<Part | 'others' | undefined> {
    const uids = await this.#search({ all: true }, signal);
    const unknown = uids.filter((uid) => known.arrivalOf(uid) === undefined);
    const last = uids.findLast((uid) => known.arrivalOf(uid) !== undefined);
    const added = await this.#rowsAfter(known, last, unknown, signal);
    return added === 'others' || added.uids.length === unknown.length ? asPart(uids, added) : undefined;
  }

  /**
   * Rows of unknown messages, and with them of the last known one: where a mailbox was set back in time its UIDs are given away a second
   * time, to other messages, and the last is among them.
   */
  async #rowsAfter(
    known: KnownMailbox,
    last: Uid | undefined,
    unknown: readonly Uid[],
    signal: AbortSignal,
  ): Promise<ListingRows | 'others'> {
    const asked = last === undefined || unknown.length === 0 ? unknown : [...unknown, last].sort((one, other) => one - other);
    const rows = await this.rows(asked, { withMessageIds: false }, signal);
    const place = last === undefined ? -1 : rows.uids.indexOf(last);
    if (last === undefined || place < 0) return rows;
    const before = known.arrivalOf(last) ?? 0;
    const isOther = before > 0 && (rows.arrivals[place] ?? 0) > 0 && rows.arrivals[place] !== before;
    for (const column of [rows.uids, rows.octets, rows.arrivals, rows.identities]) column.splice(place, 1);
    return isOther ? 'others' : rows;
  }

  /**
   * Where messages came and none went, which their number tells, only the new ones are looked at: new UIDs are above all others
   * (RFC 3501 section 2.3.1.1). Undefined where that can't be said.
   */
  async #onlyCame(known: KnownMailbox, uidNext: number, signal: AbortSignal): Promise<Part | 'others' | undefined> {
    const last = known.uids().at(-1);
    // A server whose UIDNEXT is no more than a UID that it gave away tells nothing by it.
    if (known.uidNext === 0 || known.uidNext <= (last ?? 0) || uidNext < known.uidNext) return undefined;
    if (uidNext === known.uidNext) return known.count === this.#exists() ? { uids: known.uids(), added: noRows() } : undefined;
    const before = this.#exists();
    if (known.count >= before || uidNext - known.uidNext > MESSAGES_PER_COMMAND) return undefined;
    const added = await this.#rowsAfter(known, last, uidRange(known.uidNext, uidNext), signal);
    if (added === 'others') return added;
    // What came meanwhile could make up for what went.
    const isWhole = known.count + added.uids.length === before && before === this.#exists();
    return isWhole ? { uids: [...known.uids(), ...added.uids], added } : undefined;
  }

  /** As SELECT told it; 0 where it didn't. */
  #uidNext(): number {
    const selected = this.#flow.mailbox;
    return selected !== false && isUid(selected.uidNext) ? selected.uidNext : 0;
  }

  #exists(): number {
    const selected = this.#flow.mailbox;
    if (selected === false || !this.#isSelected) throw new UpstreamError('unreachable', `${this.path} is no longer selected`);
    return selected.exists;
  }

  get #isSelected(): boolean {
    const selected = this.#flow.mailbox;
    return selected !== false && selected.path === this.path && Number(selected.uidValidity) === this.uidValidity;
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

/** What is listed in one way or another. */
type Part = Pick<Listing, 'uids' | 'added'>;

function asPart(uids: readonly Uid[], added: ListingRows | 'others'): Part | 'others' {
  return added === 'others' ? added : { uids, added };
}

function noRows(): ListingRows {
  return { uids: [], octets: [], arrivals: [], identities: [], messageIds: new Map() };
}

function incomplete(path: string): UpstreamError {
  return new UpstreamError('incomplete', `the server's listing of ${path} does not add up, twice`);
}

/** Every UID that may be between both, the second not among them. */
function uidRange(from: number, to: number): Uid[] {
  return Array.from({ length: to - from }, (_, index) => asUid(from + index));
}

function seconds(date: Date | string | undefined): number {
  return date instanceof Date ? Math.floor(date.getTime() / 1000) : 0;
}
