/**
 * Real Cyrus servers for tests, IMAP and POP3 without TLS on free loopback ports, in a temporary folder. As root they run under the user `mail`, for
 * Cyrus refuses to run as root.
 */
import { chmod, chown, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DaemonProcess, freePorts, poll } from './daemon-process.ts';
import type { Delivery } from './dovecot.ts';
import { ImapDialogue, quoted } from './imap-dialogue.ts';
import { isRoot } from './locate.ts';
import { mailOwner, type Owner } from './mail-owner.ts';
import { peerPath } from './peer.ts';
import { runProgram } from './run-program.ts';

const START_MS = 15_000;
const ATTEMPTS = 2;
const FOLDERS = ['conf', 'conf/db', 'conf/log', 'conf/msg', 'conf/quota', 'conf/socket', 'conf/user', 'lock', 'proc', 'spool'];
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

/** How a test's Cyrus differs from the usual one. */
export interface CyrusOptions {
  /** Names and passwords; alice, bob and carol with `secret` unless given. */
  readonly users?: Readonly<Record<string, string>>;
  /** `uidl_format`: how its POP3 server makes unique-ids; default `cyrus`. */
  readonly uidlFormat?: 'uidonly' | 'cyrus' | 'dovecot' | 'courier';
}

interface CyrusPorts {
  readonly imap: number;
  readonly pop3: number;
}

interface Site {
  readonly folder: string;
  readonly ports: CyrusPorts;
  readonly owner: Owner;
  readonly users: ReadonlyMap<string, string>;
  readonly uidlFormat: string;
}

/** An IMAP and POP3 server with its own mail. */
export class Cyrus implements AsyncDisposable {
  readonly host = '127.0.0.1';
  readonly ports: CyrusPorts;
  readonly folder: string;
  readonly #users: ReadonlyMap<string, string>;
  readonly #daemon: DaemonProcess;

  private constructor({ ports, folder, users }: Site, daemon: DaemonProcess) {
    this.ports = ports;
    this.folder = folder;
    this.#users = users;
    this.#daemon = daemon;
  }

  /** Starts a server; it has accepted a LOGIN of every user when this resolves, which made their INBOX, Drafts, Sent and Trash. */
  static async start(options: CyrusOptions = {}): Promise<Cyrus> {
    // Between choosing free ports and listening on them another process may take one; Cyrus says so to syslog alone.
    for (let attempt = 1; ; attempt += 1) {
      const started = await startOnce(options);
      if (typeof started !== 'string') return new Cyrus(started.site, started.daemon);
      if (attempt === ATTEMPTS) throw new Error(`Cyrus did not start: ${started}`);
    }
  }

  /** A logged-in IMAP connection, to look at or change a mailbox as another client would. */
  async imap(user: string): Promise<ImapDialogue> {
    const password = this.#users.get(user);
    if (password === undefined) throw new Error(`no user ${user}`);
    return ImapDialogue.login(this.ports.imap, user, password);
  }

  /** Appends messages to the INBOX over IMAP, in this order. Cyrus refuses bare line feeds. */
  async deliver(user: string, messages: readonly Delivery[]): Promise<void> {
    await using dialogue = await this.imap(user);
    for (const message of messages) {
      const { raw, receivedAt } = Buffer.isBuffer(message) ? { raw: message, receivedAt: new Date() } : message;
      await dialogue.command(`APPEND INBOX ${quoted(internalDate(receivedAt))}`, raw);
    }
  }

  /** Stops the server and removes its folder. */
  async [Symbol.asyncDispose](): Promise<void> {
    await stop(this.#daemon, this.folder);
  }
}

async function startOnce({ users, uidlFormat }: CyrusOptions): Promise<{ site: Site; daemon: DaemonProcess } | string> {
  const [imap = 0, pop3 = 0] = await freePorts(2);
  const site = {
    folder: await mkdtemp(join(tmpdir(), 'popbridge-cyrus-')),
    ports: { imap, pop3 },
    owner: await mailOwner(),
    users: new Map(Object.entries(users ?? { alice: 'secret', bob: 'secret', carol: 'secret' })),
    uidlFormat: uidlFormat ?? 'cyrus',
  };
  const at = (name: string): string => join(site.folder, name);
  await prepare(site);
  const args = ['master', '-C', at('imapd.conf'), '-M', at('cyrus.conf'), '-p', at('master.pid')];
  const daemon = DaemonProcess.start(peerPath('cyrus'), args, site.folder, at('stdout.log'), isRoot ? site.owner : undefined);
  let lastError: unknown;
  const ready = await poll(async () => {
    if (!daemon.isRunning) return true;
    return logInAll(site).catch((error: unknown) => {
      lastError = error;
      return false;
    });
  }, START_MS);
  if (ready && daemon.isRunning) return { site, daemon };
  const log = await readFile(at('stdout.log'), 'utf8');
  await stop(daemon, site.folder);
  return `${log.slice(-2000)} ${lastError instanceof Error ? lastError.message : ''}`;
}

async function logInAll({ ports, users }: Site): Promise<boolean> {
  for (const [user, password] of users) await (await ImapDialogue.login(ports.imap, user, password))[Symbol.asyncDispose]();
  return true;
}

async function stop(daemon: DaemonProcess, folder: string): Promise<void> {
  await daemon[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true, maxRetries: 3 });
}

async function prepare(site: Site): Promise<void> {
  const { folder, owner, users } = site;
  for (const name of FOLDERS) await mkdir(join(folder, name));
  // Commands in cyrus.conf are split at spaces, which the path of a checkout may contain.
  await symlink(peerPath('cyrus'), join(folder, 'cyrus'));
  await writeFile(join(folder, 'imapd.conf'), imapdConfig(site));
  await writeFile(join(folder, 'cyrus.conf'), cyrusConfig(site));
  for (const [user, password] of users) {
    const args = ['saslpasswd2', '-p', '-c', '-f', join(folder, 'sasldb2'), '-u', 'localhost', user];
    const { exitCode, stderr } = await runProgram({ path: peerPath('cyrus'), args, home: folder, input: password });
    if (exitCode !== 0) throw new Error(`saslpasswd2: ${stderr}`);
  }
  if (!isRoot) return;
  // mkdtemp makes it 0700.
  await chmod(folder, 0o755);
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const own = entries.filter((entry) => !entry.isSymbolicLink()).map((entry) => join(entry.parentPath, entry.name));
  for (const path of [folder, ...own]) await chown(path, owner.uid, owner.gid);
}

function imapdConfig({ folder, owner, uidlFormat }: Site): string {
  return `configdirectory: ${folder}/conf
proc_path: ${folder}/proc
mboxname_lockpath: ${folder}/lock
defaultpartition: default
partition-default: ${folder}/spool
cyrus_user: ${owner.user}
cyrus_group: ${owner.group}
admins: cyrus
altnamespace: yes
unixhierarchysep: yes
allowplaintext: yes
sasl_pwcheck_method: auxprop
sasl_auxprop_plugin: sasldb
sasl_sasldb_path: ${folder}/sasldb2
sasl_mech_list: PLAIN LOGIN
virtdomains: off
defaultdomain: localhost
servername: localhost
autocreate_quota: 0
autocreate_inbox_folders: Sent | Drafts | Trash
xlist-sent: Sent
xlist-drafts: Drafts
xlist-trash: Trash
specialusealways: 1
conversations: 1
popminpoll: 0
popuseacl: 0
uidl_format: ${uidlFormat}
`;
}

function cyrusConfig({ folder, ports }: Site): string {
  const command = (program: string): string => `cmd="${folder}/cyrus ${program} -C ${folder}/imapd.conf`;
  return `START {
  recover ${command('ctl_cyrusdb')} -r"
}
SERVICES {
  imap ${command('imapd')} -U 30" listen="127.0.0.1:${ports.imap}" prefork=0
  pop3 ${command('pop3d')} -U 30" listen="127.0.0.1:${ports.pop3}" prefork=0
}
`;
}

/** RFC 3501 section 9, date-time. */
function internalDate(date: Date): string {
  const [, day = '', , year = '', time = ''] = date.toUTCString().split(' ');
  return `${day}-${MONTHS[date.getUTCMonth()] ?? ''}-${year} ${time} +0000`;
}
