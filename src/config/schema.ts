/**
 * What a configuration file may hold (CONTRACT section 4): every key with its kind, its default and one line about it. The JSON Schema and
 * the README's test are made from it. What several keys mean together is in cross-checks.ts; keys that are not built yet in not-built-yet.ts.
 */
import { z } from 'zod';
import { count, domain, duration, folderName, listenAddress, network, optionalText } from './fields.ts';
import { serverHost, serverPort, sha256, size, storeUrl, uniqueIdTemplate, usernameTemplate } from './fields.ts';
import type { UniqueIdTemplate } from '../maildrop/unique-id.ts';

/** The IMAP server of one file. */
export interface UpstreamConfig {
  /** Names it in the UID map: `upstream.id`, else the file's name. */
  readonly id: string;
  readonly file: string;
  /** The file's name without `.toml`. */
  readonly name: string;
  readonly host: string;
  readonly port: number;
  readonly security: 'tls' | 'starttls' | 'none';
  /** A template of {user}, {local} and {domain}. */
  readonly username: string;
  readonly caFile: string | undefined;
  /** 64 lower-case hex digits. */
  readonly certificateSha256: string | undefined;
  readonly clientId: boolean;
  readonly commandTimeoutMs: number;
}

/** One address that POP3 clients connect to. */
export interface ListenConfig {
  /** `host:port`. The same in several files: they share the listener. Port 0 a second time in one file is another listener, "host:0#2". */
  readonly name: string;
  readonly host: string;
  readonly port: number;
  readonly security: 'none' | 'starttls' | 'tls';
  /** Absolute paths; set wherever `security` needs them. */
  readonly certificateFile: string | undefined;
  readonly keyFile: string | undefined;
  readonly legacy: boolean;
  readonly allowCleartextLogin: boolean;
  /** IP addresses and CIDR networks; empty allows every client. */
  readonly allow: readonly string[];
}

/** Everything about one upstream. */
export interface FileConfig {
  readonly upstream: UpstreamConfig;
  readonly listen: readonly ListenConfig[];
  /** Domains in lower case. */
  readonly login: { readonly domains: readonly string[]; readonly default: boolean; readonly delayMs: number };
  readonly maildrop: { readonly folder: string; readonly sizes: 'trust' | 'learn'; readonly uniqueId: UniqueIdTemplate };
  readonly retrieve: { readonly markSeen: 'on-retrieve' | 'on-quit' | 'never' };
  readonly delete: { readonly action: 'trash' | 'expunge' | 'archive' | 'move' | 'flag'; readonly folder: string | undefined };
}

/** What the process enforces on all clients together. */
export interface LimitsConfig {
  readonly sessions: number;
  readonly sessionsPerAddress: number;
  readonly sessionsPerUser: number;
  readonly loginFailures: number;
  readonly loginTimeoutMs: number;
  readonly writeTimeoutMs: number;
  readonly idleTimeoutMs: number;
  /** 0: any size. */
  readonly messageOctets: number;
}

/** What belongs to the process, not to one upstream. */
export interface ProcessConfig {
  /** `sqlite:` (in the state directory), `sqlite:` and an absolute path, or `memory:`. */
  readonly store: { readonly url: string };
  readonly limits: LimitsConfig;
  readonly log: { readonly level: 'debug' | 'info' | 'warn' | 'error'; readonly format: 'auto' | 'json' | 'pretty' };
}

/** The whole configuration, free of faults. */
export interface BridgeConfig {
  readonly process: ProcessConfig;
  readonly upstreams: readonly FileConfig[];
}

/** Tables of the process as a whole: in popbridge.toml, or in the only file. */
export const PROCESS_TABLES: readonly string[] = ['store', 'limits', 'log'];

const upstream = z
  .strictObject({
    id: optionalText().default('').describe("Names the upstream in the UID map, so that the file may be renamed; default: the file's name"),
    host: serverHost().describe('The IMAP server: a name or an IP address'),
    port: serverPort().optional().describe('Its port; default: 993 for tls, 143 else'),
    security: z
      .enum(['tls', 'starttls', 'none'])
      .default('tls')
      .describe(
        'tls from the first octet, starttls (mandatory, never opportunistic), or none (loopback hosts only, unless allow_cleartext)',
      ),
    allow_cleartext: z.boolean().default(false).describe('Lets security = "none" send passwords in clear to a host that is not loopback'),
    username: usernameTemplate().default('{user}').describe('How a POP user name becomes the IMAP user name: {user}, {local}, {domain}'),
    ca_file: optionalText().default('').describe('A CA certificate (PEM) that is trusted besides those that Node brings'),
    certificate_sha256: sha256().prefault('').describe('Accepts exactly the certificate with this SHA-256 fingerprint'),
    client_id: z.boolean().default(true).describe('Send the IMAP command ID when the server has it; some refuse SELECT without it'),
    command_timeout: duration('1ms')
      .prefault('45s')
      .describe('Longest time without progress from the upstream, for any POP3 command; a login takes at most this in all'),
  })
  .describe('The IMAP server');

const listen = z
  .strictObject({
    address: listenAddress().prefault('127.0.0.1:1110').describe('host:port or [::1]:port; port 0 takes a free one'),
    security: z
      .enum(['none', 'starttls', 'tls'])
      .optional()
      .describe('tls from the first octet, starttls (offered as STLS) or none; default: starttls when a certificate is set, else none'),
    certificate_file: optionalText().default('').describe('Certificate chain (PEM) of this address; default: that of [tls]'),
    key_file: optionalText().default('').describe('Private key (PEM) of this address, not readable by others; default: that of [tls]'),
    legacy: z.boolean().default(false).describe('TLS 1.0, 1.1 and old ciphers on this address; loopback only unless legacy_network'),
    legacy_network: z.boolean().default(false).describe('Lets legacy listen on an address that is not loopback'),
    allow_cleartext_login: z
      .boolean()
      .default(false)
      .describe('Off loopback, take passwords without TLS; else they are refused before they are sent'),
    allow: z
      .array(network())
      .default([])
      .describe('Client addresses and networks (CIDR) that may connect; empty: any that can reach the address'),
  })
  .describe('An address that POP3 clients connect to');

const tls = z
  .strictObject({
    certificate_file: optionalText().default('').describe('Certificate chain (PEM) of every address without one of its own'),
    key_file: optionalText().default('').describe('Private key (PEM) of that certificate, not readable by others'),
  })
  .prefault({})
  .describe('The certificate that POP3 clients see; read again on SIGHUP and when the file changes');

const login = z
  .strictObject({
    mode: z.enum(['upstream']).default('upstream').describe("The POP password is the upstream's"),
    domains: z
      .array(domain())
      .prefault([])
      .describe('Where several files share an address: users of these domains belong to this upstream'),
    default: z.boolean().default(false).describe('Where several files share an address: this upstream takes everybody else'),
    delay: duration('0s').prefault('0s').describe('Least time between two logins of a user (LOGIN-DELAY); announced and enforced when set'),
  })
  .prefault({})
  .describe('Who may log in');

const maildrop = z
  .strictObject({
    folders: z.array(folderName()).min(1, 'is empty; name one folder').max(1).default(['INBOX']).describe('The folder that clients see'),
    show: z.enum(['all']).default('all').describe('Which messages clients see'),
    unique_id: uniqueIdTemplate()
      .prefault('popbridge')
      .describe('How the unique-ids of messages not yet shown are made: a format by name, or a template'),
    sizes: z
      .enum(['trust', 'learn'])
      .default('learn')
      .describe('Sizes in listings: trust what the server says, or learn the true size when a message is first retrieved'),
    lock: z.enum(['exclusive']).default('exclusive').describe('One session a maildrop at a time (RFC 1939)'),
  })
  .prefault({})
  .describe('What clients see');

const retrieve = z
  .strictObject({
    mark_seen: z
      .enum(['on-retrieve', 'on-quit', 'never'])
      .default('on-retrieve')
      .describe('When a retrieved message becomes read upstream: after its last octet, at QUIT, or never'),
  })
  .prefault({})
  .describe('What reading a message does upstream');

const deletion = z
  .strictObject({
    action: z
      .enum(['trash', 'expunge', 'archive', 'move', 'flag'])
      .default('trash')
      .describe('Move to the trash, expunge, move to the archive, move to folder, or only flag as deleted'),
    folder: optionalText().default('').describe('The folder for move; for trash and archive, where the server names none'),
  })
  .prefault({})
  .describe('What DELE and QUIT do upstream');

const limits = z
  .strictObject({
    sessions: count().default(2000).describe('Sessions at a time'),
    sessions_per_address: count().default(100).describe('Sessions at a time from one client address'),
    sessions_per_user: count().default(10).describe('Sessions at a time of one user'),
    login_failures: count().default(5).describe('Refused logins from one address within 10 minutes, before further ones are delayed'),
    login_timeout: duration('1ms').prefault('60s').describe('Longest time a client may take to log in'),
    write_timeout: duration('1ms').prefault('2m').describe('Longest time a client may take no octet of an answer'),
    idle_timeout: duration('10m').prefault('10m').describe('Longest time between two commands; at least 10m (RFC 1939)'),
    message: size().prefault('0B').describe('Largest message that RETR gives; 0B: any'),
  })
  .prefault({})
  .describe('Limits, all enforced');

const log = z
  .strictObject({
    level: z.enum(['debug', 'info', 'warn', 'error']).default('info').describe('The least important lines that are written'),
    format: z
      .enum(['auto', 'json', 'pretty'])
      .default('auto')
      .describe('JSON lines, or pretty for people; auto: pretty on a terminal, json else'),
  })
  .prefault({})
  .describe('The log, on standard output');

const store = z
  .strictObject({
    url: storeUrl().default('sqlite:').describe('Where UID maps are kept: sqlite: (in the state directory), sqlite:PATH, or memory:'),
  })
  .prefault({})
  .describe('The store of the UID maps');

/** One file. `upstream` is required of all but popbridge.toml; who reads the file knows which it is. */
export const fileSchema = z.strictObject({
  upstream: upstream.optional(),
  listen: z.array(listen).prefault([{}]),
  tls,
  login,
  maildrop,
  retrieve,
  delete: deletion,
  store,
  limits,
  log,
});

/** One file as the schema gives it: kinds and defaults are right, keys have not been looked at together. */
export type FileTables = z.output<typeof fileSchema>;
export type ListenTable = FileTables['listen'][number];
