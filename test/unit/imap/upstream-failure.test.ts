import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { holds } from '../../support/holds.ts';
import {
  classifyConnectionFailure,
  classifyLoginRefusal,
  classifyRefusal,
  isCoded,
  refusesTheWay,
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

/** A NO without a code, as servers word it, and what it means; `way` is `forbidden`, said of the command or the mechanism. */
const WORDINGS: readonly (readonly [server: string, text: string, meaning: ClassifiedFailure['kind'] | 'way'])[] = [
  // Nothing, or the password.
  ['UW', 'LOGIN failed', 'credentials'],
  ['UW', 'AUTHENTICATE PLAIN failed', 'credentials'],
  ['Courier', 'Login failed.', 'credentials'],
  ['Exchange', 'AUTHENTICATE failed.', 'credentials'],
  ['Dovecot', 'Authentication failed.', 'credentials'],
  ['Cyrus', 'Login failed: authentication failure', 'credentials'],
  ['Cyrus', 'Login failed: user not found', 'credentials'],
  ['Cyrus', 'Invalid user', 'credentials'],
  ['hMailServer', 'Invalid user name or password.', 'credentials'],
  ['Kerio', 'AUTHENTICATE Unknown user or incorrect password', 'credentials'],
  ['GroupWise', 'LOGIN authentication failure', 'credentials'],
  ['CommuniGate', 'incorrect password or account name', 'credentials'],
  ['MDaemon', 'LOGIN access denied', 'credentials'],
  ['Perdition', 'Re-Authentication Failure', 'credentials'],
  ['163', 'LOGIN Login error or password error', 'credentials'],
  [
    'QQ',
    'Login fail. Account is abnormal, service is not open, password is incorrect, login frequency limited, or system is busy.',
    'credentials',
  ],
  ['Yandex', 'LOGIN Invalid credentials or IMAP is disabled', 'credentials'],
  ['Gmail', 'Application-specific password required: https://support.google.com/accounts/answer/185833 (Failure)', 'credentials'],
  ['Gmail', 'Please log in via your web browser: https://support.google.com/mail/accounts/answer/78754 (Failure)', 'credentials'],
  ['localised', 'Anmeldung fehlgeschlagen', 'credentials'],
  ['localised', '\xb5\xc7\xc2\xbc', 'credentials'],
  ['', 'The password you entered is incorrect', 'credentials'],
  ['', 'Your password has expired', 'credentials'],
  ['', 'Authentication failed. Please check your username and password and try again later', 'credentials'],
  ['', 'No such user', 'credentials'],
  ['', 'Unable to authenticate', 'credentials'],
  ['', 'Could not log in', 'credentials'],
  ['', 'Authentication failed, please try again', 'credentials'],
  ['', 'Invalid login or temporary failure', 'credentials'],
  // The server's own trouble.
  ['', 'System error', 'refused'],
  ['Zimbra', 'LOGIN failure. Server error', 'refused'],
  ['Zimbra', 'account is in maintenance mode', 'refused'],
  ['Yahoo', 'LOGIN Server error - Please try again later', 'refused'],
  ['Cyrus', 'Login failed: generic failure', 'refused'],
  ['Cyrus', 'Login failed: remote authentication server unavailable', 'refused'],
  ['Courier', 'Temporary problem, please try again', 'refused'],
  ['Courier', 'Fatal error: Input/output error', 'refused'],
  ['Dovecot', 'Internal login failure. Refer to server log for more information.', 'refused'],
  ['Dovecot', "Authentication server isn't responding, try again later..", 'refused'],
  ['Dovecot', 'Temporary authentication failure. [host:2026-07-01 00:00:00]', 'refused'],
  ['Dovecot', 'Internal error occurred. Refer to server log for more information.', 'refused'],
  ['hMailServer', 'Authentication failed. Too many invalid logon attempts.', 'refused'],
  ['Domino', 'Unable to open mail file', 'refused'],
  ['GroupWise', 'LOGIN The post office is not available', 'refused'],
  ['imapproxy', 'Could not contact authentication backend', 'refused'],
  ['Perdition', 'Could not connect to real-server', 'refused'],
  ['nginx', 'Cannot connect to IMAP server', 'refused'],
  ['Gmail', 'Lookup failed 12mb1234567', 'refused'],
  ['163', 'LOGIN user login frequency limited', 'refused'],
  ['', 'LDAP server is down', 'refused'],
  ['', 'Error opening password database', 'refused'],
  ['', 'Password database error', 'refused'],
  ['', 'SQL query failed', 'refused'],
  ['', 'Authentication service timed out', 'refused'],
  ['', 'Authentication mechanism temporarily unavailable', 'refused'],
  ['', 'Mailbox is locked by another session', 'refused'],
  ['', 'Server is shutting down', 'refused'],
  ['', 'account temporarily disabled', 'refused'],
  // The command or the mechanism.
  ['Zimbra, nginx', 'cleartext logins disabled', 'way'],
  ['Zimbra, nginx', 'mechanism not supported', 'way'],
  ['Cyrus', 'Login only available under a layer', 'way'],
  ['Cyrus', 'no mechanism available', 'way'],
  ['Cyrus', 'encryption needed to use mechanism', 'way'],
  ['Dovecot', 'Unsupported authentication mechanism.', 'way'],
  ['Dovecot', 'Plaintext authentication disallowed on non-secure (SSL/TLS) connections.', 'way'],
  ['CommuniGate', 'secure connection required', 'way'],
  ['', 'mechanism not available', 'way'],
  ['', 'Authentication mechanism unavailable', 'way'],
  ['', 'unknown login method', 'way'],
  ['', 'Authentication disabled', 'way'],
  ['', 'LOGIN is not permitted', 'way'],
  ['', 'Plain text login not allowed', 'way'],
  ['', 'Basic authentication is disabled', 'way'],
  ['', 'You must use STARTTLS before you log in', 'way'],
  // The account.
  ['Dovecot', 'Account is disabled', 'forbidden'],
  ['Cyrus', 'Login failed: account disabled', 'forbidden'],
  ['163', 'LOGIN user suspended', 'forbidden'],
  ['Zimbra', 'account not active', 'forbidden'],
  ['Zoho', 'You are yet to enable IMAP for your account. Please contact your administrator', 'forbidden'],
  ['Gmail', 'Your account is not enabled for IMAP use. Please visit your Gmail settings page (Failure)', 'forbidden'],
  ['GMX', 'IMAP access is currently disabled for your account', 'forbidden'],
  ['QQ', 'Login failure or your account is not enabled for IMAP. [\xb5\xc7\xc2\xbc]', 'forbidden'],
  ['', 'user disabled', 'forbidden'],
];

describe('a NO to a login that has no code', () => {
  test.each(WORDINGS)('%s: "%s" is %s', (_, text, meaning) => {
    for (const code of [undefined, 'ALERT']) {
      const refused = refusal('NO', text, code);
      expect(classifyLoginRefusal(refused)).toEqual({ kind: meaning === 'way' ? 'forbidden' : meaning });
      expect(refusesTheWay(refused)).toBe(meaning === 'way');
      expect(isCoded(refused)).toBe(false);
    }
  });

  test.each(WORDINGS)('with one means what the code says (%s: "%s")', (_, text) => {
    const refused = refusal('NO', text, 'AUTHENTICATIONFAILED');
    expect(classifyLoginRefusal(refused)).toEqual({ kind: 'credentials' });
    expect(refusesTheWay(refused)).toBe(false);
    expect(isCoded(refused)).toBe(true);
  });

  test('is read in a time that its length does not multiply', () => {
    for (const piece of ['bad ', 'invalid a ', 'password is ', 'log in ', 'check your ', 'use ', 'ssl ', 'server ', 'unable to ']) {
      const startedAt = performance.now();
      classifyLoginRefusal(refusal('NO', piece.repeat(20_000)));
      expect(performance.now() - startedAt).toBeLessThan(2_000);
    }
  });
});

test.each([
  ['BAD', 'unknown command', undefined, true],
  ['BAD', 'Command received in Invalid state.', undefined, true],
  ['BAD', '', undefined, true],
  ['NO', 'unsupported authentication mechanism', 'CANNOT', true],
  ['NO', 'use TLS', 'PRIVACYREQUIRED', true],
  ['BAD', 'invalid credentials', undefined, false],
  ['BAD', 'User is authenticated but not connected.', undefined, false],
  ['BAD', 'Request is throttled. Suggested Backoff Time: 1500 milliseconds', undefined, false],
  ['BAD', 'internal server error', undefined, false],
  ['BYE', 'too busy', undefined, false],
  ['BYE', 'mechanism not available', undefined, false],
  ['NO', 'mechanism not available', 'UNAVAILABLE', false],
  ['NO', 'no such mechanism', 'CONTACTADMIN', false],
])('%s %j with code %s: the way to log in is refused: %s', (status, text, code, expected) => {
  expect(refusesTheWay(refusal(status, text, code))).toBe(expected);
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
