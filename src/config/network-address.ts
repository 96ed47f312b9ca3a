/** Addresses and networks as the configuration writes them. Pure: nothing is looked up. */
import { z } from 'zod';

export interface NetworkAddress {
  /** An IP address without brackets, or a host name in lower case. */
  readonly host: string;
  readonly port: number;
}

/** `host:port`, `[::1]:port`. */
export const ADDRESS_PATTERN = /^(?:\[([0-9A-Fa-f:.]+(?:%[\w.-]+)?)\]|([^\s:/@[\]]+)):(\d{1,5})$/;

const HIGHEST_PORT = 65_535;

/** 127.0.0.0/8, also where IPv6 maps it, and ::1. A name such as "127.example.com" is none. */
const LOOPBACK_ADDRESS = /^(?:127\.[\d.]+|::1|::ffff:7f[0-9a-f]{2}:[0-9a-f]{1,4})$/;

const ipv4 = z.ipv4();
const ipv6 = z.ipv6();
const networks = z.union([ipv4, ipv6, z.cidrv4(), z.cidrv6()]);

/** The address to listen on; port 0 lets the system choose. Undefined when the text is none. */
export function parseAddress(text: string): NetworkAddress | undefined {
  const [, inBrackets, plain, digits] = ADDRESS_PATTERN.exec(text) ?? [];
  const host = inBrackets === undefined ? parseHost(plain ?? '') : parseHost(`[${inBrackets}]`);
  const port = Number(digits);
  return host === undefined || port > HIGHEST_PORT ? undefined : { host, port };
}

/** A host name in lower case or an IP address in its usual form; IPv6 with or without brackets. Undefined when it can be neither. */
export function parseHost(text: string): string | undefined {
  const [, unbracketed = text] = /^\[(.*)\]$/.exec(text) ?? [];
  if (unbracketed.includes(':')) return canonicalIpv6(unbracketed);
  if (unbracketed !== text) return undefined;
  if (/^[\d.]+$/.test(text)) return ipv4.safeParse(text).success ? text : undefined;
  return /^[\p{L}\p{N}_](?:[\p{L}\p{N}_.-]*[\p{L}\p{N}_.])?$/u.test(text) && !text.includes('..') ? text.toLowerCase() : undefined;
}

/** True for what can only be this machine. Names are not looked up, but for "localhost" (RFC 6761 section 6.3). */
export function isLoopbackHost(host: string): boolean {
  return host === 'localhost' || host.endsWith('.localhost') || LOOPBACK_ADDRESS.test(host);
}

/** True for an IP address or a network in CIDR notation. */
export function isNetwork(text: string): boolean {
  return networks.safeParse(text).success;
}

/** `host:port`, with brackets around IPv6. */
export function formatAddress({ host, port }: NetworkAddress): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

function canonicalIpv6(text: string): string | undefined {
  const [address = '', zone] = text.split('%');
  if (!ipv6.safeParse(address).success) return undefined;
  const canonical = new URL(`http://[${address}]`).hostname.slice(1, -1);
  return zone === undefined ? canonical : `${canonical}%${zone}`;
}
