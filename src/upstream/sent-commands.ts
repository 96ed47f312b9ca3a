/**
 * The commands that were sent and are not answered yet. Most servers take several at a time. One that refuses or loses what comes while it is
 * at work is asked again, one command at a time, and is known for that from then on.
 */
import { UpstreamError } from '../errors.ts';
import { OWN_TAG, type TaggedResponse } from '../imap/response-parser.ts';
import type { ServerHabits } from './server-habits.ts';

/** One command, from when somebody asks for it until it is answered. */
interface Command<C> {
  readonly text: string;
  readonly collector: C;
  readonly resolve: (response: TaggedResponse) => void;
  readonly reject: (error: UpstreamError) => void;
  /** The command that was still unanswered when this one was sent. */
  behind: Command<C> | undefined;
  /** Every tag under which it was sent, the last one last. */
  readonly tags: string[];
  /** What the server said when it came too early. */
  refusal: TaggedResponse | undefined;
  /** OK, NO or BAD; undefined while it is not answered. */
  status: string | undefined;
}

/** To send these once more does no harm. All other commands, such as MOVE, go out alone. */
const REPEATABLE = /^(?:NOOP|ID|NAMESPACE|X?LIST|SELECT|FETCH|UID FETCH|UID SEARCH|UID STORE \S+ \+FLAGS\S*)(?: |$)/;

export class SentCommands<C> {
  readonly #send: (line: string) => void;
  readonly #habits: ServerHabits;
  readonly #byTag = new Map<string, Command<C>>();
  /** Sent and not answered, in the order in which they were sent. */
  readonly #unanswered = new Set<Command<C>>();
  /** To be sent when the server has answered everything else, one at a time. */
  #waiting: Command<C>[] = [];
  #count = 0;

  constructor(send: (line: string) => void, habits: ServerHabits) {
    this.#send = send;
    this.#habits = habits;
  }

  /** Commands sent so far. */
  get count(): number {
    return this.#count;
  }

  get isEmpty(): boolean {
    return this.#unanswered.size + this.#waiting.length === 0;
  }

  /** What was sent, the earliest first. */
  get sent(): Iterable<{ readonly collector: C }> {
    return this.#unanswered;
  }

  isTagOf(tag: string, collector: C): boolean {
    return this.#byTag.get(tag)?.collector === collector;
  }

  /** Sends a command, at once or in its turn. Resolves with whatever the server says to it. */
  ask(text: string, collector: C): Promise<TaggedResponse> {
    const { promise, resolve, reject } = Promise.withResolvers<TaggedResponse>();
    const behind = this.#last();
    const command: Command<C> = { text, collector, resolve, reject, behind, tags: [], refusal: undefined, status: undefined };
    if (this.#waiting.length > 0 || (this.#habits.isSerial && behind !== undefined)) this.#waiting.push(command);
    else this.#put(command);
    return promise;
  }

  /** Takes an answer. Throws UpstreamError `protocol` where nothing was asked under its tag. */
  answered(response: TaggedResponse): void {
    const command = this.#byTag.get(response.tag);
    if (command === undefined) throw new UpstreamError('protocol', 'the server answers a command that was not sent');
    this.#byTag.delete(response.tag);
    // It was answered under another tag before.
    if (command.status !== undefined) return;
    if (response.status === 'BAD' && isTooEarly(command)) {
      command.refusal = response;
      this.#unanswered.delete(command);
      // It waits already where it was thought lost.
      if (!this.#waiting.includes(command)) this.#waiting.push(command);
    } else {
      if (command.tags.length > 1 && command.tags.at(-1) === response.tag && response.status !== 'BAD') this.#habits.isSerial = true;
      this.#settle(command, response);
    }
    this.#sendNext();
  }

  /**
   * To be called where the server is silent for long. Sends what may have been lost, because it came while another command was at work, once
   * more. Whatever answer comes first is taken. False where nothing can have been lost.
   */
  repeatLost(): boolean {
    const [first] = this.#unanswered;
    if (first === undefined || !isTooEarly(first)) return false;
    for (const command of this.#unanswered) if (isTooEarly(command)) this.#waiting.push(command);
    const next = this.#waiting.shift();
    if (next !== undefined) this.#put(next);
    return true;
  }

  fail(error: UpstreamError): void {
    const all = new Set([...this.#unanswered, ...this.#waiting]);
    this.#unanswered.clear();
    this.#byTag.clear();
    this.#waiting = [];
    for (const { reject } of all) reject(error);
  }

  #settle(command: Command<C>, response: TaggedResponse): void {
    command.status = response.status;
    command.behind = undefined;
    this.#unanswered.delete(command);
    if (this.#waiting.length > 0) this.#waiting = this.#waiting.filter((other) => other !== command);
    command.resolve(response);
  }

  /** What waits is sent when the server is at rest; all of it at once where only repeated commands had to wait. */
  #sendNext(): void {
    if (this.#waiting.length === 0) return;
    while (this.#waiting.length > 0 && !this.#isAtWork) {
      const next = this.#waiting.shift();
      if (next === undefined) return;
      const isMoot = next.refusal !== undefined && next.behind?.status !== undefined && next.behind.status !== 'OK';
      if (isMoot && next.refusal !== undefined) this.#settle(next, next.refusal);
      else this.#put(next);
    }
    const isSerial = this.#habits.isSerial || this.#waiting.some(({ tags }) => tags.length > 0) || this.#hasRepeated;
    if (!isSerial) for (const next of this.#waiting.splice(0)) this.#put(next);
  }

  /** The server has something to answer that does not wait to be sent again. */
  get #isAtWork(): boolean {
    for (const command of this.#unanswered) if (!this.#waiting.includes(command)) return true;
    return false;
  }

  get #hasRepeated(): boolean {
    for (const { tags } of this.#unanswered) if (tags.length > 1) return true;
    return false;
  }

  #last(): Command<C> | undefined {
    let last: Command<C> | undefined;
    for (const command of this.#unanswered) last = command;
    return last;
  }

  #put(command: Command<C>): void {
    const tag = OWN_TAG + (++this.#count).toString(36);
    command.tags.push(tag);
    this.#byTag.set(tag, command);
    this.#unanswered.add(command);
    this.#send(`${tag} ${command.text}\r\n`);
  }
}

/** It was sent while another command was at work, once, and that command was not refused, which would have been the reason. */
function isTooEarly<C>({ text, behind, tags }: Command<C>): boolean {
  const isBehind = behind !== undefined && (behind.status === undefined || behind.status === 'OK');
  return isBehind && tags.length === 1 && REPEATABLE.test(text);
}
