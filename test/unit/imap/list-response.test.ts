import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { listedName, type ListedName } from '../../../src/imap/list-response.ts';
import { encodedName, quotedName } from '../../../src/imap/mailbox-name.ts';
import { holds } from '../../support/holds.ts';

function listed(line: string): ListedName | undefined {
  return listedName(Buffer.from(line, 'latin1'));
}

const octetsOf = (line: string): string | undefined => listed(line)?.octets;
/** What a name may hold: no octet that ends a string. */
const octets = fc
  .uint8Array({ minLength: 1, maxLength: 30 })
  .map((all) => Buffer.from(all).toString('latin1'))
  .filter((name) => !/[\0\r\n]/.test(name));

describe('LIST', () => {
  test('tells the attributes, the delimiter and the name', () => {
    expect(listed('* LIST (\\HasNoChildren \\Sent) "/" "Sent Items"')).toEqual({
      attributes: ['\\HasNoChildren', '\\Sent'],
      delimiter: '/',
      octets: 'Sent Items',
    });
  });

  test.for([
    ['* LIST () "." INBOX', { attributes: [], delimiter: '.', octets: 'INBOX' }],
    ['* list (\\Noselect) NIL x', { attributes: ['\\Noselect'], delimiter: '', octets: 'x' }],
    ['* LIST () nil "x"', { attributes: [], delimiter: '', octets: 'x' }],
    ['* LIST () "" "x"', { attributes: [], delimiter: '', octets: 'x' }],
    ['* LIST () "\\\\" "Mail\\\\Sent"', { attributes: [], delimiter: '\\', octets: 'Mail\\Sent' }],
    ['* LIST () "\\"" x', { attributes: [], delimiter: '"', octets: 'x' }],
    ['* XLIST (\\AllMail) "/" x', { attributes: ['\\AllMail'], delimiter: '/', octets: 'x' }],
    ['*  LIST (  \\A   \\B )  "/"  x ', { attributes: ['\\A', '\\B'], delimiter: '/', octets: 'x' }],
  ] as const)('written as %j is understood', ([line, expected]) => {
    expect(listed(line)).toEqual(expected);
  });

  test.for([
    '* LSUB () "/" x',
    '* LISTING () "/" x',
    '* OK LIST () "/" x',
    'a LIST () "/" x',
    '* LIST "/" x',
    '* LIST (() "/" x',
    '* LIST () "//" x',
    '* LIST () / x',
    '* LIST () "/"x',
    '* LIST () "/"',
    '* LIST () "/" ""',
    '* LIST () "/" {0}\r\n',
    '* LIST () "/" \r\n',
    '',
  ])('%j lists nothing', (line) => {
    expect(listed(line)).toBeUndefined();
  });
});

describe('a listed name', () => {
  test('keeps its octets, whether it is written between quotes, as a literal or, where it may, as an atom', () => {
    holds(
      fc.property(octets, (name) => {
        const quoted = `"${name.replace(/["\\]/g, '\\$&')}"`;
        expect(octetsOf(`* LIST () "/" ${quoted}`)).toBe(name);
        expect(octetsOf(`* LIST () "/" {${name.length}}\r\n${name}`)).toBe(name);
        expect(octetsOf(`* LIST () "/" ${quotedName(name)}`)).toBe(name);
      }),
    );
  });

  test('is not decoded: nobody could open the folder by another spelling', () => {
    for (const name of ['&', '&AOQ-&APY-', 'Entw\xfcrfe', 'Entw\xc3\xbcrfe', encodedName('Entwürfe')]) {
      expect(octetsOf(`* LIST () "/" "${name}"`)).toBe(name);
      expect(octetsOf(`* LIST () "/" ${name}`)).toBe(name);
    }
  });

  test('in a literal may hold quotes, blanks and line ends, and ends where the literal does', () => {
    expect(octetsOf('* LIST () "/" {9}\r\na"b\r\n c\\d')).toBe('a"b\r\n c\\d');
    expect(octetsOf('* LIST () "/" {3}\r\nabc (CHILDINFO ("SUBSCRIBED"))')).toBe('abc');
    for (const form of ['{3+}\r\n', '~{3}\r\n', '{3}\n']) expect(octetsOf(`* LIST () "/" ${form}abc`), form).toBe('abc');
  });

  test('is not taken for a literal within quotes, nor for one without a number', () => {
    expect(octetsOf('* LIST () "/" "{3}"')).toBe('{3}');
    expect(octetsOf('* LIST () "/" {x}\r\nabc')).toBe('{x}');
  });

  test('between quotes ends at the second one, and what is said of it besides is passed over', () => {
    expect(octetsOf('* LIST () "/" "a b" (OLDNAME ("c d"))')).toBe('a b');
    expect(octetsOf('* LIST () "/" "a\\"b\\\\"')).toBe('a"b\\');
  });

  test('may hold quotes that the server forgot to escape', () => {
    expect(octetsOf('* LIST () "/" "the "best"ones"')).toBe('the "best"ones');
    expect(octetsOf('* LIST () "/" "the "best"ones"  ')).toBe('the "best"ones');
  });

  test('without a second quote is what is there', () => {
    expect(octetsOf('* LIST () "/" "abc')).toBe('"abc');
  });

  test('may be NIL as an atom', () => {
    expect(octetsOf('* LIST () "/" NIL')).toBe('NIL');
  });

  test('may be very long', () => {
    const long = 'x'.repeat(1_000_000);
    for (const name of [`"${long}"`, `"${'\\"'.repeat(500_000)}"`, `{1000000}\r\n${long}`, long]) {
      expect(octetsOf(`* LIST () "/" ${name}`)?.length, name.slice(0, 10)).toBe(name.startsWith('"\\') ? 500_000 : 1_000_000);
    }
  });
});

test('no octets make reading throw', () => {
  const pieces = fc.constantFrom('* LIST ', '(', ')', '"', '\\', 'NIL', ' ', '{', '3', '}', '\r\n', '/', 'x', '\xff');
  const line = fc.oneof(
    fc.array(pieces, { maxLength: 20 }).map((all) => all.join('')),
    fc.array(pieces, { maxLength: 12 }).map((all) => `* LIST () "/" ${all.join('')}`),
  );
  holds(
    fc.property(line, (written) => {
      const name = listed(written);
      if (name !== undefined) expect([name.octets !== '', name.delimiter.length <= 1]).toEqual([true, true]);
    }),
    { usual: 500 },
  );
});
