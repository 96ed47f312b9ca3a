import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { holds } from '../../support/holds.ts';
import {
  classifyConnectionFailure,
  classifyLoginRefusal,
  classifyRefusal,
  type ClassifiedFailure,
  type ServerRefusal,
} from '../../../src/imap/upstream-failure.ts';
import { UpstreamError, type UpstreamFailureKind } from '../../../src/errors.ts';
import { replyForError } from '../../../src/pop3/reply-for-error.ts';

function refusal(status: string, text: string, code?: string): ServerRefusal {
  return { status, code, text };
}

/** Texts as in TRAPS part 3; the number is its paragraph. */
const AT_LOGIN: readonly (readonly [paragraph: string, refused: ServerRefusal, failure: ClassifiedFailure])[] = [
  ['3.1', refusal('NO', 'Maximum number of connections', 'UNAVAILABLE'), { kind: 'refused' }],
  ['3.1', refusal('NO', 'Too many simultaneous connections', 'ALERT'), { kind: 'refused' }],
  ['3.1', refusal('BAD', 'User is authenticated but not connected'), { kind: 'forbidden' }],
  ['3.1', refusal('NO', ''), { kind: 'credentials' }],
  ['3.1', refusal('BYE', 'Too many connections'), { kind: 'refused' }],
  ['3.4', refusal('NO', 'Request is throttled. Suggested Backoff Time: 299961 milliseconds'), { kind: 'throttled', retryAfterMs: 299_961 }],
  [
    '3.4',
    refusal('BAD', 'Request is throttled. Suggested Backoff Time: 299961 milliseconds'),
    { kind: 'throttled', retryAfterMs: 299_961 },
  ],
  ['3.4', refusal('NO', 'Server Unavailable. 15'), { kind: 'throttled', retryAfterMs: 15_000 }],
  ['3.4', refusal('NO', 'slow down', 'THROTTLED'), { kind: 'throttled' }],
  ['3.4', refusal('NO', 'Account exceeded command or bandwidth limits', 'OVERQUOTA'), { kind: 'throttled' }],
  ['3.18', refusal('NO', 'Quota exceeded (mailbox for user is full)', 'OVERQUOTA'), { kind: 'refused' }],
  ['3.4', refusal('NO', 'Account exceeded command or bandwidth limits'), { kind: 'throttled' }],
  ['3.4', refusal('BYE', 'Session expired'), { kind: 'refused' }],
  ['3.4', refusal('NO', 'CAPABILITY Rate limit hit.'), { kind: 'throttled' }],
  ['3.7', refusal('NO', 'Maximum number of connections from user+IP exceeded', 'UNAVAILABLE'), { kind: 'refused' }],
  ['3.8', refusal('NO', 'LOGIN DENIED -- TOO MANY FAILURES', 'ALERT'), { kind: 'refused' }],
  ['3.8', refusal('NO', 'Invalid credentials (Failure)', 'AUTHENTICATIONFAILED'), { kind: 'credentials' }],
  ['3.8', refusal('NO', 'LOGIN failed.'), { kind: 'credentials' }],
  ['3.10', refusal('BYE', 'User is authenticated but not connected.'), { kind: 'forbidden' }],
  ['3.10', refusal('NO', 'IMAP access is disabled for your account'), { kind: 'forbidden' }],
  ['3.18', refusal('NO', 'x', 'AUTHENTICATIONFAILED'), { kind: 'credentials' }],
  ['3.18', refusal('NO', 'x', 'AUTHORIZATIONFAILED'), { kind: 'credentials' }],
  ['3.18', refusal('NO', 'x', 'EXPIRED'), { kind: 'credentials' }],
  ['3.18', refusal('NO', 'Web login required.', 'WEBALERT https://accounts.example.com/signin'), { kind: 'credentials' }],
  ['3.18', refusal('NO', 'x', 'UNAVAILABLE'), { kind: 'refused' }],
  ['3.18', refusal('NO', 'x', 'INUSE'), { kind: 'refused' }],
  ['3.18', refusal('NO', 'x', 'LIMIT'), { kind: 'refused' }],
  ['3.18', refusal('NO', 'x', 'SERVERBUG'), { kind: 'refused' }],
  ['3.18', refusal('NO', 'x', 'PRIVACYREQUIRED'), { kind: 'forbidden' }],
  ['3.18', refusal('NO', 'x', 'CONTACTADMIN'), { kind: 'forbidden' }],
  ['3.18', refusal('NO', 'x', 'NOPERM'), { kind: 'forbidden' }],
  ['3.18', refusal('no', 'x', 'authenticationfailed'), { kind: 'credentials' }],
  ['5530', refusal('BAD', 'Command unknown'), { kind: 'refused' }],
];

const AFTER_LOGIN: readonly (readonly [paragraph: string, refused: ServerRefusal, failure: ClassifiedFailure])[] = [
  ['3.4', refusal('NO', 'Request is throttled. Suggested Backoff Time: 299961 milliseconds'), { kind: 'throttled', retryAfterMs: 299_961 }],
  ['3.11', refusal('NO', 'UID FETCH Server error', 'UNAVAILABLE'), { kind: 'refused' }],
  ['3.14', refusal('NO', 'SELECT Unsafe Login. Please contact the administrator for help'), { kind: 'forbidden' }],
  ['3.10', refusal('BAD', 'User is authenticated but not connected.'), { kind: 'forbidden' }],
  ['3.18', refusal('NO', 'x', 'AUTHENTICATIONFAILED'), { kind: 'refused' }],
  ['3.18', refusal('NO', 'x', 'EXPIRED'), { kind: 'refused' }],
  ['5530', refusal('NO', 'x', 'NONEXISTENT'), { kind: 'missing' }],
  ['5530', refusal('NO', 'x', 'TRYCREATE'), { kind: 'missing' }],
  ['5530', refusal('NO', "Mailbox doesn't exist: Gone"), { kind: 'missing' }],
  ['', refusal('NO', 'whatever'), { kind: 'refused' }],
  ['', refusal('BAD', ''), { kind: 'refused' }],
];

describe('a refused login', () => {
  test.each(AT_LOGIN)('TRAPS %s: %j', (_, refused, failure) => {
    expect(classifyLoginRefusal(refused)).toEqual(failure);
  });
});

describe('a refused command after login', () => {
  test.each(AFTER_LOGIN)('TRAPS %s: %j', (_, refused, failure) => {
    expect(classifyRefusal(refused)).toEqual(failure);
  });

  test('is never the fault of the credentials, whatever it says', () => {
    holds(
      fc.property(
        fc.constantFrom('NO', 'BAD', 'BYE'),
        fc.string(),
        fc.constantFrom('AUTHENTICATIONFAILED', 'constructor', '__proto__', ''),
        (status, text, code) => {
          expect(classifyRefusal({ status, text, code }).kind).not.toBe('credentials');
        },
      ),
    );
  });
});

describe('the response code a POP3 client gets (TRAPS 3.18)', () => {
  test.each([
    ['UNAVAILABLE', 'SYS/TEMP'],
    ['INUSE', 'SYS/TEMP'],
    ['LIMIT', 'SYS/TEMP'],
    ['OVERQUOTA', 'SYS/TEMP'],
    ['SERVERBUG', 'SYS/TEMP'],
    ['PRIVACYREQUIRED', 'SYS/PERM'],
    ['CONTACTADMIN', 'SYS/PERM'],
    ['REFERRAL imap://mail.example.com/', 'SYS/PERM'],
    ['NOPERM', 'SYS/PERM'],
    ['NONEXISTENT', 'SYS/PERM'],
  ])('for %s is %s', (code, responseCode) => {
    const { kind } = classifyRefusal(refusal('NO', 'x', code));
    expect(replyForError(new UpstreamError(kind, 'x')).code).toBe(responseCode);
  });
});

describe('a connection that fails', () => {
  const CODES: readonly (readonly [code: string | undefined, kind: UpstreamFailureKind])[] = [
    ['ECONNREFUSED', 'unreachable'],
    ['ENOTFOUND', 'unreachable'],
    ['ECONNRESET', 'unreachable'],
    ['ETIMEDOUT', 'timeout'],
    ['CONNECT_TIMEOUT', 'timeout'],
    ['GREETING_TIMEOUT', 'timeout'],
    ['ETHROTTLE', 'throttled'],
    ['CERT_HAS_EXPIRED', 'tls'],
    ['DEPTH_ZERO_SELF_SIGNED_CERT', 'tls'],
    ['SELF_SIGNED_CERT_IN_CHAIN', 'tls'],
    ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'tls'],
    ['ERR_TLS_CERT_ALTNAME_INVALID', 'tls'],
    ['ERR_SSL_WRONG_VERSION_NUMBER', 'refused'],
    [undefined, 'unreachable'],
    ['SOMETHING_NEW', 'unreachable'],
  ];
  test.each(CODES)('with %s is %s', (code, kind) => {
    expect(classifyConnectionFailure(code)).toBe(kind);
  });
});
