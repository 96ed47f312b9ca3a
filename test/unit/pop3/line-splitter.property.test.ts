import fc from 'fast-check';
import { expect, test } from 'vitest';
import { LineSplitter } from '../../../src/pop3/line-splitter.ts';
import { cutAt, cuts, hostileOctets, octetByOctet, textOf } from './octets.ts';
import { splitLines } from './split-lines.ts';

const LIMIT = 8;

test('what comes out does not depend on how it came in', () => {
  fc.assert(
    fc.property(hostileOctets, cuts, (input, places) => {
      const whole = splitLines(new LineSplitter(LIMIT), [input]);
      expect(splitLines(new LineSplitter(LIMIT), cutAt(input, places))).toEqual(whole);
      expect(splitLines(new LineSplitter(LIMIT), octetByOctet(input))).toEqual(whole);
    }),
  );
});

test('lines asked for late are the same as lines asked for at once', () => {
  fc.assert(
    fc.property(hostileOctets, cuts, (input, places) => {
      const late = new LineSplitter(LIMIT);
      for (const piece of cutAt(input, places)) late.push(piece);
      expect(splitLines(late, [new Uint8Array(0)])).toEqual(splitLines(new LineSplitter(LIMIT), [input]));
    }),
  );
});

test('lines are those between LFs, less one CR at their end', () => {
  fc.assert(
    fc.property(hostileOctets, (input) => {
      const expected = textOf([input]).split('\n').slice(0, -1);
      expect(splitLines(new LineSplitter(), [input])).toEqual(expected.map((line) => line.replace(/\r$/, '')));
    }),
  );
});

test('memory stays within the limit while octets arrive one by one', () => {
  fc.assert(
    fc.property(hostileOctets, (input) => {
      const splitter = new LineSplitter(LIMIT);
      for (const piece of octetByOctet(input)) {
        splitLines(splitter, [piece]);
        expect(splitter.pendingOctets).toBeLessThanOrEqual(LIMIT + 1);
      }
    }),
  );
});
