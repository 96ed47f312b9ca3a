import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { holds } from '../../../support/holds.ts';
import { CommandCounter, type CommandCounts } from '../../../bench/proxy/command-counter.ts';
import { cutAt, cuts, octetByOctet, octets } from '../../pop3/octets.ts';

const DIALOGUES: readonly (readonly [string, string, CommandCounts])[] = [
  [
    'verbs',
    'a1 LOGIN u p\r\na2 select INBOX\r\na3 UID FETCH 1:* BODY[]\r\na4 uid fetch 7 FLAGS\r\n',
    { LOGIN: 1, SELECT: 1, 'UID FETCH': 2 },
  ],
  ['IDLE and DONE', '1 IDLE\r\nDONE\r\n2 NOOP\r\n', { IDLE: 1, NOOP: 1 }],
  ['AUTHENTICATE and its answer', 'x AUTHENTICATE PLAIN\r\nAGFsaWNlAHNlY3JldA==\r\n', { AUTHENTICATE: 1 }],
  ['a literal that looks like a command', 'a APPEND INBOX {13}\r\nb LOGIN u p\r\n\r\nc NOOP\r\n', { APPEND: 1, NOOP: 1 }],
  ['two literals, one of them not waited for', 'a LOGIN {1}\r\nu {1+}\r\np\r\nb NOOP\r\n', { LOGIN: 1, NOOP: 1 }],
  ['nothing that can be read after COMPRESS', 'a COMPRESS DEFLATE\r\n\u0001 NOOP\r\nb NOOP\r\n', { COMPRESS: 1 }],
  ['TLS', '\u0016\u0003\u0001a NOOP\r\nb NOOP\r\n', undefined],
  ['a line longer than what is kept', `a FETCH ${'1,'.repeat(400)}2 FLAGS\r\nb NOOP\r\n`, { FETCH: 1, NOOP: 1 }],
];

describe('commands are counted however they arrive', () => {
  test.for(DIALOGUES)('%s', ([, text, expected]) => {
    expect(counted([octets(text)])).toEqual(expected);
    expect(counted(octetByOctet(octets(text)))).toEqual(expected);
    holds(
      fc.property(cuts, (places) => {
        expect(counted(cutAt(octets(text), places))).toEqual(expected);
      }),
    );
  });
});

function counted(pieces: Iterable<Uint8Array>): CommandCounts {
  const counter = new CommandCounter();
  for (const piece of pieces) if (piece.length > 0) counter.push(Buffer.from(piece));
  return counter.counts();
}
