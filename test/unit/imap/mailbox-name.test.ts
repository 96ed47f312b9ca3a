import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decodedName, encodedName, quotedName } from '../../../src/imap/mailbox-name.ts';
import { holds } from '../../support/holds.ts';

/** Any text that can be written in Unicode: no half of a surrogate pair. */
const text = fc.string({ unit: 'binary' }).filter((name) => name.isWellFormed());
/** Any octets, as the protocol has them: many of these are almost modified UTF-7. */
const octets = fc.oneof(
  fc.uint8Array({ maxLength: 40 }).map((all) => Buffer.from(all).toString('latin1')),
  fc
    .array(fc.constantFrom('&', '-', 'A', 'AOQ', '2D0', ',', '/', '=', '\xe4', '\xef\xbf\xbd', '\0'), { maxLength: 12 })
    .map((all) => all.join('')),
);

describe('the name of a mailbox', () => {
  test.for([
    ['INBOX', 'INBOX'],
    ['Sent Items', 'Sent Items'],
    ['Entwürfe', 'Entw&APw-rfe'],
    ['~peter/mail/台北/日本語', '~peter/mail/&U,BTFw-/&ZeVnLIqe-'],
    ['R&D', 'R&-D'],
    ['&', '&-'],
    ['&-', '&--'],
    ['-', '-'],
    ['😀', '&2D3eAA-'],
    ['a\tb', 'a&AAk-b'],
    ['\x7f', '&AH8-'],
    ['', ''],
  ] as const)('%j is %j on the wire, and the same again when it is read', ([name, wire]) => {
    expect([encodedName(name), decodedName(wire)]).toEqual([wire, name]);
  });

  test('is the same after it was written and read, in any script, and only printable ASCII is written', () => {
    holds(
      fc.property(text, (name) => {
        expect(encodedName(name)).toMatch(/^[\x20-\x7e]*$/);
        expect(decodedName(encodedName(name))).toBe(name);
      }),
      { examples: [['\ufeff'], ['x\ufeffy'], ['\ufffd'], ['ä&-ö'], ['\0']] },
    );
  });

  test('with half of a surrogate pair can be written, and is shown as written when it comes back', () => {
    expect(encodedName('\ud800')).toBe('&2AA-');
    expect(decodedName('&2AA-')).toBe('&2AA-');
  });
});

describe('octets of a name that are no proper modified UTF-7', () => {
  test.for([
    ['an ampersand alone', '&'],
    ['a shift without an end', 'Entw&APw'],
    ['one that holds printable ASCII', '&AGEAYg-'],
    ['two shifts where one would do', '&AOQ-&APY-'],
    ['an odd number of octets', '&AO-'],
    ['bits left over that are not zero', '&APx-'],
    ['padding', '&APw=-'],
    ['the slash of plain base64', '&U/BTFw-'],
    ['characters that are no base64', '&A*w-'],
    ['latin1', 'Entw\xfcrfe'],
    ['broken UTF-8', 'Entw\xc3'],
  ] as const)('are shown as they are: %s', ([, wire]) => {
    expect(decodedName(wire)).toBe(wire);
  });

  test('are read as UTF-8 where they are that, though an ampersand stands beside', () => {
    expect(decodedName('Entw\xc3\xbcrfe')).toBe('Entwürfe');
    expect(decodedName('R&D \xe5\x8f\xb0')).toBe('R&D 台');
  });

  test('never make reading throw, and nothing is decoded that would not be encoded to the same octets', () => {
    holds(
      fc.property(octets, (wire) => {
        const name = decodedName(wire);
        const isUtf8 = Buffer.from(name, 'utf8').toString('latin1') === wire;
        expect(encodedName(name) === wire || isUtf8 || name === wire).toBe(true);
      }),
    );
  });

  test('may be very many', () => {
    for (const wire of ['&'.repeat(1_000_000), `&${'A'.repeat(1_000_000)}`, '&-'.repeat(500_000)]) {
      expect(decodedName(wire).length, wire.slice(0, 3)).toBe(wire.startsWith('&-') ? 500_000 : wire.length);
    }
  });
});

describe('a name in a command', () => {
  test.for([
    ['INBOX', 'INBOX'],
    ['a.b/c]d+e', 'a.b/c]d+e'],
    ['&APw-', '&APw-'],
    ['Sent Items', '"Sent Items"'],
    ['', '""'],
    ['NIL', '"NIL"'],
    ['nil', '"nil"'],
    ['100%', '"100%"'],
    ['*', '"*"'],
    ['{3}', '"{3}"'],
    ['(x)', '"(x)"'],
    ['say "hi"', '"say \\"hi\\""'],
    ['back\\slash', '"back\\\\slash"'],
    ['Entw\xc3\xbcrfe', '"Entw\xc3\xbcrfe"'],
    ['\x7f', '"\x7f"'],
  ] as const)('%j stands there as %s', ([name, quoted]) => {
    expect(quotedName(name)).toBe(quoted);
  });

  test.for(['a\0b', 'a\rb', 'a\nb', 'x\r\nZ2 DELETE INBOX'])('%j can be no name there: it would end the string or the line', (name) => {
    expect(quotedName(name)).toBeUndefined();
  });

  test('is one string, whatever the octets, and never the start of another command', () => {
    holds(
      fc.property(octets, (name) => {
        const quoted = quotedName(name);
        expect(quoted === undefined).toBe(/[\0\r\n]/.test(name));
        expect(quoted ?? '').not.toMatch(/[\0\r\n]/);
        if (quoted?.startsWith('"') === true) {
          expect(quoted).toMatch(/^"(?:[^"\\]|\\["\\])*"$/);
          expect(quoted.slice(1, -1).replace(/\\(["\\])/g, '$1')).toBe(name);
        } else if (quoted !== undefined) {
          expect(quoted).toBe(name);
          expect(quoted).toMatch(/^[^\s"\\(){%*]+$/);
        }
      }),
    );
  });
});
