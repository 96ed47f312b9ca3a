/** The built program with a user before it: what it asks is waited for, and answered. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { leaksIn, type ProgramResult } from './bridge-process.ts';
import { patience } from './patience.ts';
import { PROGRAM } from './program.ts';

const WAIT_MS = 20_000;

export class InteractiveRun implements AsyncDisposable {
  stdout = '';
  stderr = '';
  readonly #child: ChildProcess;
  readonly #closed: Promise<unknown>;
  #wake: () => void = () => {};

  constructor(args: readonly string[]) {
    this.#child = spawn(process.execPath, [PROGRAM, ...args], { stdio: ['pipe', 'pipe', 'pipe'] });
    this.#closed = once(this.#child, 'close');
    this.#child.stdout?.on('data', (chunk: Buffer) => this.#note('stdout', chunk));
    this.#child.stderr?.on('data', (chunk: Buffer) => this.#note('stderr', chunk));
    void this.#closed.then(() => this.#wake());
  }

  /** Waits until it has written that, to whichever stream, and gives the first group. */
  async says(pattern: RegExp): Promise<string> {
    const deadline = performance.now() + patience(WAIT_MS);
    for (;;) {
      const found = pattern.exec(this.stdout + this.stderr);
      if (found !== null) return found[1] ?? found[0];
      if (this.#child.exitCode !== null || performance.now() > deadline) {
        throw new Error(`it did not say ${String(pattern)} but: ${this.stdout}${this.stderr}`);
      }
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, 100);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }

  type(line: string): void {
    this.#child.stdin?.write(`${line}\n`);
  }

  /** Its end. */
  async ended(): Promise<ProgramResult> {
    this.#child.stdin?.end();
    await this.#closed;
    const leaks = leaksIn([this.stdout, this.stderr]);
    if (leaks.length > 0) throw new Error(`the program must not show ${leaks.join(', ')}: ${this.stdout}${this.stderr}`);
    return { code: this.#child.exitCode, stdout: this.stdout, stderr: this.stderr };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode === null) this.#child.kill('SIGKILL');
    await this.#closed;
  }

  #note(stream: 'stdout' | 'stderr', chunk: Buffer): void {
    this[stream] += chunk.toString();
    this.#wake();
  }
}
