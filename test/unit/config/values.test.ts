import { describe, expect, test } from 'vitest';
import { parseDuration } from '../../../src/config/duration.ts';
import { formatAddress, isLoopbackHost, isNetwork, parseAddress, parseHost } from '../../../src/config/network-address.ts';
import { parseSize } from '../../../src/config/size.ts';
import { nearestWord } from '../../../src/config/suggest.ts';

describe('a duration', () => {
  test.each([
    ['0s', 0],
    ['500ms', 500],
    ['45s', 45_000],
    ['10m', 600_000],
    ['2h', 7_200_000],
    ['30d', 2_592_000_000],
  ])('%s is %d ms', (text, milliseconds) => expect(parseDuration(text)).toBe(milliseconds));

  test.each(['', '45', 's', '-1s', '1.5h', '1h30m', ' 45s', '45 s', '45S', '10min', '1e3s', '999999999999d', '٣s'])('%j is none', (text) =>
    expect(parseDuration(text)).toBeUndefined(),
  );
});

describe('a size', () => {
  test.each([
    ['0B', 0],
    ['10KiB', 10_240],
    ['5MB', 5_000_000],
    ['5kB', 5_000],
    ['64MiB', 67_108_864],
    ['1TiB', 1_099_511_627_776],
  ])('%s is %d octets', (text, octets) => expect(parseSize(text)).toBe(octets));

  test.each(['', '64', 'MiB', '64M', '64mib', '-1B', '1.5GiB', '64 MiB', 'kiB', '999999999999999TiB'])('%j is none', (text) =>
    expect(parseSize(text)).toBeUndefined(),
  );
});

describe('an address', () => {
  test.each([
    ['127.0.0.1:1110', '127.0.0.1', 1110],
    ['127.0.0.1:0', '127.0.0.1', 0],
    ['[::1]:110', '::1', 110],
    ['[0:0:0:0:0:0:0:1]:110', '::1', 110],
    ['[fe80::1%eth0]:110', 'fe80::1%eth0', 110],
    ['[::]:995', '::', 995],
    ['LocalHost:65535', 'localhost', 65_535],
  ])('%s', (text, host, port) => {
    expect(parseAddress(text)).toEqual({ host, port });
  });

  test.each([
    '',
    ':110',
    '127.0.0.1',
    '127.0.0.1:',
    '127.0.0.1:65536',
    '127.0.0.1:-1',
    '::1:110',
    '[::1]',
    '[127.0.0.1]:110',
    '[::g]:1',
    '*:110',
    '256.1.1.1:1',
  ])('%j is none', (text) => expect(parseAddress(text)).toBeUndefined());

  test('is written as it is read', () => {
    expect(formatAddress({ host: '::1', port: 110 })).toBe('[::1]:110');
    expect(formatAddress({ host: 'localhost', port: 0 })).toBe('localhost:0');
  });
});

test.each([
  ['imap.example.com', 'imap.example.com'],
  ['IMAP.Example.com.', 'imap.example.com.'],
  ['mail_1', 'mail_1'],
  ['[::1]', '::1'],
  ['FD00::0001', 'fd00::1'],
  ['bücher.example', 'bücher.example'],
  ['', undefined],
  ['a b', undefined],
  ['imap.example.com:993', undefined],
  ['user@example.com', undefined],
  ['a..b', undefined],
  ['-a', undefined],
  ['1.2.3', undefined],
  ['[a]', undefined],
])('the host %j is %j', (text, host) => expect(parseHost(text)).toBe(host));

test.each([
  ['127.0.0.1', true],
  ['127.8.9.10', true],
  ['::1', true],
  ['localhost', true],
  ['imap.localhost', true],
  ['::ffff:7f00:1', true],
  ['127.example.com', false],
  ['::ffff:7f:1', false],
  ['0.0.0.0', false],
  ['::', false],
  ['localhost.example.com', false],
  ['192.168.1.1', false],
])('%s is loopback: %j', (host, isLoopback) => expect(isLoopbackHost(host)).toBe(isLoopback));

test.each([
  ['192.168.1.7', true],
  ['192.168.1.0/24', true],
  ['0.0.0.0/0', true],
  ['fd00::/8', true],
  ['::1', true],
  ['192.168.1.0/33', false],
  ['fd00::/129', false],
  ['192.168.1', false],
  ['localhost', false],
  ['', false],
])('%j is a network: %j', (text, isOne) => expect(isNetwork(text)).toBe(isOne));

test.each([
  ['hots', 'host'],
  ['hst', 'host'],
  ['Port', 'port'],
  ['ca-file', 'ca_file'],
  ['certificate_sha265', 'certificate_sha256'],
  ['x', undefined],
  ['colour', undefined],
])('the nearest word to %s is %s', (word, nearest) => {
  expect(nearestWord(word, ['id', 'host', 'port', 'ca_file', 'certificate_sha256'])).toBe(nearest);
});
