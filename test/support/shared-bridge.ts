/**
 * One daemon for all sites of a test file: each is an upstream file with an address of its own, and a SIGHUP makes it count. That takes a tenth of the
 * time of a daemon of its own, and the faults of all of them meet one process, as in real life. What a test does to its daemon needs one of its own.
 */
import { rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { bridgeConfig, type BridgeConfigText } from './bridge-config.ts';
import { BridgeProcess, type LogLine } from './bridge-process.ts';
import { PopDialogue } from './pop-dialogue.ts';
import { openDescriptors } from './process-holdings.ts';
import { until } from './until.ts';

/** The store opens some files when it is first used. */
const STORE_DESCRIPTORS = 4;

/** Of the process; a site that wants other ones needs a daemon of its own. */
const PROCESS_TABLES = '[limits]\nlogin_failures = 1000000\n';
/** Below the ports that systems give to whoever connects. */
const [FIRST_PORT, PORTS] = [10_000, 20_000];

/** What most tests need of a daemon. */
export interface Bridge extends AsyncDisposable {
  readonly pid: number;
  port(): number;
  /** Lines about this upstream, and those about none, since it was added. */
  readonly log: readonly LogLine[];
  events(event: string): LogLine[];
  /** Waits until there are `count` such events and gives the last of them. */
  event(event: string, count?: number): Promise<LogLine>;
}

export type SiteConfig = Omit<BridgeConfigText, 'certificate'>;

export class SharedBridge implements AsyncDisposable {
  readonly #variables: Readonly<Record<string, string>>;
  #process: BridgeProcess | undefined;
  #descriptorsAtStart = 0;
  #count = 0;
  /** Files that the next reload takes away: none may vanish while the daemon reads them. */
  readonly #over: string[] = [];
  /** Reloads come one after the other. */
  #last: Promise<unknown> = Promise.resolve();

  /** `variables` are for the daemon's environment. */
  constructor(variables: Readonly<Record<string, string>> = {}) {
    this.#variables = variables;
  }

  /** Resolves when the address of the new upstream is there. */
  add(config: SiteConfig): Promise<Bridge> {
    const added = this.#last.then(() => this.#add(config));
    this.#last = added.catch(() => {});
    return added;
  }

  /** Whatever happened to it, the daemon has in the end no more open than at its start (SECURITY.md, I9). */
  async [Symbol.asyncDispose](): Promise<void> {
    await using daemon = this.#process;
    if (daemon === undefined) return;
    PopDialogue.closeAll();
    this.#takeAway();
    await reload(daemon, {});
    const largest = this.#descriptorsAtStart + STORE_DESCRIPTORS;
    await until(() => openDescriptors(daemon.pid) <= largest).catch(() => {
      throw new Error(`${openDescriptors(daemon.pid)} descriptors are open, ${this.#descriptorsAtStart} were at the start`);
    });
  }

  async #add(config: SiteConfig): Promise<Bridge> {
    this.#count += 1;
    const name = `site-${this.#count}`;
    const port = await freePort(this.#count);
    const text = bridgeConfig(config).replace('"127.0.0.1:0"', `"127.0.0.1:${port}"`);
    const daemon = await this.#serve(name, text);
    const before = daemon.log.length;
    const lines = (): LogLine[] => daemon.log.slice(before).filter((line) => (line['upstream'] ?? name) === name);
    const events = (event: string): LogLine[] => lines().filter((line) => line.event === event);
    return {
      pid: daemon.pid,
      port: () => port,
      get log() {
        return lines();
      },
      events,
      async event(event, count = 1) {
        let found: LogLine | undefined;
        await until(() => (found = events(event)[count - 1]) !== undefined);
        if (found === undefined) throw new Error(`no ${count} × ${event} in the log`);
        return found;
      },
      [Symbol.asyncDispose]: async () => {
        daemon.forget(name);
        this.#over.push(join(daemon.folder, `${name}.toml`));
        // A reload that has begun still reads the file, and what it names.
        await this.#last;
      },
    };
  }

  /** All but the first: a daemon without any upstream is none. */
  #takeAway(): void {
    for (const path of this.#over.splice(0)) if (!path.endsWith('/site-1.toml')) rmSync(path);
  }

  async #serve(name: string, text: string): Promise<BridgeProcess> {
    if (this.#process === undefined) {
      this.#process = await BridgeProcess.start({ config: { popbridge: PROCESS_TABLES, [name]: text }, variables: this.#variables });
      this.#descriptorsAtStart = openDescriptors(this.#process.pid);
      return this.#process;
    }
    this.#takeAway();
    await reload(this.#process, { [name]: text });
    return this.#process;
  }
}

async function reload(daemon: BridgeProcess, files: Readonly<Record<string, string>>): Promise<void> {
  const before = daemon.events('reloaded').length;
  daemon.configure(files);
  daemon.kill('SIGHUP');
  await daemon.event('reloaded', before + 1);
}

/** A port that nobody has, and that no other test run on this machine is likely to take. */
async function freePort(offset: number): Promise<number> {
  for (let port = FIRST_PORT + ((process.pid * 37 + offset) % PORTS); ; port += 1) {
    const probe = createServer();
    const { promise, resolve } = Promise.withResolvers<boolean>();
    probe.once('error', () => resolve(false));
    probe.listen(port, '127.0.0.1', () => probe.close(() => resolve(true)));
    if (await promise) return port;
  }
}
