import fc from 'fast-check';
import { expect, test } from 'vitest';
import { holds } from '../../support/holds.ts';
import { credentialProblem, decodeText, isCommandError, parseCommand, VERBS } from '../../../src/pop3/command.ts';
import { octets } from './octets.ts';

const almostCommand = fc
  .tuple(fc.constantFrom(...VERBS, 'XYZZY', ''), fc.uint8Array({ maxLength: 30 }))
  .map(([verb, rest]) => Buffer.concat([octets(verb), octets(' '), rest]));

/** Names of properties, numbers that are none, octets that are no text. */
const LINES = [
  '__proto__ 1',
  'constructor',
  'RETR 99999999999999999999',
  'TOP 1 1e9',
  'LIST \xb2',
  'STAT\0',
  'AUTH =',
  'USER \xff\xfe',
  ' ',
].map((line): [Uint8Array] => [octets(line)]);

test('parsing never throws, whatever the octets', () => {
  holds(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 300 }), almostCommand), (line) => {
      const command = parseCommand(line);
      expect(isCommandError(command) || VERBS.includes(command.verb)).toBe(true);
    }),
    { examples: LINES },
  );
});

test('a problem told to the client is plain ASCII without a "[" in front', () => {
  holds(
    fc.property(almostCommand, (line) => {
      const command = parseCommand(line);
      if (isCommandError(command)) expect(command.problem).toMatch(/^[A-Za-z][\x20-\x7e]{2,79}$/);
    }),
  );
});

test('numbers come out as they went in, and are whole and never negative', () => {
  holds(
    fc.property(fc.nat(), fc.nat(), fc.constantFrom(' ', '  ', '\t'), (message, lines, blank) => {
      expect(parseCommand(octets(`top${blank}${message}${blank}${lines}`))).toEqual({ verb: 'TOP', message, lines });
      expect(parseCommand(octets(`LIST${blank}${message}`))).toEqual({ verb: 'LIST', message });
    }),
  );
});

test('every password without NUL, CR and LF survives PASS unchanged', () => {
  const password = fc
    .string({ unit: 'grapheme', minLength: 1, maxLength: 60 })
    .filter((text) => credentialProblem('password', text) === undefined);
  holds(
    fc.property(password, (text) => {
      expect(parseCommand(Buffer.from(`PASS ${text}`, 'utf8'))).toEqual({ verb: 'PASS', password: text });
    }),
  );
});

test('no password with NUL, CR or LF and no user name with any control character is taken over', () => {
  const control = fc.oneof(fc.integer({ min: 0, max: 0x1f }), fc.constant(0x7f)).map((code) => String.fromCodePoint(code));
  holds(
    fc.property(fc.string(), control, fc.string(), (before, bad, after) => {
      expect(isCommandError(parseCommand(octets(`USER ${before}x${bad}x${after}`)))).toBe(true);
      expect(isCommandError(parseCommand(octets(`PASS ${before}x${bad}x${after}`)))).toBe(/[\0\r\n]/.test(before + bad + after));
    }),
  );
});

test('decoding keeps all octets: no two lines become the same text', () => {
  holds(
    fc.property(fc.uint8Array({ maxLength: 40 }), (line) => {
      const text = decodeText(line);
      const bytes = Buffer.from(line);
      expect(Buffer.from(text, 'utf8').equals(bytes) || Buffer.from(text, 'latin1').equals(bytes)).toBe(true);
    }),
  );
});
