import { describe, expect, test } from 'vitest';
import { asMarkdown, asText, costTable, timeTable, trafficTable } from '../../bench/report.ts';
import type { Cell, Row, Sample } from '../../bench/rounds.ts';

const run = (ms: number, more: Partial<Sample> = {}): Sample => ({ ms, cpuMs: undefined, traffic: undefined, ...more });
const traffic = { connections: 2, octetsUp: 1, octetsDown: 1, roundTrips: 6, commands: { LOGIN: 2, NOOP: 2 } };

const cells: readonly Cell[] = [
  {
    target: 'popbridge',
    samples: [run(30, { cpuMs: 10, traffic }), run(10, { cpuMs: 30, traffic }), run(20, { cpuMs: 20, traffic })],
    isScaled: false,
  },
  { target: 'imapc', samples: [run(2_000_000)], isScaled: true },
  { target: 'raw', samples: [run(5)], isScaled: false },
];
const poll: Row = { scenario: 'a poll', rttMs: 20, sessions: 1, megabytes: undefined, cells };
const storm: Row = { ...poll, scenario: 'a storm', sessions: 2 };
const drain: Row = { ...poll, scenario: 'a drain', megabytes: 10 };

describe('a table', () => {
  test('of medians, with ratios to the peer and to the floor; what is scaled is marked', () => {
    expect(timeTable([poll])).toEqual([
      ['RTT 20 ms', 'popbridge', 'peer (imapc)', 'raw IMAP', 'to peer', 'to raw'],
      ['a poll', '20.0 ms', '~2,000 s', '5.00 ms', '~100,000x', '0.25x'],
    ]);
  });

  test('counts sessions a second where there are many', () => {
    expect(timeTable([storm])[1]?.slice(0, 2)).toEqual(['a storm', '100/s']);
  });

  test('of what was said upstream in a session', () => {
    expect(trafficTable([poll, storm]).slice(1)).toEqual([
      ['a poll', '4.00 / 6.00', '–', '–'],
      ['a storm', '2.00 / 3.00', '–', '–'],
    ]);
  });

  test('of what it cost, by session or by megabyte', () => {
    expect(costTable([poll, storm, drain]).map(([, ours]) => ours)).toEqual([
      'popbridge',
      '20.0 ms/session',
      '10.0 ms/session',
      '2.00 ms/MB',
    ]);
  });

  test('as text and as Markdown', () => {
    const table = [
      ['a', 'b'],
      ['long', '1'],
    ];
    expect(asText(table)).toBe('a     b\nlong  1');
    expect(asMarkdown(table)).toBe('| a | b |\n| --- | --: |\n| long | 1 |');
  });
});
