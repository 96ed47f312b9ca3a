import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { holds } from '../../support/holds.ts';
import { UpstreamError } from '../../../src/errors.ts';
import { internalDateSeconds } from '../../../src/imap/internal-date.ts';
import { namespacesIn } from '../../../src/imap/namespace-response.ts';
import { isSearchResult, searchResult } from '../../../src/imap/search-result.ts';

const text = (value: string): Buffer => Buffer.from(value, 'latin1');

describe('INTERNALDATE', () => {
  const seconds = (value: string): number => internalDateSeconds(text(`xx${value}yy`), 2, 2 + value.length);
  const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

  test('is what Date makes of it, for any time and zone', () => {
    const zone = fc.tuple(fc.constantFrom('+', '-'), fc.integer({ min: 0, max: 14 }), fc.constantFrom(0, 30, 45));
    const time = fc.date({ min: new Date('1970-01-02T00:00:00Z'), max: new Date('2400-01-01T00:00:00Z'), noInvalidDate: true });
    holds(
      fc.property(time, zone, fc.boolean(), (date, [sign, hours, minutes], isPadded) => {
        const two = (number: number): string => String(number).padStart(2, '0');
        const day = isPadded ? two(date.getUTCDate()) : String(date.getUTCDate()).padStart(2, ' ');
        const clock = [date.getUTCHours(), date.getUTCMinutes(), date.getUTCSeconds()].map(two).join(':');
        const offset = (sign === '+' ? 1 : -1) * (60 * hours + minutes);
        const written = `${day}-${MONTHS[date.getUTCMonth()]}-${date.getUTCFullYear()} ${clock} ${sign}${two(hours)}${two(minutes)}`;
        expect(seconds(written)).toBe(Math.max(0, Math.floor(date.getTime() / 1000) - 60 * offset));
      }),
    );
  });

  test('written in another way is read as Date reads it; what is no date is unknown', () => {
    expect(seconds('Wed, 17 Jul 1996 02:44:25 -0700')).toBe(837_596_665);
    expect(seconds('1996-07-17T09:44:25Z')).toBe(837_596_665);
    expect(seconds('Wed Jul 17 09:44:25 1996')).toBe(837_596_665);
    for (const utc of ['17-Jul-1996 09:44:25', '1996-07-17T09:44:25', '1996-07-17 09:44:25']) expect(seconds(utc), utc).toBe(837_596_665);
    expect(seconds('17-Jul-1996')).toBe(837_561_600);
    const nonsense = [
      '00-Jan-2000 00:00:00 +0000',
      '99-Jan-2000 99:99:99 +9999',
      'build 5',
      '12',
      'Monday 3',
      '00-Jan-0000 00:00:00 +0000',
    ];
    for (const none of ['', 'yesterday', '17-Xyz-1996 02:44:25 -0700', ...nonsense]) expect(seconds(none), none).toBe(0);
  });
});

const isOwn = (tag: string): boolean => tag === 'Z1';

describe('UID SEARCH', () => {
  test.for([
    ['* SEARCH', []],
    ['* SEARCH ', []],
    ['* SEARCH 3 1 2', [1, 2, 3]],
    ['* search 5 5 4294967295', [5, 4294967295]],
    ['* SEARCH 1 2 (MODSEQ 917162500)', [1, 2]],
    ['* ESEARCH (TAG "Z1") UID ALL 1:3,7,10:9', [1, 2, 3, 7, 9, 10]],
    ['* ESEARCH (TAG "Z1") UID', []],
    ['* ESEARCH (TAG "Z1") UID COUNT 2 ALL 4,8 MODSEQ 5', [4, 8]],
  ] as const)('that says %s found that', ([line, uids]) => {
    expect(isSearchResult(text(line), isOwn)).toBe(true);
    expect(searchResult(text(line), 1000)?.toUids(10)).toEqual(uids);
  });

  test.for(['* SEARCH 0 1', '* SEARCH 4294967296', '* ESEARCH (TAG "Z1") UID ALL 0:3'])('that says %s names what is no UID', (line) => {
    expect(() => searchResult(text(line), 1000)).toThrow(expect.objectContaining({ kind: 'unsupported' }) as Error);
  });

  test.for(['* SEARCH 1x', '* SEARCH x', '* SEARCH 1:3', '* ESEARCH (TAG "Z1") UID ALL 1:*', '* ESEARCH (TAG "Z1") UID ALL 1:3x'])(
    'that says %s tells nothing',
    (line) => {
      expect(searchResult(text(line), 1000)).toBeUndefined();
    },
  );

  test.for(['* SEARCH 1 3 5 7', '* ESEARCH (TAG "Z1") UID ALL 1,3,5:6,8'])(
    'that names more than there can be is not read on: %s',
    (line) => {
      expect(() => searchResult(text(line), 3)).toThrow(expect.objectContaining({ kind: 'protocol' }) as Error);
      expect(searchResult(text(line), 4)?.parts).toBe(4);
    },
  );

  test('may name thousands of millions in a few octets, of which no list is made', () => {
    const named = searchResult(text('* ESEARCH (TAG "Z1") UID ALL 1:4000000000'), 1000);
    expect([named?.count, named?.has(3_999_999_999), named?.has(4_000_000_001)]).toEqual([4_000_000_000, true, false]);
    expect(() => named?.toUids(1000)).toThrow(UpstreamError);
  });

  test('is answered by nothing else, nor by the answer to another command', () => {
    for (const line of ['* SEARCHING 1', '* 1 EXISTS', '* ESEARCH (TAG "Z2") UID ALL 1', '* OK SEARCH 1']) {
      expect(isSearchResult(text(line), isOwn), line).toBe(false);
    }
  });
});

describe('NAMESPACE', () => {
  test('tells prefixes with their delimiters, of whom they are', () => {
    expect(namespacesIn('* NAMESPACE (("" "/")("#news." ".")) NIL (("Public" "/")("flat" NIL))')).toEqual({
      personal: [
        { prefix: '', delimiter: '/' },
        { prefix: '#news.', delimiter: '.' },
      ],
      other: [],
      shared: [
        { prefix: 'Public/', delimiter: '/' },
        { prefix: 'flat', delimiter: null },
      ],
    });
  });

  test('may hold quotes and extensions, or nothing', () => {
    expect(namespacesIn('* namespace (("a\\"b\\\\" "\\\\" "X-PARAM" ("FLAG1" "FLAG2"))) NIL NIL')?.personal).toEqual([
      { prefix: 'a"b\\', delimiter: '\\' },
    ]);
    expect(namespacesIn('* NAMESPACE NIL NIL NIL')).toEqual({ personal: [], other: [], shared: [] });
    expect(namespacesIn('* OK hm')).toBeUndefined();
  });
});
