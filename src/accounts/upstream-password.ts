/** Upstream passwords that lie elsewhere: in a file, behind a command, or in a systemd credential. Read afresh for each login. */
import { spawn } from 'node:child_process';
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { PasswordSource } from '../config/account-config.ts';
import { StoreError } from '../errors.ts';

/** Of the process. */
export interface Machine {
  /** Of its environment. */
  readonly variables: Readonly<Record<string, string | undefined>>;
  /** Ends a process with all of its group that are left. */
  readonly killGroup: (pid: number) => void;
}

/** A login waits for it. */
const COMMAND_MS = 15_000;
const MOST_OCTETS = 64 * 1024;
/** Of the daemon's environment; no program that it runs needs them. */
const OURS: ReadonlySet<string> = new Set(['POPBRIDGE_SECRETS_KEY', 'NOTIFY_SOCKET', 'WATCHDOG_USEC', 'WATCHDOG_PID']);

/** The first line of what is there. Rejects with SECRETS_UNREADABLE. */
export async function readPassword(source: PasswordSource, machine: Machine, signal: AbortSignal): Promise<string> {
  try {
    const [line = ''] = (await textOf(source, machine, signal)).split(/\r*\n/, 1);
    if (line === '') throw new Error('it gives nothing');
    return line;
  } catch (error) {
    throw new StoreError('SECRETS_UNREADABLE', `${describeSource(source)}: ${reasonOf(error)}`);
  }
}

/** For messages. */
export function describeSource(source: PasswordSource): string {
  if (source.kind === 'file') return source.path;
  return source.kind === 'command' ? `the command ${source.command[0] ?? ''}` : `the systemd credential ${source.name}`;
}

function textOf(source: PasswordSource, machine: Machine, signal: AbortSignal): Promise<string> {
  if (source.kind === 'file') return fileText(source.path);
  if (source.kind === 'command') return outputOf(source.command, machine, signal);
  const folder = machine.variables['CREDENTIALS_DIRECTORY'];
  if (folder === undefined) throw new Error('there are no systemd credentials here; LoadCredential= in the unit gives them');
  return fileText(join(folder, source.name));
}

/** A pipe that nobody writes to would never end. */
async function fileText(path: string): Promise<string> {
  if (!(await stat(path)).isFile()) throw new Error('is not a file');
  return readFile(path, 'utf8');
}

/** What it prints is never told: it may be the secret, or part of one. */
function outputOf([program = '', ...args]: readonly string[], { variables, killGroup }: Machine, signal: AbortSignal): Promise<string> {
  return new Promise((resolve, reject) => {
    const env = Object.fromEntries(Object.entries(variables).filter(([name]) => !OURS.has(name)));
    // A group of its own: what it has started ends with it.
    const child = spawn(program, args, { env, detached: true, stdio: ['ignore', 'pipe', 'ignore'] });
    const chunks: Buffer[] = [];
    let octets = 0;
    const giveUp = (reason: string): void => {
      stop();
      if (child.pid !== undefined) killGroup(child.pid);
      child.stdout.destroy();
      reject(new Error(reason));
    };
    const timer = setTimeout(() => giveUp(`did not end within ${COMMAND_MS / 1000} s`), COMMAND_MS);
    const onAbort = (): void => giveUp('was ended, as the daemon stops');
    const stop = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', onAbort);
    };
    child.stdout.on('data', (chunk: Buffer) => {
      chunks.push(chunk);
      octets += chunk.length;
      if (octets > MOST_OCTETS) giveUp('printed too much');
    });
    child.once('error', (error: NodeJS.ErrnoException) => {
      stop();
      reject(new Error(`could not be run (${error.code ?? error.name})`));
    });
    child.once('close', (code, killedBy) => {
      stop();
      if (code === 0) resolve(Buffer.concat(chunks).toString('utf8'));
      else reject(new Error(code === null ? `was ended by ${killedBy}` : `failed with exit code ${code}`));
    });
    signal.addEventListener('abort', onAbort, { once: true });
    if (signal.aborted) onAbort();
  });
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return 'unreadable';
  if ('code' in error && error.code === 'ENOENT') return 'does not exist';
  return 'code' in error && error.code === 'EACCES' ? 'may not be read' : error.message;
}
