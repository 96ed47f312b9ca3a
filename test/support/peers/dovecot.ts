/**
 * Real Dovecot servers for tests, on free loopback ports in a temporary folder: an IMAP (and POP3) server with Maildirs, and Dovecot's own
 * IMAP-to-POP3 bridge to compare with. Works as root, where mail belongs to the user `mail`, and as a plain user.
 */
import { existsSync, readFileSync } from 'node:fs';
import { chmod, chown, mkdir, mkdtemp, readdir, readFile, rename, rm, utimes, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { makeCertificates, type Certificates } from './certificates.ts';
import { DaemonProcess, freePorts, poll } from './daemon-process.ts';
import { type DovecotPorts, type DovecotSite, imapcConfig, serverConfig } from './dovecot-config.ts';
import { ImapDialogue, quoted } from './imap-dialogue.ts';
import { isSilent, listenTo } from '../last-words.ts';
import { patience } from '../patience.ts';
import { isRoot } from './locate.ts';
import { mailOwner, type Owner } from './mail-owner.ts';
import { peerPath } from './peer.ts';

const START_MS = 20_000;
const GREETING_MS = 5_000;
const LAST_OCTETS = 1_500;
const ATTEMPTS = 3;

/** How a test's Dovecot differs from the usual one. */
export interface DovecotOptions {
  /** Names and passwords; alice, bob and carol with `secret` unless given. */
  readonly users?: Readonly<Record<string, string>>;
  /** Also serve POP3; default true. */
  readonly pop3?: boolean;
  /** The exact capability string after login. It only hides: the commands still work. */
  readonly capabilities?: string;
  /** Folders created for every user besides Drafts, Sent and Trash; `/` separates levels. */
  readonly namespaceFolders?: readonly string[];
  /** Text for the end of dovecot.conf. */
  readonly extra?: string;
}

/** One message for {@link Dovecot.deliver}: its octets, and when it came (INTERNALDATE). */
export type Delivery = Buffer | { readonly raw: Buffer; readonly receivedAt: Date };

/** An IMAP and POP3 server with its own mail. */
export class Dovecot implements AsyncDisposable {
  readonly host = '127.0.0.1';
  readonly ports: DovecotPorts;
  /** PEM file of the authority that signed the server's certificate. */
  readonly ca: string;
  readonly folder: string;
  readonly #users: ReadonlyMap<string, string>;
  readonly #running: RunningDovecot;
  /** In the names of delivered files, so that their order does not hang on the clock. */
  readonly #startedAt = Math.floor(Date.now() / 1000);
  #delivered = 0;

  private constructor(running: RunningDovecot, users: ReadonlyMap<string, string>) {
    this.#running = running;
    this.#users = users;
    this.ports = running.site.ports;
    this.ca = running.certificates.ca;
    this.folder = running.site.folder;
  }

  /** Starts a server; it has accepted a LOGIN of the first user when this resolves. */
  static async start(options: DovecotOptions = {}): Promise<Dovecot> {
    const users = new Map(Object.entries(options.users ?? { alice: 'secret', bob: 'secret', carol: 'secret' }));
    const running = await launch({
      protocols: options.pop3 === false ? ['imap'] : ['imap', 'pop3'],
      extra: options.extra ?? '',
      config: (site) => serverConfig(site, options.capabilities, options.namespaceFolders ?? []),
      users,
      isReady: async (site) => {
        const [first] = users;
        if (first === undefined) return true;
        await using _ = await ImapDialogue.login(site.ports.imap, ...first);
        return true;
      },
    });
    return new Dovecot(running, users);
  }

  /** A logged-in IMAP connection, to look at or change a mailbox as another client would. */
  async imap(user: string): Promise<ImapDialogue> {
    return ImapDialogue.login(this.ports.imap, user, this.password(user));
  }

  /** The password of a user of this server. */
  password(user: string): string {
    const password = this.#users.get(user);
    if (password === undefined) throw new Error(`no user ${user}`);
    return password;
  }

  /** Appends a message over IMAP. */
  async append(user: string, mailbox: string, raw: Buffer): Promise<void> {
    await using dialogue = await this.imap(user);
    await dialogue.command(`APPEND ${quoted(mailbox)}`, raw);
  }

  /** Puts messages into the INBOX as files, in this order: the quick way to large mailboxes. Unlike over IMAP the octets stay as they are. */
  async deliver(user: string, messages: readonly Delivery[]): Promise<void> {
    const home = join(this.folder, 'mail', user);
    const maildir = join(home, 'Maildir');
    for (const path of [home, maildir, ...['cur', 'new', 'tmp'].map((name) => join(maildir, name))]) await this.#ownFolder(path);
    for (const message of messages) {
      const { raw, receivedAt } = Buffer.isBuffer(message) ? { raw: message, receivedAt: undefined } : message;
      const name = `${this.#startedAt}.M${String((this.#delivered += 1)).padStart(9, '0')}P${process.pid}.popbridge,S=${raw.length},W=${wireSize(raw)}`;
      const draft = join(maildir, 'tmp', name);
      await writeFile(draft, raw, { mode: 0o600 });
      await this.#own(draft);
      if (receivedAt !== undefined) await utimes(draft, receivedAt, receivedAt);
      await rename(draft, join(maildir, 'cur', `${name}:2,`));
    }
  }

  /** Makes the server forget what it knows of the user's INBOX, so that it comes back with a higher UIDVALIDITY and new UIDs. */
  async uidValidityReset(user: string): Promise<void> {
    const maildir = join(this.folder, 'mail', user, 'Maildir');
    // dovecot-uidvalidity stays: it holds the next value, without it the old one could come again.
    const forgotten = (await readdir(maildir)).filter((name) => name === 'dovecot-uidlist' || /^dovecot(\.list)?\.index/.test(name));
    for (const name of forgotten) await rm(join(maildir, name));
  }

  /** What the server has logged so far. */
  async log(): Promise<string> {
    return readFile(join(this.folder, 'dovecot.log'), 'utf8');
  }

  /** Stops the server and removes its folder. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#running.stop();
  }

  async #ownFolder(path: string): Promise<void> {
    if ((await mkdir(path, { recursive: true, mode: 0o700 })) !== undefined) await this.#own(path);
  }

  async #own(path: string): Promise<void> {
    if (isRoot) await chown(path, this.#running.owner.uid, this.#running.owner.gid);
  }
}

/** Dovecot as an IMAP-to-POP3 bridge: its POP3 service in front of another IMAP server. */
export interface ImapcBridge extends AsyncDisposable {
  readonly host: '127.0.0.1';
  readonly ports: Pick<DovecotPorts, 'pop3' | 'pop3s'>;
  readonly ca: string;
  /** What it knows of a user is below `mail` in here. */
  readonly folder: string;
  /** The master; everything else descends from it. */
  readonly pid: number;
}

/** How Dovecot's own bridge gets to its server. */
export interface ImapcLink {
  /** Puts something between the two, such as a proxy that adds delay. */
  readonly port?: number;
  /** The port speaks TLS from the first octet; the certificate is not checked. */
  readonly tls?: boolean;
}

/** Starts Dovecot's own bridge in front of a server. */
export async function imapcBridge(upstream: Dovecot, { tls = false, port }: ImapcLink = {}): Promise<ImapcBridge> {
  const imapPort = port ?? (tls ? upstream.ports.imaps : upstream.ports.imap);
  const running = await launch({
    protocols: ['pop3'],
    extra: '',
    config: (site) => imapcConfig(site, imapPort, tls),
    users: new Map(),
    isReady: (site) => greets(site.ports.pop3),
  });
  return {
    host: '127.0.0.1',
    ports: running.site.ports,
    ca: running.certificates.ca,
    folder: running.site.folder,
    pid: running.pid,
    [Symbol.asyncDispose]: () => running.stop(),
  };
}

interface RunningDovecot {
  readonly site: DovecotSite;
  readonly certificates: Certificates;
  readonly owner: Owner;
  readonly pid: number;
  stop(): Promise<void>;
}

interface Launch extends Pick<DovecotSite, 'protocols' | 'extra'> {
  readonly users: ReadonlyMap<string, string>;
  config(site: DovecotSite): string;
  /** Tried again and again until it answers true; an error counts as "not yet". */
  isReady(site: DovecotSite): Promise<boolean>;
}

/** Between choosing free ports and listening on them another process may take one, hence the attempts. */
async function launch(plan: Launch): Promise<RunningDovecot> {
  for (let attempt = 1; ; attempt += 1) {
    const started = await launchOnce(plan);
    if (typeof started !== 'string') return started;
    if (attempt === ATTEMPTS || !started.includes('Address already in use')) throw new Error(`Dovecot did not start: ${started}`);
  }
}

async function launchOnce(plan: Launch): Promise<RunningDovecot | string> {
  const owner = await mailOwner();
  const folder = await mkdtemp(join(tmpdir(), 'popbridge-dovecot-'));
  const site = {
    folder,
    ports: await choosePorts(),
    runUser: owner.user,
    runGroup: owner.group,
    protocols: plan.protocols,
    extra: plan.extra,
  };
  const certificates = await prepare(site, plan, owner);
  const daemon = DaemonProcess.start(peerPath('dovecot'), ['-F', '-c', join(folder, 'dovecot.conf')], folder, join(folder, 'stdout.log'));
  listenTo(daemon, () => `Dovecot:\n${logsIn(folder).slice(-LAST_OCTETS)}`);
  const stop = async (): Promise<void> => {
    isSilent(daemon);
    await daemon[Symbol.asyncDispose]();
    await rm(folder, { recursive: true, force: true, maxRetries: 3 });
  };
  // Listening comes before the authentication service is up, so only a real dialogue proves anything.
  let lastError: unknown;
  const ready = await poll(async () => {
    if (!daemon.isRunning) return true;
    return plan.isReady(site).catch((error: unknown) => {
      lastError = error;
      return false;
    });
  }, START_MS);
  if (ready && daemon.isRunning) return { site, certificates, owner, pid: daemon.pid, stop };
  const logs = logsIn(folder);
  await stop();
  return `${logs.slice(-LAST_OCTETS)} ${lastError instanceof Error ? lastError.message : ''}`;
}

/** What a server said to its standard output and to its log. */
function logsIn(folder: string): string {
  const paths = ['stdout.log', 'dovecot.log'].map((name) => join(folder, name));
  return paths.flatMap((path) => (existsSync(path) ? [readFileSync(path, 'utf8')] : [])).join('');
}

async function choosePorts(): Promise<DovecotPorts> {
  const [imap = 0, imaps = 0, pop3 = 0, pop3s = 0] = await freePorts(4);
  return { imap, imaps, pop3, pop3s };
}

async function prepare(site: DovecotSite, plan: Launch, owner: Owner): Promise<Certificates> {
  const { folder } = site;
  // mkdtemp makes it 0700; the mail user has to walk through.
  await chmod(folder, 0o755);
  for (const name of ['run', 'state', 'mail']) await mkdir(join(folder, name));
  if (isRoot) await chown(join(folder, 'mail'), owner.uid, owner.gid);
  const lines = [...plan.users].map(([user, password]) => `${user}:{PLAIN.b64}${Buffer.from(password).toString('base64')}::::::\n`);
  await writeFile(join(folder, 'users'), lines.join(''), { mode: 0o644 });
  await writeFile(join(folder, 'dovecot.conf'), plan.config(site));
  return makeCertificates(folder);
}

/** Octets of the message with CRLF line ends, which Dovecot takes from the file name instead of reading the file. */
function wireSize(raw: Buffer): number {
  let size = raw.length;
  for (let at = raw.indexOf(0x0a); at !== -1; at = raw.indexOf(0x0a, at + 1)) if (raw[at - 1] !== 0x0d) size += 1;
  return size;
}

async function greets(port: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const socket = connect(port, '127.0.0.1');
  socket.setTimeout(patience(GREETING_MS));
  socket.once('data', (greeting) => resolve(greeting.toString('latin1').startsWith('+OK')));
  for (const end of ['error', 'timeout', 'close']) socket.once(end, () => resolve(false));
  return promise.finally(() => socket.destroy());
}
