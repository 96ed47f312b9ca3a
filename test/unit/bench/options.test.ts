import { describe, expect, test } from 'vitest';
import { parseOptions } from '../../bench/options.ts';

test('without options the bench is short', () => {
  expect(parseOptions([])).toMatchObject({
    rtts: [0],
    rounds: 3,
    targets: ['popbridge', 'dovecot', 'imapc', 'raw'],
    tls: false,
    full: false,
  });
});

test('everything can be chosen', () => {
  const args = [
    '--rtt',
    '0,20,80',
    '--rounds=5',
    '--only',
    'WARM',
    '--targets',
    'raw,popbridge',
    '--tls',
    '--json',
    'f',
    '--markdown',
    'm',
    '--full',
  ];
  expect(parseOptions(args)).toEqual({
    rtts: [0, 20, 80],
    rounds: 5,
    only: /WARM/i,
    targets: ['popbridge', 'raw'],
    tls: true,
    direct: false,
    full: true,
    json: 'f',
    markdown: 'm',
  });
});

describe('complaints', () => {
  test.for([
    [['--rtt', '20,'], '--rtt takes whole numbers from 0, not ""'],
    [['--rounds', '0'], '--rounds takes whole numbers from 1, not "0"'],
    [['--targets', 'popbridge,qmail'], 'there is no "qmail"'],
    [['--direct', '--rtt', '20'], '--direct leaves out the proxy'],
    [['--nonsense'], '--nonsense'],
  ] as const)('%j', ([args, complaint]) => {
    expect(() => parseOptions(args)).toThrow(complaint);
  });
});
