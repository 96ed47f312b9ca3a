/** Runs a real client to its end: home in the test's folder, a time-out, and a kill of exactly what was started. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Writable } from 'node:stream';
import { lastWords, shortened } from '../last-words.ts';
import { patience } from '../patience.ts';

/** How a program ended and what it printed. */
export interface ProgramResult {
  /** Its exit code; -1 when a signal ended it. */
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** What to run and where. */
export interface Program {
  readonly path: string;
  readonly args: readonly string[];
  /** HOME and working directory. */
  readonly home: string;
  /** How long it may take on a quiet machine. */
  readonly timeoutMs?: number;
  /** Written to its standard input, which is then closed. */
  readonly input?: string;
  /** Instead of `input`: is given its standard input, and each piece of standard output as it comes. */
  readonly converse?: (stdin: Writable) => (chunk: string) => void;
}

const TIMEOUT_MS = 20_000;

/** A program was ended because it took too long. The message has what both sides said last. */
export class ProgramHangs extends Error {
  /** What the program printed, to both streams. */
  readonly printed: string;

  constructor(message: string, { stdout, stderr }: Pick<ProgramResult, 'stdout' | 'stderr'>) {
    super(`${message} Its output:\n${shortened(stdout)}\nIts errors:\n${shortened(stderr)}\nThe others:\n${lastWords()}`);
    this.printed = stdout + stderr;
  }
}

/** Rejects when the program can't be started or takes too long. */
export async function runProgram(program: Program): Promise<ProgramResult> {
  const env = { PATH: process.env['PATH'] ?? '/usr/bin:/bin', HOME: program.home, TMPDIR: program.home, LC_ALL: 'C.UTF-8', TZ: 'UTC' };
  // A group of its own, so that a mail delivery command it started ends with it.
  const child = spawn(program.path, program.args, { cwd: program.home, env, detached: true });
  let stdout = '';
  let stderr = '';
  const listener = program.converse?.(child.stdin);
  child.stdout.setEncoding('latin1').on('data', (chunk: string) => {
    stdout += chunk;
    listener?.(chunk);
  });
  child.stderr.setEncoding('latin1').on('data', (chunk: string) => (stderr += chunk));
  child.stdin.on('error', () => undefined);
  if (listener === undefined) child.stdin.end(program.input ?? '');
  const limit = patience(program.timeoutMs ?? TIMEOUT_MS);
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
  }, limit);
  try {
    await once(child, 'close');
  } finally {
    clearTimeout(timer);
  }
  if (late) throw new ProgramHangs(`${program.path} did not end within ${limit} ms.`, { stdout, stderr });
  return { exitCode: child.exitCode ?? -1, stdout, stderr };
}
