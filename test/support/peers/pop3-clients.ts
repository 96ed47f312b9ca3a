/**
 * Runs real POP3 clients against a server and hands back what they stored. Their home is a folder of the test, so they never see the user's
 * files, and a second run in the same home remembers what the first has fetched, for those that keep such a memory.
 *
 * Exact octets come from curl and poplib. The others store mail the Unix way (LF line ends, perhaps a header of their own): compare
 * `normaliseStored` of both sides.
 */
import { mkdir, mkdtemp, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { patience } from '../patience.ts';
import type { PeerName } from './catalogue.ts';
import { peerPath } from './peer.ts';
import { type ProgramResult, runProgram } from './run-program.ts';

/** How the connection is secured. */
export type Pop3Security = 'none' | 'stls' | 'implicit';

/** One fetch: from where, as whom, and whether the mail stays on the server. */
interface Pop3Fetch {
  readonly host: string;
  readonly port: number;
  readonly tls: Pop3Security;
  readonly user: string;
  readonly password: string;
  readonly keep: boolean;
  /** HOME of the client; what it remembers between runs lies here. */
  readonly home: string;
  /** PEM file to check the server's certificate against (it must be made out to `localhost` and the host); unchecked without. */
  readonly ca?: string;
  readonly timeoutMs?: number;
}

/** How the client ended, and the mail of this run as it stored it, in the order of the maildrop. */
interface Pop3FetchResult extends ProgramResult {
  readonly messages: readonly Buffer[];
}

/** A real client and what may be expected of it. */
export interface Pop3Client {
  readonly name: PeerName;
  /** What it has to be there for it to run. */
  readonly needs: readonly PeerName[];
  readonly securities: readonly Pop3Security[];
  /** In keep mode a second run fetches only what is new. */
  readonly remembers: boolean;
  /** `messages` are the octets of the RETR response, dot-stuffing removed. */
  readonly exact: boolean;
  /** Exit codes of a run in which nothing was new. */
  readonly nothingNewExitCode: number;
  fetch(fetch: Pop3Fetch): Promise<Pop3FetchResult>;
}

const ALL: readonly Pop3Security[] = ['none', 'stls', 'implicit'];

/** Lists, then one session a message, as `curl pop3://…` does; deletes from the last message down, since each such session renumbers. */
const curl: Pop3Client = {
  name: 'curl',
  needs: ['curl'],
  securities: ALL,
  remembers: false,
  exact: true,
  nothingNewExitCode: 0,
  async fetch(fetch) {
    const folder = await newRun(fetch.home);
    const url = `${fetch.tls === 'implicit' ? 'pop3s' : 'pop3'}://${fetch.host}:${fetch.port}/`;
    const security = [
      ...(fetch.ca === undefined ? ['--insecure'] : ['--cacert', fetch.ca]),
      ...(fetch.tls === 'stls' ? ['--ssl-reqd'] : []),
    ];
    const all: ProgramResult[] = [];
    const call = async (...args: readonly string[]): Promise<ProgramResult> => {
      const options = ['--silent', '--show-error', '--verbose', '--disable', ...security, '--user', `${fetch.user}:${fetch.password}`];
      const result = await runProgram({ path: peerPath('curl'), args: [...options, ...args], ...settings(fetch) });
      all.push(result);
      return result;
    };
    const listing = await call(url);
    const numbers = listing.stdout.split('\n').flatMap((line) => /^\d+/.exec(line)?.[0] ?? []);
    for (const number of numbers) await call('--output', join(folder, number), url + number);
    if (!fetch.keep) for (const number of numbers.toReversed()) await call('--list-only', '--request', 'DELE', url + number);
    return {
      exitCode: all.find((result) => result.exitCode !== 0)?.exitCode ?? 0,
      stdout: all.map((result) => result.stdout).join(''),
      stderr: all.map((result) => result.stderr).join(''),
      messages: await storedIn(folder),
    };
  },
};

/** In keep mode it asks for `TOP n 99999999` instead of RETR. Its exit code 1 means "no new mail". */
const fetchmail: Pop3Client = {
  name: 'fetchmail',
  needs: ['fetchmail'],
  securities: ALL,
  remembers: true,
  exact: false,
  nothingNewExitCode: 1,
  async fetch(fetch) {
    const folder = await newRun(fetch.home);
    const check = fetch.ca === undefined ? 'no sslcertck' : `sslcertck sslcertfile ${fetchmailString(fetch.ca)} sslcommonname localhost`;
    const security = { none: 'sslproto ""', stls: `sslproto "TLS1.2+" ${check}`, implicit: `ssl ${check}` }[fetch.tls];
    const user = `user ${fetchmailString(fetch.user)} password ${fetchmailString(fetch.password)}`;
    const policy = fetch.keep ? 'keep' : 'nokeep fetchall';
    const poll = `poll ${fetch.host} service ${fetch.port} protocol pop3 uidl ${user} ${security} ${policy} norewrite mda ${fetchmailString(deliverInto(folder))}\n`;
    const file = await configFile(fetch, 'fetchmailrc', `set invisible\n${poll}`);
    const args = [
      '--nodetach',
      '--nosyslog',
      '-v',
      '-f',
      file,
      '--idfile',
      join(fetch.home, 'fetchids'),
      '--pidfile',
      join(fetch.home, 'fetchmail.pid'),
    ];
    return { ...(await runProgram({ path: peerPath('fetchmail'), args, ...settings(fetch) })), messages: await storedIn(folder) };
  },
};

const mpop: Pop3Client = {
  name: 'mpop',
  needs: ['mpop'],
  securities: ALL,
  remembers: true,
  exact: false,
  nothingNewExitCode: 0,
  async fetch(fetch) {
    const folder = await newRun(fetch.home);
    for (const name of ['cur', 'new', 'tmp']) await mkdir(join(folder, name));
    const check = fetch.ca === undefined ? ['tls_certcheck off'] : [`tls_trust_file ${fetch.ca}`, 'tls_host_override localhost'];
    const security = fetch.tls === 'none' ? ['tls off'] : ['tls on', `tls_starttls ${fetch.tls === 'stls' ? 'on' : 'off'}`, ...check];
    const file = await configFile(
      fetch,
      'mpoprc',
      [
        'account default',
        `host ${fetch.host}`,
        `port ${fetch.port}`,
        `user ${fetch.user}`,
        `password ${fetch.password}`,
        'auth user',
        ...security,
      ]
        .concat([
          `keep ${fetch.keep ? 'on' : 'off'}`,
          `uidls_file ${join(fetch.home, 'uidls')}`,
          'received_header off',
          `delivery maildir ${folder}`,
          '',
        ])
        .join('\n'),
    );
    return {
      ...(await runProgram({ path: peerPath('mpop'), args: ['--debug', '-C', file], ...settings(fetch) })),
      messages: await storedIn(join(folder, 'new')),
    };
  },
};

/**
 * It has no setting for STLS. Run as root it refuses to write mail itself, hence the external command.
 *
 * getmail6 forks its delivery command before it installs its handler for SIGCHLD. The end of a command that is quick enough is lost, and getmail then
 * sleeps for the whole of its `timeout` and gives the message up. That happens in about one of 600 deliveries on a busy machine, whatever server the
 * mail comes from. So its deliveries take a moment, its timeout is short, and where it complains of exactly that, and of nothing else, it is run once more:
 * by then it has sent RSET and has remembered nothing.
 */
const getmail: Pop3Client = {
  name: 'getmail',
  needs: ['getmail', 'python3'],
  securities: ['none', 'implicit'],
  remembers: true,
  exact: false,
  nothingNewExitCode: 0,
  async fetch(fetch) {
    const first = await getmailOnce(fetch);
    return GETMAIL_LOST_ITS_CHILD.test(first.stdout + first.stderr) ? await getmailOnce(fetch) : first;
  },
};

const GETMAIL_LOST_ITS_CHILD = /waiting child pid \d+ timed out/;
/** For an answer of the server, and for the end of a delivery. */
const GETMAIL_MS = 10_000;

async function getmailOnce(fetch: Pop3Fetch): Promise<Pop3FetchResult> {
  const folder = await newRun(fetch.home);
  const secure = fetch.tls === 'implicit';
  const check = secure && fetch.ca !== undefined ? [`ca_certs = ${fetch.ca}`, 'ssl_cert_hostname = localhost'] : [];
  const text = [
    ['[retriever]', `type = SimplePOP3${secure ? 'SSL' : ''}Retriever`, `server = ${fetch.host}`, `port = ${fetch.port}`],
    [`username = ${fetch.user}`, `password = ${fetch.password}`, `timeout = ${Math.ceil(patience(GETMAIL_MS) / 1_000)}`, ...check],
    [
      '[destination]',
      'type = MDA_external',
      'path = /bin/sh',
      `arguments = ("-c", ${quote(`${deliverInto(folder)}; sleep 0.25`)})`,
      'allow_root_commands = true',
    ],
    [
      '[options]',
      'read_all = false',
      `delete = ${fetch.keep ? 'false' : 'true'}`,
      'delivered_to = false',
      'received = false',
      'verbose = 2',
      '',
    ],
  ];
  const file = await configFile(fetch, 'getmailrc', text.flat().join('\n'));
  const args = [`--getmaildir=${fetch.home}`, `--rcfile=${file}`];
  return { ...(await runProgram({ path: peerPath('getmail'), args, ...settings(fetch) })), messages: await storedIn(folder) };
}

/** For an answer of the server. */
const POPLIB_MS = 15_000;

const poplib: Pop3Client = {
  name: 'python3',
  needs: ['python3'],
  securities: ALL,
  remembers: false,
  exact: true,
  nothingNewExitCode: 0,
  async fetch(fetch) {
    const folder = await newRun(fetch.home);
    const input = JSON.stringify({ ...fetch, folder, timeoutSeconds: patience(POPLIB_MS) / 1_000 });
    const args = ['-I', join(import.meta.dirname, 'poplib-fetch.py')];
    return { ...(await runProgram({ path: peerPath('python3'), args, ...settings(fetch), input })), messages: await storedIn(folder) };
  },
};

/** All clients, by the names their users know them by. */
export const pop3Clients = { curl, fetchmail, mpop, getmail, poplib } as const satisfies Readonly<Record<string, Pop3Client>>;

/** Headers that a client may put before a message it stores. */
const ADDED_HEADERS = /^(?:Received|Delivered-To|Return-Path|X-getmail-[a-z-]+):.*\n(?:[ \t].*\n)*/gim;

/**
 * A message as far as every client agrees on it: LF line ends, exactly one at the end, no mbox separator, none of the headers clients add. The
 * message's own headers of those names go too, so apply it to both sides of a comparison. latin1: octets stay octets.
 */
export function normaliseStored(message: Buffer): string {
  const text = message
    .toString('latin1')
    .replaceAll('\r\n', '\n')
    .replace(/^>?From .*\n/, '');
  const end = text.indexOf('\n\n');
  const header = end === -1 ? text : text.slice(0, end + 1);
  const body = end === -1 ? '' : text.slice(end + 1);
  return `${header.replaceAll(ADDED_HEADERS, '')}${body}`.replace(/\n*$/, '\n');
}

function settings(fetch: Pop3Fetch): { readonly home: string; readonly timeoutMs?: number } {
  return { home: fetch.home, ...(fetch.timeoutMs === undefined ? {} : { timeoutMs: fetch.timeoutMs }) };
}

/** Each run stores into a folder of its own, so that its mail can be told from that of earlier runs. */
async function newRun(home: string): Promise<string> {
  return mkdtemp(join(home, 'run-'));
}

/** A shell command that stores its input as one file, named by how many came before. */
function deliverInto(folder: string): string {
  return `cat > '${folder}'/$(ls '${folder}' | wc -l)`;
}

async function configFile(fetch: Pop3Fetch, name: string, text: string): Promise<string> {
  const file = join(fetch.home, name);
  await writeFile(file, text, { mode: 0o600 });
  return file;
}

async function storedIn(folder: string): Promise<readonly Buffer[]> {
  const names = (await readdir(folder, { withFileTypes: true })).filter((entry) => entry.isFile()).map((entry) => entry.name);
  return Promise.all(names.sort((a, b) => sequence(a) - sequence(b)).map((name) => readFile(join(folder, name))));
}

/** The count in a file's name: all of it, or in a Maildir the `Q` part, since the clock before it may step back. */
function sequence(name: string): number {
  return Number(/^\d+$/.exec(name)?.[0] ?? /Q(\d+)\./.exec(name)?.[1]);
}

function quote(text: string): string {
  return `"${text.replaceAll(/["\\]/g, String.raw`\$&`)}"`;
}

/** fetchmail ends a string at the first quotation mark, escaped or not, but decodes hexadecimal escapes. */
function fetchmailString(text: string): string {
  return `"${text.replaceAll(/["\\]/g, (character) => `\\x${character.charCodeAt(0).toString(16)}`)}"`;
}
