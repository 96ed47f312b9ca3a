/** A scripted IMAP server and a bridge before it, with what tests do there as users. */
import { bridgeConfig, type BridgeConfigText } from './bridge-config.ts';
import { BridgeProcess } from './bridge-process.ts';
import { ImapServer, type ImapServerOptions } from './imap-server.ts';
import { patienceText } from './patience.ts';
import { PopDialogue } from './pop-dialogue.ts';
import type { Bridge, SharedBridge } from './shared-bridge.ts';
import { until } from './until.ts';

const USER = 'alice';
const PASSWORD = 'secret';

export interface BridgeSiteSetup {
  readonly server?: ImapServerOptions;
  /** A server that runs, instead of one that is started; it ends with the site. */
  readonly imap?: ImapServer;
  /** Tables of the configuration besides [upstream] and [[listen]]. */
  readonly tables?: string;
  /** upstream.security */
  readonly security?: 'tls' | 'starttls' | 'none';
  /** Other lines of [upstream]. */
  readonly upstream?: readonly string[];
  /** upstream.command_timeout; where nothing hangs, no command reaches it. */
  readonly commandTimeout?: string;
  /** upstream.linger */
  readonly linger?: string;
  /** Of the daemon's environment. */
  readonly variables?: Readonly<Record<string, string>>;
}

/** What a client saw of its maildrop. */
export interface Shown {
  /** In the order of the message-numbers. */
  readonly subjects: readonly string[];
  /** Unique-ids by subject. */
  readonly ids: Readonly<Record<string, string>>;
}

export class BridgeSite<Daemon extends Bridge = BridgeProcess> implements AsyncDisposable {
  readonly imap: ImapServer;
  readonly bridge: Daemon;

  private constructor(imap: ImapServer, bridge: Daemon) {
    this.imap = imap;
    this.bridge = bridge;
  }

  static async start(setup: BridgeSiteSetup = {}): Promise<BridgeSite> {
    const imap = setup.imap ?? (await mailServer(setup.server));
    const bridge = await BridgeProcess.start({ config: bridgeConfig(siteConfig(imap, setup)), variables: setup.variables ?? {} });
    return new BridgeSite(imap, bridge);
  }

  /** The same with a daemon that other sites have too. */
  static async startIn(shared: SharedBridge, setup: Omit<BridgeSiteSetup, 'imap' | 'variables'> = {}): Promise<BridgeSite<Bridge>> {
    const imap = await mailServer(setup.server);
    return new BridgeSite(imap, await shared.add(siteConfig(imap, setup)));
  }

  /** Appends messages with these subjects, an hour between them; gives their UIDs. */
  deliver(path: string, ...subjects: readonly string[]): number[] {
    const mailbox = this.imap.mailbox(path);
    return subjects.map((subject, index) =>
      mailbox.append(`Subject: ${subject}\r\nMessage-ID: <${subject.replaceAll(' ', '.')}@example.com>\r\n\r\nbody of ${subject}\r\n`, {
        internalDate: new Date(Date.UTC(2026, 0, 1, mailbox.messages.length + index)),
      }),
    );
  }

  /** Subjects of the messages upstream that are not flagged \Deleted. */
  upstream(path = 'INBOX'): string[] {
    const left = this.imap.mailbox(path).messages.filter(({ flags }) => !flags.includes('\\Deleted'));
    return left.map(({ raw }) => /^Subject: (.*)\r$/m.exec(raw.toString())?.[1] ?? '');
  }

  async open(user = USER): Promise<PopDialogue> {
    const client = await PopDialogue.connect(this.bridge.port());
    await client.login(user, PASSWORD);
    return client;
  }

  /** Logs in, looks at everything, and leaves; resolves when the server was left too. */
  async look(user = USER): Promise<Shown> {
    const client = await this.open(user);
    const shown = await this.#see(client);
    await this.#leave(client);
    return shown;
  }

  /** The same without waiting for what the daemon does after a session. */
  async glance(user = USER): Promise<Shown> {
    const client = await this.open(user);
    try {
      const shown = await this.#see(client);
      await client.command('QUIT');
      return shown;
    } finally {
      client.close();
    }
  }

  async #see(client: PopDialogue): Promise<Shown> {
    const ids: Record<string, string> = {};
    for (const line of await client.multi('UIDL')) {
      const [number, id = ''] = line.split(' ');
      const header = await client.multi(`TOP ${number} 0`);
      ids[header.find((one) => one.startsWith('Subject: '))?.slice('Subject: '.length) ?? ''] = id;
    }
    return { subjects: Object.keys(ids), ids };
  }

  /** Deletes the messages with these subjects; gives the answer to QUIT. */
  async delete(user: string, ...subjects: readonly string[]): Promise<string> {
    const client = await this.open(user);
    for (const line of await client.multi('LIST')) {
      const [number] = line.split(' ');
      const header = await client.multi(`TOP ${number} 0`);
      if (subjects.some((subject) => header.includes(`Subject: ${subject}`))) await client.command(`DELE ${number}`);
    }
    return this.#leave(client);
  }

  /** Restarts the daemon, killed or stopped, with other tables or the same. */
  async restart(
    this: BridgeSite,
    signal: NodeJS.Signals,
    tables: string,
    variables: Readonly<Record<string, string>> = {},
  ): Promise<BridgeSite> {
    await this.bridge.stop(signal);
    return new BridgeSite(
      this.imap,
      await BridgeProcess.start({ config: bridgeConfig(siteConfig(this.imap, { tables })), folder: this.bridge.folder, variables }),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.bridge[Symbol.asyncDispose]();
    await this.imap[Symbol.asyncDispose]();
  }

  async #leave(client: PopDialogue): Promise<string> {
    const before = this.#logouts();
    const answer = await client.command('QUIT');
    client.close();
    await until(() => this.#logouts() > before);
    return answer;
  }

  #logouts(): number {
    return this.imap.commands.filter((command) => command === 'LOGOUT').length;
  }
}

function mailServer(options: ImapServerOptions = {}): Promise<ImapServer> {
  return ImapServer.start({ users: { [USER]: PASSWORD }, ...options });
}

function siteConfig(
  imap: ImapServer,
  { tables = '', security = 'none', commandTimeout = patienceText(5_000), linger = '0s', ...setup }: BridgeSiteSetup,
): BridgeConfigText {
  const upstream = [`command_timeout = "${commandTimeout}"`, `linger = "${linger}"`, ...(setup.upstream ?? [])];
  return { imapPort: imap.port, security, upstream, tables };
}
