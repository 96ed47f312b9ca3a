/** For whom limits count. Pure. */
import { isIP } from 'node:net';

const IPV6 = 6;
const IPV6_GROUPS = 8;

/**
 * Whose limits count: who has one IPv6 address has a network of 64 bits to choose others from (RFC 4291 section 2.5.1). IPv4 addresses are
 * given back.
 */
export function limitedAs(address: string): string {
  if (isIP(address) !== IPV6) return address;
  const [plain = ''] = address.split('%');
  const [head = [], tail = []] = plain.split('::').map((part) => (part === '' ? [] : part.split(':')));
  const zeros = Array.from({ length: IPV6_GROUPS - head.length - tail.length }, () => '0');
  const groups = [...head, ...zeros, ...tail].slice(0, IPV6_GROUPS / 2);
  return `${groups.map((group) => Number.parseInt(group, 16).toString(16)).join(':')}::/64`;
}
