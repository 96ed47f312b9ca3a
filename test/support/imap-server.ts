/**
 * A scripted IMAP4rev1 server in this process: the upstream of tests, and the mailbox of the demo. Well-behaved unless its
 * script says otherwise. This file decides who may connect and log in; imap-server/session.ts serves a connection.
 */
import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { Account, type FolderOptions } from './imap-server/account.ts';
import type { FakeMailbox } from './imap-server/mailbox.ts';
import { type CommandEvent, evaluateScript, type Fault, type ImapScript } from './imap-server/script.ts';
import { Session } from './imap-server/session.ts';
import { SessionSocket } from './imap-server/session-socket.ts';
import { isSilent, listenTo } from './last-words.ts';
import { noteSecrets } from './secrets-used.ts';
import { DEFAULT_CAPABILITIES, type Greeting, type SessionHost, type TlsSettings } from './imap-server/settings.ts';

const LOOPBACK = '127.0.0.1';
const MOST_DROPPED = 64 * 1024;
/** For reports. */
const LAST_COMMANDS = 8;
const DEFAULT_FOLDERS: readonly FolderOptions[] = [
  { path: 'INBOX' },
  { path: 'Drafts', specialUse: '\\Drafts' },
  { path: 'Sent', specialUse: '\\Sent' },
  { path: 'Trash', specialUse: '\\Trash' },
];

export interface ImapServerOptions {
  /** Passwords by user name; the first user is whom `mailbox` means. Default: alice with the password "secret". */
  readonly users?: Readonly<Record<string, string>>;
  /** A command whose capability is missing here doesn't exist. */
  readonly capabilities?: readonly string[];
  /** Of every user. INBOX is there anyway. */
  readonly folders?: readonly FolderOptions[];
  readonly tls?: TlsSettings;
  /** A text such as `* PREAUTH hi` or `* BYE overloaded`, `hang` for none at all, `close`. */
  readonly greeting?: string;
  readonly script?: ImapScript;
  readonly clock?: () => Date;
}

export class ImapServer implements AsyncDisposable {
  readonly host = LOOPBACK;
  readonly port: number;
  readonly #listener: Server;
  readonly #users: Readonly<Record<string, string>>;
  readonly #accounts: ReadonlyMap<string, Account>;
  readonly #sessionHost: SessionHost;
  readonly #sockets = new Set<SessionSocket>();
  readonly #serving = new Set<Promise<void>>();
  readonly #commands: string[] = [];
  #dropped = '';
  #heardInClear = '';
  #greeting: Greeting | undefined;
  readonly #counts = new Map<string, number>();
  #script: ImapScript | undefined;
  #connections = 0;
  #logins = 0;
  #failure: unknown;

  /** Listens on a free port of the loopback address. */
  static async start(options: ImapServerOptions = {}): Promise<ImapServer> {
    const listener = createServer({ allowHalfOpen: true });
    listener.listen(0, LOOPBACK);
    await once(listener, 'listening');
    return new ImapServer(listener, options);
  }

  private constructor(listener: Server, options: ImapServerOptions) {
    const clock = options.clock ?? (() => new Date());
    this.#listener = listener;
    this.port = portOf(listener);
    this.#users = options.users ?? { alice: 'secret' };
    noteSecrets(...Object.values(this.#users));
    this.#accounts = new Map(Object.keys(this.#users).map((user) => [user, new Account(user, options.folders ?? DEFAULT_FOLDERS, clock)]));
    this.#script = options.script;
    this.#greeting = options.greeting;
    this.#sessionHost = this.#makeSessionHost(options);
    listener.on('connection', (socket) => this.#accept(socket));
    listenTo(this, () => [`IMAP server, ${this.openConnections} connections:`, ...this.#commands.slice(-LAST_COMMANDS)].join('\n  '));
  }

  /** Every command received, without tags and with passwords as `***`; also the DONE that ends an IDLE. */
  get commands(): readonly string[] {
    return this.#commands;
  }

  /** What came to sessions that hang, the beginning of it: also what a client says to one that will never answer. */
  get dropped(): string {
    return this.#dropped;
  }

  /** What came before TLS, or without it, the last of it: whatever it was taken for. */
  get heardInClear(): string {
    return this.#heardInClear;
  }

  /** Connections accepted so far. */
  get connections(): number {
    return this.#connections;
  }

  get openConnections(): number {
    return this.#sockets.size;
  }

  /** Logins that succeeded so far. */
  get logins(): number {
    return this.#logins;
  }

  /** A user's mailbox; the first user's unless one is named. */
  mailbox(path: string, user?: string): FakeMailbox {
    const account = user === undefined ? this.#accounts.values().next().value : this.#accounts.get(user);
    const folder = account?.folder(path);
    if (folder === undefined) throw new Error(`no mailbox ${path} of ${user ?? 'the first user'}`);
    return folder.mailbox;
  }

  setScript(script: ImapScript | undefined): void {
    this.#script = script;
  }

  /** Of connections from now on. */
  setGreeting(greeting: Greeting | undefined): void {
    this.#greeting = greeting;
  }

  /** Resets every connection. */
  dropConnections(): void {
    for (const socket of this.#sockets) socket.reset();
  }

  /** Takes no connections any more, and resets those that there are. */
  async goDown(): Promise<void> {
    const closed = once(this.#listener, 'close');
    this.#listener.close();
    this.dropConnections();
    await closed;
  }

  /** Listens again, on the same port, with the same mail. */
  async comeBack(): Promise<void> {
    this.#listener.listen(this.port, LOOPBACK);
    await once(this.#listener, 'listening');
  }

  /** Ends all sessions and stops listening. Rejects when a session failed by a fault of this server or of a script. */
  async close(): Promise<void> {
    isSilent(this);
    if (this.#listener.listening) this.#listener.close();
    this.dropConnections();
    await Promise.all(this.#serving);
    if (this.#failure !== undefined) throw this.#failure;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #accept(plain: Socket): void {
    this.#connections += 1;
    plain.on('data', (octets: Buffer) => {
      this.#heardInClear = (this.#heardInClear + octets.toString('latin1', 0, MOST_DROPPED)).slice(-MOST_DROPPED);
    });
    const socket = new SessionSocket(plain);
    this.#sockets.add(socket);
    plain.once('close', () => this.#sockets.delete(socket));
    const serving = new Session(this.#sessionHost, socket, this.#connections)
      .serve()
      .catch((error: unknown) => {
        this.#failure ??= error;
      })
      .finally(() => this.#serving.delete(serving));
    this.#serving.add(serving);
  }

  #makeSessionHost(options: ImapServerOptions): SessionHost {
    return {
      capabilities: options.capabilities ?? DEFAULT_CAPABILITIES,
      tls: options.tls,
      greeting: () => this.#greeting,
      firstAccount: this.#accounts.values().next().value,
      authenticate: (user, password) => this.#authenticate(user, password),
      note: (line) => this.#commands.push(line),
      drop: (octets) => {
        if (this.#dropped.length < MOST_DROPPED) this.#dropped += octets.toString('latin1');
      },
      fault: (event) => this.#fault(event),
    };
  }

  #authenticate(user: string, password: Buffer): Account | undefined {
    const account = this.#accounts.get(user);
    if (account === undefined || !Buffer.from(this.#users[user] ?? '').equals(password)) return undefined;
    this.#logins += 1;
    return account;
  }

  #fault(event: Omit<CommandEvent, 'count'>): Fault | undefined {
    const count = (this.#counts.get(event.verb) ?? 0) + 1;
    this.#counts.set(event.verb, count);
    return evaluateScript(this.#script, { ...event, count });
  }
}

function portOf(listener: Server): number {
  const address = listener.address();
  if (address === null || typeof address === 'string') throw new Error('not listening on TCP');
  return address.port;
}
