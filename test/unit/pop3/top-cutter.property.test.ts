import fc from 'fast-check';
import { expect, test } from 'vitest';
import { holds } from '../../support/holds.ts';
import { normalise, top } from './message-octets.ts';
import { cutAt, cuts, hostileOctets, octetByOctet, octets, textOf, TROUBLE } from './octets.ts';

const lineCount = fc.nat(6);

/** TOP by the book, on the whole message at once. */
function topOf(message: string, lines: number): string {
  const bodyAt = message.startsWith('\r\n') ? 2 : message.indexOf('\r\n\r\n') + 4;
  const parts = message.slice(bodyAt).split('\r\n');
  const body = parts.slice(0, lines).join('\r\n');
  return message.slice(0, bodyAt) + (lines === 0 ? '' : parts.length > lines ? `${body}\r\n` : body);
}

test('TOP is right in every chunking', () => {
  holds(
    fc.property(hostileOctets, lineCount, cuts, (input, lines, places) => {
      const whole = Buffer.concat(normalise([input]));
      const expected = topOf(textOf([whole]), lines);
      for (const pieces of [[whole], octetByOctet(whole), cutAt(whole, places)]) expect(textOf(top(pieces, lines))).toBe(expected);
    }),
    {
      usual: 300,
      examples: TROUBLE.flatMap(([input, places]) => [0, 1, 6].map((lines): [Uint8Array, number, number[]] => [input, lines, places])),
    },
  );
});

test('TOP with at least as many lines as there are is the whole message', () => {
  holds(
    fc.property(hostileOctets, cuts, fc.nat(3), (input, places, more) => {
      const whole = Buffer.concat(normalise([input]));
      const lines = textOf([whole]).split('\n').length;
      expect(textOf(top(cutAt(whole, places), lines + more))).toBe(textOf([whole]));
    }),
  );
});

test('TOP n k begins TOP n k+1, and is what TOP gives of itself', () => {
  holds(
    fc.property(hostileOctets, lineCount, (body, lines) => {
      const whole = Buffer.concat([octets('Subject: x\r\n\r\n'), ...normalise([body])]);
      const less = textOf(top([whole], lines));
      expect(textOf(top([whole], lines + 1)).startsWith(less)).toBe(true);
      expect(textOf(top([octets(less)], lines))).toBe(less);
    }),
  );
});
