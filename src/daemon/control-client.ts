/** Asks the daemon that runs on a state directory. */
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { z } from 'zod';
import type { Progress } from './control-socket.ts';
import { hasOwnSocket } from './own-files.ts';

const failure = z.object({ kind: z.string().optional(), code: z.string(), message: z.string() });
const answerLine = z.union([
  z.object({ progress: z.object({ done: z.number(), total: z.number(), what: z.string() }) }),
  z.object({ part: z.unknown() }),
  z.object({ error: failure }),
  z.object({ result: z.unknown() }),
]);

/** What the daemon answered. An answer in parts is the list of them. */
export type ControlAnswer = { readonly result: unknown } | { readonly error: z.output<typeof failure> };

/** No daemon listens there. */
const NOBODY: ReadonlySet<unknown> = new Set(['ENOENT', 'ECONNREFUSED']);

/** Gives undefined if no daemon is running. Rejects if the daemon went away before it answered, and with StoreError if the socket belongs to somebody else. */
export async function askDaemon(
  stateDirectory: string,
  request: string,
  params: unknown,
  progress: Progress,
): Promise<ControlAnswer | undefined> {
  const path = join(stateDirectory, 'control.sock');
  if (!hasOwnSocket(path, stateDirectory)) return undefined;
  const socket = connect(path);
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
  const parts: unknown[] = [];
  try {
    for await (const line of linesOf(socket)) {
      const answer = answerLine.parse(JSON.parse(line));
      if ('progress' in answer) progress(answer.progress.done, answer.progress.total, answer.progress.what);
      else if ('part' in answer) parts.push(answer.part);
      else if ('error' in answer) return answer;
      else return parts.length > 0 ? { result: parts } : answer;
    }
  } finally {
    socket.destroy();
  }
  throw new Error('the daemon went away before it answered');
}

/** The lines that are ended. JSON may hold every other character that somebody takes for the end of a line: U+2028 and U+2029 as they are. */
async function* linesOf(socket: Socket): AsyncGenerator<string> {
  let begun: string[] = [];
  socket.setEncoding('utf8');
  for await (const chunk of socket) {
    const [first = '', ...others] = String(chunk).split('\n');
    begun.push(first);
    for (const next of others) {
      yield begun.join('');
      begun = [next];
    }
  }
}
