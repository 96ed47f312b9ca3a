/**
 * What a configuration file may hold (CONTRACT section 4): every key with its kind, its default and one line about it. The JSON Schema and
 * the README's test are made from it. What several keys mean together is in cross-checks.ts; keys that are not built yet in not-built-yet.ts.
 */
import { z } from 'zod';
import { account, oauth, secrets } from './account-tables.ts';
import type { DeclaredAccount } from './account-config.ts';
import { limits } from './limits-table.ts';
import type { OAuthConfig } from './oauth-config.ts';
import { PRESETS } from './presets/presets.ts';
import { age, count, domain, duration, folderPattern, listenAddress, network, optionalText } from './fields.ts';
import { serverHost, serverPort, sha256, storeUrl, uniqueIdTemplate, usernameTemplate, viewName } from './fields.ts';
import type { UniqueIdTemplate } from '../maildrop/unique-id.ts';

/** The IMAP server of one file. */
export interface UpstreamConfig {
  /** '' for none. */
  readonly preset: string;
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
  readonly connectionsPerAccount: number;
  /** How long a connection stays without a session; 0: not at all. */
  readonly lingerMs: number;
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

/** Who may log in. */
export interface LoginConfig {
  readonly mode: 'upstream' | 'accounts';
  readonly domains: readonly string[];
  readonly default: boolean;
  readonly delayMs: number;
}

/** Everything about one upstream. */
export interface FileConfig {
  readonly upstream: UpstreamConfig;
  readonly listen: readonly ListenConfig[];
  /** Domains in lower case. */
  readonly login: LoginConfig;
  /** With login.mode "accounts", those that the file declares. */
  readonly accounts: readonly DeclaredAccount[];
  readonly oauth: OAuthConfig | undefined;
  /** By name; '' is what clients see that name none, and comes first. */
  readonly views: ReadonlyMap<string, ViewConfig>;
}

/** What clients see of an account, and what they do to it. */
export interface ViewConfig {
  readonly maildrop: MaildropConfig;
  readonly retrieve: { readonly markSeen: 'on-retrieve' | 'on-quit' | 'never' };
  readonly delete: DeletionConfig;
}

export interface MaildropConfig {
  /** Names, and patterns: see maildrop/folder-name.ts. */
  readonly folders: readonly string[];
  readonly show: 'all' | 'unseen';
  /** Only mail younger than that; 0: of any age. */
  readonly sinceSeconds: number;
  /** Only so many, the latest; 0: all. */
  readonly newest: number;
  readonly sizes: 'trust' | 'learn' | 'exact';
  /** Whether several sessions may have it open. */
  readonly lock: 'exclusive' | 'shared';
  readonly uniqueId: UniqueIdTemplate;
}

export interface DeletionConfig {
  readonly action: 'trash' | 'expunge' | 'archive' | 'move' | 'flag' | 'hide';
  readonly folder: string | undefined;
  /** Kept upstream for so long after a client deleted it. */
  readonly afterSeconds: number;
  readonly when: 'any-view' | 'all-views';
  readonly verify: boolean;
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
  /** Of one folder. */
  readonly messages: number;
  /** Of all sessions. */
  readonly bodyCacheOctets: number;
  /** Of one session. */
  readonly readAheadOctets: number;
}

/** What belongs to the process, not to one upstream. */
export interface ProcessConfig {
  /** `sqlite:` (in the state directory), `sqlite:` and an absolute path, or `memory:`. */
  readonly store: { readonly url: string };
  /** The file of the key for secrets at rest; undefined for the default place. */
  readonly secrets: { readonly keyFile: string | undefined };
  readonly limits: LimitsConfig;
  readonly log: { readonly level: 'debug' | 'info' | 'warn' | 'error'; readonly format: 'auto' | 'json' | 'pretty' };
}

/** The whole configuration, free of faults. */
export interface BridgeConfig {
  readonly process: ProcessConfig;
  readonly upstreams: readonly FileConfig[];
}

/** Ten years. */
const LONGEST_DELAY = '3650d';

/** Tables of the process as a whole: in popbridge.toml, or in the only file. */
export const PROCESS_TABLES: readonly string[] = ['store', 'secrets', 'limits', 'log'];

const upstream = z
  .strictObject({
    preset: z
      .enum(['', ...PRESETS.map(({ name }) => name)])
      .default('')
      .describe('A provider or server product that popbridge knows; see "popbridge presets"'),
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
    connections_per_account: count().default(1).describe('Connections of one account at a time; more sessions than that share them'),
    linger: duration('0s')
      .prefault('5m')
      .describe('How long a connection stays logged in after the session, so that the next poll costs no login; 0s: log out at once'),
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
    mode: z
      .enum(['upstream', 'accounts'])
      .default('upstream')
      .describe("upstream: the POP password is the upstream's; accounts: app passwords of local accounts, which have their own upstream"),
    domains: z
      .array(domain())
      .prefault([])
      .describe('Where several files share an address: users of these domains belong to this upstream'),
    default: z.boolean().default(false).describe('Where several files share an address: this upstream takes everybody else'),
    delay: duration('0s').prefault('0s').describe('Least time between two logins of a user (LOGIN-DELAY); announced and enforced when set'),
  })
  .prefault({})
  .describe('Who may log in');

/** Keys that views may override; their defaults stand in the tables below. */
const viewKeys = {
  folders: z
    .array(folderPattern())
    .min(1, 'is empty; name one folder')
    .describe(
      'Folders merged into one maildrop, in this order. A name that exists as written wins; else * % ? match, but never trash, junk, drafts, sent or all mail, and \\* \\% \\? stand for themselves',
    ),
  show: z.enum(['all', 'unseen']).describe('Which messages clients see: all, or those that nobody read yet'),
  since: age().describe('Only mail that arrived within this time, such as "30d"; empty: of any age'),
  newest: z.int().min(0).describe('Only so many messages, the latest; 0: all'),
  unique_id: uniqueIdTemplate().describe('How the unique-ids of messages not yet shown are made: a format by name, or a template'),
  sizes: z
    .enum(['trust', 'learn', 'exact'])
    .describe(
      'Sizes in listings: trust what the server says, learn the true size when a message is first retrieved, or measure all before',
    ),
  lock: z
    .enum(['exclusive', 'shared'])
    .describe('One session a maildrop at a time, as RFC 1939 has it, or several that see what was there when each of them began'),
  mark_seen: z
    .enum(['on-retrieve', 'on-quit', 'never'])
    .describe('When a retrieved message becomes read upstream: after its last octet, at QUIT, or never'),
  action: z
    .enum(['trash', 'expunge', 'archive', 'move', 'flag', 'hide'])
    .describe('Move to the trash, expunge, move to the archive, move to folder, only flag as deleted, or only hide it from POP3 clients'),
  folder: optionalText().describe('The folder for move; for trash and archive, where the server names none'),
  after: duration('0s', LONGEST_DELAY).describe('How long what a client deleted is kept upstream, hidden from POP3 meanwhile'),
  when: z.enum(['any-view', 'all-views']).describe('Remove upstream what any view deleted, or only what every view of [views] has deleted'),
  verify: z.boolean().describe('Before removing, make sure that it is still the message that was listed: by identity, arrival and size'),
};

const maildrop = z
  .strictObject({
    folders: withDescription(viewKeys.folders, (schema) => schema.prefault(['INBOX'])),
    show: withDescription(viewKeys.show, (schema) => schema.default('all')),
    since: withDescription(viewKeys.since, (schema) => schema.prefault('')),
    newest: withDescription(viewKeys.newest, (schema) => schema.default(0)),
    unique_id: withDescription(viewKeys.unique_id, (schema) => schema.prefault('popbridge')),
    sizes: withDescription(viewKeys.sizes, (schema) => schema.default('learn')),
    lock: withDescription(viewKeys.lock, (schema) => schema.default('exclusive')),
  })
  .prefault({})
  .describe('What clients see');

const retrieve = z
  .strictObject({ mark_seen: withDescription(viewKeys.mark_seen, (schema) => schema.default('on-retrieve')) })
  .prefault({})
  .describe('What reading a message does upstream');

const deletion = z
  .strictObject({
    action: withDescription(viewKeys.action, (schema) => schema.default('trash')),
    folder: withDescription(viewKeys.folder, (schema) => schema.default('')),
    after: withDescription(viewKeys.after, (schema) => schema.prefault('0d')),
    when: withDescription(viewKeys.when, (schema) => schema.default('any-view')),
    verify: withDescription(viewKeys.verify, (schema) => schema.default(true)),
  })
  .prefault({})
  .describe('What DELE and QUIT do upstream');

const views = z
  .record(viewName(), z.strictObject(viewKeys).partial())
  .default({})
  .describe('Tables [views.NAME]: logins as USER/NAME, with deletions of their own; each may override keys of maildrop, retrieve, delete');

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

/** What adds a default forgets the description. */
function withDescription<Schema extends z.ZodType, Result extends z.ZodType>(schema: Schema, add: (schema: Schema) => Result): Result {
  return add(schema).describe(schema.description ?? '');
}

/** One file. `upstream` is required of all but popbridge.toml; who reads the file knows which it is. */
export const fileSchema = z.strictObject({
  upstream: upstream.optional(),
  listen: z.array(listen).prefault([{}]),
  tls,
  login,
  account: z.array(account).default([]),
  oauth,
  maildrop,
  retrieve,
  delete: deletion,
  views,
  store,
  secrets,
  limits,
  log,
});

/** One file as the schema gives it: kinds and defaults are right, keys have not been looked at together. */
export type FileTables = z.output<typeof fileSchema>;
export type ListenTable = FileTables['listen'][number];
export type ViewTable = FileTables['views'][string];
