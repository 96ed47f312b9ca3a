/** Upstream passwords that lie elsewhere: in a file, behind a command, or in a systemd credential. Read afresh for each login. */
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { PasswordSource } from '../config/account-config.ts';
import { StoreError } from '../errors.ts';

const COMMAND_MS = 30_000;
const MOST_OCTETS = 64 * 1024;

/** The first line of what is there. Rejects with SECRETS_UNREADABLE. */
export async function readPassword(
  source: PasswordSource,
  variables: Readonly<Record<string, string | undefined>>,
  signal: AbortSignal,
): Promise<string> {
  try {
    const [line = ''] = (await textOf(source, variables, signal)).split(/\r?\n/, 1);
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

function textOf(source: PasswordSource, variables: Readonly<Record<string, string | undefined>>, signal: AbortSignal): Promise<string> {
  if (source.kind === 'file') return readFile(source.path, 'utf8');
  if (source.kind === 'command') return outputOf(source.command, signal);
  const folder = variables['CREDENTIALS_DIRECTORY'];
  if (folder === undefined) throw new Error('there are no systemd credentials here; LoadCredential= in the unit gives them');
  return readFile(join(folder, source.name), 'utf8');
}

function outputOf([program = '', ...args]: readonly string[], signal: AbortSignal): Promise<string> {
  return new Promise((resolve, reject) => {
    const options = { timeout: COMMAND_MS, maxBuffer: MOST_OCTETS, signal, killSignal: 'SIGKILL', encoding: 'utf8' } as const;
    const child = execFile(program, args, options, (error, stdout) => {
      // What it printed may be the secret, or part of one.
      if (error === null) resolve(stdout);
      else reject(new Error(failureOf(error)));
    });
    child.stdin?.on('error', () => {});
    child.stdin?.end();
  });
}

function failureOf(error: Error & { readonly code?: number | string | null; readonly killed?: boolean }): string {
  if (error.killed === true) return `did not end within ${COMMAND_MS / 1000} s, or printed too much`;
  return typeof error.code === 'number' ? `failed with exit code ${error.code}` : `could not be run (${error.code ?? error.name})`;
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return 'unreadable';
  if ('code' in error && error.code === 'ENOENT') return 'does not exist';
  return 'code' in error && error.code === 'EACCES' ? 'may not be read' : error.message;
}
