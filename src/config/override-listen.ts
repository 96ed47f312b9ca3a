/** `--listen ADDR`: other addresses than the configured ones. Pure. */
import type { ConfigFault } from '../errors.ts';
import { shown } from './fault-text.ts';
import { isTable } from './key-path.ts';
import { parseAddress } from './network-address.ts';

/** Faults of the addresses themselves; they belong to the command line, not to a file. */
export function checkListenOption(addresses: readonly string[]): ConfigFault[] {
  return addresses
    .filter((address) => parseAddress(address) === undefined)
    .map((address) => ({ file: '--listen', key: '', problem: `${shown(address)} is no address; write host:port or [::1]:port` }));
}

/**
 * The document listening on these addresses. Everything else about them (security, certificates, allowed clients) stays as in its first
 * [[listen]]: an address given by hand must not open what the file keeps closed.
 */
export function withListenAddresses(document: unknown, addresses: readonly string[]): unknown {
  if (addresses.length === 0 || !isTable(document)) return document;
  const configured: unknown = Array.isArray(document['listen']) ? document['listen'][0] : undefined;
  const first = isTable(configured) ? configured : {};
  return { ...document, listen: addresses.map((address) => ({ ...first, address })) };
}
