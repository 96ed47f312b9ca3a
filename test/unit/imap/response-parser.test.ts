import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { holds } from '../../support/holds.ts';
import { UpstreamError } from '../../../src/errors.ts';
import { ResponseParser } from '../../../src/imap/response-parser.ts';

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
  readonly rows: { readonly row: unknown; readonly bodies: Body[] }[];
  readonly failure: unknown;
}

/** Feeds the octets cut at these places. Untagged lines that begin with "* SEARCH" are taken. */
function parse(octets: Buffer, cuts: readonly number[] = [], takesRows = true): Outcome {
  const forwarded: Buffer[] = [];
  const tagged: string[] = [];
  const untagged: string[] = [];
  const rows: Outcome['rows'] = [];
  let bodies: Body[] = [];
  const parser = new ResponseParser(
    {
      takesRows,
      forward: (piece) => void forwarded.push(Buffer.from(piece)),
      tagged: ({ tag, status, text }) => void tagged.push(`${tag}|${status}|${text}`),
      untagged: (line) => {
        untagged.push(line.toString('latin1'));
        return line.toString('latin1').startsWith('* SEARCH');
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
  return { forwarded: Buffer.concat(forwarded).toString('latin1'), tagged, untagged, rows, failure };
}

const text = (value: string): Buffer => Buffer.from(value, 'latin1');
const row = (fields: object): object => ({
  uid: 0,
  octets: undefined,
  arrival: undefined,
  emailId: undefined,
  gmailId: undefined,
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
    ['what nobody asked for', '* 1 FETCH (FLAGS (\\Seen "a)b") UID 7 MODSEQ (12) X-OTHER NIL)', { uid: 7 }],
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
    '* 1 FETCH (UID 7',
    '* 1 FETCH (UID 7) more',
    '* 1 FETCH (UID x)',
    '* 1 FETCH (UID 99999999999999999999)',
    '* 1 FETCH (BODY[ "x")',
    '* 1 FETCH (BODY[] "x)',
    '* 1 FETCH (BODY[] {5} UID 7)',
    '* 1 FETCH (BODY[] atom)',
    '* 1 FETCH (BODY[]<5 "x")',
    '* 1 FETCH (FLAGS (\\Seen UID 7)',
    '* 1 FETCH (UID)',
    '* 1 FETCH (BODY[] {2000000}',
    'Z1 what',
    `* ${'x'.repeat(20_000)}`,
  ])('that makes no sense ends it: %s', (line) => {
    const { failure } = parse(text(`${line}\r\n`), line.length > 10_000 ? [5_000, 15_000] : []);
    expect(failure).toBeInstanceOf(UpstreamError);
    expect(failure).toMatchObject({ kind: 'protocol' });
  });

  test('is for others where nobody here reads, with its literal', () => {
    const stream = '* 1 FETCH (UID 7 BODY[] {14}\r\nZ1 OK not ours FLAGS ())\r\nZ1 OK ours\r\n';
    expect(parse(text(stream), [], false)).toMatchObject({ forwarded: stream.slice(0, -12), tagged: ['Z1|OK|ours'], rows: [] });
  });
});

describe('other responses', () => {
  test('go on to who they are for, as they came', () => {
    const stream = '* 3 EXISTS\r\nA OK done {5}\r\n* OK text {9}\r\n* LIST () "/" {4}\r\nZ1 \n\r\n+ go\r\n* BYE bye {3}\r\n';
    expect(parse(text(stream))).toMatchObject({ forwarded: stream, tagged: [], failure: undefined });
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
