import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseListing, parseStatus, unstuffed } from '../../../src/pop3/old-server.ts';

describe('the status of an answer', () => {
  test.each([
    ['+OK', { ok: true }],
    ['+OK ready <1@x>', { ok: true }],
    ['-ERR', { ok: false, code: undefined }],
    ['-ERR no', { ok: false, code: undefined }],
    ['-ERR [AUTH] no', { ok: false, code: 'AUTH' }],
    ['-ERR [in-use]', { ok: false, code: 'IN-USE' }],
    ['-ERR [SYS/TEMP] later', { ok: false, code: 'SYS/TEMP' }],
    ['-ERR no [AUTH]', { ok: false, code: undefined }],
    ['-ERR []', { ok: false, code: undefined }],
  ])('%s', (line, status) => expect(parseStatus(line)).toEqual(status));

  test.each(['', '+', '+OKAY', '+ok', ' +OK', 'OK', '* BYE', '220 smtp', '.'])('%j is none', (line) =>
    expect(parseStatus(line)).toBeUndefined(),
  );
});

describe('a line of a listing', () => {
  test.each([
    ['1 120', { number: 1, rest: '120' }],
    ['2  x', { number: 2, rest: 'x' }],
    ['10 <a@b> more of it', { number: 10, rest: '<a@b>' }],
    ['4294967295 !~', { number: 4_294_967_295, rest: '!~' }],
  ])('%s', (line, row) => expect(parseListing(line)).toEqual(row));

  test.each(['', '1', '1 ', ' 1 x', 'x 1', '-1 x', '1.5 x', '1\tx', '1 \u00e9', '12345678901 x'])('%j is none', (line) =>
    expect(parseListing(line)).toBeUndefined(),
  );
});

test('a line loses the dot that was put before it, and no other', () => {
  expect(['', 'a', '..', '...', '.a', 'a.'].map(unstuffed)).toEqual(['', 'a', '.', '..', 'a', 'a.']);
});

test('no line makes it throw', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (line) => {
      parseStatus(line);
      parseListing(line);
      unstuffed(line);
    }),
  );
});
