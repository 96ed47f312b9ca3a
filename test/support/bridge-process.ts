/** The built program as a child process, with a configuration of its own and its log as values. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { isSilent, lastWords, listenTo, shortened } from './last-words.ts';
import { patience } from './patience.ts';
import { PROGRAM } from './program.ts';
import { formsOfSecrets, noteSecrets } from './secrets-used.ts';

const START_MS = 20_000;
/** No run of the program takes so long. */
const RUN_MS = 50_000;
const LAST_LINES = 8;
const USERS = ['alice', 'bob', 'carol'];
/** What the log has in their place, cut short perhaps. */
const STRUCK_OUT = /\[secret?\]?/g;

/** What the tests of this file may bring about, by the events' names. */
/** At first: where the machine gives few descriptors, which a daemon with 2,000 sessions says. */
const allowed = new Set(['sessions-reduced']);

/** Says which events of level warn and error the daemons of a test file may log; any other fails the test that ends its daemon. */
export function allowInLog(...events: readonly string[]): void {
  for (const event of events) allowed.add(event);
}

/** One line of the log. */
export type LogLine = Readonly<Record<string, unknown>> & { readonly event: string };

export interface BridgeOptions {
  /** Configuration text of one file, or of several by name (without .toml) in a directory. */
  readonly config: string | Readonly<Record<string, string>>;
  /** A folder that outlives the process, for restarts; by default one that goes with it. */
  readonly folder?: string;
  /** A command that becomes the daemon, such as `prlimit --nofile=100`. */
  readonly by?: readonly string[];
  readonly variables?: Readonly<Record<string, string>>;
}

export interface ProgramResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the program to its end. `output` takes its standard output instead of the result. */
export async function runBridge(
  args: readonly string[],
  input = '',
  variables: Readonly<Record<string, string>> = {},
  output: number | 'pipe' = 'pipe',
): Promise<ProgramResult> {
  // Passwords, a line each.
  noteSecrets(...input.split('\n'));
  const env = { ...process.env, ...variables };
  const child = spawn(process.execPath, [PROGRAM, ...args], { stdio: ['pipe', output, 'pipe'], env });
  const command = `popbridge ${args.join(' ')}`;
  let stdout = '';
  let stderr = '';
  child.stdout?.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
  child.stderr?.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  child.stdin?.end(input);
  await ended(child, () => `"${command}": ${shortened(stdout + stderr)}\n${lastWords()}`);
  const code = child.exitCode;
  const leaks = leaksIn([stdout, stderr]);
  if (leaks.length > 0) throw new Error(`"${command}" must not show ${leaks.join(', ')}: ${stdout}${stderr}`);
  return { code, stdout, stderr };
}

export class BridgeProcess implements AsyncDisposable {
  readonly folder: string;
  readonly log: LogLine[] = [];
  /** The same as they came. */
  readonly rawLog: string[] = [];
  readonly #child: ChildProcess;
  readonly #ownsFolder: boolean;
  readonly #watchers = new Set<() => void>();
  /** Upstreams that are gone, and how many lines there were by then. */
  readonly #gone = new Map<unknown, number>();
  #stderr = '';

  private constructor(options: BridgeOptions) {
    this.#ownsFolder = options.folder === undefined;
    this.folder = options.folder ?? mkdtempSync(join(tmpdir(), 'popbridge-test-'));
    const configPath = writeConfig(this.folder, options.config);
    const serve = [PROGRAM, 'serve', '--config', configPath, '--state', join(this.folder, 'state')];
    const [command = '', ...args] = [...(options.by ?? []), process.execPath, ...serve];
    this.#child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...options.variables } });
    this.#read();
    listenTo(this, () => this.#saidLast());
  }

  /** Starts the daemon; all its listeners are up when this resolves. */
  static async start(options: BridgeOptions): Promise<BridgeProcess> {
    const bridge = new BridgeProcess(options);
    await bridge.event('ready');
    return bridge;
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  get exitCode(): number | null {
    return this.#child.exitCode;
  }

  /** By itself, or by a signal. */
  get hasEnded(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  get stderr(): string {
    return this.#stderr;
  }

  /** The real port of the nth listener. */
  port(index = 0): number {
    return Number(this.log.filter((line) => line.event === 'listening')[index]?.['port']);
  }

  events(event: string): LogLine[] {
    return this.log.filter((line) => line.event === event);
  }

  /** Waits until there are `count` such events and gives the last of them. */
  async event(event: string, count = 1): Promise<LogLine> {
    const deadline = performance.now() + patience(START_MS);
    for (;;) {
      const found = this.events(event)[count - 1];
      if (found !== undefined) return found;
      if (this.hasEnded) throw new Error(`the bridge ended with ${this.#child.exitCode ?? this.#child.signalCode}: ${this.#stderr}`);
      if (performance.now() > deadline) throw new Error(`no ${count} × ${event}: ${this.#saidLast()}`);
      await this.#change();
    }
  }

  /** Rewrites the configuration; a SIGHUP makes it count. */
  configure(config: BridgeOptions['config']): void {
    writeConfig(this.folder, config);
  }

  /** What the log says of this upstream from now on is not judged: the test that it belonged to is over, and so is its server. */
  forget(upstream: string): void {
    this.#gone.set(upstream, this.log.length);
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** Ends it and gives its exit code. Whatever the test is about, what it logged and how it ended must be as they should. */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> {
    const isRunning = this.#child.exitCode === null && this.#child.signalCode === null;
    if (isRunning) {
      this.#child.kill(signal);
      await ended(this.#child, () => `the daemon, ${signal}: ${lastWords()}`);
    }
    isSilent(this);
    const faults = this.#faults(isRunning && signal !== 'SIGKILL');
    if (faults.length > 0) throw new Error(`the daemon ended, or logged, what it must not: ${faults.join(', ')}`);
    return this.#child.exitCode;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await this.stop();
    } finally {
      if (this.#ownsFolder) rmSync(this.folder, { recursive: true, force: true });
    }
  }

  /** `isAsked`: it was asked to end, and had the time to. */
  #faults(isAsked: boolean): string[] {
    const judged = this.log.filter((line, index) => index < (this.#gone.get(line['upstream']) ?? Number.POSITIVE_INFINITY));
    const end = isAsked && this.#child.exitCode !== 0 ? [`exit code ${this.#child.exitCode}, ${this.#child.signalCode}`] : [];
    const words = this.#stderr === '' ? [] : [`standard error: ${this.#stderr}`];
    return [...end, ...words, ...leaksIn([...this.rawLog, this.#stderr]), ...surprisesIn(judged)];
  }

  #saidLast(): string {
    const end = this.hasEnded ? ', which has ended' : '';
    return [`daemon ${this.pid}${end}:`, ...this.rawLog.slice(-LAST_LINES), this.#stderr].join('\n  ').trimEnd();
  }

  #read(): void {
    if (this.#child.stdout === null) return;
    createInterface({ input: this.#child.stdout }).on('line', (line) => {
      this.rawLog.push(line);
      this.log.push(JSON.parse(line) as LogLine);
      this.#wake();
    });
    this.#child.stderr?.on('data', (chunk: Buffer) => (this.#stderr += chunk.toString()));
    this.#child.once('exit', () => this.#wake());
  }

  #wake(): void {
    for (const wake of this.#watchers) wake();
    this.#watchers.clear();
  }

  #change(): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, 100);
      this.#watchers.add(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }
}

/** Waits for a program's end, with all that it has written. One that does not end is killed, and the error has what `report` gives. */
async function ended(child: ChildProcess, report: () => string): Promise<void> {
  const limit = patience(RUN_MS);
  let isLate = false;
  const timer = setTimeout(() => {
    isLate = true;
    child.kill('SIGKILL');
  }, limit);
  await once(child, 'close');
  clearTimeout(timer);
  if (isLate) throw new Error(`it did not end within ${limit} ms: ${report()}`);
}

/** Secrets that the tests have used, and that must not be written anywhere. */
export function leaksIn(texts: readonly string[]): string[] {
  const text = texts.join('\n').replaceAll(STRUCK_OUT, '');
  return formsOfSecrets(USERS).filter((secret) => text.includes(secret));
}

/** Warnings and errors that nobody reckoned with. */
function surprisesIn(log: readonly LogLine[]): string[] {
  const unexpected = log.filter((line) => (line['level'] === 'warn' || line['level'] === 'error') && !isAllowed(line));
  return unexpected.map((line) => JSON.stringify(line));
}

/** Where events are summed up, all of them have to be. */
function isAllowed(line: LogLine): boolean {
  if (line.event !== 'repeated') return allowed.has(line.event);
  return Object.keys(line['counts'] ?? {}).every((event) => event === 'session-end' || allowed.has(event));
}

function writeConfig(folder: string, config: BridgeOptions['config']): string {
  if (typeof config === 'string') {
    const path = join(folder, 'test.toml');
    writeFileSync(path, config, { mode: 0o600 });
    return path;
  }
  for (const [name, text] of Object.entries(config)) writeFileSync(join(folder, `${name}.toml`), text, { mode: 0o600 });
  return folder;
}
