/** Asks the daemon that runs on a state directory. */
import { connect } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Progress } from './control-socket.ts';

/** What the daemon answered. */
export type ControlAnswer =
  { readonly result: unknown } | { readonly error: { readonly kind?: string; readonly code: string; readonly message: string } };

/** No daemon listens there. */
const NOBODY: ReadonlySet<unknown> = new Set(['ENOENT', 'ECONNREFUSED']);

/** Undefined where no daemon runs. Rejects where it went away before it answered. */
export async function askDaemon(
  stateDirectory: string,
  request: string,
  params: unknown,
  progress: Progress,
): Promise<ControlAnswer | undefined> {
  const socket = connect(join(stateDirectory, 'control.sock'));
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', () => resolve());
      socket.once('error', reject);
    });
  } catch (error) {
    socket.destroy();
    if (error instanceof Error && 'code' in error && NOBODY.has(error.code)) return undefined;
    throw error;
  }
  socket.write(`${JSON.stringify({ request, params })}\n`);
  try {
    for await (const line of createInterface({ input: socket })) {
      const answer = parsed(line);
      if ('progress' in answer) progress(answer.progress.done, answer.progress.total, answer.progress.what);
      else return answer;
    }
  } finally {
    socket.destroy();
  }
  throw new Error('the daemon went away before it answered');
}

function parsed(
  line: string,
): ControlAnswer | { readonly progress: { readonly done: number; readonly total: number; readonly what: string } } {
  // eslint-disable-next-line typescript/no-unsafe-type-assertion -- our own daemon wrote it
  return JSON.parse(line) as ReturnType<typeof parsed>;
}
