/**
 * Reads the bodies of one mailbox for one session: what the client asks for, and while it goes on in order what it is likely to ask for
 * next, so that it need not wait a round trip for each message. How much is asked for ahead doubles while the guesses come true; what has
 * come and was not sent is bounded, and the server is not read from beyond that. A wrong guess ends it.
 */
import { isRefusal, UpstreamError } from '../errors.ts';
import type { TaggedResponse } from '../imap/response-parser.ts';
import { MAX_SET_CHARACTERS, MESSAGES_PER_COMMAND, uidBatches } from '../imap/uid-set.ts';
import type { Uid } from '../maildrop/numbers.ts';
import { collectorFor, type BodyCollector } from './body-collector.ts';
import { BodySlot, type SlotWatcher } from './body-slot.ts';
import type { Holder } from './holding.ts';
import type { Patience } from './imap-connection.ts';
import { refusal } from './pipeline.ts';
import type { FetchRequest, UpcomingMessage } from './upstream.ts';

/** Commands in the mailbox. */
export interface BodyCommands {
  /** Sends `UID FETCH` with these arguments; resolves with the answer to it. */
  fetch(what: string, bodies: BodyCollector, how: FetchHow): Promise<TaggedResponse>;
  /** Reads no more from the server until it is let go. */
  hold(holder: Holder): void;
  letGo(holder: Holder): void;
  /** Ends the connection, unless others use it: more is under way than is worth waiting for. */
  abandon(holder: Holder): void;
  /** Others wait for the connection. */
  readonly isWanted: boolean;
}

export interface FetchHow extends Patience {
  /** The server is asked first for the number of that message: by that its body is known, though it may come without a UID. */
  readonly numbered?: Uid | undefined;
}

/** Octets that all sessions together may hold; shared. */
export interface ReadAheadBudget {
  /** Of one session: received and not yet sent. */
  readonly sessionOctets: number;
  /** Of all of them. */
  readonly totalOctets: number;
  used: number;
}

const KIB = 1024;
const MIB = 1024 * KIB;
/** Of what a session may hold, this much is left for what has come to the sockets and is neither here yet nor sent. */
const IN_SOCKETS = 256 * KIB;
/** Asked for ahead at first. */
const FIRST_WINDOW = 256 * KIB;
/** While a client waits for the server the window grows so much with each guess: two of them lead to the largest. */
const WIDER = 16;
/** A message so short is not held up by guesses that are asked for right behind it. */
const SHORT_OCTETS = 64 * KIB;
/** Most that is asked for ahead and has not come. */
const LARGEST_WINDOW = 128 * MIB;
/** Most characters that two UIDs take, and a set that always fits into one command. */
const UIDS_CHARACTERS = 22;
const SET_CHARACTERS = MAX_SET_CHARACTERS - UIDS_CHARACTERS;
/** Of what nobody wants any more so much is received; for more the connection is ended. */
const DRAIN_OCTETS = 4 * MIB;
/** What a header is believed to have, at most. */
const HEADER_OCTETS = 4 * KIB;

export class ReadAhead implements SlotWatcher, Holder {
  readonly #commands: BodyCommands;
  readonly #section: string;
  readonly #budget: ReadAheadBudget;
  /** By UID, in the order in which they were asked for. */
  readonly #slots = new Map<Uid, BodySlot>();
  #reading: BodySlot | undefined;
  #upcoming: Iterator<UpcomingMessage> | undefined;
  #next: UpcomingMessage | undefined;
  /** Octets that may be asked for ahead, with those that wait. */
  #window: number;
  /** Received and not yet sent. */
  #waiting = 0;
  /** Asked for and not received, as far as sizes tell. */
  #due = 0;
  /** The last of the command that was sent last. */
  #lastAsked: BodySlot | undefined;
  /** Not answered yet. */
  readonly #commandsSent = new Set<{ readonly wanted: ReadonlyMap<Uid, BodySlot>; readonly done: Promise<void> }>();
  #isClosed = false;
  #givesParts = false;
  /** The server does not always say whose a body is: messages are asked for one by one, each when its number is known. */
  #asksSingly = false;
  /** The connection is needed by others: what comes is not held back. */
  #takesAll = false;

  /** `section`: what of a message is read, '' or HEADER. */
  constructor(commands: BodyCommands, section: '' | 'HEADER', budget: ReadAheadBudget) {
    this.#commands = commands;
    this.#section = section;
    this.#budget = budget;
    this.#window = Math.min(FIRST_WINDOW, budget.sessionOctets);
  }

  /** The body of a message; see UpstreamMailbox.fetch. */
  async *read(request: FetchRequest, signal: AbortSignal): AsyncGenerator<Buffer, void, void> {
    const isGuessed = this.has(request.uid);
    if (!isGuessed) await this.#answered(request.uid);
    let slot = this.#take(request);
    this.#reading = slot;
    try {
      this.#askAhead();
      await slot.begun(signal);
      if (slot.isMissing || (isGuessed && slot.isComplete && slot.received === 0)) {
        // It may be the fault of another message of the same command.
        this.giveWay();
        this.#slots.delete(slot.uid);
        this.#reading = slot = this.#ask([request], false)[0] ?? slot;
      }
      yield* slot.octets(signal);
      if (slot.received === 0 && this.#section === '' && request.octets > 0) throw unreadable(request.uid);
    } finally {
      this.#takesAll = false;
      this.#reading = undefined;
      this.#slots.delete(request.uid);
      slot.discard();
      if (slot.due > DRAIN_OCTETS) this.#commands.abandon(this);
    }
  }

  /** The server gives parts of messages where they are asked for as a whole. */
  get givesParts(): boolean {
    return this.#givesParts;
  }

  /** True where it was asked for already. */
  has(uid: Uid): boolean {
    return this.#slots.has(uid);
  }

  /** Nothing of what is under way is wanted any more. */
  close(): void {
    this.#isClosed = true;
    this.giveWay();
  }

  /** Somebody else needs the connection: guesses are given up. */
  giveWay(): void {
    this.#forget(this.#slots.values().filter((slot) => slot !== this.#reading));
  }

  /** The rest of what is being read comes into memory. Where it has no room there its own client loses it: nobody else does. */
  giveUp(): void {
    this.giveWay();
    const reading = this.#reading;
    if (reading?.isComplete === false && this.#budget.used + this.#due > this.#budget.totalOctets) {
      reading.fail(new UpstreamError('timeout', 'the client did not read on, and others waited for the connection'));
      reading.discard();
    }
    this.#takesAll = true;
    this.#commands.letGo(this);
  }

  // SlotWatcher

  received(octets: number, due: number): void {
    this.#due -= due;
    this.#waiting += octets;
    this.#budget.used += octets;
    if (this.#waiting > this.#most && !this.#takesAll) {
      if (this.#isStarving) this.starving();
      else this.#commands.hold(this);
    } else if (octets > 0 && this.#next !== undefined) this.#askAhead();
  }

  released(octets: number): void {
    this.#waiting -= octets;
    this.#budget.used -= octets;
    if (this.#waiting <= this.#most / 2) this.#commands.letGo(this);
  }

  /**
   * A server may give first what was asked for last, as Dovecot does when it had to wait for us: what is wanted now must not be kept from us
   * by guesses that came before it. The last of them are given up.
   */
  starving(): void {
    for (const slot of [...this.#slots.values()].reverse()) {
      if (this.#waiting <= this.#most / 2) break;
      if (slot === this.#reading || slot.waiting === 0) continue;
      this.#slots.delete(slot.uid);
      slot.discard();
    }
    this.#commands.letGo(this);
  }

  /** Octets that may wait here. */
  get #most(): number {
    const { sessionOctets } = this.#budget;
    return Math.max(sessionOctets - IN_SOCKETS, (3 * sessionOctets) / 4);
  }

  get #isStarving(): boolean {
    return this.#reading !== undefined && !this.#reading.isComplete && this.#reading.waiting === 0;
  }

  /** The slot of what the client wants now; what was guessed to come before it is given up. */
  #take(request: FetchRequest): BodySlot {
    const guessed = this.#slots.get(request.uid);
    if (guessed === undefined) return this.#takeUnguessed(request);
    this.#forget(this.#before(guessed));
    this.#widen(request, !guessed.isComplete);
    return guessed;
  }

  #takeUnguessed(request: FetchRequest): BodySlot {
    const isFirst = this.#upcoming === undefined;
    if (this.#next?.uid === request.uid) this.#widen(request, true);
    else if (!isFirst) this.#window = 0;
    this.#forget(this.#slots.values());
    this.#upcoming = request.ahead?.();
    this.#advance();
    return this.#ask([request], false)[0] ?? impossible();
  }

  /**
   * A guess came true. While a long message is sent the next one is asked for. Beyond what may wait here it is no use to ask for more,
   * unless the client is quicker than the server.
   */
  #widen(request: FetchRequest, isClientWaiting: boolean): void {
    const { sessionOctets } = this.#budget;
    if (sessionOctets === 0) return;
    const wider = isClientWaiting ? WIDER * this.#window : Math.min(2 * this.#window, sessionOctets);
    this.#window = Math.min(Math.max(this.#window, wider, FIRST_WINDOW, 2 * this.#expected(request)), LARGEST_WINDOW);
  }

  #advance(): void {
    const next = this.#upcoming?.next();
    this.#next = next === undefined || next.done === true ? undefined : next.value;
  }

  /** Asks for what is likely to be wanted next: not one by one as it is read, but when half of it is. */
  #askAhead(): void {
    const ahead = this.#due + this.#waiting;
    const isFull = ahead > this.#window / 2 || this.#budget.used >= this.#budget.totalOctets;
    // One command at a time: several at once may be answered in any order, save where all of it fits into what is on its way.
    const isBusy = this.#lastAsked?.isAwaited === true && ahead > SHORT_OCTETS;
    if (isFull || isBusy || this.#window === 0 || this.#isClosed || this.#asksSingly || this.#commands.isWanted) return;
    const messages = this.#batch(this.#window - ahead);
    if (messages.length > 0) this.#ask(messages, true);
  }

  /** The next guesses, for one command: some octets more than `octets` where the first alone has more. */
  #batch(octets: number): UpcomingMessage[] {
    const messages: UpcomingMessage[] = [];
    let sum = 0;
    let characters = 0;
    while (this.#next !== undefined && messages.length < MESSAGES_PER_COMMAND && characters < SET_CHARACTERS) {
      sum += this.#expected(this.#next);
      if (messages.length > 0 && sum > octets) break;
      // One that follows upon the last makes a range of both.
      if (this.#next.uid !== (messages.at(-1)?.uid ?? 0) + 1) characters += UIDS_CHARACTERS;
      if (!this.#slots.has(this.#next.uid)) messages.push(this.#next);
      this.#advance();
    }
    return messages;
  }

  #expected({ octets }: UpcomingMessage): number {
    return this.#section === '' ? octets : Math.min(octets, HEADER_OCTETS);
  }

  /** Sends one command for all of them, or more where their UIDs don't fit into one. */
  #ask(messages: readonly UpcomingMessage[], isGuess: boolean): BodySlot[] {
    const slots = messages.map((message) => new BodySlot(message.uid, this.#expected(message), this));
    const byUid = new Map(slots.map((slot) => [slot.uid, slot]));
    for (const slot of slots) {
      this.#slots.set(slot.uid, slot);
      this.#due += slot.due;
    }
    this.#lastAsked = slots.at(-1);
    for (const { set, uids } of uidBatches([...byUid.keys()].sort((one, other) => one - other))) {
      void this.#run(set, new Map([...byUid].filter(([uid]) => uids.length === byUid.size || uids.includes(uid))), isGuess);
    }
    return slots;
  }

  /** Where a message is still on its way for a read that was given up: two answers for it are not to be mixed up. */
  async #answered(uid: Uid): Promise<void> {
    this.giveWay();
    for (const { wanted, done } of this.#commandsSent) if (wanted.has(uid)) await done;
  }

  async #run(set: string, wanted: ReadonlyMap<Uid, BodySlot>, isGuess: boolean): Promise<void> {
    const { promise: done, resolve } = Promise.withResolvers<void>();
    const sent = { wanted, done };
    this.#commandsSent.add(sent);
    try {
      const items = `${set} (UID BODY.PEEK[${this.#section}])`;
      const bodies = collectorFor(wanted, this.#section);
      const [numbered] = this.#asksSingly ? wanted.keys() : [];
      const response = await this.#commands.fetch(items, bodies, { numbered, ...(isGuess ? { isPatient: true } : { behalf: this }) });
      this.#asksSingly ||= bodies.hadUnnamed();
      this.#givesParts ||= bodies.hadPart();
      const [alone] = wanted.size === 1 && !bodies.hadUnnamed() ? wanted.values() : [];
      for (const slot of wanted.values()) slot.miss(alone && whyMissing(alone.uid, response));
    } catch (error) {
      const failure = error instanceof UpstreamError ? error : new UpstreamError('protocol', 'a body could not be read', { cause: error });
      for (const slot of wanted.values()) slot.fail(failure);
    } finally {
      this.#commandsSent.delete(sent);
      resolve();
    }
  }

  /** What was asked for before it. */
  *#before(last: BodySlot): Generator<BodySlot, void, void> {
    for (const slot of this.#slots.values()) {
      if (slot === last) return;
      yield slot;
    }
  }

  #forget(slots: Iterable<BodySlot>): void {
    let due = 0;
    for (const slot of slots) {
      this.#slots.delete(slot.uid);
      slot.discard();
      due += slot.due;
    }
    if (due > DRAIN_OCTETS) this.#commands.abandon(this);
  }
}

/** A server that can't read one message is no reason to end the session. */
function whyMissing(uid: Uid, { status, text }: TaggedResponse): UpstreamError {
  const failure = status === 'OK' ? undefined : refusal(status, text);
  if (failure !== undefined && !isRefusal(failure)) return failure;
  return unreadable(uid, failure);
}

function unreadable(uid: Uid, cause?: Error): UpstreamError {
  return new UpstreamError('message-unreadable', `the server gave no octets for the message with UID ${uid}`, { cause });
}

function impossible(): never {
  throw new TypeError('nothing was asked for');
}
