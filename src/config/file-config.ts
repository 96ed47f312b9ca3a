/** From the tables of one file, free of faults or with defaults in their place, to what the program uses. Pure. */
import { isAbsolute, join } from 'node:path';
import { declaredAccount } from './account-config.ts';
import { certificatePair, securityOf } from './certificate-pair.ts';
import { formatAddress } from './network-address.ts';
import { oauthConfig } from './oauth-config.ts';
import type { FileConfig, FileTables, ListenConfig, ProcessConfig, UpstreamConfig, ViewConfig } from './schema.ts';
import { viewsOf, type WholeView } from './views.ts';

/** Where tables come from. */
export interface FileOrigin {
  /** As faults name it. */
  readonly file: string;
  /** What relative paths in it start from; absolute. */
  readonly folder: string;
  /** The file's name without `.toml`. */
  readonly name: string;
}

/** A file that the configuration names; whether it can be read is for the caller to find out. */
export interface ReferencedFile {
  readonly file: string;
  readonly key: string;
  readonly path: string;
  /** A secret: nobody else may read it. */
  readonly isSecret: boolean;
  /** It is made when it is first needed. */
  readonly mayBeMissing?: boolean;
}

/** What one file says about its upstream. */
export function fileConfig(origin: FileOrigin, tables: FileTables, upstream: NonNullable<FileTables['upstream']>): FileConfig {
  const { login, account } = tables;
  return {
    upstream: upstreamConfig(origin, upstream),
    listen: listenConfigs(origin, tables),
    login: { mode: login.mode, domains: login.domains, default: login.default, delayMs: login.delay },
    oauth: oauthConfig(tables.oauth, upstream.preset, (path) => resolveFile(origin, path)),
    accounts: account.map((one) => declaredAccount(one, upstream.username, (path) => resolveFile(origin, path))),
    views: new Map(viewsOf(tables).map(({ name, table }) => [name, viewConfig(table)])),
  };
}

/** RFC 8314 section 3.2 and RFC 3501 section 2.1. */
const IMAPS_PORT = 993;
const IMAP_PORT = 143;

function upstreamConfig(origin: FileOrigin, upstream: NonNullable<FileTables['upstream']>): UpstreamConfig {
  return {
    preset: upstream.preset,
    id: setOrUndefined(upstream.id) ?? origin.name,
    file: origin.file,
    name: origin.name,
    host: upstream.host,
    port: upstream.port ?? (upstream.security === 'tls' ? IMAPS_PORT : IMAP_PORT),
    security: upstream.security,
    username: upstream.username,
    caFile: resolveFile(origin, upstream.ca_file),
    certificateSha256: setOrUndefined(upstream.certificate_sha256),
    clientId: upstream.client_id,
    commandTimeoutMs: upstream.command_timeout,
    connectionsPerAccount: upstream.connections_per_account,
    lingerMs: upstream.linger,
  };
}

function viewConfig(table: WholeView): ViewConfig {
  return {
    maildrop: {
      folders: table.folders,
      show: table.show,
      sinceSeconds: Math.ceil(table.since / 1000),
      newest: table.newest,
      sizes: table.sizes,
      lock: table.lock,
      uniqueId: table.unique_id,
    },
    retrieve: { markSeen: table.mark_seen },
    delete: {
      action: table.action,
      folder: setOrUndefined(table.folder),
      afterSeconds: Math.ceil(table.after / 1000),
      when: table.when,
      verify: table.verify,
    },
  };
}

function listenConfigs(origin: FileOrigin, { listen, tls }: FileTables): ListenConfig[] {
  const seen = new Map<string, number>();
  return listen.map((one) => {
    const address = formatAddress(one.address);
    const occurrence = (seen.get(address) ?? 0) + 1;
    seen.set(address, occurrence);
    const security = securityOf(one, tls);
    const pair = security === 'none' ? undefined : certificatePair(one, tls);
    return {
      name: occurrence === 1 ? address : `${address}#${occurrence}`,
      host: one.address.host,
      port: one.address.port,
      security,
      certificateFile: resolveFile(origin, pair?.certificate_file ?? ''),
      keyFile: resolveFile(origin, pair?.key_file ?? ''),
      legacy: one.legacy,
      allowCleartextLogin: one.allow_cleartext_login,
      allow: one.allow,
    };
  });
}

/** What one file says about the process. */
export function processConfig(origin: FileOrigin, { store, secrets, limits, log }: FileTables): ProcessConfig {
  return {
    store: { url: storeUrl(origin, store.url) },
    secrets: { keyFile: resolveFile(origin, secrets.key_file) },
    limits: {
      sessions: limits.sessions,
      sessionsPerAddress: limits.sessions_per_address,
      sessionsPerUser: limits.sessions_per_user,
      loginFailures: limits.login_failures,
      loginTimeoutMs: limits.login_timeout,
      writeTimeoutMs: limits.write_timeout,
      idleTimeoutMs: limits.idle_timeout,
      messageOctets: limits.message,
      messages: limits.messages,
      bodyCacheOctets: limits.body_cache,
      readAheadOctets: limits.read_ahead,
    },
    log,
  };
}

const SQLITE = 'sqlite:';

function storeUrl(origin: FileOrigin, url: string): string {
  const path = url.startsWith(SQLITE) ? resolveFile(origin, url.slice(SQLITE.length)) : undefined;
  return path === undefined ? url : `${SQLITE}${path}`;
}

/** Every file that the tables name. */
export function references(origin: FileOrigin, { upstream, tls, listen, account, oauth, secrets }: FileTables): ReferencedFile[] {
  const reference = (key: string, text: string, isSecret: boolean): ReferencedFile[] => {
    const path = resolveFile(origin, text);
    return path === undefined ? [] : [{ file: origin.file, key, path, isSecret }];
  };
  const pair = (table: string, { certificate_file, key_file }: FileTables['tls']): ReferencedFile[] => [
    ...reference(`${table}.certificate_file`, certificate_file, false),
    ...reference(`${table}.key_file`, key_file, true),
  ];
  return [
    ...reference('upstream.ca_file', upstream?.ca_file ?? '', false),
    ...pair('tls', tls),
    ...listen.flatMap((one, index) => pair(`listen[${index}]`, one)),
    ...reference('secrets.key_file', secrets.key_file, true).map((key) => Object.assign(key, { mayBeMissing: true })),
    ...reference('oauth.client_secret_file', oauth?.client_secret_file ?? '', true),
    ...account.flatMap((one, index) => reference(`account[${index}].upstream_password_file`, one.upstream_password_file, true)),
  ];
}

function resolveFile({ folder }: FileOrigin, path: string): string | undefined {
  if (path === '') return undefined;
  return isAbsolute(path) ? path : join(folder, path);
}

function setOrUndefined(text: string): string | undefined {
  return text === '' ? undefined : text;
}
