/**
 * Message octets through imapflow, which buffers every literal whole: so a large message is read in windows
 * (`BODY.PEEK[]<offset.length>`), the next one asked for while the last is being sent. RFC822.SIZE only chooses how to ask;
 * where a message ends is told by the octets alone.
 */
import { UpstreamError } from '../errors.ts';
import type { OperationRunner } from './imap-session.ts';
import type { FetchRequest } from './upstream.ts';

const LF = 0x0a;
const MIB = 1024 * 1024;
/** Up to this size a message comes in one piece. */
const WHOLE_OCTETS = MIB;
const WINDOW_OCTETS = MIB;
/** First window for a caller that may stop early (TOP); it doubles from there. */
const FIRST_WINDOW_OCTETS = MIB / 16;
/** Octets handed on at once. */
const SLICE_OCTETS = MIB / 16;

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

/** The header, or where the server gives no whole line for it, the beginning of the message: the caller cuts either. */
export async function* fetchHeader(
  runner: OperationRunner,
  request: FetchRequest,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, void, void> {
  const { octets } = await row(runner, request, signal, { headers: true }, 'headers');
  // Courier cuts a header without a blank line between CR and LF.
  if (octets?.at(-1) === LF) yield* slices(octets);
  else yield* windows(runner, { ...request, part: 'beginning' }, signal);
}

export async function* fetchWhole(
  runner: OperationRunner,
  request: FetchRequest,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, void, void> {
  if (request.part === 'whole' && request.octets <= WHOLE_OCTETS) {
    const { octets } = await row(runner, request, signal, { source: true }, 'source');
    yield* slices(beginning(octets, request));
    return;
  }
  yield* windows(runner, request, signal);
}

async function* windows(runner: OperationRunner, request: FetchRequest, signal: AbortSignal): AsyncGenerator<Uint8Array, void, void> {
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

async function window(runner: OperationRunner, request: FetchRequest, signal: AbortSignal, span: Span): Promise<Answer> {
  try {
    return await row(runner, request, signal, { source: span }, 'source');
  } catch (error) {
    const atTheEnd = span.start > 0 && span.start === request.octets;
    if (atTheEnd && error instanceof UpstreamError && error.kind === 'refused') return { octets: undefined, isMarked: false };
    throw error;
  }
}

async function row(
  runner: OperationRunner,
  request: FetchRequest,
  signal: AbortSignal,
  query: { readonly headers?: true; readonly source?: true | Span },
  field: 'headers' | 'source',
): Promise<Answer> {
  let answer: Answer = { octets: undefined, isMarked: false };
  const start = typeof query.source === 'object' ? query.source.start : undefined;
  await runner.runLong(signal, async () => {
    for await (const message of runner.client.flow.fetch(String(request.uid), { uid: true, ...query }, { uid: true })) {
      const octets = message[field];
      const origin = originOf(message);
      // Other rows come in between: flags that changed, or a late answer to an earlier request (Apache James).
      const isAnswer = message.uid === request.uid && Buffer.isBuffer(octets) && (origin === undefined || origin === start);
      if (isAnswer) answer = { octets, isMarked: origin !== undefined };
    }
  });
  return answer;
}

/** The `<origin>` of the row's BODY[], which imapflow keeps on a property it doesn't declare. */
function originOf(message: object): number | undefined {
  const origins: unknown = Reflect.get(message, 'partialOrigins');
  const origin: unknown = origins instanceof Map ? origins.get('') : undefined;
  return typeof origin === 'number' ? origin : undefined;
}

function unreadable(request: FetchRequest): UpstreamError {
  return new UpstreamError('message-unreadable', `the server gave no octets for the message with UID ${request.uid}`);
}

function* slices(octets: Buffer): Generator<Buffer> {
  for (let at = 0; at < octets.length; at += SLICE_OCTETS) yield octets.subarray(at, at + SLICE_OCTETS);
}
