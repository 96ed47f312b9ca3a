/** A server, the fault proxy, and the real daemon, which is killed and started again. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BridgeProcess } from '../support/bridge-process.ts';
import { bridgeConfig } from '../support/bridge-config.ts';
import { openDescriptors } from '../support/process-holdings.ts';
import { patienceText } from '../support/patience.ts';
import { until } from '../support/until.ts';
import { FaultProxy } from './fault-proxy.ts';
import type { Action, MailServer } from './mail-server.ts';

const PASSWORD = 'correct horse';
/** Names and passwords that the server has to know. */
export const USERS: Readonly<Record<string, string>> = { alice: PASSWORD, bob: PASSWORD };

interface Parts {
  readonly server: MailServer;
  readonly proxy: FaultProxy;
  readonly folder: string;
  readonly bridge: BridgeProcess;
  readonly action: Action;
  /** Of the daemon's environment. */
  readonly variables: Readonly<Record<string, string>>;
}

export class TortureSite implements AsyncDisposable {
  readonly users = Object.keys(USERS);
  readonly password = PASSWORD;
  readonly action: Action;
  readonly server: MailServer;
  readonly proxy: FaultProxy;
  readonly #folder: string;
  readonly #variables: Parts['variables'];
  #bridge: BridgeProcess;
  /** Log lines of daemons that are gone. */
  readonly #pastLogs: string[] = [];
  #isKilled = false;

  /** Takes over the server. `variables`: of the daemon's environment. */
  static async start(server: MailServer, action: Action, variables: Readonly<Record<string, string>> = {}): Promise<TortureSite> {
    const site: { current?: TortureSite } = {};
    const proxy = await FaultProxy.start(server.imapPort, () => site.current?.kill());
    const folder = mkdtempSync(join(tmpdir(), 'popbridge-torture-'));
    const bridge = await BridgeProcess.start({ config: configOf(proxy.port, action), folder, variables });
    site.current = new TortureSite({ server, proxy, folder, bridge, action, variables });
    return site.current;
  }

  private constructor(parts: Parts) {
    this.#variables = parts.variables;
    this.server = parts.server;
    this.proxy = parts.proxy;
    this.action = parts.action;
    this.#folder = parts.folder;
    this.#bridge = parts.bridge;
  }

  get port(): number {
    return this.#bridge.port();
  }

  get isKilled(): boolean {
    return this.#isKilled;
  }

  /** Sessions that the running daemon has ended. */
  get sessionsEnded(): number {
    return this.#bridge.events('session-end').length;
  }

  /** All log lines so far, as text. */
  get log(): string {
    return [...this.#pastLogs, ...this.#bridge.log.map((line) => JSON.stringify(line))].join('\n');
  }

  /** kill -9. */
  kill(): void {
    this.#isKilled = true;
    this.#bridge.kill('SIGKILL');
  }

  /** Starts the daemon again on what the killed one left behind. */
  async restart(): Promise<void> {
    await this.#bridge.stop('SIGKILL');
    this.#pastLogs.push(...this.#bridge.log.map((line) => JSON.stringify(line)));
    this.#bridge = await BridgeProcess.start({
      config: configOf(this.proxy.port, this.action),
      folder: this.#folder,
      variables: this.#variables,
    });
    this.#isKilled = false;
  }

  /** Resolves when so many sessions of the running daemon have ended; false where it was killed instead. */
  async ended(sessions: number): Promise<boolean> {
    await until(() => this.#isKilled || this.sessionsEnded >= sessions);
    return !this.#isKilled;
  }

  /** Files of the state directory that hold one of these texts. */
  filesWith(...texts: readonly string[]): string[] {
    const state = join(this.#folder, 'state');
    return readdirSync(state, { withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map(({ name }) => name)
      .filter((name) => texts.some((text) => readFileSync(join(state, name)).includes(text)));
  }

  /** Files and sockets that the daemon holds open. */
  get descriptors(): number {
    return openDescriptors(this.#bridge.pid);
  }

  signal(signal: NodeJS.Signals): void {
    this.#bridge.kill(signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#bridge[Symbol.asyncDispose]();
    await this.proxy[Symbol.asyncDispose]();
    await this.server[Symbol.asyncDispose]();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

function configOf(imapPort: number, action: Action): string {
  const tables = [
    '[delete]',
    `action = "${action}"`,
    '[limits]',
    'login_failures = 1000000',
    'sessions_per_address = 1000',
    // Full before long, so that nothing that grows is taken for it.
    'body_cache = "1MiB"',
    '[log]',
    'level = "debug"',
  ];
  return bridgeConfig({ imapPort, upstream: [`command_timeout = "${patienceText(2_000)}"`], tables: tables.join('\n') });
}
