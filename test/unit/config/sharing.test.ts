import { describe, expect, test } from 'vitest';
import { checkSharing } from '../../../src/config/sharing.ts';
import { describeFault } from '../../../src/errors.ts';
import { upstreamOf } from './parse.ts';

const HOST = '[upstream]\nhost = "imap.example.com"\n';

/** Faults between files a.toml, b.toml, … each of which has these lines. */
function faultsBetween(...files: readonly string[]): string[] {
  return checkSharing(files.map((toml, index) => upstreamOf(`${HOST}${toml}`, 'abcdef'[index]))).map(describeFault);
}

const domains = (...names: readonly string[]): string => `[login]\ndomains = ${JSON.stringify(names)}\n`;
const REST = '[login]\ndefault = true\n';
const listen = (lines: string): string => `[[listen]]\n${lines}\n`;

test('one file, and files on addresses of their own, need no domains', () => {
  expect(faultsBetween('')).toEqual([]);
  expect(faultsBetween(listen('address = "127.0.0.1:1"'), listen('address = "127.0.0.1:2"'))).toEqual([]);
});

test('files share an address by domains, and one may take the rest', () => {
  expect(faultsBetween(domains('a.example'), domains('b.example', 'c.example'), REST)).toEqual([]);
});

test('an address is the same however it is written', () => {
  const faults = faultsBetween(listen('address = "[::1]:110"'), REST + listen('address = "[0:0::0:1]:110"'));
  expect(faults).toEqual([
    "a.toml: login.domains: is empty, but [::1]:110 is shared with b.toml; give the domains of this upstream's users, or default = true",
  ]);
});

test('a file without domains is never chosen', () => {
  expect(faultsBetween('', '')).toEqual([
    "a.toml: login.domains: is empty, but 127.0.0.1:1110 is shared with b.toml; give the domains of this upstream's users, or default = true",
    "b.toml: login.domains: is empty, but 127.0.0.1:1110 is shared with a.toml; give the domains of this upstream's users, or default = true",
  ]);
});

test('a domain belongs to one file, whatever its case', () => {
  expect(faultsBetween(domains('a.example', 'b.example'), domains('B.Example'))).toEqual([
    'b.toml: login.domains: "b.example" is taken by a.toml on 127.0.0.1:1110; only one may have it',
  ]);
});

test('only one takes the rest', () => {
  expect(faultsBetween(REST, REST)).toEqual([
    'b.toml: login.default: is true in a.toml too, on the same address; only one may take the rest',
  ]);
});

test('upstreams are told apart by their ids', () => {
  const id = (name: string): string => `id = "${name}"\n`;
  expect(faultsBetween(id('b') + domains('a.example'), REST)).toEqual([
    'b.toml: upstream.id: "b" is the upstream of a.toml already; give each file an id of its own',
  ]);
  expect(faultsBetween(id('x') + domains('a.example'), id('y') + REST)).toEqual([]);
});

test('what two files get wrong on two addresses is said for each address, and what is the same is said once', () => {
  const two = listen('address = "127.0.0.1:1"') + listen('address = "127.0.0.1:2"');
  expect(faultsBetween(REST + two, REST + two)).toHaveLength(1);
});

describe('files that share an address agree on its', () => {
  const TLS = '[tls]\ncertificate_file = "/c"\nkey_file = "/k"\n';
  const cases: [string, string, string, string][] = [
    ['security', TLS + listen('security = "starttls"'), TLS + listen('security = "tls"'), 'is "tls", but "starttls"'],
    ['certificate_file', TLS, TLS.replace('/c', '/d'), 'is "/d", but "/c"'],
    ['key_file', TLS, TLS.replace('/k', '/l'), 'is "/l", but "/k"'],
    ['legacy', TLS, TLS + listen('legacy = true'), 'is true, but false'],
    ['allow_cleartext_login', listen('allow_cleartext_login = true'), '', 'is false, but true'],
    ['allow', listen('allow = ["10.0.0.1"]'), listen('allow = []'), 'is [], but ["10.0.0.1"]'],
  ];

  test.each(cases)('%s', (key, one, other, difference) => {
    expect(faultsBetween(REST + one, domains('b.example') + other)).toEqual([
      `b.toml: listen[0].${key}: ${difference} in a.toml; files that share 127.0.0.1:1110 must agree`,
    ]);
  });

  test('the order of allow does not matter', () => {
    const [one, other] = [listen('allow = ["10.0.0.1", "::1"]'), listen('allow = ["::1", "10.0.0.1"]')];
    expect(faultsBetween(REST + one, domains('b.example') + other)).toEqual([]);
  });
});
