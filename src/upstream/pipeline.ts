/**
 * Commands of our own on a connection that imapflow logged in: several at a time, their answers taken apart as they come. On any doubt
 * about what the server says the connection is ended; nothing is read twice and nothing is guessed. From the login on imapflow gets nothing
 * of what the server says.
 */
import type { Cancel, Clock } from '../clock.ts';
import { isRefusal, UpstreamError } from '../errors.ts';
import type { BodySection, FetchRow } from '../imap/fetch-row.ts';
import { ResponseParser, type BodySink, type TaggedResponse } from '../imap/response-parser.ts';
import { isExact, isSearchResult, searchResult } from '../imap/search-result.ts';
import type { UidRanges } from '../imap/uid-ranges.ts';
import { classifyRefusal } from '../imap/upstream-failure.ts';
import type { Gate, GateKeeper } from './gated-socket.ts';
import type { Flow } from './holding.ts';
import { MessageNumbers } from './message-numbers.ts';
import { SentCommands } from './sent-commands.ts';
import type { ServerHabits } from './server-habits.ts';

/** What a command takes of the untagged responses that come while it runs. */
export interface Collector {
  /** A body of a message begins; undefined says that it is none of ours. */
  readonly body?: (row: FetchRow, section: BodySection, octets: number | undefined) => BodySink | undefined;
  /** A row is complete; true takes it. */
  readonly row?: (row: FetchRow) => boolean;
  /** What a search found; `isExact` says that no UID is named that was not found. */
  readonly found?: (uids: UidRanges, isExact: boolean) => void;
  /** Any other untagged response, without its last line end; true takes it. */
  readonly untagged?: (line: Buffer) => boolean;
}

export interface PipelineParts {
  readonly clock: Clock;
  /** Longest time without progress while an answer is due. */
  readonly timeoutMs: number;
  readonly habits: ServerHabits;
  /** The most messages that a mailbox may hold. */
  readonly maxMessages: number;
  /** Ends the connection. */
  readonly destroy: () => void;
}

const MIB = 1024 * 1024;
const LIMITS = { lineOctets: 16 * MIB, literalOctets: 2 ** 40 };
/** So much a server may say while no command waits for an answer: what others do in the mailbox. */
const MAX_UNASKED_OCTETS = 4 * MIB;
/** Fewer octets in the whole of a deadline are no progress. */
const LEAST_PROGRESS_OCTETS = 512;
/** So many deadlines long a line may take to come, and no answer with it. */
const MAX_LINE_DEADLINES = 3;
/** A search is answered by one line, or by a few of a generous server. */
const MAX_SEARCH_LINES = 100;
/** Messages may come while a mailbox is searched. */
const SPARE_FINDS = 10_000;
/** After this part of the deadline without a word, commands that the server may have lost are sent again. */
const LOST_AFTER = 1 / 4;
const NEWS = /^\* +(?:(\d{1,10}) +(EXISTS|EXPUNGE)|(VANISHED))\b/i;
const UIDVALIDITY = /^\* +(?:OK|NO) +\[UIDVALIDITY +(\d+)\]/i;
const BYE = /^\* +BYE */i;
const LONGEST_NEWS = 40;
/** Longest piece of upstream text kept for the log. */
const MAX_TEXT = 300;

export class Pipeline implements GateKeeper, Flow {
  /** By these a body without a UID is known. */
  readonly numbers = new MessageNumbers();
  readonly #parts: PipelineParts;
  readonly #parser: ResponseParser;
  readonly #commands: SentCommands<Collector>;
  /** Who took a body of the row that is being read. */
  #rowTaker: Collector | undefined;
  #gate: Gate | undefined;
  #lost: UpstreamError | undefined;
  /** What the server said before it hung up. */
  #bye: string | undefined;
  #news = 0;
  #exists: number | undefined;
  /** Of the selected mailbox: as it was selected, or as the server told since then. */
  #uidValidity: number | undefined;
  #octets = 0;
  #progressAt = 0;
  /** When something last came that a command wants: what else a server says, it may say for ever. */
  #usefulAt = 0;
  #progressOctets = 0;
  /** The most octets of a line without an end since then: that a line grows is progress, that another one comes in its place is not. */
  #longestPending = 0;
  /** Of what came since the last command was answered. */
  #unaskedOctets = 0;
  #cancelWatch: Cancel | undefined;

  constructor(parts: PipelineParts) {
    this.#parts = parts;
    this.#commands = new SentCommands((line) => this.#gate?.send(line), parts.habits);
    const takesRows = (): boolean => this.#isReading;
    this.#parser = new ResponseParser(
      {
        forward: () => {},
        takesAll: true,
        tagged: (response) => this.#tagged(response),
        untagged: (line) => this.#untagged(line),
        body: (row, section, octets) => this.#body(row, section, octets),
        row: (row) => this.#row(row),
        get takesRows() {
          return takesRows();
        },
      },
      LIMITS,
    );
  }

  /** Stands at the gate from now on. */
  attach(gate: Gate): void {
    this.#gate = gate;
  }

  /** Grows with every EXISTS, EXPUNGE or VANISHED: the mailbox is no longer what it was. */
  get news(): number {
    return this.#news;
  }

  /** How many messages the selected mailbox holds, as the server last told it; undefined where it told nothing. */
  get exists(): number | undefined {
    return this.#exists;
  }

  /** Another mailbox is about to be selected: what was told of the one before does not hold for it. */
  forgetMailbox(): void {
    this.#exists = undefined;
    this.#uidValidity = undefined;
    this.numbers.forget();
  }

  /** Notes the UIDVALIDITY of the selected mailbox. Once the server tells of another one, all UIDs name other messages: the connection ends. */
  noteUidValidity(told: number): void {
    this.#uidValidity ??= told;
    if (this.#uidValidity === told) return;
    this.#fail(new UpstreamError('protocol', 'the server gave the selected mailbox another UIDVALIDITY'));
    this.#parts.destroy();
  }

  /** Commands sent so far. */
  get count(): number {
    return this.#commands.count;
  }

  get isIdle(): boolean {
    return this.#commands.isEmpty;
  }

  get isHeld(): boolean {
    return this.#gate?.isHeld === true;
  }

  /** Somebody wants what FETCH responses tell. */
  get #isReading(): boolean {
    for (const { collector } of this.#commands.sent) if (collector.row !== undefined || collector.body !== undefined) return true;
    return false;
  }

  /** Sends a command, without tag and line end. Resolves with OK; else rejects with UpstreamError as the answer is classified. */
  async command(text: string, collector: Collector = {}): Promise<TaggedResponse> {
    const response = await this.ask(text, collector);
    if (response.status === 'OK') return response;
    throw refusal(response.status, response.text);
  }

  /** Sends a command; resolves with whatever the server says to it. Rejects where the connection is lost or nothing comes. */
  ask(text: string, collector: Collector): Promise<TaggedResponse> {
    const gate = this.#gate;
    if (this.#lost !== undefined || gate === undefined) return Promise.reject(this.#lost ?? gone());
    if (this.isIdle) this.#noteUseful();
    this.#unaskedOctets = 0;
    const answer = this.#commands.ask(text, collector.found === undefined ? collector : this.#searching(collector));
    this.#watch();
    return answer;
  }

  #searching(collector: Collector): Collector {
    let lines = 0;
    let finds = 0;
    const isOwn = (tag: string): boolean => this.#commands.isTagOf(tag, searching);
    const untagged = (line: Buffer): boolean => {
      if (!isSearchResult(line, isOwn)) return collector.untagged?.(line) === true;
      lines += 1;
      if (lines > MAX_SEARCH_LINES) throw new UpstreamError('protocol', 'a search is answered without an end');
      this.#noteUseful();
      const uids = searchResult(line, (this.#exists ?? this.#parts.maxMessages) + SPARE_FINDS - finds);
      if (uids === undefined) return true;
      finds += uids.parts;
      collector.found?.(uids, isExact(line, uids));
      return true;
    };
    const searching: Collector = { ...collector, untagged };
    return searching;
  }

  /** Stops reading until `letGo`; the server's silence does not count meanwhile. */
  hold(holder: object): void {
    this.#gate?.hold(holder);
  }

  letGo(holder: object): void {
    this.#noteUseful();
    this.#gate?.letGo(holder);
  }

  // GateKeeper

  receive(chunk: Buffer): void {
    try {
      if (this.isIdle) this.#countUnasked(chunk.length);
      this.#parser.feed(chunk);
      const grown = this.#parser.pendingOctets - this.#longestPending;
      if (grown <= 0) return;
      this.#longestPending += grown;
      if (this.#parts.clock.monotonic() - this.#usefulAt < MAX_LINE_DEADLINES * this.#parts.timeoutMs) this.#noteOctets(grown);
    } catch (error) {
      this.#fail(error instanceof UpstreamError ? error : new UpstreamError('protocol', 'the answer could not be read', { cause: error }));
      this.#parts.destroy();
    }
  }

  #countUnasked(octets: number): void {
    this.#unaskedOctets += octets;
    if (this.#unaskedOctets > MAX_UNASKED_OCTETS) throw new UpstreamError('protocol', 'the server talks without an end, and nobody asked');
  }

  lost(error: Error | undefined): void {
    this.#fail(this.#bye === undefined ? gone(error) : farewell(this.#bye));
  }

  quiet(): void {
    // A mailbox that is kept open: the server must not think us gone. Its answer, or silence, is looked at like any other.
    if (this.isIdle && this.#lost === undefined) this.command('NOOP').catch(() => this.#parts.destroy());
  }

  #fail(error: UpstreamError): void {
    this.#lost ??= error;
    this.#cancelWatch?.();
    this.#cancelWatch = undefined;
    this.#commands.fail(this.#lost);
  }

  #tagged(response: TaggedResponse): void {
    this.#commands.answered(response);
    this.#noteUseful();
  }

  #untagged(line: Buffer, beginning = line.toString('latin1', 0, LONGEST_NEWS)): boolean {
    const news = NEWS.exec(beginning);
    if (news !== null) this.#noteNews(news[2]?.toUpperCase(), Number(news[1]));
    else if (BYE.test(beginning)) this.#bye = line.toString('latin1', 0, MAX_TEXT).replace(BYE, '');
    for (const { collector } of this.#commands.sent) if (collector.untagged?.(line) === true) return true;
    const uidValidity = UIDVALIDITY.exec(beginning)?.[1];
    if (uidValidity !== undefined) this.noteUidValidity(Number(uidValidity));
    return false;
  }

  #noteNews(what: string | undefined, count: number): void {
    this.#news += 1;
    if (what !== 'EXISTS') this.numbers.forget();
    if (what === 'EXISTS') this.#exists = count;
    // One that there cannot be was not counted before either.
    else if (what === 'EXPUNGE' && count >= 1 && count <= (this.#exists ?? 0)) this.#exists = (this.#exists ?? 0) - 1;
  }

  /** All bodies of a row go to one command: another one that waits for the same message must not be given the second of them. */
  #body(row: FetchRow, section: BodySection, octets: number | undefined): BodySink | undefined {
    if (this.#rowTaker !== undefined) return this.#counted(this.#rowTaker.body?.(row, section, octets));
    if (row.uid === 0) row.uid = this.numbers.uidOf(row.number);
    for (const { collector } of this.#commands.sent) {
      const sink = collector.body?.(row, section, octets);
      if (sink === undefined) continue;
      this.#rowTaker = collector;
      return this.#counted(sink);
    }
    return undefined;
  }

  /** Octets that somebody wants are progress. */
  #counted(sink: BodySink | undefined): BodySink | undefined {
    if (sink === undefined) return undefined;
    return {
      write: (octets) => {
        this.#noteOctets(octets.length, true);
        sink.write(octets);
      },
    };
  }

  #row(row: FetchRow): void {
    const taker = this.#rowTaker;
    this.#rowTaker = undefined;
    if (taker?.row?.(row) === true) return this.#noteUseful();
    for (const { collector } of this.#commands.sent) if (collector !== taker && collector.row?.(row) === true) return this.#noteUseful();
  }

  #noteOctets(octets: number, areUseful = false): void {
    this.#octets += octets;
    if (this.#octets - this.#progressOctets < LEAST_PROGRESS_OCTETS) return;
    if (areUseful) this.#noteUseful();
    else this.#noteProgress();
  }

  #noteUseful(): void {
    this.#noteProgress();
    this.#usefulAt = this.#progressAt;
    this.#longestPending = 0;
  }

  #noteProgress(): void {
    this.#progressAt = this.#parts.clock.monotonic();
    this.#progressOctets = this.#octets;
  }

  /** One timer for all commands: it looks how long ago something last came. */
  #watch(afterMs = LOST_AFTER * this.#parts.timeoutMs): void {
    this.#cancelWatch ??= this.#parts.clock.after(afterMs, () => {
      this.#cancelWatch = undefined;
      if (this.isIdle) return;
      if (this.isHeld) this.#noteProgress();
      const { timeoutMs } = this.#parts;
      const silentMs = this.#parts.clock.monotonic() - this.#progressAt;
      const lostAfterMs = LOST_AFTER * timeoutMs;
      if (silentMs < timeoutMs) {
        if (silentMs >= lostAfterMs) this.#commands.repeatLost();
        this.#watch(silentMs < lostAfterMs ? lostAfterMs - silentMs : timeoutMs - silentMs);
        return;
      }
      this.#fail(new UpstreamError('timeout', `no progress for ${timeoutMs} ms`));
      this.#parts.destroy();
    });
  }
}

function gone(cause?: Error): UpstreamError {
  return new UpstreamError('unreachable', 'the connection to the upstream was lost', { cause });
}

/** The server hung up, and said why. Whatever it says, the connection is gone; it may name a pause. */
function farewell(text: string): UpstreamError {
  const reason = refusal('BYE', text);
  return isRefusal(reason) ? new UpstreamError('unreachable', reason.message) : reason;
}

/** What a NO, BAD or BYE means; `text` begins with the response code, if there is one. */
export function refusal(status: string, text: string): UpstreamError {
  const code = /^\[([A-Z-]+)/i.exec(text)?.[1];
  const { kind, retryAfterMs } = classifyRefusal({ status, code, text });
  return new UpstreamError(kind, text.replace(/[^\x20-\x7e]+/g, ' ').slice(0, MAX_TEXT), { retryAfterMs });
}
