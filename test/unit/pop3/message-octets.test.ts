import { describe, expect, test } from 'vitest';
import { DotStuffer } from '../../../src/pop3/dot-stuffer.ts';
import { LineEndNormaliser } from '../../../src/pop3/line-ends.ts';
import { normalise, stuff } from './message-octets.ts';
import { everyCut, octets, textOf } from './octets.ts';

/** TRAPS part 5: bodies as the upstream has them, and the octets a client must get before the line that ends the reply. */
const BODIES: readonly (readonly [what: string, body: string, sent: string])[] = [
  ['nothing at all', '', '\r\n'],
  ['a lone dot', '.', '..\r\n\r\n'],
  ['two dots', '..', '...\r\n\r\n'],
  ['a dot between line ends', '\r\n.\r\n', '\r\n..\r\n'],
  ['a last line "." without CRLF', 'H: h\r\n\r\n.', 'H: h\r\n\r\n..\r\n'],
  ['a last line "." with CRLF', 'H: h\r\n\r\n.\r\n', 'H: h\r\n\r\n..\r\n'],
  ['a header alone, ended', 'H: h\r\n', 'H: h\r\n\r\n'],
  ['a header alone, not ended', 'H: h', 'H: h\r\n\r\n'],
  ['a header and the blank line', 'H: h\r\n\r\n', 'H: h\r\n\r\n'],
  ['a body alone', '\r\nbody\r\n', '\r\nbody\r\n'],
  ['a body alone with LF', '\nbody\n', '\r\nbody\r\n'],
  ['only LF', '\n', '\r\n'],
  ['only LFs', '\n\n\n', '\r\n\r\n\r\n'],
  ['only CR', '\r', '\r\r\n\r\n'],
  ['only CRs', '\r\r', '\r\r\r\n\r\n'],
  ['LF line ends', 'H: h\n\none\n.two\n', 'H: h\r\n\r\none\r\n..two\r\n'],
  ['mixed line ends', 'H: h\r\n\none\n.two\r\nthree\rfour\n', 'H: h\r\n\r\none\r\n..two\r\nthree\rfour\r\n'],
  ['a bare CR before CRLF', 'H: h\r\n\r\none\r\r\ntwo\r\n', 'H: h\r\n\r\none\r\r\ntwo\r\n'],
  ['a dot after a bare CR, which starts no line', 'H: h\r\n\r\none\r.two\r\n', 'H: h\r\n\r\none\r.two\r\n'],
  ['a bare CR at the end', 'H: h\r\n\r\none\r', 'H: h\r\n\r\none\r\r\n'],
  ['NULs', 'H: h\r\n\r\n\0\0\r\n\0', 'H: h\r\n\r\n\0\0\r\n\0\r\n'],
  ['8-bit octets in the header', 'S: \xe4\xff\r\n\r\n\xfe\r\n', 'S: \xe4\xff\r\n\r\n\xfe\r\n'],
  ['a "From " line first', 'From alice\r\nH: h\r\n\r\nb\r\n', 'From alice\r\nH: h\r\n\r\nb\r\n'],
  ['a first line with a dot', '.H: h\r\n\r\nb\r\n', '..H: h\r\n\r\nb\r\n'],
  ['dots on every line', '.\n.\n.\n', '..\r\n..\r\n..\r\n\r\n'],
  ['a false end with LF only', 'H: h\n\na\n.\nb\n', 'H: h\r\n\r\na\r\n..\r\nb\r\n'],
  ['blank lines at the end', 'H: h\r\n\r\nb\r\n\r\n\r\n', 'H: h\r\n\r\nb\r\n\r\n\r\n'],
];

describe('the octets of RETR', () => {
  test.each(BODIES)('%s: right over every cut', (_, body, sent) => {
    for (const pieces of everyCut(octets(body))) expect(textOf(stuff(normalise(pieces)))).toBe(sent);
  });

  test('a line of five megabytes passes whole, whatever the chunks', () => {
    const line = Buffer.alloc(5 * 1024 * 1024, 'x');
    const pieces = [octets('H: h\r\n\r\n'), line.subarray(0, 1_000_003), line.subarray(1_000_003)];
    const sent = textOf(stuff(normalise(pieces)));
    expect(sent).toHaveLength('H: h\r\n\r\n'.length + line.length + 2);
  });

  test('a header of one megabyte is ended where it ends', () => {
    const header = `H: ${'h'.repeat(1024 * 1024)}\r\n`;
    expect(textOf(normalise([octets(header), octets('\r\nb')]))).toBe(`${header}\r\nb\r\n`);
  });

  test('clean chunks pass without a copy', () => {
    const chunk = octets('H: h\r\n\r\nbody\r\n');
    const normalised = new LineEndNormaliser().transform(chunk);
    const stuffed = new DotStuffer().transform(normalised);
    expect(stuffed.map(({ buffer, byteOffset }) => [buffer === chunk.buffer, byteOffset])).toEqual([[true, chunk.byteOffset]]);
  });

  test('a chunk with a few dots passes in pieces without a copy, one with many is copied once', () => {
    const few = octets('.a\r\n.b\r\nc\r\n');
    expect(new DotStuffer().transform(few).filter(({ buffer }) => buffer === few.buffer)).toHaveLength(2);
    expect(textOf([...new DotStuffer().transform(few)])).toBe('..a\r\n..b\r\nc\r\n');
    expect(new DotStuffer().transform(octets('.\r\n'.repeat(100)))).toHaveLength(1);
  });

  test('the normaliser counts what it gave out, before dot-stuffing', () => {
    const normaliser = new LineEndNormaliser();
    normaliser.transform(octets('a\n.b'));
    normaliser.end();
    expect(normaliser.octets).toBe('a\r\n.b\r\n\r\n'.length);
  });

  test('an empty chunk changes nothing', () => {
    const pieces = ['', 'H: h\r', '', '\n', '', '\r\n', '', '.', ''].map(octets);
    expect(textOf(stuff(normalise(pieces)))).toBe('H: h\r\n\r\n..\r\n');
  });
});
