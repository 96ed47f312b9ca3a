import { describe, expect, test } from 'vitest';
import {
  BusyError,
  ConfigError,
  CredentialsError,
  InvariantError,
  StoreError,
  toBridgeError,
  UpstreamError,
  type BridgeError,
} from '../../../src/errors.ts';
import { encodeStatus } from '../../../src/pop3/reply.ts';
import { replyForError } from '../../../src/pop3/reply-for-error.ts';

const UPSTREAM_TEXT = '[AUTH] SECRET upstream text\r\n+OK';

const TABLE: readonly (readonly [error: BridgeError, line: string])[] = [
  [new CredentialsError('AUTH_REFUSED', UPSTREAM_TEXT), '-ERR [AUTH] user name or password refused'],
  [new CredentialsError('AUTH_REFUSED_BEFORE', UPSTREAM_TEXT), '-ERR [AUTH] user name or password refused'],
  [new CredentialsError('AUTH_UNKNOWN_USER', UPSTREAM_TEXT), '-ERR [AUTH] user name or password refused'],
  [new BusyError('MAILDROP_IN_USE', UPSTREAM_TEXT), '-ERR [IN-USE] maildrop is in use by another session'],
  [new BusyError('LOGIN_DELAY', UPSTREAM_TEXT), '-ERR [LOGIN-DELAY] last login was too recent, try later'],
  [new BusyError('SESSION_LIMIT', UPSTREAM_TEXT), '-ERR [SYS/TEMP] too many sessions, try later'],
  [new BusyError('LOGIN_BACKOFF', UPSTREAM_TEXT), '-ERR [SYS/TEMP] too many refused logins, try later'],
  [new BusyError('STATE_IN_USE', UPSTREAM_TEXT), '-ERR [SYS/TEMP] not ready, try later'],
  [new UpstreamError('unreachable', UPSTREAM_TEXT), '-ERR [SYS/TEMP] mail server cannot be reached'],
  [new UpstreamError('timeout', UPSTREAM_TEXT), '-ERR [SYS/TEMP] mail server did not answer in time'],
  [new UpstreamError('tls', UPSTREAM_TEXT), '-ERR [SYS/PERM] mail server certificate or TLS is not acceptable, see the log'],
  [new UpstreamError('refused', UPSTREAM_TEXT), '-ERR [SYS/TEMP] mail server refused the request'],
  [new UpstreamError('throttled', UPSTREAM_TEXT), '-ERR [SYS/TEMP] mail server is throttling, try later'],
  [
    new UpstreamError('throttled', UPSTREAM_TEXT, { retryAfterMs: 299_961 }),
    '-ERR [SYS/TEMP] mail server is throttling, try later (in 300 s)',
  ],
  [new UpstreamError('forbidden', UPSTREAM_TEXT), '-ERR [SYS/PERM] mail server does not permit this, ask its administrator'],
  [new UpstreamError('missing', UPSTREAM_TEXT), '-ERR [SYS/PERM] mailbox does not exist on the mail server'],
  [new UpstreamError('protocol', UPSTREAM_TEXT), '-ERR [SYS/TEMP] mail server gave an answer that makes no sense'],
  [new UpstreamError('incomplete', UPSTREAM_TEXT), '-ERR [SYS/TEMP] mail server gave an incomplete listing, try again'],
  [new UpstreamError('message-gone', UPSTREAM_TEXT), '-ERR message is no longer on the server'],
  [new UpstreamError('message-unreadable', UPSTREAM_TEXT), '-ERR [SYS/TEMP] message cannot be read now'],
  [new StoreError('STORE_FAILED', UPSTREAM_TEXT), '-ERR [SYS/TEMP] internal error, try again'],
  [new InvariantError(UPSTREAM_TEXT), '-ERR [SYS/TEMP] internal error, try again'],
  [new ConfigError([{ file: 'a.toml', key: 'k', problem: UPSTREAM_TEXT }]), '-ERR [SYS/TEMP] internal error, try again'],
  [toBridgeError(new TypeError(UPSTREAM_TEXT)), '-ERR [SYS/TEMP] internal error, try again'],
];

describe('a failure told to a client', () => {
  test.each(TABLE)('%s is answered %s', (error, line) => {
    expect(encodeStatus(replyForError(error))).toBe(`${line}\r\n`);
  });

  test('never holds a word of the upstream', () => {
    for (const [error] of TABLE) expect(encodeStatus(replyForError(error))).not.toContain('SECRET');
  });

  test('is [AUTH] for credentials alone, [IN-USE] for a locked maildrop alone (CONTRACT section 5.8)', () => {
    for (const [error] of TABLE) {
      const { code } = replyForError(error);
      expect(code === 'AUTH').toBe(error instanceof CredentialsError);
      expect(code === 'IN-USE').toBe(error.code === 'MAILDROP_IN_USE');
    }
  });

  test('is [SYS/PERM] only where trying again is of no use', () => {
    for (const [error] of TABLE) if (replyForError(error).code === 'SYS/PERM') expect(error.temporary).toBe(false);
  });
});
