import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { holds } from '../../support/holds.ts';
import { credentialProblem } from '../../../src/pop3/command.ts';
import { continueExchange, startExchange, type Mechanism, type SaslStep } from '../../../src/pop3/sasl.ts';
import { octets } from './octets.ts';

function base64(text: string, encoding: 'utf8' | 'latin1' = 'utf8'): string {
  return Buffer.from(text, encoding).toString('base64');
}

function credentials(user: string, password: string): SaslStep {
  return { next: 'credentials', credentials: { user, password } };
}

function failing(problem: string): SaslStep {
  return { next: 'fail', problem };
}

const ASKS_USER: SaslStep = { next: 'challenge', challenge: 'VXNlcm5hbWU6', exchange: { mechanism: 'LOGIN' } };

function asksPassword(user: string): SaslStep {
  return { next: 'challenge', challenge: 'UGFzc3dvcmQ6', exchange: { mechanism: 'LOGIN', user } };
}

const PLAIN: readonly (readonly [response: string, step: SaslStep])[] = [
  [base64('\0alice\0secret'), credentials('alice', 'secret')],
  [base64('alice\0alice\0secret'), credentials('alice', 'secret')],
  [base64('\0jürgen\0größe'), credentials('jürgen', 'größe')],
  [base64('\0j\xfcrgen\0gr\xf6\xdfe', 'latin1'), credentials('jürgen', 'größe')],
  [base64('\0alice\0 se cret '), credentials('alice', ' se cret ')],
  [base64('bob\0alice\0secret'), failing('acting for another user is not offered')],
  [base64('\0alice'), failing('malformed PLAIN response')],
  [base64('alice'), failing('malformed PLAIN response')],
  [base64('\0\0\0'), failing('malformed PLAIN response')],
  [base64('\0alice\0sec\0ret'), failing('malformed PLAIN response')],
  [base64('\0\0'), failing('empty user name')],
  [base64('\0alice\0'), failing('empty password')],
  [base64('\0\0secret'), failing('empty user name')],
  [base64('\0alice\0a\r\nb'), failing('control character in password')],
  [base64('\0a\nb\0secret'), failing('control character in user name')],
  [base64(`\0alice\0${'p'.repeat(1025)}`), failing('password too long')],
  ['!!!!', failing('bad base64')],
  ['AGFsaWNlAHNlY3JldA==', credentials('alice', 'secret')],
  ['AGFsaWNlAHNlY3JldA=', credentials('alice', 'secret')],
  ['AGFsaWNlAHNlY3JldA', credentials('alice', 'secret')],
  ['AGFsaWNlAHNlY3JldHM', credentials('alice', 'secrets')],
  ['AGFsaWNlAHNlY3JldHM==', failing('bad base64')],
  ['AGFsaWNlAHNlY3JldHNz=', failing('bad base64')],
  ['AGFsaWNlAHNlY3JldA===', failing('bad base64')],
  ['AG=sAAA=', failing('bad base64')],
  ['====', failing('bad base64')],
  ['A', failing('bad base64')],
  ['AGFsaWNlAHNlY3JldAA==', failing('bad base64')],
  [base64('\0alice\0a\tb\x1b\x7f\x01'), credentials('alice', 'a\tb\x1b\x7f\x01')],
  [base64('\0al\tice\0secret'), failing('control character in user name')],
  ['AGFs\0WNl', failing('bad base64')],
];

describe('SASL PLAIN', () => {
  test('without an initial response waits for one after an empty challenge', () => {
    expect(startExchange('PLAIN', undefined)).toEqual({ next: 'challenge', challenge: '', exchange: { mechanism: 'PLAIN' } });
  });

  test.each(PLAIN)('takes %j as initial response and after the challenge alike', (response, step) => {
    expect(startExchange('PLAIN', response)).toEqual(step);
    expect(continueExchange({ mechanism: 'PLAIN' }, octets(response))).toEqual(step);
  });

  test('"=" is an empty initial response, which PLAIN can not use', () => {
    expect(startExchange('PLAIN', '=')).toEqual(failing('malformed PLAIN response'));
    expect(continueExchange({ mechanism: 'PLAIN' }, octets(''))).toEqual(failing('malformed PLAIN response'));
  });

  test('blanks around a response do not matter', () => {
    expect(continueExchange({ mechanism: 'PLAIN' }, octets(` ${base64('\0alice\0secret')} `))).toEqual(credentials('alice', 'secret'));
  });

  test.for(['\xa0', '\x85', '\v', '\f', '\r'])('%j is no blank, and no base64', (octet) => {
    for (const line of [`${octet}*`, `*${octet}`, `${octet}${base64('\0alice\0secret')}`]) {
      expect(continueExchange({ mechanism: 'PLAIN' }, octets(line))).toEqual(failing('bad base64'));
    }
  });

  test('"*" cancels only as an answer to a challenge', () => {
    expect(continueExchange({ mechanism: 'PLAIN' }, octets('*'))).toEqual(failing('authentication cancelled'));
    expect(startExchange('PLAIN', '*')).toEqual(failing('bad base64'));
  });

  test('gives back whatever user name and password went in', () => {
    const text = fc
      .string({ unit: 'grapheme', minLength: 1, maxLength: 30 })
      .filter((value) => credentialProblem('password', value) === undefined);
    holds(
      fc.property(text, text, (user, password) => {
        expect(startExchange('PLAIN', base64(`\0${user}\0${password}`))).toEqual(credentials(user, password));
      }),
    );
  });
});

describe('SASL LOGIN', () => {
  test('asks for the user name, then for the password', () => {
    expect(startExchange('LOGIN', undefined)).toEqual(ASKS_USER);
    expect(continueExchange({ mechanism: 'LOGIN' }, octets(base64('alice')))).toEqual(asksPassword('alice'));
    expect(continueExchange({ mechanism: 'LOGIN', user: 'alice' }, octets(base64('secret')))).toEqual(credentials('alice', 'secret'));
  });

  test('reads base64 without its padding, for the name as for the password', () => {
    expect(startExchange('LOGIN', 'YWxpY2U')).toEqual(asksPassword('alice'));
    expect(continueExchange({ mechanism: 'LOGIN' }, octets('YWxpY2U'))).toEqual(asksPassword('alice'));
    expect(continueExchange({ mechanism: 'LOGIN', user: 'alice' }, octets('c2VjcmV0cw'))).toEqual(credentials('alice', 'secrets'));
  });

  test('takes the user name as initial response', () => {
    expect(startExchange('LOGIN', base64('alice'))).toEqual(asksPassword('alice'));
  });

  const AT_PASSWORD: readonly (readonly [line: string, problem: string])[] = [
    ['*', 'authentication cancelled'],
    ['', 'empty password'],
    ['=', 'bad base64'],
    ['secret!', 'bad base64'],
    [base64('a\0b'), 'control character in password'],
  ];
  test.each(AT_PASSWORD)('refuses %j for a password: %s', (line, problem) => {
    expect(continueExchange({ mechanism: 'LOGIN', user: 'alice' }, octets(line))).toEqual(failing(problem));
  });

  test('refuses an empty user name', () => {
    expect(startExchange('LOGIN', '=')).toEqual(failing('empty user name'));
  });
});

test('no exchange throws, whatever the octets', () => {
  const mechanism = fc.constantFrom<Mechanism>('PLAIN', 'LOGIN');
  holds(
    fc.property(mechanism, fc.option(fc.string(), { nil: undefined }), fc.uint8Array({ maxLength: 60 }), (name, initial, line) => {
      const steps = [
        startExchange(name, initial),
        continueExchange({ mechanism: name }, line),
        continueExchange({ mechanism: name, user: 'u' }, line),
      ];
      for (const { next } of steps) expect(['challenge', 'credentials', 'fail']).toContain(next);
    }),
  );
});
