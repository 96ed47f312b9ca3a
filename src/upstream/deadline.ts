/** Deadlines for upstream calls: imapflow itself only knows inactivity of the socket. */
import type { Cancel, Clock } from '../clock.ts';
import { UpstreamError } from '../errors.ts';

export interface Deadline {
  readonly clock: Clock;
  /** Longest time without progress, in milliseconds. */
  readonly ms: number;
  readonly signal: AbortSignal;
  /** A figure that grows while there is progress; without it the whole call has to end in time. */
  readonly progress?: () => number;
  /** True while we do not read what the other side says: its silence does not count then. */
  readonly isPaused?: () => boolean;
  /** Ends the call's cause: the connection is destroyed, for its state is unknown. */
  readonly onExpire: () => void;
}

/** With progress shown a call may still not last longer than this many times the deadline. */
const MAX_EXTENSIONS = 20;

/** Runs a call under a deadline. Rejects with UpstreamError `timeout` at its end, `unreachable` when the signal aborts. */
export async function withDeadline<T>(deadline: Deadline, run: () => Promise<T>): Promise<T> {
  if (deadline.signal.aborted) throw new UpstreamError('unreachable', 'cancelled before it began');
  const call = run();
  let stop: () => void = () => {};
  const limit = new Promise<never>((_, reject) => {
    stop = watch(deadline, (error) => {
      reject(error);
      deadline.onExpire();
    });
  });
  try {
    return await Promise.race([call, limit]);
  } finally {
    stop();
    call.catch(() => {});
    limit.catch(() => {});
  }
}

function watch(deadline: Deadline, expire: (error: UpstreamError) => void): () => void {
  const abort = (): void => expire(new UpstreamError('unreachable', 'cancelled'));
  deadline.signal.addEventListener('abort', abort, { once: true });
  let cancel: Cancel = () => {};
  const arm = (before: number, extensions: number): void => {
    cancel = deadline.clock.after(deadline.ms, () => {
      if (deadline.isPaused?.() === true) {
        arm(before, extensions);
        return;
      }
      const after = deadline.progress?.() ?? before;
      if (after > before && extensions < MAX_EXTENSIONS) arm(after, extensions + 1);
      else expire(new UpstreamError('timeout', `no progress for ${deadline.ms} ms`));
    });
  };
  arm(deadline.progress?.() ?? 0, 0);
  return () => {
    cancel();
    deadline.signal.removeEventListener('abort', abort);
  };
}

/** The promise's outcome, or UpstreamError `unreachable` as soon as the signal aborts: nobody waits for it any more. */
export async function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal, reason: string): Promise<T> {
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const giveUp = (): void => reject(new UpstreamError('unreachable', reason));
  if (signal.aborted) giveUp();
  signal.addEventListener('abort', giveUp, { once: true });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener('abort', giveUp);
    promise.catch(() => {});
  }
}
