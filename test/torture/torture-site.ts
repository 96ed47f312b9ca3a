/** A real Dovecot, the fault proxy, and the real daemon, which is killed and started again; and what the driver does behind their backs. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BridgeProcess } from '../support/bridge-process.ts';
import { bridgeConfig } from '../support/bridge-config.ts';
import { Dovecot } from '../support/peers/dovecot.ts';
import { until } from '../support/until.ts';
import { FaultProxy } from './fault-proxy.ts';
import type { Found } from './ledger.ts';

const PASSWORD = 'correct horse';
/** The header line that names a mail. */
const NAME = /^X-Torture: (\S+)/m;

export type Action = 'expunge' | 'trash';

interface Parts {
  readonly dovecot: Dovecot;
  readonly proxy: FaultProxy;
  readonly folder: string;
  readonly bridge: BridgeProcess;
  readonly action: Action;
  /** Of the daemon's environment. */
  readonly variables: Readonly<Record<string, string>>;
}

export class TortureSite implements AsyncDisposable {
  readonly users = ['alice', 'bob'] as const;
  readonly password = PASSWORD;
  readonly action: Action;
  readonly dovecot: Dovecot;
  readonly proxy: FaultProxy;
  readonly #folder: string;
  readonly #variables: Parts['variables'];
  #bridge: BridgeProcess;
  /** Log lines of daemons that are gone. */
  readonly #pastLogs: string[] = [];
  #isKilled = false;

  static async start(action: Action, variables: Readonly<Record<string, string>> = {}): Promise<TortureSite> {
    const dovecot = await Dovecot.start({ users: { alice: PASSWORD, bob: PASSWORD }, pop3: false });
    const site: { current?: TortureSite } = {};
    const proxy = await FaultProxy.start(dovecot.ports.imap, () => site.current?.kill());
    const folder = mkdtempSync(join(tmpdir(), 'popbridge-torture-'));
    const bridge = await BridgeProcess.start({ config: configOf(proxy.port, action), folder, variables });
    site.current = new TortureSite({ dovecot, proxy, folder, bridge, action, variables });
    return site.current;
  }

  private constructor(parts: Parts) {
    this.#variables = parts.variables;
    this.dovecot = parts.dovecot;
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

  /** What the server has of a user, from its files. */
  found(user: string): Found {
    const maildir = join(this.dovecot.folder, 'mail', user, 'Maildir');
    const inbox = new Map<string, { count: number; isFlaggedDeleted: boolean }>();
    for (const { name, flags } of mailsIn(maildir)) {
      const before = inbox.get(name);
      inbox.set(name, { count: (before?.count ?? 0) + 1, isFlaggedDeleted: before?.isFlaggedDeleted === true || flags.includes('T') });
    }
    if (this.action === 'expunge') return { inbox, trash: undefined };
    const trash = new Map<string, number>();
    for (const { name } of mailsIn(join(maildir, '.Trash'))) trash.set(name, (trash.get(name) ?? 0) + 1);
    return { inbox, trash };
  }

  /** Another client of the server removes a mail, flags it as deleted, or takes the flag off again. */
  async actAsAnother(user: string, name: string, what: 'remove' | 'flag' | 'unflag'): Promise<void> {
    await using imap = await this.dovecot.imap(user);
    await imap.command('SELECT INBOX');
    const uid = /^\* SEARCH (\d+)/m.exec(await imap.command(`UID SEARCH HEADER X-Torture ${name}`))?.[1];
    if (uid === undefined) throw new Error(`${name} is not in the mailbox`);
    await imap.command(`UID STORE ${uid} ${what === 'unflag' ? '-' : '+'}FLAGS.SILENT (\\Deleted)`);
    if (what === 'remove') await imap.command(`UID EXPUNGE ${uid}`);
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
    return readdirSync(`/proc/${this.#bridge.pid}/fd`).length;
  }

  signal(signal: NodeJS.Signals): void {
    this.#bridge.kill(signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#bridge[Symbol.asyncDispose]();
    await this.proxy[Symbol.asyncDispose]();
    await this.dovecot[Symbol.asyncDispose]();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** The name that a mail's header gives it; undefined where there is none. */
export function nameOf(octets: Buffer | string): string | undefined {
  return NAME.exec(octets.toString('latin1'))?.[1];
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
  return bridgeConfig({ imapPort, upstream: ['command_timeout = "2s"'], tables: tables.join('\n') });
}

function mailsIn(maildir: string): { readonly name: string; readonly flags: string }[] {
  const files = ['cur', 'new'].flatMap((part) => filesIn(join(maildir, part)));
  return files.flatMap(({ path, flags }) => {
    const name = nameOf(readFileSync(path));
    return name === undefined ? [] : [{ name, flags }];
  });
}

function filesIn(folder: string): { readonly path: string; readonly flags: string }[] {
  try {
    return readdirSync(folder).map((file) => ({ path: join(folder, file), flags: file.split(':2,')[1] ?? '' }));
  } catch {
    return [];
  }
}
