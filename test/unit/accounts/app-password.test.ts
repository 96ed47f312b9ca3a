import { expect, test } from 'vitest';
import { appPasswordProblem, generateAppPassword } from '../../../src/accounts/app-password.ts';

test('an app password that is made here has nothing wrong with it', () => {
  expect(appPasswordProblem(generateAppPassword())).toBeUndefined();
});

test.for(['correct\thorse', '\x01\x1b[2J\x7f horse', '12345678', 'ü'.repeat(100)])('%j may be chosen: a client can send it', (password) => {
  expect(appPasswordProblem(password)).toBeUndefined();
});

test.for([
  ['1234567', 'is too short; give at least 8 characters'],
  ['ü'.repeat(101), 'is too long; give at most 200 octets'],
  ...['\0', '\r', '\n'].map((octet) => [`correct${octet}horse`, 'holds NUL, CR or LF, which POP3 does not take'] as const),
] as const)('%j may not be chosen: it %s', ([password, problem]) => {
  expect(appPasswordProblem(password)).toBe(problem);
});
