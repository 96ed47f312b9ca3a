/**
 * One selected mailbox. Whatever the server says of it is compared with what was asked: rows are counted against what the mailbox holds, and
 * messages that nobody asked about are left alone.
 */
import { UpstreamError } from '../errors.ts';
import { copiedUids } from '../imap/copy-answer.ts';
import { growth, statusIn, type MailboxStatus } from '../imap/status-answer.ts';
import { MESSAGES_PER_COMMAND, uidBatches, type UidBatch } from '../imap/uid-set.ts';
import type { ChosenFolder } from '../imap/special-use.ts';
import type { Uid, UidValidity } from '../maildrop/numbers.ts';
import type { MailboxMemory } from './account-memory.ts';
import type { MailboxBodies } from './body-cache.ts';
import { destinationFolder, expectedDestination, type FolderFinder } from './destination.ts';
import { confirmed, find, findAmong } from './finding.ts';
import type { MailboxRunner } from './imap-session.ts';
import { isReallyEmptyMessage } from './empty-message.ts';
import { tryListing } from './listing.ts';
import type { ListingAhead } from './listing-ahead.ts';
import { beginningOf, messageIdsOf, rowsOf } from './mailbox-listing.ts';
import { MessageReader } from './message-reader.ts';
import { refusal, type Collector } from './pipeline.ts';
import type { ReadAheadBudget } from './read-ahead.ts';
import { removeMessages, type CommandOutcome, type RemovalCommands } from './removal.ts';
import type { SelectedMailbox } from './selected-mailbox.ts';
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

/** An OK to COPY that means none. */
const NOTHING_DONE = /\bno messages\b|\bnothing\b/i;

export interface MailboxOptions {
  readonly budget: ReadAheadBudget;
  readonly bodies: MailboxBodies;
  readonly memory: MailboxMemory;
  /** What was asked for together with SELECT, or a moment ago. */
  readonly ahead: Promise<ListingAhead | undefined> | undefined;
}

export class ImapMailbox implements UpstreamMailbox, RemovalCommands, FolderFinder {
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
    const { connection } = this.#runner;
    return connection.has('MOVE') && !connection.habits.refusesMove;
  }

  get canExpungeByUid(): boolean {
    const { connection } = this.#runner;
    return connection.has('UIDPLUS') && !connection.habits.refusesUidExpunge;
  }

  /** A listing that does not add up is asked for once more: some servers now and then leave rows out. */
  async list(known: KnownMailbox, signal: AbortSignal): Promise<Listing> {
    const { isolation } = this.#options.memory;
    try {
      return await this.#list(known, signal);
    } catch (error) {
      if (!(error instanceof UpstreamError) || error.kind !== 'unreachable' || signal.aborted) throw error;
      isolation.lost();
      this.#runner.connection.memory.noteCut(this.path);
      if (!isolation.isWorthwhile) throw error;
      throw new UpstreamError('cut-while-listing', `the server ended the connection while ${this.path} was listed`, { cause: error });
    }
  }

  async *fetch(request: FetchRequest, signal: AbortSignal): AsyncGenerator<Uint8Array, void, void> {
    try {
      yield* this.#reader.read(request, signal);
    } catch (error) {
      throw error instanceof UpstreamError && error.kind === 'message-unreadable'
        ? await this.#whyUnreadable(request.uid, error, signal)
        : error;
    }
  }

  isEmptyMessage(uid: Uid, signal: AbortSignal): Promise<boolean> {
    return isReallyEmptyMessage(this.#runner, uid, signal);
  }

  /** Nothing will be read any more. */
  close(): void {
    this.#reader.close();
  }

  rows(uids: readonly Uid[], { withMessageIds }: RowsRequest, signal: AbortSignal): Promise<ListingRows> {
    return rowsOf(this.#runner, uids, withMessageIds, signal);
  }

  beginning(uid: Uid, signal: AbortSignal): Promise<Uint8Array | undefined> {
    return beginningOf(this.#runner, uid, signal);
  }

  messageIds(uids: readonly Uid[], signal: AbortSignal): Promise<ReadonlyMap<Uid, string>> {
    const { isolation } = this.#options.memory;
    return messageIdsOf(
      this.#runner,
      uids.filter((uid) => !isolation.isUnlistable(uid)),
      signal,
    );
  }

  async addSeen(uids: readonly Uid[], signal: AbortSignal): Promise<void> {
    for (const { set } of uidBatches(uids, MESSAGES_PER_COMMAND)) {
      await this.#runner.command(`UID STORE ${set} +FLAGS.SILENT (\\Seen)`, signal, undefined, { isPatient: true });
    }
  }

  /** Both kinds are asked for: a message that is called neither, or both, is what its FLAGS say. */
  async unseen(uids: readonly Uid[], signal: AbortSignal): Promise<ReadonlySet<Uid>> {
    const [unseen, seen] = await Promise.all([find(this.#runner, 'UNSEEN', signal), find(this.#runner, 'SEEN', signal)]);
    const doubtful = uids.filter((uid) => unseen.has(uid) === seen.has(uid));
    const found = new Set(unseen.among(uids).filter((uid) => !seen.has(uid)));
    // A message is shown unless its FLAGS tell that it was read.
    const known = new Set(await confirmed(this.#runner, doubtful, 'SEEN', signal));
    for (const uid of doubtful) if (!known.has(uid)) found.add(uid);
    return found;
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

  // RemovalCommands

  existing(uids: readonly Uid[], onlyUndeleted: boolean, signal: AbortSignal): Promise<Uid[]> {
    return findAmong(this.#runner, uids, onlyUndeleted ? 'UNDELETED' : 'ALL', signal);
  }

  existingByFetch(uids: readonly Uid[], onlyUndeleted: boolean, signal: AbortSignal): Promise<Uid[]> {
    return confirmed(this.#runner, uids, onlyUndeleted ? 'UNDELETED' : 'ALL', signal);
  }

  async move({ set, uids }: UidBatch, target: string, signal: AbortSignal): Promise<CommandOutcome & { readonly copied: readonly Uid[] }> {
    if (!this.canMove) throw new UpstreamError('protocol', 'MOVE is not offered');
    // The response code comes before the messages are expunged, in a line of its own (RFC 6851 section 4.3).
    let told = '';
    const untagged = (line: Buffer): boolean => {
      const text = line.toString('latin1');
      if (!/^\* +OK +\[COPYUID/i.test(text)) return false;
      told = text;
      return true;
    };
    const outcome = await this.#ask(`UID MOVE ${set} ${this.#named(target)}`, signal, { untagged });
    return { ...outcome, copied: copiedAmong(uids, told === '' ? outcome.text : told) ?? [] };
  }

  /** Without COPYUID (RFC 4315 section 3) the folder has to have grown. */
  async copy({ set, uids }: UidBatch, target: string, signal: AbortSignal): Promise<CommandOutcome & { readonly copied: readonly Uid[] }> {
    const { habits } = this.#runner.connection;
    const before = habits.tellsCopies ? undefined : await this.#status(target, signal);
    const outcome = await this.#ask(`UID COPY ${set} ${this.#named(target)}`, signal);
    if (outcome.refusal !== undefined) return { ...outcome, copied: [] };
    const told = copiedAmong(uids, outcome.text);
    if (told !== undefined) {
      habits.tellsCopies = true;
      return { ...outcome, copied: told };
    }
    habits.tellsCopies = false;
    const grown = NOTHING_DONE.test(outcome.text) ? 0 : growth(before, before && (await this.#status(target, signal)));
    if (grown === undefined || grown >= uids.length) return { ...outcome, copied: uids };
    if (grown > 0) throw new UpstreamError('protocol', `${target} grew by ${grown} when ${uids.length} messages were copied there`);
    const nothing = new UpstreamError('refused', `the server agreed to copy to ${target}, and nothing came there: ${outcome.text}`);
    return { ...outcome, copied: [], refusal: nothing };
  }

  flagDeleted(set: string, signal: AbortSignal): Promise<CommandOutcome> {
    this.#options.memory.wasFlagged = true;
    return this.#ask(`UID STORE ${set} +FLAGS.SILENT (\\Deleted)`, signal);
  }

  unflagDeleted(set: string, signal: AbortSignal): Promise<CommandOutcome> {
    return this.#ask(`UID STORE ${set} -FLAGS.SILENT (\\Deleted)`, signal);
  }

  /** Never a bare EXPUNGE: it would take along what other clients flagged. */
  expunge(set: string, signal: AbortSignal): Promise<CommandOutcome> {
    if (!this.canExpungeByUid) throw new UpstreamError('protocol', 'UIDPLUS is not offered');
    return this.#ask(`UID EXPUNGE ${set}`, signal);
  }

  noteRefused(what: 'MOVE' | 'UID EXPUNGE'): void {
    const { habits } = this.#runner.connection;
    if (what === 'MOVE') habits.refusesMove = true;
    else habits.refusesUidExpunge = true;
  }

  settle(signal: AbortSignal): Promise<void> {
    this.#runner.count();
    return this.#runner.connection.settle(this.#selected, signal);
  }

  // FolderFinder

  folders(signal: AbortSignal): Promise<FolderList> {
    return this.#runner.alone(signal, ({ folders }) => folders.list());
  }

  createFolder(path: string, signal: AbortSignal): Promise<string> {
    return this.#runner.alone(signal, ({ folders }) => folders.create(path));
  }

  #named(path: string): string {
    return this.#runner.connection.folders.named(path);
  }

  /** Undefined where the server does not tell. */
  async #status(path: string, signal: AbortSignal): Promise<MailboxStatus | undefined> {
    let found: MailboxStatus | undefined;
    const untagged = (line: Buffer): boolean => {
      const status = statusIn(line);
      found ??= status;
      return status !== undefined;
    };
    await this.#ask(`STATUS ${this.#named(path)} (MESSAGES UIDNEXT)`, signal, { untagged });
    return found;
  }

  /** A throw means that nobody knows what the server did. */
  async #ask(text: string, signal: AbortSignal, collector: Collector = {}): Promise<CommandOutcome> {
    const { status, text: said } = await this.#runner.aloneIn(signal, ({ pipeline }) => pipeline.ask(text, collector));
    return { text: said, status, refusal: status === 'OK' ? undefined : refusal(status, said) };
  }

  async #list(known: KnownMailbox, signal: AbortSignal): Promise<Listing> {
    let attempt = await this.#tryListing(known, { ahead: await this.#options.ahead, isLast: false }, signal);
    if (attempt === undefined) {
      // Selected afresh, the server has to tell of what was expunged meanwhile (RFC 3501 section 7.4.1).
      await this.#selectAfresh(signal);
      attempt = await this.#tryListing(known, { ahead: undefined, isLast: true }, signal);
    }
    if (attempt === 'others') {
      this.#options.bodies.forget();
      const anew = await this.#list(NOTHING_KNOWN, signal);
      return { ...anew, isOther: true };
    }
    if (attempt === undefined) throw new UpstreamError('incomplete', `the server's listing of ${this.path} does not add up, twice`);
    return attempt;
  }

  #tryListing(
    known: KnownMailbox,
    how: { readonly ahead: ListingAhead | undefined; readonly isLast: boolean },
    signal: AbortSignal,
  ): Promise<Listing | 'others' | undefined> {
    const { memory } = this.#options;
    return tryListing({ runner: this.#runner, selected: this.#selected, memory }, known, how, signal);
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

/** Those of the messages that the server says it copied; undefined where it does not tell. */
function copiedAmong(uids: readonly Uid[], text: string): readonly Uid[] | undefined {
  const told = copiedUids(text);
  const copied = told?.among(uids);
  if (told !== undefined && (copied?.length ?? 0) < told.count) {
    throw new UpstreamError('protocol', 'COPYUID names messages that were not to be copied');
  }
  return copied;
}
