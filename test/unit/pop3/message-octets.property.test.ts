import fc from 'fast-check';
import { expect, test } from 'vitest';
import { holds } from '../../support/holds.ts';
import { normalise, stuff, unstuff } from './message-octets.ts';
import { anyOctets, cutAt, cuts, hostileOctets, octetByOctet, octets, textOf, TROUBLE } from './octets.ts';

const body = fc.oneof(hostileOctets, hostileOctets, anyOctets);

/** The rule in one line a piece: LF without CR becomes CRLF, the last line is ended, and there is a blank line after the header. */
function normalised(input: Uint8Array): string {
  const lines = textOf([input]).replace(/(?<!\r)\n/g, '\r\n');
  const ended = lines === '' || lines.endsWith('\r\n') ? lines : `${lines}\r\n`;
  return ended.startsWith('\r\n') || ended.includes('\r\n\r\n') ? ended : `${ended}\r\n`;
}

test('a client that undoes the dot-stuffing has the message, in every chunking', () => {
  holds(
    fc.property(body, cuts, (input, places) => {
      for (const pieces of [[input], octetByOctet(input), cutAt(input, places)]) {
        expect(unstuff(textOf(stuff(normalise(pieces))))).toBe(normalised(input));
      }
    }),
    { examples: TROUBLE },
  );
});

test('no line sent is a lone dot: nothing ends the reply too early', () => {
  holds(
    fc.property(body, cuts, (input, places) => {
      const sent = textOf(stuff(normalise(cutAt(input, places))));
      expect(sent.split('\r\n')).not.toContain('.');
      expect(`\n${sent}`).not.toMatch(/\n\.(?:\r?\n|$)/);
    }),
    { examples: TROUBLE },
  );
});

test('what is sent ends with CRLF and has the blank line after the header', () => {
  holds(
    fc.property(body, cuts, (input, places) => {
      const sent = textOf(normalise(cutAt(input, places)));
      expect(sent).toMatch(/\r\n$/);
      expect(`\r\n${sent}`).toContain('\r\n\r\n');
      expect(sent).not.toMatch(/(?<!\r)\n/);
    }),
    { examples: TROUBLE },
  );
});

test('normalising twice is normalising once', () => {
  holds(
    fc.property(body, cuts, (input, places) => {
      const once = Buffer.concat(normalise([input]));
      expect(textOf(normalise(cutAt(once, places)))).toBe(textOf([once]));
    }),
    { examples: TROUBLE },
  );
});

test('a clean message with a header is not changed', () => {
  const line = fc.string({ unit: fc.constantFrom('x', '.', '\r', '\0', 'ÿ'), maxLength: 6 }).map((text) => text.replace(/\r$/, ''));
  holds(
    fc.property(fc.array(line, { minLength: 1, maxLength: 8 }), cuts, (lines, places) => {
      const message = octets(`Subject: x\r\n\r\n${lines.join('\r\n')}\r\n`);
      expect(textOf(normalise(cutAt(message, places)))).toBe(textOf([message]));
    }),
  );
});
