import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { holds } from '../../support/holds.ts';
import { AnswerEnd } from '../../bench/answer-end.ts';
import { cutAt, cuts, octetByOctet, octets } from '../pop3/octets.ts';

const MULTI = [
  ['+OK\r\n.\r\n', '+OK', false],
  ['+OK 12 octets\r\none\r\n.\r\n', '+OK 12 octets', false],
  ['+OK\r\n..\r\n..\r\n\r\n.\r\n', '+OK', false],
  ['-ERR no such message\r\n', '-ERR no such message', true],
] as const;

describe('the end of an answer of many lines', () => {
  test.for(MULTI)('%j', ([text, status, isRefusal]) => {
    holds(
      fc.property(cuts, (places) => {
        for (const pieces of [[octets(text)], octetByOctet(octets(text)), cutAt(octets(text), places)]) {
          const end = new AnswerEnd(true);
          const found = pieces.filter(({ length }) => length > 0).map((piece) => end.push(Buffer.from(piece)));
          expect(found.indexOf(true)).toBe(found.length - 1);
          expect({ status: end.status, isRefusal: end.isRefusal, octets: end.octets }).toEqual({ status, isRefusal, octets: text.length });
        }
      }),
    );
  });
});

test('an answer of one line ends with it, and has no body', () => {
  const end = new AnswerEnd(false);
  expect([end.push(Buffer.from('+OK 3 4')), end.push(Buffer.from('096\r\n'))]).toEqual([false, true]);
  expect([end.status, end.hasBody]).toEqual(['+OK 3 4096', false]);
});
