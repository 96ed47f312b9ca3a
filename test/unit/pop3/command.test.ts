import { describe, expect, test } from 'vitest';
import { isCommandError, parseCommand, VERBS, type Command } from '../../../src/pop3/command.ts';
import { MAX_CREDENTIAL_OCTETS } from '../../../src/pop3/limits.ts';
import { octets } from './octets.ts';

const GOOD: readonly (readonly [line: string, command: Command])[] = [
  ['STAT', { verb: 'STAT' }],
  ['NOOP', { verb: 'NOOP' }],
  ['RSET', { verb: 'RSET' }],
  ['QUIT', { verb: 'QUIT' }],
  ['CAPA', { verb: 'CAPA' }],
  ['STLS', { verb: 'STLS' }],
  ['LAST', { verb: 'LAST' }],
  ['quit', { verb: 'QUIT' }],
  ['sTaT', { verb: 'STAT' }],
  ['  NOOP', { verb: 'NOOP' }],
  ['NOOP  ', { verb: 'NOOP' }],
  ['\tNOOP\t', { verb: 'NOOP' }],
  ['USER alice', { verb: 'USER', user: 'alice' }],
  ['user  alice ', { verb: 'USER', user: 'alice' }],
  ['USER\talice', { verb: 'USER', user: 'alice' }],
  ['USER alice@example.com', { verb: 'USER', user: 'alice@example.com' }],
  ['USER alice%host', { verb: 'USER', user: 'alice%host' }],
  ['USER host:alice', { verb: 'USER', user: 'host:alice' }],
  ['USER a\\b/c+d', { verb: 'USER', user: 'a\\b/c+d' }],
  ['USER alice of wonderland', { verb: 'USER', user: 'alice of wonderland' }],
  ['USER \xa0alice\xa0', { verb: 'USER', user: '\xa0alice\xa0' }],
  ['USER \xc2\xa0alice', { verb: 'USER', user: '\xa0alice' }],
  ['PASS \xa0secret\xa0', { verb: 'PASS', password: '\xa0secret\xa0' }],
  ['AUTH pla\xc4\xb1n', { verb: 'AUTH', mechanism: 'PLA\u0131N', initialResponse: undefined }],
  ['PASS secret', { verb: 'PASS', password: 'secret' }],
  ['pass secret', { verb: 'PASS', password: 'secret' }],
  ['PASS  secret', { verb: 'PASS', password: ' secret' }],
  ['PASS two words', { verb: 'PASS', password: 'two words' }],
  ['PASS secret  ', { verb: 'PASS', password: 'secret  ' }],
  ['PASS   a  b ', { verb: 'PASS', password: '  a  b ' }],
  ['PASS  ', { verb: 'PASS', password: ' ' }],
  ['PASS a\tb', { verb: 'PASS', password: 'a\tb' }],
  ['PASS \ta\t', { verb: 'PASS', password: '\ta\t' }],
  ['PASS \x01\x1b[2J\x7f', { verb: 'PASS', password: '\x01\x1b[2J\x7f' }],
  ['AUTH', { verb: 'AUTH', mechanism: undefined, initialResponse: undefined }],
  ['AUTH ', { verb: 'AUTH', mechanism: undefined, initialResponse: undefined }],
  ['AUTH PLAIN', { verb: 'AUTH', mechanism: 'PLAIN', initialResponse: undefined }],
  ['AUTH PLAIN ', { verb: 'AUTH', mechanism: 'PLAIN', initialResponse: undefined }],
  ['auth plain =', { verb: 'AUTH', mechanism: 'PLAIN', initialResponse: '=' }],
  ['AUTH PLAIN *', { verb: 'AUTH', mechanism: 'PLAIN', initialResponse: '*' }],
  ['AUTH login QWxpY2U=', { verb: 'AUTH', mechanism: 'LOGIN', initialResponse: 'QWxpY2U=' }],
  ['LIST', { verb: 'LIST', message: undefined }],
  ['LIST ', { verb: 'LIST', message: undefined }],
  ['LIST 0', { verb: 'LIST', message: 0 }],
  ['LIST 1', { verb: 'LIST', message: 1 }],
  ['LIST  2 ', { verb: 'LIST', message: 2 }],
  ['LIST 007', { verb: 'LIST', message: 7 }],
  ['UIDL', { verb: 'UIDL', message: undefined }],
  ['UIDL 3', { verb: 'UIDL', message: 3 }],
  ['UIDL 4294967297', { verb: 'UIDL', message: 4_294_967_297 }],
  ['RETR 1', { verb: 'RETR', message: 1 }],
  ['retr 99999999999', { verb: 'RETR', message: 99_999_999_999 }],
  ['DELE 2', { verb: 'DELE', message: 2 }],
  ['TOP 1 0', { verb: 'TOP', message: 1, lines: 0 }],
  ['TOP  1   20 ', { verb: 'TOP', message: 1, lines: 20 }],
  ['top 1\t20', { verb: 'TOP', message: 1, lines: 20 }],
];

/** Blanks to some, as Latin-1 or UTF-8: U+00A0, U+0085, VT, FF, CR, U+FEFF, U+2003. */
const NO_BLANKS = ['\xa0', '\x85', '\v', '\f', '\r', '\xc2\xa0', '\xef\xbb\xbf', '\xe2\x80\x83'];

const BAD: readonly (readonly [line: string, problem: string])[] = [
  ['', 'empty command'],
  ['   ', 'empty command'],
  ['XYZZY', 'unknown command'],
  ['APOP alice c4c9334bac560ecc979e58001b3e22fb', 'unknown command'],
  ['XTND XLST', 'unknown command'],
  ['RPOP alice', 'unknown command'],
  ['STATUS', 'unknown command'],
  ['constructor', 'unknown command'],
  ['__proto__', 'unknown command'],
  ['STAT\0', 'unknown command'],
  ...NO_BLANKS.flatMap((octet): [string, string][] => [
    [`${octet}QUIT`, 'unknown command'],
    [`QUIT${octet}`, 'unknown command'],
    [`QUIT ${octet}`, 'QUIT takes no argument'],
    [`DELE ${octet}1`, 'DELE takes one message-number'],
    [`DELE 1${octet}`, 'DELE takes one message-number'],
    [`LIST ${octet}`, 'LIST takes one message-number'],
    [`TOP 1 2${octet}`, 'TOP takes a message-number and a number of lines'],
  ]),
  ['STAT 1', 'STAT takes no argument'],
  ['QUIT now', 'QUIT takes no argument'],
  ['NOOP NOOP', 'NOOP takes no argument'],
  ['RETR', 'RETR takes one message-number'],
  ['RETR 1 2', 'RETR takes one message-number'],
  ['RETR -1', 'RETR takes one message-number'],
  ['RETR +1', 'RETR takes one message-number'],
  ['RETR 1x', 'RETR takes one message-number'],
  ['RETR 1.0', 'RETR takes one message-number'],
  ['RETR 1e1', 'RETR takes one message-number'],
  ['RETR 0x1', 'RETR takes one message-number'],
  ['DELE', 'DELE takes one message-number'],
  ['DELE \xb2', 'DELE takes one message-number'],
  [`DELE ${'9'.repeat(400)}`, 'DELE takes one message-number'],
  ['LIST x', 'LIST takes one message-number'],
  ['LIST -1', 'LIST takes one message-number'],
  ['UIDL 1 2', 'UIDL takes one message-number'],
  ['UIDL 9999999999999999', 'UIDL takes one message-number'],
  ['TOP', 'TOP takes a message-number and a number of lines'],
  ['TOP 1', 'TOP takes a message-number and a number of lines'],
  ['TOP 1 -1', 'TOP takes a message-number and a number of lines'],
  ['TOP 1 x', 'TOP takes a message-number and a number of lines'],
  ['TOP 1 2 3', 'TOP takes a message-number and a number of lines'],
  ['USER', 'empty user name'],
  ['USER   ', 'empty user name'],
  ['USER a\0b', 'control character in user name'],
  ['USER a\x7fb', 'control character in user name'],
  ['USER a\tb', 'control character in user name'],
  [`USER ${'u'.repeat(MAX_CREDENTIAL_OCTETS + 1)}`, 'user name too long'],
  ['PASS', 'empty password'],
  ['PASS ', 'empty password'],
  ['PASS a\rb', 'control character in password'],
  ['PASS a\nb', 'control character in password'],
  ['PASS a\0b', 'control character in password'],
  [`PASS ${'p'.repeat(MAX_CREDENTIAL_OCTETS + 1)}`, 'password too long'],
  ['AUTH PLAIN a b', 'AUTH takes a mechanism and one initial response'],
];

describe('a command line', () => {
  test.each(GOOD)('%j is understood', (line, command) => {
    expect(parseCommand(octets(line))).toEqual(command);
  });

  test.each(BAD)('%j is refused: %s', (line, problem) => {
    expect(parseCommand(octets(line))).toMatchObject({ problem });
  });

  test('has a row here for every verb popbridge knows', () => {
    expect(new Set(GOOD.map(([, command]) => command.verb))).toEqual(new Set(VERBS));
  });

  test('takes credentials of exactly the longest length', () => {
    const password = 'p'.repeat(MAX_CREDENTIAL_OCTETS);
    expect(parseCommand(octets(`PASS ${password}`))).toEqual({ verb: 'PASS', password });
  });

  test('is UTF-8 where it can be', () => {
    expect(parseCommand(Buffer.from('PASS grüße Œ', 'utf8'))).toEqual({ verb: 'PASS', password: 'grüße Œ' });
    expect(parseCommand(Buffer.from('USER jürgen', 'utf8'))).toEqual({ verb: 'USER', user: 'jürgen' });
  });

  test('is Latin-1 where it is no UTF-8, and loses no octet', () => {
    expect(parseCommand(octets('PASS gr\xfc\xdfe'))).toEqual({ verb: 'PASS', password: 'grüße' });
    expect(parseCommand(octets('USER j\xfcrgen'))).toEqual({ verb: 'USER', user: 'jürgen' });
  });

  test('measures credentials in octets, not characters', () => {
    const line = Buffer.from(`PASS ${'ü'.repeat(MAX_CREDENTIAL_OCTETS / 2 + 1)}`, 'utf8');
    expect(parseCommand(line)).toMatchObject({ problem: 'password too long' });
  });

  test('never repeats what the client typed in its problem', () => {
    const command = parseCommand(octets('SECRETVERB hunter2'));
    expect(isCommandError(command) && command.problem).toBe('unknown command');
  });

  test('has a verb of ASCII letters only: look-alikes that upper-case to one are unknown', () => {
    for (const line of ['quıt', 'lıst', 'ſtat', 'retr'.replace('r', 'ʀ')]) {
      expect(parseCommand(Buffer.from(line, 'utf8'))).toEqual({ problem: 'unknown command' });
    }
  });
});
