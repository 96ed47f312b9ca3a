import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { holds } from '../../support/holds.ts';
import { UpstreamError } from '../../../src/errors.ts';
import { hasFlag, type FetchRow } from '../../../src/imap/fetch-row.ts';
import { copiedUids } from '../../../src/imap/copy-answer.ts';
import { ResponseParser } from '../../../src/imap/response-parser.ts';
import { MESSAGES_PER_COMMAND } from '../../../src/imap/uid-set.ts';

const LIMITS = { lineOctets: 10_000, literalOctets: 1_000_000 };

interface Body {
  readonly section: string;
  readonly announced: number | undefined;
  octets: string;
  isComplete: boolean;
}

/** All that a parser made of what it was fed. */
interface Outcome {
  readonly forwarded: string;
  readonly tagged: string[];
  readonly untagged: string[];
  readonly rows: { readonly row: FetchRow; readonly bodies: Body[] }[];
  /** Message-numbers of rows that were dropped. */
  readonly unreadable: number[];
  readonly failure: unknown;
}

/** Feeds the octets cut at these places. Untagged lines that begin with "* SEARCH" are taken. */
function parse(octets: Buffer, cuts: readonly number[] = [], takesRows = true, takesAll?: boolean): Outcome {
  const forwarded: Buffer[] = [];
  const tagged: string[] = [];
  const untagged: string[] = [];
  const rows: Outcome['rows'] = [];
  const unreadable: number[] = [];
  let bodies: Body[] = [];
  const parser = new ResponseParser(
    {
      takesRows,
      ...(takesAll === undefined ? {} : { takesAll }),
      unreadable: (number) => void unreadable.push(number),
      forward: (piece) => void forwarded.push(Buffer.from(piece)),
      tagged: ({ tag, status, text }) => void tagged.push(`${tag}|${status}|${text}`),
      untagged: (line) => {
        untagged.push(line.toString('latin1'));
        return /^\* (?:SEARCH|LSUB)/.test(line.toString('latin1'));
      },
      body: (_row, { name, origin }, announced) => {
        const body: Body = { section: `${name}${origin === undefined ? '' : `<${origin}>`}`, announced, octets: '', isComplete: false };
        bodies.push(body);
        return {
          write: (piece) => {
            expect(body.isComplete).toBe(false);
            body.octets += piece.toString('latin1');
            expect(body.octets.length).toBeLessThanOrEqual(announced ?? 0);
          },
        };
      },
      row: (row) => {
        for (const body of bodies) {
          expect(body.octets).toHaveLength(body.announced ?? 0);
          body.isComplete = body.announced !== undefined;
        }
        rows.push({ row: { ...row }, bodies });
        bodies = [];
      },
    },
    LIMITS,
  );
  let failure: unknown;
  try {
    const places = [0, ...[...cuts].sort((one, other) => one - other), octets.length];
    places.slice(1).forEach((end, index) => parser.feed(octets.subarray(places[index] ?? 0, end)));
  } catch (error) {
    failure = error;
  }
  return { forwarded: Buffer.concat(forwarded).toString('latin1'), tagged, untagged, rows, unreadable, failure };
}

const text = (value: string): Buffer => Buffer.from(value, 'latin1');
const row = (fields: object): object => ({
  number: 1,
  uid: 0,
  octets: undefined,
  arrival: undefined,
  emailId: undefined,
  gmailId: undefined,
  flags: undefined,
  ...fields,
});

describe('a FETCH response', () => {
  test.for([
    [
      'a listing row',
      '* 1 FETCH (UID 7 RFC822.SIZE 42 INTERNALDATE "17-Jul-1996 02:44:25 -0700")',
      { uid: 7, octets: 42, arrival: 837596665 },
    ],
    ['items in another order and case', '* 1 fetch (rfc822.size 42 uid 7)', { uid: 7, octets: 42 }],
    ['what nobody asked for', '* 1 FETCH (FLAGS (\\Seen "a)b") UID 7 MODSEQ (12) X-OTHER NIL)', { uid: 7, flags: '\\Seen "a)b"' }],
    ['EMAILID', '* 1 FETCH (UID 7 EMAILID (M6d99ac3275bb4e))', { uid: 7, emailId: 'M6d99ac3275bb4e' }],
    ['what Gmail calls it', '* 1 FETCH (X-GM-MSGID 1278455344230334865 UID 7)', { uid: 7, gmailId: '1278455344230334865' }],
    ['no size', '* 1 FETCH (UID 7 RFC822.SIZE NIL)', { uid: 7 }],
    ['two spaces, as DavMail writes them', '*  1 FETCH  (UID 7 RFC822.SIZE 1)', { uid: 7, octets: 1 }],
  ] as const)('with %s', ([, line, fields]) => {
    expect(parse(text(`${line}\r\n`))).toMatchObject({ rows: [{ row: row(fields), bodies: [] }], forwarded: '', failure: undefined });
  });

  test.for([
    ['a literal', 'BODY[] {5}\r\nhello', '', 'hello'],
    ['a literal8', 'BODY[] ~{5}\r\nhe\0lo', '', 'he\0lo'],
    ['a literal that does not wait', 'BODY[] {5+}\r\nhello', '', 'hello'],
    ['a quoted string', 'BODY[] "he said \\"so\\\\\\""', '', 'he said "so\\"'],
    ['an empty string', 'BODY[] ""', '', ''],
    ['an empty literal', 'BODY[] {0}\r\n', '', ''],
    ['a header', 'body[header] {5}\r\nhello', 'HEADER', 'hello'],
    ['fields', 'BODY[HEADER.FIELDS ("Message-ID" DATE)] {2}\r\n\r\n', 'HEADER.FIELDS', '\r\n'],
    ['a part', 'BODY[]<1048576> {2}\r\nhi', '<1048576>', 'hi'],
  ] as const)('with a body as %s, before its UID and after', ([, item, section, octets]) => {
    const body = { section, announced: octets.length, octets, isComplete: true };
    for (const line of [`* 1 FETCH (UID 7 ${item})\r\n`, `* 1 FETCH (${item} UID 7)\r\n`]) {
      expect(parse(text(line)), line).toMatchObject({ rows: [{ row: row({ uid: 7 }), bodies: [body] }], failure: undefined });
    }
  });

  test('with NIL for a body has none', () => {
    const { rows } = parse(text('* 1 FETCH (UID 7 BODY[] NIL)\r\n'));
    expect(rows[0]?.bodies).toEqual([{ section: '', announced: undefined, octets: '', isComplete: false }]);
  });

  test.for([
    '* 1 FETCH (BODY[] "x)',
    '* 1 FETCH (PREVIEW "x',
    '* 1 FETCH (ENVELOPE ("x',
    '* 1 FETCH (BODY[] {5} UID 7)',
    '* 1 FETCH (BODY[] {5',
    '* 1 FETCH (UID 7) BODY[] {5}',
    '* 1 FETCH (UID 7 UID 8 BODY[] {5}',
    '* 1 FETCH (UID x BODY[] {5}',
    '* 1 FETCH (FLAGS (\\Seen {5}',
    '* 1 FETCH (FLAGS (\\Seen BODY[] {5}',
    '* 1 FETCH (FLAGS (a) b BODY[] {5}',
    '* 1 FETCH (BODY[] {2000000}',
    '* 1 FETCH (UID 7\r\n BODY[] {5}',
    'Z1 what',
    `* ${'x'.repeat(20_000)}`,
  ])('that leaves open what the next octets are ends it: %s', (line) => {
    const { failure } = parse(text(`${line}\r\n`), line.length > 10_000 ? [5_000, 15_000] : []);
    expect(failure).toBeInstanceOf(UpstreamError);
    expect(failure).toMatchObject({ kind: 'protocol' });
  });

  test.for([
    '(UID 7',
    '(UID 7\r\n RFC822.SIZE 5)',
    '(UID 7) more',
    '(UID x)',
    '(UID -7)',
    '(UID 99999999999999999999)',
    '(UID 7 UID 8)',
    '(UID 7 FLAGS (a) UID 8))',
    '(UID 7 FLAGS (x{5}',
    '(BODY[ "x")',
    '(BODY[] atom)',
    '(UID 7 BODY[] "hello" FLAGS (',
    '(BODY[]<5 "x")',
    '(BODY[]<x> "x")',
    '(FLAGS (\\Seen UID 7)',
    '((',
    '("x")',
    '(',
  ])('on one line that makes no sense is dropped, and nothing else with it: %s', (line) => {
    const { rows, unreadable, tagged, forwarded, failure } = parse(text(`* 12 FETCH ${line}\r\n* 2 FETCH (UID 9)\r\nZ1 OK done\r\n`));
    expect({ rows, unreadable, tagged, forwarded, failure }).toEqual({
      rows: [{ row: row({ number: 2, uid: 9 }), bodies: [] }],
      unreadable: [12],
      tagged: ['Z1|OK|done'],
      forwarded: '',
      failure: undefined,
    });
  });

  test('is for others where nobody here reads, with its literal', () => {
    const stream = '* 1 FETCH (UID 7 BODY[] {14}\r\nZ1 OK not ours FLAGS ())\r\nZ1 OK ours\r\n';
    expect(parse(text(stream), [], false)).toMatchObject({ forwarded: stream.slice(0, -12), tagged: ['Z1|OK|ours'], rows: [] });
  });
});

describe('a value', () => {
  test.for([
    ['RFC822.SIZE 0', 0],
    ['RFC822.SIZE "42"', 42],
    ['RFC822.SIZE {2}\r\n42', 42],
    ['RFC822.SIZE {2+}\r\n42', 42],
    ['RFC822.SIZE -1', undefined],
    ['RFC822.SIZE "-1"', undefined],
    ['RFC822.SIZE NIL', undefined],
    ['RFC822.SIZE nil', undefined],
    ['RFC822.SIZE ""', undefined],
    ['RFC822.SIZE {0}\r\n', undefined],
    ['RFC822.SIZE', undefined],
    ['RFC822.SIZE (42)', undefined],
    ['RFC822.SIZE 42.5', undefined],
    ['RFC822.SIZE 42K', undefined],
    ['RFC822.SIZE many', undefined],
    ['RFC822.SIZE 99999999999999999999', undefined],
    ['RFC822.SIZE {300}\r\n'.concat('1'.repeat(300)), undefined],
  ] as const)('%s is that size, or unknown', ([item, octets]) => {
    for (const line of [`(UID 7 ${item})`, `(${item} UID 7)`, `(${item} BODY[] {5}\r\nhello UID 7)`]) {
      expect(parse(text(`* 1 FETCH ${line}\r\n`)), line).toMatchObject({ rows: [{ row: row({ uid: 7, octets }) }], failure: undefined });
    }
  });

  test.for([
    ['INTERNALDATE "17-Jul-1996 02:44:25 -0700"', 837_596_665],
    ['INTERNALDATE {26}\r\n17-Jul-1996 02:44:25 -0700', 837_596_665],
    ['INTERNALDATE NIL', 0],
    ['INTERNALDATE "nonsense"', 0],
    ['INTERNALDATE "00-Jan-0000 00:00:00 +0000"', 0],
    ['INTERNALDATE nonsense', 0],
  ] as const)('%s is that date, or none', ([item, arrival]) => {
    expect(parse(text(`* 1 FETCH (${item} UID 7)\r\n`))).toMatchObject({ rows: [{ row: row({ uid: 7, arrival }) }], failure: undefined });
  });

  test.for([
    ['UID "7"', { uid: 7 }],
    ['UID {1}\r\n7', { uid: 7 }],
    ['UID NIL', {}],
    ['UID 7 UID 7', { uid: 7 }],
    ['UID 7\tRFC822.SIZE 3', { uid: 7, octets: 3 }],
    ['UID 7 X-GM-MSGID NIL', { uid: 7 }],
    ['UID 7 EMAILID NIL', { uid: 7 }],
    ['UID 7 EMAILID ( M1\t)', { uid: 7, emailId: 'M1' }],
    ['UID 7 FLAGS NIL', { uid: 7, flags: '' }],
    ['UID 7 FLAGS ()', { uid: 7, flags: '' }],
    ['UID 7 FLAGS(\\Seen)', { uid: 7, flags: '\\Seen' }],
    ['UID 7 X-KEY {draft} X-GM-LABELS ("a (b" {c} "d")', { uid: 7 }],
  ] as const)('%s is read', ([item, fields]) => {
    expect(parse(text(`* 1 FETCH (${item})\r\n* 2 FETCH (UID 9)\r\n`))).toMatchObject({
      rows: [{ row: row(fields) }, { row: row({ number: 2, uid: 9 }) }],
      failure: undefined,
    });
  });
});

/** What no grammar allows as a keyword, and servers send all the same. */
const KEYWORDS = [
  'foo(bar',
  'foo)bar',
  'foo)',
  '(foo',
  '(work) list',
  'a) b',
  '[css3-page]',
  'a]b',
  'My Label With Space',
  '"Old mail"',
  '"a)b"',
  '5"disk',
  '"',
  'a\\b',
  '\\',
  '{draft}',
  '{5}',
  'x{5}',
  'Caf\xe9',
  '100%*',
  'UID 9',
  'BODY[] {5}',
  'x) BODY[] {5} y',
  '(BODY[] ~{5+}',
];

describe('flags', () => {
  test.for(KEYWORDS)('with the keyword %s cost nothing', (keyword) => {
    const flags = `FLAGS (\\Seen ${keyword})`;
    const hello = { section: '', announced: 5, octets: 'hello', isComplete: true };
    for (const [line, bodies] of [
      [`(UID 7 ${flags})`, []],
      [`(${flags} UID 7)`, []],
      [`(${flags} X-GM-LABELS ("x)") UID 7 MODSEQ (12))`, []],
      [`(UID 7 ${flags} BODY[] {5}\r\nhello)`, [hello]],
      [`(${flags} UID 7 BODY[] {5}\r\nhello)`, [hello]],
      [`(${flags} BODY[] {5}\r\nhello UID 7)`, [hello]],
      [`(BODY[] {5}\r\nhello ${flags} UID 7)`, [hello]],
      [`(UID 7 BODY[] {5}\r\nhello ${flags})`, [hello]],
      [`(UID 7 BODY[] {5}\r\nhello) ${flags}`, [hello]],
      [`(UID 7 BODY[] {5}\r\nhello)\r\n ${flags} UID 7)`, [hello]],
    ] as const) {
      const { rows, unreadable, failure } = parse(text(`* 1 FETCH ${line}\r\n* 2 FETCH (UID 8)\r\n`));
      expect({ failure, unreadable }, line).toEqual({ failure: undefined, unreadable: [] });
      expect(rows.map(({ row }) => row.uid)).toEqual([7, 8]);
      expect(rows[0]?.bodies).toEqual(bodies);
      if (!line.includes(')\r\n ')) expect(hasFlag(rows[0]?.row.flags, '\\seen'), line).toBe(true);
    }
  });

  test('of a row are kept as they are', () => {
    for (const flags of ['\\Seen \\Deleted', '', 'foo(bar \\Deleted', '5"disk', 'a)b', '\\Seen "Old mail"']) {
      for (const line of [`(UID 7 FLAGS (${flags}))`, `(FLAGS (${flags}) UID 7)`, `(FLAGS (${flags}) MODSEQ (12) UID 7)`]) {
        expect(parse(text(`* 1 FETCH ${line}\r\n`)).rows[0]?.row).toEqual(row({ uid: 7, flags }));
      }
    }
  });

  test('end before an item that nobody knows, where they are such as the grammar allows', () => {
    expect(parse(text('* 1 FETCH (FLAGS (\\Seen) NEWS (x) UID 7)\r\n')).rows[0]?.row).toEqual(row({ uid: 7, flags: '\\Seen' }));
  });

  test('are whole words, in any case', () => {
    expect(hasFlag('\\Seen \\DELETED', '\\Deleted')).toBe(true);
    expect(hasFlag('\\Deleted', '\\deleted')).toBe(true);
    for (const none of [undefined, '', '\\Deletedx', 'Deleted', 'x\\Deleted', '\\Seen'])
      expect(hasFlag(none, '\\Deleted'), none).toBe(false);
  });

  test('without an end are looked through once, however long they are', () => {
    const limits = { lineOctets: 10_000_000, literalOctets: 1 };
    for (const piece of [')', ') ', ') UID', ') BODY[', ') BODY[]', ') X(']) {
      let dropped = 0;
      const ignored = { forward: () => {}, tagged: () => {}, untagged: () => true, body: () => undefined, row: () => {}, takesRows: true };
      const parser = new ResponseParser({ ...ignored, unreadable: () => void dropped++ }, limits);
      parser.feed(text(`* 1 FETCH (FLAGS (${piece.repeat(2_000_000 / piece.length)}x\r\n`));
      expect(dropped).toBe(1);
    }
  });
});

/** What may surround the octets of a message, with which nobody can mistake them. */
const HEADS = [
  '(UID 7 BODY[] {5}\r\n',
  '(UID 7 BODY[]{5}\r\n',
  '(UID 7 BODY[] {5} \r\n',
  '(UID 7 BODY[] {5}\r\r\n',
  '(UID 7 BODY[] {5}\n',
  '(UID 7  BODY[]  ~{5}\r\n',
  '( UID 7\tBODY[] {05}\r\n',
  '(UID 7 body.peek[] {5+}\r\n',
  '(UID 7 RFC822.SIZE BODY[] {5}\r\n',
  '(UID 7 ENVELOPE ("x" ("y" {3}\r\n(")) "z") BODY[] {5}\r\n',
  '(UID 7 X-SECRET {9}\r\n)\r\n* BYE\r BODY[] {5}\r\n',
  '(UID 7 X{3}\r\n{2} BODY[] {5}\r\n',
  '(UID 7 ODD 5 BODY[] {5}\r\n',
];
const TAILS = [
  ')\r\n',
  ' )\r\n',
  ')\n',
  ') \t\r\r\n',
  '\r\n)\r\n',
  '\r\n\r\n \r\n)\r\n',
  ')\r\n\r\n\r\n',
  '))\r\n',
  ' UID 7)\r\n',
  '\r\n UID 7)\r\n',
  '\r\nUID 7\r\n)\r\n',
  ' FLAGS (\\Seen)\r\n)\r\n',
  ' NEWITEM 5)\r\n',
  ' NEWITEM {3}\r\n)\r\n)\r\n',
  ' RFC822.HEADER {3}\r\n)) )\r\n',
  ' NEWLIST ("x" {2}\r\n() 5))\r\n',
  ' BODY[TEXT] "x" MODSEQ (12))\r\n',
  ') UID 7)\r\n',
  ') FLAGS (\\Seen)\r\n',
  ')\r\n FLAGS (\\Seen) UID 7)\r\n',
  ')\r\n\r\n FLAGS (\\Seen)\r\n UID 7)\r\n',
];

describe('a literal', () => {
  const after = '* 2 FETCH (UID 8 BODY[] {1}\r\nx)\r\n* 3 EXISTS\r\nZ1 OK done\r\n';

  test.for(HEADS.flatMap((head) => TAILS.map((tail) => [head, tail] as const)))('in %j and %j is whole', ([head, tail]) => {
    const octets = 'h)\r\n*';
    const { rows, forwarded, tagged, unreadable, failure } = parse(text(`* 1 FETCH ${head}${octets}${tail}${after}`));
    expect({ forwarded, tagged, unreadable, failure }).toEqual({
      forwarded: '* 3 EXISTS\r\n',
      tagged: ['Z1|OK|done'],
      unreadable: [],
      failure: undefined,
    });
    expect(rows.map(({ row }) => row.uid)).toEqual([7, 8]);
    expect(rows[0]?.bodies[0]).toEqual({ section: '', announced: 5, octets, isComplete: true });
  });

  test.for([') UID 7)', ')\r\n UID 7)', ')\r\n FLAGS (\\Seen) UID 7)', ')\r\n\r\n FLAGS (\\Seen)\r\n UID 7)'])(
    'is told whose it is by %j, behind the end of its row',
    (tail) => {
      const { rows, failure } = parse(text(`* 1 FETCH (BODY[] {5}\r\nhello${tail}\r\n${after}`));
      expect(failure).toBeUndefined();
      expect(rows.map(({ row }) => row.uid)).toEqual([7, 8]);
    },
  );

  test('whose row has no UID is complete once the next response begins', () => {
    for (const next of ['* 2 EXISTS\r\n', '* 2 FETCH (UID 8)\r\n', 'Z1 OK done\r\n', 'A1 OK done\r\n', '+ idling\r\n']) {
      const { rows } = parse(text(`* 1 FETCH (BODY[] {5}\r\nhello)\r\n${next}`));
      expect(rows[0]).toMatchObject({ row: { uid: 0 }, bodies: [{ octets: 'hello', isComplete: true }] });
    }
    expect(parse(text('* 1 FETCH (BODY[] {5}\r\nhello)\r\n')).rows).toEqual([]);
  });

  test.for([
    ' world)\r\n',
    'the end of it\r\n)\r\n',
    '\r\n-- \r\nJoe\r\n)\r\n',
    '\r\nUID of it)\r\n',
    '\r\nNEWITEM 5)\r\n',
    ' NEWITEM 5\r\n)\r\n',
    '\r\n* 2 FETCH (UID 8)\r\n',
    '\r\nZ1 OK done\r\n',
    'Z1 OK done\r\n',
    'Z1 OK\r\n',
    '\r\nA1 OK)\r\n',
    '7 OK done\r\n',
    '* 2 EXISTS\r\n',
    'FETCH (UID 8 BODY[] {1}\r\nx)\r\n)\r\n',
    ' UID 8)\r\n',
    ' FLAGS (\\Seen\r\n)\r\n',
    ') and more\r\n',
    ') NEWITEM 5\r\n',
    ') UID 8)\r\n',
    ') BODY[] {1}\r\nx\r\n',
    ') BODY[] "x"\r\n',
    ' BODY[] "x\r\n',
  ])('is never said to be whole where this follows: %j', (tail) => {
    const { rows, failure } = parse(text(`* 1 FETCH (UID 7 BODY[] {5}\r\nhello${tail}`));
    expect(failure).toMatchObject({ kind: 'protocol' });
    expect(rows).toEqual([]);
  });

  test.for([')\r\n', 'and so on\r\n', ' and so on\r\n', ' UID 8)\r\n', '\0', '*\r\n'])(
    'was counted wrongly where its row is followed by %j: nothing more is believed',
    (line) => {
      const { rows, failure } = parse(text(`* 1 FETCH (UID 7 BODY[] {5}\r\nhello)\r\n${line}\r\n${after}`));
      expect(failure).toMatchObject({ kind: 'protocol' });
      expect(rows).toHaveLength(1);
    },
  );
});

describe('other responses', () => {
  test('go on to who they are for, as they came', () => {
    const stream = '* 3 EXISTS\r\nA OK done {5}\r\n* OK text {9}\r\n* LIST () "/" {4}\r\nZ1 \n\r\n+ go\r\n* BYE bye {3}\r\n';
    expect(parse(text(stream))).toMatchObject({ forwarded: stream, tagged: [], failure: undefined });
  });

  test('with literals are given as a whole to who wants them so', () => {
    const lsub = '* LSUB () "/" {7}\r\na\r\nZ1 \r ("x" {2}\r\n\r\n)';
    const list = '* LIST () "/" {5}\r\nINBOX\r\n';
    const others = '* OK text {9}\r\n* LIST () "/" foo{5}\r\n';
    const whole = text(`${lsub}\r\n${list}${others}* SEARCH 1\r\nZ1 OK done\r\n`);
    const expected = parse(whole, [], true, true);
    expect(expected).toEqual({
      untagged: [lsub, list.slice(0, -2), '* OK text {9}', '* LIST () "/" foo{5}', '* SEARCH 1'],
      forwarded: list + others,
      tagged: ['Z1|OK|done'],
      rows: [],
      unreadable: [],
      failure: undefined,
    });
    for (let cut = 1; cut < whole.length; cut += 1) expect(parse(whole, [cut], true, true)).toEqual(expected);
  });

  test('are gathered up to a mebibyte, and rows of others not at all', () => {
    const name = (octets: number): string => `* LIST () "/" {${octets}}\r\n`;
    expect(parse(text(name(900_000)), [], true, true).failure).toBeUndefined();
    expect(parse(text(name(999_990)), [], true, true).failure).toBeUndefined();
    const two = `* LSUB () "/" {600000}\r\n${'x'.repeat(600_000)} {600000}\r\n`;
    expect(parse(text(two), [], true, true).failure).toMatchObject({ kind: 'protocol' });
    expect(parse(text(name(1_048_576)), [], true, true).failure).toMatchObject({ kind: 'protocol' });
    const rows = `* 1 FETCH (UID 7 BODY[] {900000}\r\n${'x'.repeat(900_000)} BODY[TEXT] {900000}\r\n${'y'.repeat(900_000)})\r\n`;
    expect(parse(text(rows), [], false, true)).toMatchObject({ forwarded: rows, failure: undefined });
  });

  test('are kept by who takes them', () => {
    expect(parse(text('* SEARCH 1 2\r\n* 3 EXISTS\r\n'))).toMatchObject({
      forwarded: '* 3 EXISTS\r\n',
      untagged: ['* SEARCH 1 2', '* 3 EXISTS'],
    });
  });
});

const octet = fc.constantFrom(...'abc ){}"\\\r\n\0*Z1+.~<]\xff'.split(''));
const octets = fc.string({ unit: octet, maxLength: 40 });
const quotable = fc.string({ unit: fc.constantFrom(...'abc ){}*Z1'.split('')), maxLength: 20 });
const bodyItem = fc.oneof(
  octets.map((value) => `BODY[] {${value.length}}\r\n${value}`),
  octets.map((value) => `BODY[HEADER] ~{${value.length}}\r\n${value}`),
  quotable.map((value) => `BODY[] "${value}"`),
  fc.constant('BODY[] NIL'),
);
const items = fc
  .tuple(
    fc.nat(9).map((uid) => `UID ${uid + 1}`),
    fc.constantFrom('FLAGS (\\Seen)', 'RFC822.SIZE 12', 'INTERNALDATE "01-Jan-2026 00:00:00 +0000"'),
    bodyItem,
  )
  .chain((all) => fc.shuffledSubarray([...all], { minLength: 1 }));
const response = fc.oneof(
  items.map((all) => `* 3 FETCH (${all.join(' ')})\r\n`),
  fc.constantFrom(
    '* 4 EXISTS\r\n',
    '* 2 EXPUNGE\r\n',
    '* SEARCH 1 2\r\n',
    'Z7 OK done\r\n',
    '1F NO [X] no\r\n',
    '* OK hm {3}\r\n',
    '+ idling\r\n',
  ),
  octets.map((value) => `* LIST () "/" {${value.length}}\r\n${value}\r\n`),
);
const stream = fc.array(response, { maxLength: 8 }).map((all) => text(all.join('')));

/** Literals longer and shorter than announced were once whole at their end, though their row never was. */
const BELIEVED = [
  '* 1 FETCH (UID 7 BODY[] {3}\r\nhello)\r\nZ7 OK done\r\n',
  '* 1 FETCH (UID 7 BODY[] {9}\r\nhello)\r\nZ7 OK done\r\n',
  '* 1 FETCH (UID 7 BODY[] {5}\r\nhello',
  '* 1 FETCH (UID 7 BODY[] {5}\r\nhello BODY[] {6}\r\nsecond)\r\n',
  '* 1 FETCH (UID 7 BODY[] {0}\r\n)\r\n* 1 FETCH (UID 7 BODY[] NIL)\r\n',
];
const NOISE = [
  'UID 7 BODY[] {4294967296}\r\n',
  'UID 7 BODY[] {9007199254740993}\r\n',
  '((((((((',
  'UID 7 BODY[] "\\',
  'BODY[]<',
  '\0)\r\n',
  '{5}\r\n',
];

describe('whatever comes', () => {
  test('cut at any place it is the same', () => {
    holds(
      fc.property(stream, (whole) => {
        const expected = parse(whole);
        expect(expected.failure).toBeUndefined();
        for (let cut = 1; cut < whole.length; cut += 1) expect(parse(whole, [cut])).toEqual(expected);
        expect(parse(whole, Array.from(whole.keys()))).toEqual(expected);
      }),
      { usual: 75 },
    );
  });

  test('trifles around a literal change neither its octets nor whose they are', () => {
    const keyword = fc.oneof(
      fc.constantFrom(...KEYWORDS),
      fc.string({ unit: fc.constantFrom(...'ab 5()[]{}"\\%*\xe9'.split('')), maxLength: 12 }),
    );
    const flags = keyword.map((word) => `FLAGS (\\Seen ${word})`);
    const trifle = fc.oneof(
      flags,
      fc.constantFrom('', 'RFC822.SIZE -1', 'INTERNALDATE NIL', 'MODSEQ (12)', 'RFC822.SIZE {1}\r\n5', 'X-Y "a\\")b"'),
    );
    const blank = fc.constantFrom('', ' ', '\r\n', '\r\n\r\n', ' \t\r\n ');
    const message = fc.record({ body: octets, before: trifle, behind: trifle, gap: blank, late: trifle, hasUidBehind: fc.boolean() });
    holds(
      fc.property(fc.array(message, { minLength: 1, maxLength: 4 }), fc.array(fc.nat(600), { maxLength: 6 }), (messages, cuts) => {
        const written = messages.map(({ body, before, behind, gap, late, hasUidBehind }, index) => {
          const uid = `UID ${index + 1}`;
          const items = [hasUidBehind ? '' : uid, before, `BODY[] {${body.length}}\r\n${body}`].filter((item) => item !== '').join(' ');
          const rest = late === '' || late.includes('{1}') ? '' : `\r\n ${late}`;
          return `* ${index + 1} FETCH (${items}${gap} ${behind} ${hasUidBehind ? uid : ''})${rest}\r\n`;
        });
        const whole = text(`${written.join('')}Z1 OK done\r\n`);
        const places = cuts.map((cut) => Math.min(cut, whole.length));
        const found = parse(whole, places);
        expect(found).toMatchObject({ failure: undefined, unreadable: [], forwarded: '', tagged: ['Z1|OK|done'] });
        expect(found.rows.map(({ row, bodies }) => [row.uid, bodies[0]?.octets])).toEqual(
          messages.map(({ body }, index) => [index + 1, body]),
        );
        expect(parse(whole)).toEqual(found);
      }),
      { usual: 600 },
    );
  });

  test('spoilt at any place it ends with an error of its own, or gives no more octets than were announced', () => {
    const spoil = fc.array(fc.tuple(fc.nat(), fc.nat(255), fc.constantFrom('change', 'insert', 'drop')), { minLength: 1, maxLength: 4 });
    holds(
      fc.property(stream, spoil, fc.array(fc.nat(400), { maxLength: 5 }), (whole, faults, cuts) => {
        const spoilt = [...whole];
        for (const [place, value, how] of faults) {
          const at = spoilt.length === 0 ? 0 : place % spoilt.length;
          spoilt.splice(at, how === 'insert' ? 0 : 1, ...(how === 'drop' ? [] : [value]));
        }
        const { failure, rows } = parse(
          Buffer.from(spoilt),
          cuts.map((cut) => Math.min(cut, spoilt.length)),
        );
        if (failure !== undefined) expect(failure).toBeInstanceOf(UpstreamError);
        for (const { bodies } of rows) for (const body of bodies) if (body.announced !== undefined) expect(body.isComplete).toBe(true);
      }),
      { usual: 1_200, examples: BELIEVED.map((stream): [Buffer, [], []] => [text(stream), [], []]) },
    );
  });

  test('noise alone never does more harm than an error', () => {
    holds(
      fc.property(fc.uint8Array({ maxLength: 300 }), (noise) => {
        const { failure } = parse(Buffer.concat([text('* 1 FETCH ('), noise]));
        if (failure !== undefined) expect(failure).toBeInstanceOf(UpstreamError);
      }),
      { usual: 600, examples: NOISE.map((noise): [Uint8Array] => [text(noise)]) },
    );
  });
});

describe('the answer to a command', () => {
  const answer = (set: string): string => `[COPYUID 4294967295 ${set} ${set}] Done`;

  test('is whole where it names every message of the longest command on both sides', () => {
    const set = Array.from({ length: MESSAGES_PER_COMMAND }, (_, index) => 4_000_000_000 + 2 * index).join(',');
    const { tagged } = parse(text(`Z1 OK ${answer(set)}\r\n`));
    expect(tagged).toEqual([`Z1|OK|${answer(set)}`]);
    expect(copiedUids(tagged[0]?.split('|')[2] ?? '')?.count).toBe(MESSAGES_PER_COMMAND);
  });

  test('that is far longer is cut, which costs nothing but the rest of its text', () => {
    const { tagged, failure } = parse(text(`Z1 NO ${'x'.repeat(1_000_000)}\r\nZ2 OK\r\n`));
    expect([tagged[1], failure]).toEqual(['Z2|OK|', undefined]);
    expect(tagged[0]?.length).toBeLessThan(100_000);
  });
});
