/** Runs a server of the tests as a child: its own process group, gone with this process, stopped by its id and nothing else. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { openSync, closeSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { patience } from '../patience.ts';
import type { Owner } from './mail-owner.ts';

const TERM_MS = 300;
const KILL_MS = 5000;
const POLL_MS = 10;

/**
 * To another user for the servers that give up root by no means of their own. The capability stays, for else that user could not start what lies
 * below a folder that only root may enter, such as a checkout in its home.
 */
function asUser({ uid, gid }: Owner): readonly string[] {
  return [`--reuid=${uid}`, `--regid=${gid}`, '--clear-groups', '--inh-caps=+dac_override', '--ambient-caps=+dac_override'];
}

/** A running server. */
export class DaemonProcess implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #pid: number;

  private constructor(child: ChildProcess, pid: number) {
    this.#child = child;
    this.#pid = pid;
  }

  /** Starts the program in the foreground, under this process's user unless another is named; what it prints goes to `logFile`. */
  static start(program: string, args: readonly string[], folder: string, logFile: string, user?: Owner): DaemonProcess {
    const log = openSync(logFile, 'a');
    try {
      // pdeathsig: a test runner that is killed can't dispose of anything.
      const privileges = ['--pdeathsig', 'TERM', ...(user === undefined ? [] : asUser(user))];
      const child = spawn('/usr/bin/setpriv', [...privileges, '--', program, ...args], {
        cwd: folder,
        detached: true,
        stdio: ['ignore', log, log],
      });
      if (child.pid === undefined) throw new Error(`could not start ${program}`);
      return new DaemonProcess(child, child.pid);
    } finally {
      closeSync(log);
    }
  }

  /** Of the server itself: setpriv becomes it. */
  get pid(): number {
    return this.#pid;
  }

  /** False once the server has ended by itself. */
  get isRunning(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /**
   * TERM to the server, then KILL to what is left of its group. The wait is short: Dovecot would take 2 to 3 s to end, all but the first moments of it
   * for its log process, and its files are thrown away anyhow.
   */
  async [Symbol.asyncDispose](): Promise<void> {
    const hasEnded = (): boolean => !this.isRunning;
    if (this.isRunning) this.#child.kill('SIGTERM');
    await poll(hasEnded, TERM_MS);
    try {
      process.kill(-this.#pid, 'SIGKILL');
    } catch {
      // Nobody is left in the group.
    }
    // Not for the whole group: its orphans may stay zombies for as long as the machine's first process likes.
    await poll(hasEnded, KILL_MS);
  }
}

/** Asks until the answer is yes; false when the time is over, which is meant for a quiet machine. */
export async function poll(question: () => boolean | Promise<boolean>, timeoutMs: number): Promise<boolean> {
  const deadline = performance.now() + patience(timeoutMs);
  for (;;) {
    if (await question()) return true;
    if (performance.now() >= deadline) return false;
    await delay(POLL_MS);
  }
}

/** Loopback ports nobody listens on now. They are held together while they are chosen, so all are different. */
export async function freePorts(count: number): Promise<readonly number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'));
  await Promise.all(servers.map((server) => once(server, 'listening')));
  const ports = servers.map(portOf);
  await Promise.all(servers.map((server) => once(server.close(), 'close')));
  return ports;
}

function portOf(server: Server): number {
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('not listening on a port');
  return address.port;
}
