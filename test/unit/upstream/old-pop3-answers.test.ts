import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { holds } from '../../support/holds.ts';
import { HeaderReader, ListingReader, parseStatus, ReceivedOctets } from '../../../src/upstream/old-pop3-answers.ts';
import { anyOctets, cutAt, cuts, everyCut, octetByOctet, octets } from '../pop3/octets.ts';

const GREETING = '+OK hello\r\n';

/** Reads a greeting, then what `begin` makes, and gives it with the octets left over. */
function readAfterGreeting<T>(
  pieces: Iterable<Uint8Array>,
  begin: (received: ReceivedOctets) => () => T | undefined,
): readonly [T | undefined, number] {
  const received = new ReceivedOctets();
  let take: (() => T | undefined) | undefined;
  let taken: T | undefined;
  for (const piece of pieces) {
    received.push(piece);
    if (take === undefined && received.line() !== undefined) take = begin(received);
    taken ??= take?.();
  }
  return [taken, received.pending];
}

const header = (received: ReceivedOctets, keep?: number, limit?: number): (() => string | undefined) => {
  const reader = new HeaderReader(received, keep, limit);
  return () => reader.take()?.toString('latin1');
};
const listing = (received: ReceivedOctets, limit?: number): (() => readonly string[] | undefined) => {
  const reader = new ListingReader(received, limit);
  return () => reader.take();
};

describe('a status line', () => {
  test.for([
    ['+OK', { isOk: true }],
    ['+OK 2 messages', { isOk: true }],
    ['-ERR', { isOk: false, code: undefined, text: '' }],
    ['-ERR no', { isOk: false, code: undefined, text: 'no' }],
    ['-ERR [AUTH] no', { isOk: false, code: 'AUTH', text: '[AUTH] no' }],
    ['-ERR [sys/temp] later', { isOk: false, code: 'SYS/TEMP', text: '[sys/temp] later' }],
    ['-ERR [not a code] no', { isOk: false, code: undefined, text: '[not a code] no' }],
  ] as const)('%j is %j', ([line, status]) => {
    expect(parseStatus(line)).toEqual(status);
  });

  test.for(['', '*', 'OK', '+ ', '-', '* OK IMAP', 'HTTP/1.1 400 Bad Request', ' +OK'])('%j is none', (line) => {
    expect(() => parseStatus(line)).toThrow('neither +OK nor -ERR');
  });
});

describe('lines', () => {
  test('end in CRLF, whatever the chunks: a lone LF is a part of one', () => {
    for (const pieces of everyCut(octets('+OK\r\na\nb\rc\r\n'))) {
      const received = new ReceivedOctets();
      for (const piece of pieces) received.push(piece);
      expect([received.line(), received.line(), received.line()]).toEqual(['+OK', 'a\nb\rc', undefined]);
    }
  });

  test('end in LF where the greeting does', () => {
    for (const pieces of everyCut(octets('+OK\na\r\nb\n'))) {
      const received = new ReceivedOctets();
      for (const piece of pieces) received.push(piece);
      expect([received.line(), received.line(), received.line()]).toEqual(['+OK', 'a\r', 'b']);
    }
  });

  test('may have 8 KiB and no octet more, whether they end or not', () => {
    const received = new ReceivedOctets();
    received.push(octets(`+OK\r\n${'x'.repeat(8192)}\r\n`));
    expect([received.line(), received.line()?.length]).toEqual(['+OK', 8192]);
    received.push(octets('x'.repeat(8194)));
    expect(received.line()).toBeUndefined();
    received.push(octets('x'));
    expect(() => received.line()).toThrow('more than 8192 octets');
    const whole = new ReceivedOctets();
    whole.push(octets(`${'x'.repeat(8193)}\r\n`));
    expect(() => whole.line()).toThrow('more than 8192 octets');
  });
});

describe('a listing', () => {
  test('is its lines up to the lone dot, unstuffed, whatever the chunks, and takes no octet more', () => {
    for (const pieces of everyCut(octets(`${GREETING}1 a\r\n..2 b\r\n\r\n.\r\n+OK`))) {
      expect(readAfterGreeting(pieces, listing)).toEqual([['1 a', '.2 b', ''], 3]);
    }
  });

  test('is not there before its last line is', () => {
    expect(readAfterGreeting([octets(`${GREETING}1 a\r\n.\r`)], listing)[0]).toBeUndefined();
  });

  test('may not go on for ever', () => {
    const endless = [octets(`${GREETING}${'1 a\r\n'.repeat(20)}`)];
    expect(() => readAfterGreeting(endless, (received) => listing(received, 99))).toThrow('more than 99 octets');
  });
});

/** Answers to TOP after their status line, as they go over the line, and the header they hold. */
const HEADERS: readonly (readonly [what: string, answer: string, header: string])[] = [
  ['nothing', '.\r\n', ''],
  ['one line', 'A: b\r\n.\r\n', 'A: b\r\n'],
  ['a header and the empty line', 'A: b\r\nC: d\r\n\r\n.\r\n', 'A: b\r\nC: d\r\n'],
  ['stuffed dots', '..A: b\r\n...\r\n. x\r\n.\r\n', '.A: b\r\n..\r\n x\r\n'],
  ['dots within a line', 'A: .\r\nB.\r\n.\r\n', 'A: .\r\nB.\r\n'],
  ['a lone LF before a dot, which ends nothing', 'A: b\n.\nC: d\n.\r\nE: f\r\n.\r\n', 'A: b\n.\nC: d\n.\r\nE: f\r\n'],
  ['a lone CR before a dot, which ends nothing', 'A: b\r.\r\nC\r\r\n.\r\n', 'A: b\r.\r\nC\r\r\n'],
  ['a dot and a lone CR', '.\rx\r\n.\r\r\n.\r\n', '\rx\r\n\r\r\n'],
  ['a body too', 'A: b\r\n\r\nMessage-ID: <of@another>\r\n\r\n..\r\n.\r\n', 'A: b\r\n'],
  ['an empty line first', '\r\nA: b\r\n.\r\n', ''],
  ['octets of all kinds', 'A: \xff\x00\x80\r\n.\r\n', 'A: \xff\x00\x80\r\n'],
];

describe('a header', () => {
  test.for(HEADERS)('with %s is read, whatever the chunks, and no octet more', ([, answer, expected]) => {
    for (const pieces of everyCut(octets(`${GREETING}${answer}+OK`))) {
      expect(readAfterGreeting(pieces, (received) => header(received))).toEqual([expected, 3]);
    }
  });

  test('of a server that ends lines in LF is read too', () => {
    for (const pieces of everyCut(octets('+OK\nA: b\n..c\n\nbody\n.\n'))) {
      expect(readAfterGreeting(pieces, (received) => header(received))).toEqual(['A: b\n.c\n', 0]);
    }
  });

  test('is cut at the limit, and its end is found beyond', () => {
    const pieces = octetByOctet(octets(`${GREETING}A: ${'x'.repeat(50)}\r\n..\r\n.\r\n`));
    expect(readAfterGreeting(pieces, (received) => header(received, 10))).toEqual(['A: xxxxxxx', 0]);
  });

  test('may not go on for ever', () => {
    expect(() => readAfterGreeting([octets(`${GREETING}${'x'.repeat(101)}`)], (received) => header(received, 10, 100))).toThrow(
      'more than 100 octets',
    );
  });

  test('of any octets comes out as it went in, stuffed, however it is cut', () => {
    holds(
      fc.property(anyOctets, cuts, (message, places) => {
        const lines = Buffer.from(message).toString('latin1').split('\r\n');
        const stuffed = lines.map((line) => `${line.replace(/^\./, '..')}\r\n`).join('');
        const expected = lines
          .map((line) => `${line}\r\n`)
          .join('')
          .replace(/(^|\n)\r?\n[^]*/, '$1');
        const pieces = cutAt(octets(`${GREETING}${stuffed}.\r\n`), places);
        expect(readAfterGreeting(pieces, (received) => header(received))).toEqual([expected, 0]);
      }),
    );
  });

  test('of any octets at all is read, awaited or refused, and never throws anything else', () => {
    holds(
      fc.property(anyOctets, cuts, (message, places) => {
        const received = new ReceivedOctets();
        const reader = new HeaderReader(received);
        for (const piece of cutAt(message, places)) {
          received.push(piece);
          reader.take();
        }
      }),
    );
  });
});
