/** The composition root: puts configuration, store, upstreams and listeners together, reloads them, and takes them apart again. */
import type { Socket } from 'node:net';
import { LRUCache } from 'lru-cache';
import type { Clock } from '../clock.ts';
import { pause } from '../clock.ts';
import type { BridgeConfig } from '../config/schema.ts';
import type { Store } from '../store/store.ts';
import type { Machine } from '../accounts/upstream-password.ts';
import { AccountWork } from './account-work.ts';
import { BackgroundWork } from './background-work.ts';
import { bindingsOf, tlsContextOf, type Binding } from './bindings.ts';
import { limitedAs } from './client-network.ts';
import { commandRequests } from './command-access.ts';
import { Connection } from './connection.ts';
import { openControlSocket, type ControlRequests } from './control-socket.ts';
import { lockStateDirectory } from './daemon-lock.ts';
import { isLoopback, Listener } from './listener.ts';
import { withOwnSecrets, type LiveSecrets, type Log } from './logging.ts';
import { logIn, type LoginParts, type UpstreamService } from './login.ts';
import { LoginGate } from './login-gate.ts';
import { LoginThrottle } from './login-throttle.ts';
import { MaildropLocks } from './maildrop-lock.ts';
import { openAccounts, type OpenAccounts } from './open-accounts.ts';
import { openStore } from './open-store.ts';
import { TOO_MANY_SESSIONS } from './refusal.ts';
import { RepeatedEvents } from './repeated-events.ts';
import { SessionCounter, type GiveBack } from './session-limits.ts';
import { ListedChanges } from './listed-changes.ts';
import { SnapshotCache } from './snapshot-cache.ts';
import { statusOf } from './status.ts';
import { Turns } from './turns.ts';

export interface DaemonParts extends Machine {
  /** Reads the configuration afresh; throws ConfigError with every fault. */
  readonly loadConfig: () => BridgeConfig;
  /** An existing folder that only we use. */
  readonly stateDirectory: string;
  readonly version: string;
  readonly pid: number;
  readonly clock: Clock;
  readonly log: Log;
  /** All that clients and accounts have in use. */
  readonly secrets: LiveSecrets;
  /** Tokens in use, which the log strikes out in every line. */
  readonly tokens: LiveSecrets;
  /** A reload took this configuration: what lies outside the daemon follows it. */
  readonly onReload: (config: BridgeConfig) => void;
}

/** What was opened for it. */
interface DaemonState {
  readonly config: BridgeConfig;
  readonly store: Store;
  readonly accounts: OpenAccounts;
}

/** `kept`: why the configuration is still the one before. */
export interface Reloaded {
  readonly kept?: string;
}

/** Remembered at a time, of all accounts. */
const MAX_CUT_MESSAGES = 1_000;

/** A running UPDATE, or other removal, gets this long after SIGTERM; then it is left to the journal (CONTRACT section 5.11). */
const UPDATE_GRACE_MS = 8_000;

/** Of an event, and each minute. */
const FEW_LINES = 10;
const LOGIN_FAILURES: ReadonlySet<string> = new Set(['login-failed', 'upstream-failed']);

/** Servers get this long to hear that their kept connections end. */
const GOODBYE_MS = 500;

export class Daemon {
  readonly #parts: DaemonParts;
  readonly #resources: AsyncDisposableStack;
  readonly #store: Store;
  readonly #accounts: OpenAccounts;
  readonly #loginParts: Omit<LoginParts, 'maxMessageOctets'>;
  readonly #counter: SessionCounter;
  /** With whose limits they count for; the oldest first. */
  readonly #connections = new Map<Connection, string>();
  readonly #stopping = new AbortController();
  readonly #background: BackgroundWork;
  readonly #repeated: RepeatedEvents;
  #reloading: Promise<unknown> = Promise.resolve();
  readonly #listeners = new Map<string, Listener>();
  #bindings = new Map<string, Binding>();
  #config: BridgeConfig;
  #onIdle: () => void = () => {};

  private constructor(parts: DaemonParts, state: DaemonState, resources: AsyncDisposableStack) {
    const { config, store } = state;
    this.#parts = parts;
    this.#config = config;
    this.#store = store;
    this.#accounts = state.accounts;
    this.#resources = resources;
    const { clock, log, secrets, tokens } = parts;
    this.#background = new BackgroundWork(clock);
    this.#repeated = new RepeatedEvents(clock, log, (event) => this.#linesOf(event));
    this.#counter = new SessionCounter(
      () => this.#config.process.limits,
      (address) => this.#displaceOldest(address),
    );
    this.#loginParts = {
      store,
      accounts: state.accounts.accounts,
      clock,
      log,
      secrets,
      tokens,
      gate: new LoginGate(clock, () => this.#config.process.limits.loginFailures),
      throttle: new LoginThrottle(clock),
      stopping: this.#stopping.signal,
      background: this.#background,
      counter: this.#counter,
      locks: new MaildropLocks(clock),
      turns: new Turns(),
      snapshots: new SnapshotCache(),
      listedChanges: new ListedChanges(),
      cutMessages: new LRUCache({ max: MAX_CUT_MESSAGES }),
    };
  }

  /** Starts everything; when it resolves all listeners are up. Whatever fails, nothing is left open. */
  static async start(parts: DaemonParts): Promise<Daemon> {
    await using resources = new AsyncDisposableStack();
    const config = parts.loadConfig();
    resources.use(lockStateDirectory(parts.stateDirectory));
    const { store } = resources.use(openStore(config, parts));
    const latest = { config: () => config };
    const accounts = resources.use(await openAccounts(() => latest.config(), parts));
    await accounts.checkKey();
    const bindings = bindingsOf(config, parts);
    const daemon = new Daemon(parts, { config, store, accounts }, resources.move());
    latest.config = () => daemon.#config;
    try {
      await daemon.#bind(bindings);
      daemon.#resources.use(await openControlSocket(parts.stateDirectory, daemon.#controlRequests()));
      await daemon.#reportOrphans();
      daemon.#resources.use(daemon.#accountWork()).start();
    } catch (error) {
      await daemon.#close();
      throw error;
    }
    parts.log.info('ready', { version: parts.version, upstreams: config.upstreams.map((file) => file.upstream.id) });
    return daemon;
  }

  /** What `control.sock` tells. */
  status(): Promise<Readonly<Record<string, unknown>>> {
    const { version, pid } = this.#parts;
    return statusOf({
      version,
      pid,
      config: this.#config,
      store: this.#store,
      accounts: this.#accounts.accounts,
      listeners: this.#listeners,
      sessions: this.#connections.size,
    });
  }

  #controlRequests(): ControlRequests {
    const services = (): UpstreamService[] => [...servicesOf(this.#bindings)];
    const ofCommands = commandRequests(this.#loginParts, this.#accounts, services);
    return { ...ofCommands, status: () => this.status(), reload: () => this.reload() };
  }

  #accountWork(): AccountWork {
    return new AccountWork({ ...this.#loginParts, services: () => servicesOf(this.#bindings) });
  }

  /** SIGHUP: takes the new configuration whole, or keeps the old one and says why. Sessions go on with what they have. */
  async reload(): Promise<Reloaded> {
    const done = this.#reloading.then(() => this.#reload());
    this.#reloading = done;
    return done;
  }

  async #reload(): Promise<Reloaded> {
    const { log } = this.#parts;
    if (this.#stopping.signal.aborted) return { kept: 'the daemon is stopping' };
    try {
      const config = this.#parts.loadConfig();
      await this.#bind(bindingsOf(config, this.#parts));
      const { store, secrets } = this.#config.process;
      if (config.process.store.url !== store.url) log.warn('restart-needed', { key: 'store.url' });
      if (config.process.secrets.keyFile !== secrets.keyFile) log.warn('restart-needed', { key: 'secrets.key_file' });
      this.#config = config;
      this.#parts.onReload(config);
      log.info('reloaded', { upstreams: config.upstreams.map((file) => file.upstream.id) });
      return {};
    } catch (error) {
      log.error('reload-failed', { error, kept: 'the configuration before' });
      return { kept: error instanceof Error ? error.message : String(error) };
    }
  }

  /** SIGTERM: see CONTRACT section 5.11. Resolves within ten seconds. */
  async stop(): Promise<void> {
    this.#parts.log.info('stopping', { sessions: this.#connections.size });
    this.#stopping.abort();
    await this.#reloading;
    for (const listener of this.#listeners.values()) listener.close();
    const idle = new Promise<void>((resolve) => {
      this.#onIdle = resolve;
    });
    for (const connection of this.#connections.keys()) connection.shutdown();
    const sessions = this.#connections.size > 0 ? idle : undefined;
    await Promise.race([Promise.all([sessions, this.#background.endAll()]), pause(this.#parts.clock, UPDATE_GRACE_MS)]);
    for (const connection of this.#connections.keys()) connection.giveUp();
    await this.#close();
  }

  /** Opens the addresses that are new before it closes those that are gone: a failure changes nothing. */
  async #bind(bindings: Map<string, Binding>): Promise<void> {
    const opened = new Map<string, Listener>();
    try {
      for (const [name, binding] of bindings) {
        if (!this.#listeners.has(name)) opened.set(name, await this.#listen(name, binding));
      }
    } catch (error) {
      for (const listener of opened.values()) listener.close();
      throw error;
    }
    const before = servicesOf(this.#bindings);
    this.#bindings = bindings;
    for (const service of before.difference(servicesOf(bindings))) void service.upstream.retire();
    for (const [name, listener] of this.#listeners) {
      if (bindings.has(name)) continue;
      listener.close();
      this.#listeners.delete(name);
    }
    for (const [name, listener] of opened) {
      this.#listeners.set(name, listener);
      const { security, isLegacy, address } = bindings.get(name) ?? {};
      this.#parts.log.info('listening', { address: address?.host, port: listener.port, security });
      if (isLegacy === true) this.#parts.log.warn('legacy-tls', { address: name, reason: 'TLS 1.0 and old ciphers are accepted here' });
    }
  }

  #listen(name: string, binding: Binding): Promise<Listener> {
    const { clock, log } = this.#parts;
    return Listener.open({
      clock,
      address: binding.address,
      allow: () => this.#bindings.get(name)?.allow ?? [],
      tlsContext: () => tlsContextOf(this.#bindings.get(name) ?? binding),
      counter: this.#counter,
      onConnection: (socket, client, giveBack) => this.#connect(this.#bindings.get(name) ?? binding, socket, client, giveBack),
      onRefused: (client, reason) => this.#repeated.logOf(log, client, () => false).warn('connection-refused', { client, reason }),
    });
  }

  #connect(binding: Binding, socket: Socket, client: string, giveBack: GiveBack): void {
    const { clock, version } = this.#parts;
    const { limits } = this.#config.process;
    let hasLoggedIn = false;
    const clientLog = this.#repeated.logOf(this.#parts.log, client, () => hasLoggedIn);
    const loginParts: LoginParts = withOwnSecrets({ ...this.#loginParts, log: clientLog, maxMessageOctets: limits.messageOctets });
    const { log } = loginParts;
    const marks: Readonly<Record<string, string>> = binding.isLegacy ? { tls: 'legacy' } : {};
    let account = marks;
    const connection = new Connection({
      socket,
      clock,
      policy: {
        offersTls: binding.security === 'starttls',
        allowsCleartextLogin: binding.allowsCleartextLogin || isLoopback(client),
        loginDelaySeconds: binding.loginDelaySeconds,
        implementation: `popbridge-${version}`,
      },
      secureContext: () => binding.certificate?.context,
      isImplicitTls: binding.security === 'tls',
      timeouts: { loginMs: limits.loginTimeoutMs, idleMs: limits.idleTimeoutMs, writeMs: limits.writeTimeoutMs },
      logIn: (credentials, holder, tlsVersion, signal) => {
        const onAccount = (found: typeof account): void => {
          account = { ...found, ...marks };
          hasLoggedIn = true;
        };
        return logIn(
          loginParts,
          binding.services,
          credentials,
          { address: client, tlsVersion, holder, onAccount, onWaiting: (isWaiting) => connection.noteWaiting(isWaiting) },
          signal,
        );
      },
      log: {
        error: (error, what) => log.warn('session-error', { ...account, client, what, error }),
        tlsFailed: (error) => log.warn('tls-failed', { ...marks, client, error }),
        refused: (reason) => log.warn('connection-refused', { client, reason }),
        end: (summary) => log.info('session-end', { ...account, client, ...summary }),
      },
      onEnd: () => {
        giveBack();
        this.#connections.delete(connection);
        if (this.#connections.size === 0) this.#onIdle();
      },
    });
    this.#connections.set(connection, limitedAs(client));
    void connection.start();
  }

  /** At a limit of sessions the oldest connection without a login makes room: whoever opens many must not lock out who has mail to fetch. */
  #displaceOldest(address?: string): boolean {
    for (const [connection, its] of this.#connections) {
      if (!connection.isBeforeLogin || (address !== undefined && its !== address)) continue;
      connection.displace(TOO_MANY_SESSIONS);
      return true;
    }
    return false;
  }

  /** How many lines of an event an address without a login has each minute: as many logins as may fail without a delay are each told. */
  #linesOf(event: string): number {
    return LOGIN_FAILURES.has(event) ? Math.max(FEW_LINES, this.#config.process.limits.loginFailures) : FEW_LINES;
  }

  async #reportOrphans(): Promise<void> {
    const configured = new Set(this.#config.upstreams.map((file) => file.upstream.id));
    const known = new Set((await this.#store.mailboxes()).map(({ maildrop }) => maildrop.upstream));
    const orphans = known.difference(configured);
    if (orphans.size > 0) this.#parts.log.warn('map-without-file', { upstreams: [...orphans] });
  }

  async #close(): Promise<void> {
    for (const listener of this.#listeners.values()) listener.close();
    this.#repeated.flush();
    const retired = [...servicesOf(this.#bindings)].map((service) => service.upstream.retire());
    await Promise.race([Promise.all(retired), pause(this.#parts.clock, GOODBYE_MS)]);
    await this.#resources.disposeAsync();
  }
}

function servicesOf(bindings: ReadonlyMap<string, Binding>): Set<UpstreamService> {
  return new Set([...bindings.values()].flatMap((binding) => binding.services));
}
