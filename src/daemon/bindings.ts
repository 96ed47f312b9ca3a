/** From the configuration to what each listening address needs: several files may share one, each with users of its own. */
import { readFileSync, statSync } from 'node:fs';
import type { SecureContext } from 'node:tls';
import type { Clock } from '../clock.ts';
import type { BridgeConfig, FileConfig, ListenConfig } from '../config/schema.ts';
import { ConfigError } from '../errors.ts';
import { ImapflowUpstream } from '../upstream/imapflow-upstream.ts';
import { trustingContext } from '../upstream/gated-transport.ts';
import { BodyCache } from '../upstream/body-cache.ts';
import type { ReadAheadBudget } from '../upstream/read-ahead.ts';
import { Certificate } from './certificates.ts';
import type { ListenAddress } from './listener.ts';
import type { Log } from './logging.ts';
import type { UpstreamService } from './login.ts';

/** So many sessions may hold all they are allowed to at the same time; then none reads further ahead. */
const SESSIONS_READING_AHEAD = 32;

export interface Binding {
  readonly address: ListenAddress;
  readonly security: ListenConfig['security'];
  readonly isLegacy: boolean;
  readonly allow: readonly string[];
  readonly allowsCleartextLogin: boolean;
  readonly certificate: Certificate | undefined;
  readonly services: readonly UpstreamService[];
  /** The largest LOGIN-DELAY of its upstreams, in whole seconds. */
  readonly loginDelaySeconds: number | undefined;
}

export interface BindingParts {
  readonly clock: Clock;
  readonly log: Log;
  readonly version: string;
}

/** Bindings by address. Reads certificates; throws ConfigError with every one that can't be used. */
export function bindingsOf(config: BridgeConfig, parts: BindingParts): Map<string, Binding> {
  const faults: ConfigError['faults'][number][] = [];
  const shared = new Map<string, { readonly listen: ListenConfig; readonly file: FileConfig; readonly services: UpstreamService[] }>();
  const memory = messageMemory(config);
  for (const file of config.upstreams) {
    const service = serviceOf(file, memory, { ...parts, keepsConnections: true });
    for (const listen of file.listen) {
      const { name } = listen;
      const before = shared.get(name);
      if (before === undefined) shared.set(name, { listen, file, services: [service] });
      else before.services.push(service);
    }
  }
  const bindings = new Map<string, Binding>();
  for (const [name, { listen, file, services }] of shared) {
    try {
      bindings.set(name, binding(listen, services, parts));
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      faults.push({ file: file.upstream.file, key: 'listen.certificate_file', problem: `certificate or key can't be used: ${reason}` });
    }
  }
  if (faults.length > 0) throw new ConfigError(faults);
  return bindings;
}

function binding(listen: ListenConfig, services: readonly UpstreamService[], parts: BindingParts): Binding {
  const delay = services.reduce((longest, service) => Math.max(longest, service.loginDelayMs), 0);
  return {
    address: { host: listen.host, port: listen.port },
    security: listen.security,
    isLegacy: listen.legacy,
    allow: listen.allow,
    allowsCleartextLogin: listen.allowCleartextLogin,
    certificate: certificateOf(listen, parts),
    services,
    loginDelaySeconds: delay > 0 ? Math.ceil(delay / 1000) : undefined,
  };
}

/** For a handshake that begins now, on an address whose clients begin with TLS; undefined on others. */
export function tlsContextOf({ security, certificate }: Binding): SecureContext | undefined {
  return security === 'tls' ? certificate?.context : undefined;
}

function certificateOf(listen: ListenConfig, parts: BindingParts): Certificate | undefined {
  const { certificateFile, keyFile } = listen;
  if (listen.security === 'none' || certificateFile === undefined || keyFile === undefined) return undefined;
  return new Certificate(
    { certificateFile, keyFile, legacy: listen.legacy },
    {
      readFile: (path) => readFileSync(path),
      writtenAt: (path) => statSync(path).mtimeMs,
      monotonic: () => parts.clock.monotonic(),
    },
    (error) => parts.log.error('certificate-failed', { certificateFile, error, kept: 'the certificate before' }),
  );
}

/** What all sessions may hold of messages, together, and how many messages of one folder are believed. */
export interface MessageMemory {
  readonly budget: ReadAheadBudget;
  readonly bodies: BodyCache;
  readonly maxMessages: number;
}

export function messageMemory({ process: { limits } }: BridgeConfig): MessageMemory {
  const { readAheadOctets, bodyCacheOctets } = limits;
  const budget = { sessionOctets: readAheadOctets, totalOctets: readAheadOctets * SESSIONS_READING_AHEAD, used: 0 };
  return { budget, bodies: new BodyCache(bodyCacheOctets), maxMessages: limits.messages };
}

/** The upstream of one file, ready to be logged in to. */
export function serviceOf(
  file: FileConfig,
  memory: MessageMemory,
  parts: Pick<BindingParts, 'clock' | 'version'> & { readonly keepsConnections: boolean },
): UpstreamService {
  const { upstream } = file;
  const endpoint = {
    host: upstream.host,
    port: upstream.port,
    security: upstream.security,
    certificateSha256: upstream.certificateSha256,
    secureContext: upstream.security === 'none' ? undefined : trustingContext(upstream.caFile && readFileSync(upstream.caFile, 'utf8')),
    sendsId: upstream.clientId,
    commandTimeoutMs: upstream.commandTimeoutMs,
    clientInfo: { name: 'popbridge', version: parts.version },
  };
  return {
    id: upstream.id,
    upstream: new ImapflowUpstream(endpoint, parts.clock, {
      ...memory,
      lingerMs: parts.keepsConnections ? upstream.lingerMs : 0,
      connectionsPerAccount: upstream.connectionsPerAccount,
    }),
    username: upstream.username,
    domains: file.login.domains,
    takesTheRest: file.login.default,
    views: file.views,
    loginDelayMs: file.login.delayMs,
    mode: file.login.mode,
    hasOAuth: file.oauth !== undefined,
  };
}
