import { describe, expect, test } from 'vitest';
import { TopCutter } from '../../../src/pop3/top-cutter.ts';
import { normalise, top } from './message-octets.ts';
import { everyCut, octets, textOf } from './octets.ts';

const MESSAGE = 'A: a\r\nB: b\r\n\r\none\r\n\r\nthree\r\n.four\r\n';
const HEADER = 'A: a\r\nB: b\r\n\r\n';

const TABLE: readonly (readonly [what: string, message: string, lines: number, sent: string])[] = [
  ['headers and the blank line only for k = 0', MESSAGE, 0, HEADER],
  ['one line', MESSAGE, 1, `${HEADER}one\r\n`],
  ['a blank line as a line', MESSAGE, 2, `${HEADER}one\r\n\r\n`],
  ['three lines', MESSAGE, 3, `${HEADER}one\r\n\r\nthree\r\n`],
  ['all lines', MESSAGE, 4, MESSAGE],
  ['all lines for k beyond the end', MESSAGE, 5, MESSAGE],
  ['all lines for a huge k', MESSAGE, 999_999_999_999_999, MESSAGE],
  ['a header alone', 'A: a\r\n', 0, 'A: a\r\n\r\n'],
  ['a header alone whatever k', 'A: a', 3, 'A: a\r\n\r\n'],
  ['a message that begins with the blank line', '\r\none\r\ntwo\r\n', 1, '\r\none\r\n'],
  ['nothing but the blank line of an empty message', '', 1, '\r\n'],
  ['a last line without its end, ended', 'A: a\r\n\r\none', 1, 'A: a\r\n\r\none\r\n'],
  ['LF line ends', 'A: a\n\none\ntwo\n', 1, 'A: a\r\n\r\none\r\n'],
  ['a line of CR and CRLF as header, for it is not blank', 'A: a\r\n\r\r\nB: b\r\n\r\none\r\n', 0, 'A: a\r\n\r\r\nB: b\r\n\r\n'],
  ['a bare CR within the header', 'A: a\r\rb\r\n\r\none\r\n', 0, 'A: a\r\rb\r\n\r\n'],
];

describe('TOP', () => {
  test.each(TABLE)('gives %s, over every cut', (_, message, lines, sent) => {
    for (const pieces of everyCut(octets(message))) expect(textOf(top(normalise(pieces), lines))).toBe(sent);
  });

  test('knows when it has all it needs, so that the rest need not be read', () => {
    const cutter = new TopCutter(1);
    cutter.transform(octets('A: a\r\n\r\nonly half a li'));
    expect(cutter.isDone).toBe(false);
    cutter.transform(octets('ne\r\n'));
    expect(cutter.isDone).toBe(true);
    expect(cutter.transform(octets('more\r\n'))).toHaveLength(0);
  });

  test('with k = 0 needs nothing after the blank line', () => {
    const cutter = new TopCutter(0);
    cutter.transform(octets('A: a\r\n\r\n'));
    expect(cutter.isDone).toBe(true);
    expect(cutter.transform(octets('one\r\n'))).toHaveLength(0);
  });
});
