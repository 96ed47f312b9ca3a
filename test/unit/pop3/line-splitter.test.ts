import { describe, expect, test } from 'vitest';
import { MAX_LINE_OCTETS } from '../../../src/pop3/limits.ts';
import { LineSplitter } from '../../../src/pop3/line-splitter.ts';
import { everyCut, octets } from './octets.ts';
import { splitLines } from './split-lines.ts';

const TABLE: readonly (readonly [input: string, lines: readonly string[], rest: number])[] = [
  ['', [], 0],
  ['STAT\r\n', ['STAT'], 0],
  ['STAT\n', ['STAT'], 0],
  ['\r\n', [''], 0],
  ['\n\n', ['', ''], 0],
  ['STAT\r\nLIST\r\n', ['STAT', 'LIST'], 0],
  ['STAT\nLIST\r\nQUIT', ['STAT', 'LIST'], 4],
  ['a\rb\r\n', ['a\rb'], 0],
  ['a\r\r\n', ['a'], 0],
  ['STAT\r\r\r\r\nQUIT\r\r\n', ['STAT', 'QUIT'], 0],
  ['\r\r\n', [''], 0],
  ['a\r\r', [], 3],
  ['\r', [], 1],
  ['a\0b\n', ['a\0b'], 0],
  ['\xff\xfe\n', ['\xff\xfe'], 0],
  ['QUIT', [], 4],
  ['QUIT\r', [], 5],
];

describe('the line splitter', () => {
  test.each(TABLE)('cuts %j into lines, however it arrives', (input, lines, rest) => {
    for (const pieces of everyCut(octets(input))) {
      const splitter = new LineSplitter();
      expect(splitLines(splitter, pieces)).toEqual(lines);
      expect(splitter.pendingOctets).toBe(rest);
    }
  });

  test('takes a line of exactly the longest length, with either end', () => {
    const line = 'x'.repeat(10);
    for (const end of ['\n', '\r\n']) {
      for (const pieces of everyCut(octets(line + end))) expect(splitLines(new LineSplitter(10), pieces)).toEqual([line]);
    }
  });

  test('counts all CRs before the LF but one as a part of the line: they may not fill memory either', () => {
    for (const [crs, expected] of [
      [3, 'xxxxxxxx'],
      [4, 'too-long!'],
    ] as const) {
      for (const pieces of everyCut(octets(`xxxxxxxx${'\r'.repeat(crs)}\n`))) {
        expect(splitLines(new LineSplitter(10), pieces)).toEqual([expected]);
      }
    }
  });

  test('says too-long once for a longer line, then nothing more', () => {
    for (const end of ['\n', '\r\n', 'xxxxxxxxxxxx\r\n']) {
      for (const pieces of everyCut(octets(`ok\r\n${'x'.repeat(11)}${end}QUIT\r\n`))) {
        expect(splitLines(new LineSplitter(10), pieces)).toEqual(['ok', 'too-long!']);
      }
    }
  });

  test('takes the longest SASL response there is: 12,288 octets', () => {
    expect(splitLines(new LineSplitter(), [octets(`${'A'.repeat(MAX_LINE_OCTETS)}\r\n`)])).toHaveLength(1);
    expect(MAX_LINE_OCTETS).toBe(12_288);
  });

  test('keeps no more than the limit of ten megabytes without a line end', () => {
    const splitter = new LineSplitter();
    let largest = 0;
    for (let sent = 0; sent < 10 * 1024 * 1024; sent += 16_384) {
      splitter.push(Buffer.alloc(16_384, 'x'));
      splitter.next();
      largest = Math.max(largest, splitter.pendingOctets);
    }
    expect(largest).toBeLessThanOrEqual(MAX_LINE_OCTETS + 1);
  });

  test('forgets what was unread when told to, and tells how much that was', () => {
    const splitter = new LineSplitter();
    splitter.push(octets('STLS\r\nUSER mallory\r\n'));
    expect(String(splitter.next())).toBe('STLS');
    expect(splitter.discard()).toBe('USER mallory\r\n'.length);
    expect(splitter.next()).toBeUndefined();
    expect(splitter.pendingOctets).toBe(0);
  });
});
