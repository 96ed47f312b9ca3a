/**
 * Message octets through imapflow, which buffers every literal whole: so a large message is read in windows
 * (`BODY.PEEK[]<offset.length>`), the next one asked for while the last is being sent. RFC822.SIZE only chooses how to ask;
 * where a message ends is told by the octets alone.
 */
import { UpstreamError } from '../errors.ts';
import type { OperationRunner } from './imapflow-upstream.ts';
import type { FetchRequest } from './upstream.ts';

const MIB = 1024 * 1024;
/** Up to this size a message comes in one piece. */
const WHOLE_OCTETS = MIB;
const WINDOW_OCTETS = MIB;
/** First window for a caller that may stop early (TOP); it doubles from there. */
const FIRST_WINDOW_OCTETS = MIB / 16;
/** Octets handed on at once. */
const SLICE_OCTETS = MIB / 16;

/** `undefined`: the server sent no row for the UID. An empty buffer: a row without octets. */
type Octets = Buffer | undefined;

export async function* fetchHeader(
  runner: OperationRunner,
  request: FetchRequest,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, void, void> {
  yield* slices(present(await row(runner, request, signal, { headers: true }, 'headers'), request));
}

export async function* fetchWhole(
  runner: OperationRunner,
  request: FetchRequest,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, void, void> {
  if (request.part === 'whole' && request.octets <= WHOLE_OCTETS) {
    const octets = present(await row(runner, request, signal, { source: true }, 'source'), request);
    if (octets.length === 0 && request.octets > 0) throw unreadable(request);
    yield* slices(octets);
    return;
  }
  yield* windows(runner, request, signal);
}

async function* windows(runner: OperationRunner, request: FetchRequest, signal: AbortSignal): AsyncGenerator<Uint8Array, void, void> {
  let length = request.part === 'beginning' ? FIRST_WINDOW_OCTETS : WINDOW_OCTETS;
  let offset = 0;
  let pending = window(runner, request, signal, 0, length);
  for (;;) {
    const octets = present(await pending, request);
    if (octets.length === 0 && offset === 0 && request.octets > 0) throw unreadable(request);
    if (octets.length > length && offset > 0) throw new UpstreamError('protocol', 'a partial FETCH gave more than was asked for');
    offset += octets.length;
    if (isLast(octets.length, length, offset, request.octets)) {
      yield* slices(octets);
      return;
    }
    length = Math.min(2 * length, WINDOW_OCTETS);
    pending = window(runner, request, signal, offset, length);
    // The consumer may stop at the yield; a failure then concerns nobody.
    pending.catch(() => {});
    yield* slices(octets);
  }
}

/**
 * Nothing more: the end. Short of the window and at least RFC822.SIZE in all: the end. Else only an empty window tells,
 * for sizes may lie either way. More than the first window: the server ignores partial FETCH and gave everything.
 */
function isLast(octets: number, length: number, total: number, declared: number): boolean {
  return octets === 0 || (octets < length && total >= declared) || octets > length;
}

async function window(
  runner: OperationRunner,
  request: FetchRequest,
  signal: AbortSignal,
  start: number,
  maxLength: number,
): Promise<Octets> {
  try {
    return await row(runner, request, signal, { source: { start, maxLength } }, 'source');
  } catch (error) {
    const atTheEnd = start > 0 && start === request.octets;
    if (atTheEnd && error instanceof UpstreamError && error.kind === 'refused') return Buffer.alloc(0);
    throw error;
  }
}

async function row(
  runner: OperationRunner,
  request: FetchRequest,
  signal: AbortSignal,
  query: { readonly headers?: true; readonly source?: true | { readonly start: number; readonly maxLength: number } },
  field: 'headers' | 'source',
): Promise<Octets> {
  let octets: Octets;
  await runner.runLong(signal, async () => {
    for await (const message of runner.client.flow.fetch(String(request.uid), { uid: true, ...query }, { uid: true })) {
      const value = message[field];
      if (message.uid === request.uid) octets = Buffer.isBuffer(value) ? value : (octets ?? Buffer.alloc(0));
    }
  });
  return octets;
}

function present(octets: Octets, request: FetchRequest): Buffer {
  if (octets === undefined) throw unreadable(request);
  return octets;
}

function unreadable(request: FetchRequest): UpstreamError {
  return new UpstreamError('message-unreadable', `the server gave no octets for the message with UID ${request.uid}`);
}

function* slices(octets: Buffer): Generator<Buffer> {
  for (let at = 0; at < octets.length; at += SLICE_OCTETS) yield octets.subarray(at, at + SLICE_OCTETS);
}
