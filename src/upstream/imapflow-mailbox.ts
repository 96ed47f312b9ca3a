/**
 * One selected mailbox. imapflow answers many a refusal with `false` or with fewer rows instead of an error (TRAPS 3.1): here every answer
 * is checked, and rows are counted against what the mailbox holds. What is much goes through the pipeline.
 */
import { UpstreamError } from '../errors.ts';
import { MESSAGES_PER_COMMAND, uidBatches, type UidBatch } from '../imap/uid-set.ts';
import type { ChosenFolder } from '../imap/special-use.ts';
import { asUid, type Uid, type UidValidity } from '../maildrop/numbers.ts';
import type { MailboxBodies } from './body-cache.ts';
import { destinationFolder, expectedDestination, type FolderCommands } from './destination.ts';
import type { SelectedMailbox } from './imap-connection.ts';
import { fetchHeader, fetchWhole } from './imapflow-fetch.ts';
import { commandFailure } from './imapflow-failure.ts';
import { listFolders } from './imapflow-folders.ts';
import type { MailboxRunner } from './imap-session.ts';
import type { ListingAhead } from './listing-ahead.ts';
import { messageIdsOf, noRows, rowsOf, rowsOfAll, search, searchDeleted } from './mailbox-listing.ts';
import { MessageReader } from './message-reader.ts';
import type { ReadAheadBudget } from './read-ahead.ts';
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

export interface MailboxOptions {
  readonly budget: ReadAheadBudget;
  readonly bodies: MailboxBodies;
  readonly isPlain: boolean;
  /** What was asked for together with SELECT, or a moment ago. */
  readonly ahead: Promise<ListingAhead | undefined> | undefined;
}

export class ImapflowMailbox implements UpstreamMailbox, RemovalCommands, FolderCommands {
  readonly path: string;
  readonly uidValidity: UidValidity;
  readonly isReadOnly: boolean;
  readonly #runner: MailboxRunner;
  readonly #options: MailboxOptions;
  #selected: SelectedMailbox;
  readonly #reader: MessageReader;

  constructor(runner: MailboxRunner, selected: SelectedMailbox, options: MailboxOptions) {
    this.#runner = runner;
    this.#selected = selected;
    this.#options = options;
    this.#reader = new MessageReader(runner, selected, options.budget, options.bodies);
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
    let attempt = await this.#tryList(known, await this.#options.ahead, signal);
    if (attempt === undefined) {
      // Selected afresh, the server has to tell of what was expunged meanwhile (RFC 3501 section 7.4.1).
      await this.#selectAfresh(signal);
      attempt = await this.#tryList(known, undefined, signal);
    }
    if (attempt === 'others') {
      this.#options.bodies.forget();
      const anew = await this.list(NOTHING_KNOWN, signal);
      return { ...anew, isOther: true };
    }
    if (attempt === undefined) throw incomplete(this.path);
    return attempt;
  }

  async *fetch(request: FetchRequest, signal: AbortSignal): AsyncGenerator<Uint8Array, void, void> {
    try {
      if (!this.#options.isPlain) yield* this.#reader.read(request, signal);
      else if (request.part === 'header') yield* fetchHeader(this.#runner, request, signal);
      else yield* fetchWhole(this.#runner, request, signal);
    } catch (error) {
      throw error instanceof UpstreamError && error.kind === 'message-unreadable'
        ? await this.#whyUnreadable(request.uid, error, signal)
        : error;
    }
  }

  /** Nothing will be read any more. */
  close(): void {
    this.#reader.close();
  }

  rows(uids: readonly Uid[], { withMessageIds }: RowsRequest, signal: AbortSignal): Promise<ListingRows> {
    return rowsOf(this.#runner, uids, withMessageIds, signal);
  }

  messageIds(uids: readonly Uid[], signal: AbortSignal): Promise<ReadonlyMap<Uid, string>> {
    return messageIdsOf(this.#runner, uids, signal);
  }

  async addSeen(uids: readonly Uid[], signal: AbortSignal): Promise<void> {
    for (const { set } of uidBatches(uids, MESSAGES_PER_COMMAND)) {
      await this.#runner.command(`UID STORE ${set} +FLAGS.SILENT (\\Seen)`, signal, undefined, { isPatient: true });
    }
  }

  async unseen(signal: AbortSignal): Promise<ReadonlySet<Uid>> {
    return new Set(await search(this.#runner, 'UNSEEN', signal));
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
      found = found.concat(await search(this.#runner, onlyUndeleted ? `UID ${set} UNDELETED` : `UID ${set}`, signal));
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

  settle(signal: AbortSignal): Promise<void> {
    this.#runner.count();
    return this.#runner.connection.settle(this.#selected, signal);
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
    // It is subscribed to as well, which other clients need to show it.
    return (await this.#runner.run(signal, () => this.#flow.mailboxCreate(path))).path;
  }

  get #flow(): MailboxRunner['client']['flow'] {
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
  async #tryList(known: KnownMailbox, ahead: ListingAhead | undefined, signal: AbortSignal): Promise<Listing | 'others' | undefined> {
    const { uidValidity } = this;
    const { uidNext, exists } = this.#selected;
    if (exists === 0) return { uidValidity, uidNext, uids: [], deleted: new Set(), added: noRows(), ...AS_LISTED };
    // It never goes back (RFC 3501 section 2.3.1.1), but where the mailbox does: then UIDs are given away a second time.
    if (uidNext > 0 && uidNext < known.uidNext) return 'others';
    const deleted = ahead?.deleted ?? searchDeleted(this.#runner, signal);
    if (this.#isAsKnown(known)) return unchanged(known, { uidValidity, uidNext, deleted: await deleted });
    const [rest, flagged] = await Promise.all([this.#changesOf(known, this.#stillAsOf(ahead)?.rows, signal), deleted]);
    if (rest === undefined || rest === 'others') return rest;
    return rest.uids.length === exists ? { uidValidity, uidNext, ...rest, deleted: flagged, ...AS_LISTED } : undefined;
  }

  /** It tells of the mailbox as it is since it was selected. */
  #stillAsOf(ahead: ListingAhead | undefined): ListingAhead | undefined {
    return ahead?.news === this.#selected.news && this.#isUnchanged ? ahead : undefined;
  }

  async #changesOf(known: KnownMailbox, all: ListingRows | undefined, signal: AbortSignal): Promise<Part | 'others' | undefined> {
    const { uidNext, exists } = this.#selected;
    if (known.count === 0 && all?.uids.length === exists) return { uids: all.uids, added: all };
    if (known.count > 0) return (await this.#onlyCame(known, uidNext, signal)) ?? this.#allOf(known, signal);
    // Message-numbers are only good as long as none is taken out.
    if (!this.#isUnchanged) return this.#allOf(known, signal);
    const added = await rowsOfAll(this.#runner, exists, signal);
    return this.#isUnchanged ? { uids: added.uids, added } : this.#allOf(known, signal);
  }

  /** The server told of nothing since it was selected. */
  get #isUnchanged(): boolean {
    return this.#runner.connection.pipeline.news === this.#selected.news;
  }

  /** By the live UIDs. */
  async #allOf(known: KnownMailbox, signal: AbortSignal): Promise<Part | 'others' | undefined> {
    const uids = await search(this.#runner, 'ALL', signal);
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
    const { exists } = this.#selected;
    const last = known.lastUid;
    if (!tellsByUidNext(known) || uidNext <= known.uidNext) return undefined;
    if (known.count >= exists || uidNext - known.uidNext > MESSAGES_PER_COMMAND) return undefined;
    const added = await this.#rowsAfter(known, last, uidRange(known.uidNext, uidNext), signal);
    if (added === 'others') return added;
    // What came meanwhile could make up for what went.
    const isWhole = known.count + added.uids.length === exists && this.#isUnchanged;
    return isWhole ? { uids: [...known.uids(), ...added.uids], added } : undefined;
  }

  /** SELECT tells so: as many messages as before, and no UID was given away since. */
  #isAsKnown(known: KnownMailbox): boolean {
    return tellsByUidNext(known) && this.#selected.uidNext === known.uidNext && this.#selected.exists === known.count;
  }

  async #selectAfresh(signal: AbortSignal): Promise<void> {
    const selected = await this.#runner.connection.select(this.path, signal);
    this.#runner.count();
    if (selected.uidValidity !== this.uidValidity) throw new UpstreamError('protocol', `UIDVALIDITY of ${this.path} has just changed`);
    this.#selected = selected;
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

const AS_LISTED = { isUnchanged: false, isOther: false };

/** A server whose UIDNEXT is no more than a UID that it gave away tells nothing by it. */
function tellsByUidNext({ uidNext, lastUid }: KnownMailbox): boolean {
  return uidNext > (lastUid ?? 0);
}

/** Of 100,000 messages that nobody may ask for no list is made. */
function unchanged(known: KnownMailbox, told: Pick<Listing, 'uidValidity' | 'uidNext' | 'deleted'>): Listing {
  return {
    ...told,
    get uids() {
      return known.uids();
    },
    added: noRows(),
    isUnchanged: true,
    isOther: false,
  };
}

function incomplete(path: string): UpstreamError {
  return new UpstreamError('incomplete', `the server's listing of ${path} does not add up, twice`);
}

/** Every UID that may be between both, the second not among them. */
function uidRange(from: number, to: number): Uid[] {
  return Array.from({ length: to - from }, (_, index) => asUid(from + index));
}
