/**
 * Reads a message in windows (`BODY.PEEK[]<offset.length>`): for a caller that may stop early, and where the server dropped the connection
 * within the whole message before. RFC822.SIZE only chooses how to ask; where a message ends is told by the octets alone.
 */
import { isRefusal, UpstreamError } from '../errors.ts';
import type { BodySection, FetchRow } from '../imap/fetch-row.ts';
import type { BodySink } from '../imap/response-parser.ts';
import type { MailboxRunner } from './imap-session.ts';
import { askForNumber } from './message-numbers.ts';
import type { FetchRequest } from './upstream.ts';

const MIB = 1024 * 1024;
const WINDOW_OCTETS = MIB;
/** First window for a caller that may stop early (TOP); it doubles from there. */
const FIRST_WINDOW_OCTETS = MIB / 16;
/** Octets handed on at once. */
const SLICE_OCTETS = MIB / 16;
/** A server that ignores partial FETCH gives the whole message: more than this of it is not taken into memory. */
const MAX_OCTETS = 64 * MIB;

/** What a FETCH brought: `undefined` where the server sent no row, a row without the section, or NIL for it. */
type Octets = Buffer | undefined;

const NOTHING = Buffer.alloc(0);

/** A window of a message; `isMarked`: the server told where it begins (`BODY[]<0>`), as RFC 3501 section 7.4.2 demands. */
interface Answer {
  readonly octets: Octets;
  readonly isMarked: boolean;
}

interface Span {
  readonly start: number;
  readonly maxLength: number;
}

export async function* inWindows(
  runner: MailboxRunner,
  request: FetchRequest,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, void, void> {
  // A caller that may stop early is not read ahead for: what it doesn't want would keep the next command waiting.
  const readsAhead = request.part === 'whole';
  let length = readsAhead ? WINDOW_OCTETS : FIRST_WINDOW_OCTETS;
  let offset = 0;
  let first: Buffer = NOTHING;
  let isFilled = false;
  let pending = window(runner, request, signal, { start: 0, maxLength: length });
  for (;;) {
    const answer = await pending;
    const octets: Buffer =
      offset === 0 ? beginning(answer.octets, request) : continuation(answer, { offset, length, first, isFilled }, request);
    if (offset === 0) first = octets;
    offset += octets.length;
    isFilled = octets.length >= length;
    if (isLast(octets.length, length, offset, request.octets)) {
      yield* slices(octets);
      return;
    }
    length = Math.min(2 * length, WINDOW_OCTETS);
    const following = { start: offset, maxLength: length };
    if (readsAhead) {
      pending = window(runner, request, signal, following);
      // The consumer may stop at the yield; a failure then concerns nobody.
      pending.catch(() => {});
    }
    yield* slices(octets);
    if (!readsAhead) pending = window(runner, request, signal, following);
  }
}

/**
 * Nothing more: the end. Short of the window and at least RFC822.SIZE in all: the end. Else only an empty window tells,
 * for sizes may lie either way. More than the first window: the server ignores partial FETCH and gave everything.
 */
function isLast(octets: number, length: number, total: number, declared: number): boolean {
  return octets === 0 || (octets < length && total >= declared) || octets > length;
}

/** The first octets, which a message that has any must have. */
function beginning(octets: Octets, request: FetchRequest): Buffer {
  if (octets === undefined || (octets.length === 0 && request.octets > 0)) throw unreadable(request);
  return octets;
}

/**
 * Further octets; none at the end. Only an empty string is the server's word that there are no more, or nothing at all where no
 * more was promised; where RFC822.SIZE promised more, only after a window that the server did not fill. A server that ignores
 * partial FETCH gives the whole message once again: that is the end too, not its continuation.
 */
function continuation(
  { octets = NOTHING, isMarked }: Answer,
  before: { readonly offset: number; readonly length: number; readonly first: Buffer; readonly isFilled: boolean },
  request: FetchRequest,
): Buffer {
  const { offset, length, first, isFilled } = before;
  if (octets.length === 0) {
    const isPromised = offset < request.octets && isFilled;
    if (isPromised || (octets === NOTHING && offset !== request.octets)) throw unreadable(request);
    return NOTHING;
  }
  const repeats = first.length === offset && octets.equals(first) && !(isFilled && isMarked);
  if (repeats && octets.length > request.octets - offset) return NOTHING;
  if (octets.length > length || repeats || (!isFilled && !isMarked)) {
    throw new UpstreamError('protocol', 'the server does not answer a partial FETCH with the part asked for');
  }
  return octets;
}

async function window(runner: MailboxRunner, request: FetchRequest, signal: AbortSignal, span: Span): Promise<Answer> {
  try {
    return await part(runner, request, signal, span);
  } catch (error) {
    const atTheEnd = span.start > 0 && span.start === request.octets;
    if (atTheEnd && isRefusal(error)) return { octets: undefined, isMarked: false };
    throw error;
  }
}

/**
 * Other rows may come in between: flags that changed, or a late answer to an earlier request (Apache James). A body without a UID may be that
 * too: it is believed once the number of the message is known.
 */
async function part(runner: MailboxRunner, { uid }: FetchRequest, signal: AbortSignal, { start, maxLength }: Span): Promise<Answer> {
  let answer: Answer = { octets: undefined, isMarked: false };
  let isUnnamed = false;
  let coming: { readonly chunks: Buffer[]; readonly isMarked: boolean } | undefined;
  const body = (row: FetchRow, { name, origin }: BodySection, octets: number | undefined): BodySink | undefined => {
    const isAnswer =
      name === '' && octets !== undefined && (row.uid === 0 || row.uid === uid) && (origin === undefined || origin === start);
    if (!isAnswer || coming !== undefined) return undefined;
    if (octets > MAX_OCTETS) throw new UpstreamError('protocol', 'the server does not answer a partial FETCH with the part asked for');
    const chunks: Buffer[] = [];
    coming = { chunks, isMarked: origin !== undefined };
    return { write: (chunk) => void chunks.push(chunk) };
  };
  const row = (told: FetchRow): boolean => {
    const taken = coming;
    coming = undefined;
    isUnnamed ||= taken !== undefined && told.uid === 0;
    if (taken === undefined || told.uid !== uid) return false;
    answer = { octets: Buffer.concat(taken.chunks), isMarked: taken.isMarked };
    return true;
  };
  const ask = (): Promise<void> => runner.command(`UID FETCH ${uid} (UID BODY.PEEK[]<${start}.${maxLength}>)`, signal, { body, row });
  await ask();
  if (answer.octets !== undefined || !isUnnamed) return answer;
  await runner.command(askForNumber(uid), signal, runner.connection.pipeline.numbers.learner(uid));
  await ask();
  return answer;
}

function unreadable(request: FetchRequest): UpstreamError {
  return new UpstreamError('message-unreadable', `the server gave no octets for the message with UID ${request.uid}`);
}

function* slices(octets: Buffer): Generator<Buffer> {
  for (let at = 0; at < octets.length; at += SLICE_OCTETS) yield octets.subarray(at, at + SLICE_OCTETS);
}
