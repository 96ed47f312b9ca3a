/**
 * Finds the IMAP server of a mail domain: by the presets, by Mozilla's autoconfig, by SRV records (RFC 6186). What a network says is a proposal:
 * who asked has to agree before a password goes there.
 */
import { domainToASCII } from 'node:url';
import type { Preset } from '../../config/presets/preset.ts';
import { presetOfDomain, presetOfHost } from '../../config/presets/presets.ts';
import { imapServersIn, type FoundServer } from './autoconfig.ts';

export interface SrvRecord {
  readonly name: string;
  readonly port: number;
  readonly priority: number;
  readonly weight: number;
}

/** How the network is asked; both reject where there is no answer. */
export interface DiscoveryParts {
  /** The body of an https answer with status 200. */
  readonly get: (url: string, signal: AbortSignal) => Promise<string>;
  readonly srv: (name: string) => Promise<readonly SrvRecord[]>;
}

export type Discovered =
  /** `source` names the server of the preset; undefined where the domain is the provider's own. */
  | { readonly by: 'preset'; readonly preset: Preset; readonly source: string | undefined }
  | { readonly by: 'network'; readonly server: FoundServer; readonly source: string };

const TIMEOUT_MS = 10_000;

/** Undefined where nobody knows. `address` has a domain. Never rejects. */
export async function discover(address: string, { get, srv }: DiscoveryParts): Promise<Discovered | undefined> {
  const domain = domainToASCII(address.slice(address.lastIndexOf('@') + 1));
  const preset = presetOfDomain(domain);
  if (preset !== undefined) return { by: 'preset', preset, source: undefined };
  for (const url of autoconfigUrls(domain, address)) {
    const [server] = imapServersIn(await get(url, AbortSignal.timeout(TIMEOUT_MS)).catch(() => ''));
    if (server !== undefined) return foundAt(server, new URL(url).origin);
  }
  for (const [service, security] of [
    ['_imaps', 'tls'],
    ['_imap', 'starttls'],
  ] as const) {
    const name = `${service}._tcp.${domain}`;
    const best = bestOf(await srv(name).catch(() => []));
    if (best !== undefined) {
      const server = { host: best.name.replace(/\.$/, ''), port: best.port, security, username: '{user}' };
      return foundAt(server, `the SRV record ${name}`);
    }
  }
  return undefined;
}

/** A provider that serves domains of its customers wants of them what it wants of its own. */
function foundAt(server: FoundServer, source: string): Discovered {
  const preset = presetOfHost(server.host);
  return preset === undefined ? { by: 'network', server, source } : { by: 'preset', preset, source };
}

/** The domain itself comes before Mozilla's list of providers. */
function autoconfigUrls(domain: string, address: string): string[] {
  const host = encodeURIComponent(domain);
  const query = `emailaddress=${encodeURIComponent(address)}`;
  return [
    `https://autoconfig.${host}/mail/config-v1.1.xml?${query}`,
    `https://${host}/.well-known/autoconfig/mail/config-v1.1.xml?${query}`,
    // It is told the domain alone.
    `https://autoconfig.thunderbird.net/v1.1/${host}`,
  ];
}

/** RFC 2782: the lowest priority, the greatest weight; "." says that there is none. */
function bestOf(records: readonly SrvRecord[]): SrvRecord | undefined {
  const usable = records.filter(({ name, port }) => name !== '' && name !== '.' && port > 0);
  return usable.toSorted((one, other) => one.priority - other.priority || other.weight - one.weight)[0];
}
