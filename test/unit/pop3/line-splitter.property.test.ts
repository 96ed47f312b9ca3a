import fc from 'fast-check';
import { expect, test } from 'vitest';
import { holds } from '../../support/holds.ts';
import { LineSplitter } from '../../../src/pop3/line-splitter.ts';
import { cutAt, cuts, hostileOctets, octetByOctet, octets, textOf, TROUBLE } from './octets.ts';
import { splitLines } from './split-lines.ts';

const LIMIT = 8;
/** Lines as long as may be, and one octet longer, whose line ends are cut. */
const AT_THE_LIMIT = [
  'xxxxxxxx\r\nx\r\n',
  'xxxxxxxxx\r\nx\r\n',
  'xxxxxxxx\nx\n',
  'xxxxxxxx\r',
  'xxxxxxxxx',
  'xxxxxxx\r\r\n',
  'xxxxxxxx\r\r\n',
].map((text): [Uint8Array, number[]] => [octets(text), [8, 9, 10]]);

test('what comes out does not depend on how it came in', () => {
  holds(
    fc.property(hostileOctets, cuts, (input, places) => {
      const whole = splitLines(new LineSplitter(LIMIT), [input]);
      expect(splitLines(new LineSplitter(LIMIT), cutAt(input, places))).toEqual(whole);
      expect(splitLines(new LineSplitter(LIMIT), octetByOctet(input))).toEqual(whole);
    }),
    { examples: [...TROUBLE, ...AT_THE_LIMIT] },
  );
});

test('lines asked for late are the same as lines asked for at once', () => {
  holds(
    fc.property(hostileOctets, cuts, (input, places) => {
      const late = new LineSplitter(LIMIT);
      for (const piece of cutAt(input, places)) late.push(piece);
      expect(splitLines(late, [new Uint8Array(0)])).toEqual(splitLines(new LineSplitter(LIMIT), [input]));
    }),
    { examples: [...TROUBLE, ...AT_THE_LIMIT] },
  );
});

test('lines are those between LFs, less the CRs at their end', () => {
  holds(
    fc.property(hostileOctets, (input) => {
      const expected = textOf([input]).split('\n').slice(0, -1);
      expect(splitLines(new LineSplitter(), [input])).toEqual(expected.map((line) => line.replace(/\r+$/, '')));
    }),
  );
});

test('memory stays within the limit while octets arrive one by one', () => {
  holds(
    fc.property(hostileOctets, (input) => {
      const splitter = new LineSplitter(LIMIT);
      for (const piece of octetByOctet(input)) {
        splitLines(splitter, [piece]);
        expect(splitter.pendingOctets).toBeLessThanOrEqual(LIMIT + 1);
      }
    }),
  );
});
