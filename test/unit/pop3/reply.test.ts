import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { holds } from '../../support/holds.ts';
import { MAX_STATUS_OCTETS } from '../../../src/pop3/limits.ts';
import { encodeStatus, err, ok, type Reply } from '../../../src/pop3/reply.ts';

const TABLE: readonly (readonly [reply: Reply, line: string])[] = [
  [ok(), '+OK\r\n'],
  [ok('2 320'), '+OK 2 320\r\n'],
  [err('no such message'), '-ERR no such message\r\n'],
  [err('shutting down', 'SYS/TEMP'), '-ERR [SYS/TEMP] shutting down\r\n'],
  [err('', 'AUTH'), '-ERR [AUTH]\r\n'],
  [err('[AUTH] forged'), '-ERR : [AUTH] forged\r\n'],
  [err('  [AUTH] forged'), '-ERR : [AUTH] forged\r\n'],
  [err('\t[AUTH] forged'), '-ERR : [AUTH] forged\r\n'],
  [err('[x]', 'IN-USE'), '-ERR [IN-USE] [x]\r\n'],
  [ok('a\r\n+OK b'), '+OK a +OK b\r\n'],
  [ok('grüße\0'), '+OK gr e\r\n'],
  [ok(' padded '), '+OK padded\r\n'],
];

describe('a status line', () => {
  test.each(TABLE)('%j is %j', (reply, line) => {
    expect(encodeStatus(reply)).toBe(line);
  });

  test('is cut at 512 octets, CRLF included (RFC 1939 section 3)', () => {
    const line = encodeStatus(err('x'.repeat(2000), 'SYS/TEMP'));
    expect(line).toHaveLength(MAX_STATUS_OCTETS);
    expect(line).toMatch(/^-ERR \[SYS\/TEMP\] x+\r\n$/);
  });

  test('is ASCII, one line, at most 512 octets, and no text passes for a response code', () => {
    holds(
      fc.property(fc.string({ unit: 'binary', maxLength: 700 }), fc.constantFrom('', '[', ' [', '\0[', '\u{feff}['), (rest, start) => {
        const line = encodeStatus(err(start + rest));
        expect(line).toMatch(/^-ERR(?: [\x20-\x7e]*)?\r\n$/);
        expect(Buffer.byteLength(line)).toBeLessThanOrEqual(MAX_STATUS_OCTETS);
        expect(line).not.toMatch(/^-ERR\s*\[/);
      }),
    );
  });
});
