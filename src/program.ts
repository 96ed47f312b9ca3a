/** The process edge: arguments, signals, exit codes. The only file that uses `process`, main.ts apart. */
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import yargs from 'yargs';
import { accountCommand } from './cli/account.ts';
import { checkCommand } from './cli/check.ts';
import type { CliEnvironment } from './cli/environment.ts';
import { EXIT_USAGE, exitCodeFor, linesFor, UsageError } from './cli/exit-code.ts';
import { laterCommand } from './cli/later-commands.ts';
import { maildropCommand } from './cli/maildrop.ts';
import { presetsCommand } from './cli/presets.ts';
import { serveCommand } from './cli/serve.ts';
import { refuseRepeated, usageText } from './cli/usage-text.ts';
import { requireOwnStateDirectory } from './daemon/own-files.ts';

/** What we write is for our own user alone. */
const OWNER_ONLY = 0o077;

/** A daemon whose log nobody reads must stop all the same. */
const DAEMON_OUTPUT_MS = 1_000;

const LOG_LEVELS = ['debug', 'info', 'warn', 'error'] as const;

/** Parses the command line, runs the command, and leaves with its exit code. */
export async function runProgram(): Promise<void> {
  const args = process.argv.slice(2);
  process.umask(OWNER_ONLY);
  leaveNoCore();
  process.stdout.on('error', leaveQuietly);
  process.stderr.on('error', () => {});
  const cli = environment();
  let code = 0;
  try {
    await parser(args, cli).parseAsync();
  } catch (error) {
    for (const line of linesFor(error)) warn(line);
    if (args.includes('debug') && error instanceof Error) process.stderr.write(`${error.stack ?? ''}\n`);
    code = exitCodeFor(error);
  }
  await outputWritten(cli.isDaemon());
  process.exit(code);
}

/** A pipe takes 64 KiB at once, and what waits for its reader is lost with the process. */
function outputWritten(isDaemon: boolean): Promise<void> {
  return new Promise((resolve) => {
    process.stdout.write('', () => resolve());
    if (isDaemon) setTimeout(resolve, DAEMON_OUTPUT_MS);
  });
}

function parser(args: readonly string[], cli: CliEnvironment): ReturnType<typeof yargs> {
  return yargs(args)
    .scriptName('popbridge')
    .version(cli.version)
    .option('config', {
      type: 'string',
      requiresArg: true,
      array: true,
      default: [],
      global: true,
      describe: 'Configuration file, or directory of *.toml',
    })
    .option('log-level', { choices: LOG_LEVELS, global: true, describe: 'Instead of log.level' })
    .command(serveCommand(cli))
    .command(checkCommand(cli))
    .command(maildropCommand(cli))
    .command(accountCommand(cli))
    .command(presetsCommand(cli))
    .command(laterCommand)
    .demandCommand(1, 'give a command: serve, check, maildrop, account or presets')
    .check(refuseRepeated, true)
    .strict()
    .recommendCommands()
    .fail((message: string | null, error: Error | undefined) => {
      // Of its own finds yargs throws some.
      if (error !== undefined && error.name !== 'YError') throw error;
      throw new UsageError(usageText(message ?? error?.message ?? 'wrong command line', args));
    })
    .exitProcess(false)
    .wrap(100)
    .epilogue(`Exit codes: 0 done, 1 failed, ${EXIT_USAGE} wrong command line, 69 upstream, 75 in use, 77 permission, 78 configuration`);
}

function environment(): CliEnvironment & { readonly isDaemon: () => boolean } {
  let isDaemon = false;
  return {
    isDaemon: () => isDaemon,
    version: version(),
    nodeVersion: process.versions.node,
    pid: process.pid,
    uid: currentUser(),
    descriptors: descriptorLimit(),
    variables: process.env,
    killGroup,
    stdin: process.stdin,
    isTerminal: process.stdout.isTTY,
    write: (text) => process.stdout.write(text),
    writeProgress: process.stderr.isTTY ? (text) => void process.stderr.write(text) : undefined,
    writeQuestion: (text) => void process.stderr.write(text),
    becomeOwnerOf,
    warn,
    onSignals: ({ stop, reload, bug, outputLost }) => {
      isDaemon = true;
      process.stdout.off('error', leaveQuietly).on('error', outputLost);
      process.on('SIGTERM', stop);
      process.on('SIGINT', stop);
      process.on('SIGHUP', reload);
      process.on('unhandledRejection', bug);
    },
  };
}

/**
 * What root would write in a folder of another user, that user could not change any more. And whoever is not root must give their passwords to
 * no daemon of another user.
 */
function becomeOwnerOf(folder: string): void {
  const own = currentUser();
  if (own !== 0) return requireOwnStateDirectory(folder, own);
  const { uid, gid } = statSync(folder);
  if (uid === 0) return;
  process.setgroups?.([gid]);
  process.setgid?.(gid);
  process.setuid?.(uid);
}

/** -1 where the system knows no users. */
function currentUser(): number {
  return process.getuid?.() ?? -1;
}

/** Harmless where they have just ended. */
function killGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL');
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error;
  }
}

/** Whatever ends a command, its memory holds passwords: on Linux none of it goes into a core file (core(5)). Elsewhere that is up to the system. */
function leaveNoCore(): void {
  try {
    writeFileSync('/proc/self/coredump_filter', '0');
  } catch {
    // No /proc, or none that may be written to: then the unit's LimitCORE has to do.
  }
}

/** Linux; Node has raised it as far as it may. */
function descriptorLimit(): number | undefined {
  try {
    const limit = /^Max open files +(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1];
    return limit === undefined ? undefined : Number(limit);
  } catch {
    return undefined;
  }
}

function version(): string {
  const manifest: unknown = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
  return typeof manifest === 'object' && manifest !== null && 'version' in manifest ? String(manifest.version) : 'unknown';
}

function warn(line: string): void {
  process.stderr.write(`popbridge: ${line}\n`);
}

/** Whoever read our output is gone: a command that only answers has nobody left to answer. */
function leaveQuietly(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EPIPE') warn(`standard output: ${error.message}`);
  process.exit(1);
}
