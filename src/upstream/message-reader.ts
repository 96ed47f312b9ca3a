/** Reads messages of one mailbox for one session: whole ones and headers, each read ahead; long ones that broke off in windows. */
import { UpstreamError } from '../errors.ts';
import type { TaggedResponse } from '../imap/response-parser.ts';
import { MAX_BODY_OCTETS, type MailboxBodies } from './body-cache.ts';
import type { BodyCollector } from './body-collector.ts';
import type { MailboxRunner } from './imap-session.ts';
import { askForNumber } from './message-numbers.ts';
import { ReadAhead, type BodyCommands, type FetchHow, type ReadAheadBudget } from './read-ahead.ts';
import type { SelectedMailbox } from './selected-mailbox.ts';
import type { FetchRequest } from './upstream.ts';
import { inWindows } from './windows.ts';

const LF = 0x0a;
const KIB = 1024;
/** The beginning of a message of up to this size is not worth a command of its own: all of it is read. */
const SMALL_OCTETS = 64 * KIB;

export class MessageReader {
  readonly #runner: MailboxRunner;
  readonly #kept: MailboxBodies;
  readonly #bodies: ReadAhead;
  readonly #headers: ReadAhead;

  constructor(runner: MailboxRunner, mailbox: SelectedMailbox, budget: ReadAheadBudget, kept: MailboxBodies) {
    this.#runner = runner;
    this.#kept = kept;
    const commands = commandsOf(runner, mailbox);
    this.#bodies = new ReadAhead(commands, '', budget);
    this.#headers = new ReadAhead(commands, 'HEADER', budget);
  }

  /** See UpstreamMailbox.fetch. */
  async *read(request: FetchRequest, signal: AbortSignal): AsyncGenerator<Uint8Array, void, void> {
    const isSmall = request.octets <= SMALL_OCTETS;
    const kept = this.#kept.get(request.uid, request.octets);
    if (kept !== undefined) yield kept;
    else if (request.part === 'header') yield* this.#header(request, signal);
    else if (request.inWindows === true || (request.part === 'beginning' && !isSmall)) yield* this.#inWindows(request, signal);
    else {
      this.#headers.giveWay();
      yield* this.#whole(request, signal);
    }
  }

  /** In windows where the server gives no more than a part of it else. */
  async *#whole(request: FetchRequest, signal: AbortSignal): AsyncGenerator<Uint8Array, void, void> {
    const isKept = request.octets <= MAX_BODY_OCTETS;
    const pieces: Uint8Array[] = [];
    let hasBegun = false;
    try {
      for await (const chunk of this.#bodies.read(request, signal)) {
        hasBegun = true;
        if (isKept) pieces.push(chunk);
        yield chunk;
      }
      if (isKept) this.#kept.add(request.uid, request.octets, pieces);
      return;
    } catch (error) {
      const isPart = !hasBegun && this.#bodies.givesParts && error instanceof UpstreamError && error.kind === 'message-unreadable';
      if (!isPart) throw error;
    }
    yield* this.#inWindows(request, signal);
  }

  /** Nothing more will be read. */
  close(): void {
    this.#bodies.close();
    this.#headers.close();
  }

  /** The header, or where the server gives no whole line for it, the beginning of the message: the caller cuts either. */
  async *#header(request: FetchRequest, signal: AbortSignal): AsyncGenerator<Uint8Array, void, void> {
    if (this.#bodies.has(request.uid)) {
      yield* this.#whole(request, signal);
      return;
    }
    this.#bodies.giveWay();
    let held: Buffer[] | undefined = [];
    let octets = 0;
    try {
      for await (const chunk of this.#headers.read(request, signal)) {
        octets += chunk.length;
        if (held === undefined) {
          yield chunk;
          continue;
        }
        held.push(chunk);
        if (octets <= SMALL_OCTETS) continue;
        yield* held;
        held = undefined;
      }
    } catch (error) {
      if (octets > 0 || !(error instanceof UpstreamError) || error.kind !== 'message-unreadable') throw error;
    }
    if (held === undefined) return;
    // Courier cuts a header without a blank line between CR and LF.
    if (held.at(-1)?.at(-1) === LF) yield* held;
    else yield* this.#inWindows({ ...request, part: 'beginning' }, signal);
  }

  async *#inWindows(request: FetchRequest, signal: AbortSignal): AsyncGenerator<Uint8Array, void, void> {
    this.#bodies.giveWay();
    this.#headers.giveWay();
    yield* inWindows(this.#runner, request, signal);
  }
}

function commandsOf(runner: MailboxRunner, mailbox: SelectedMailbox): BodyCommands {
  const { connection } = runner;
  const { pipeline, holding } = connection;
  const never = new AbortController().signal;
  const fetch = async (what: string, collector: BodyCollector, how: FetchHow): Promise<TaggedResponse> => {
    const leave = await connection.reading(mailbox, never, how);
    try {
      const { numbered } = how;
      if (numbered !== undefined) {
        runner.count();
        await pipeline.ask(askForNumber(numbered), pipeline.numbers.learner(numbered));
      }
      runner.count();
      return await pipeline.ask(`UID FETCH ${what}`, collector);
    } finally {
      leave();
    }
  };
  return {
    fetch,
    hold: (holder) => holding.hold(holder),
    letGo: (holder) => holding.letGo(holder),
    abandon: (holder) => {
      // What comes for nobody is no reason to end a connection that others use.
      if (connection.sessions < 2 && !holding.isAwaitedBesides(holder)) connection.destroy();
    },
    get isWanted() {
      return connection.isWanted;
    },
  };
}
