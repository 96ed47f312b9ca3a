import { expect, test } from 'vitest';
import { UpstreamError } from '../../../src/errors.ts';
import { outsideUidSpace } from '../../../src/imap/uid-space.ts';

test.for([
  ['a UID', 0],
  ['a UID', 4_294_967_296],
  ['a UIDVALIDITY of INBOX', 'soon'],
  ['a UIDVALIDITY of INBOX', ''],
] as const)('a failure over %s of %j is permanent: trying again gives no other number', ([what, value]) => {
  const failure = outsideUidSpace(what, value);
  expect(failure).toBeInstanceOf(UpstreamError);
  expect([failure.kind, failure.temporary, failure.retryAfterMs]).toEqual(['unsupported', false, undefined]);
});

test('the failure tells what was given, and what would be right', () => {
  const { message } = outsideUidSpace('a UIDVALIDITY of Sent', '4294967296');
  expect(message).toContain('a UIDVALIDITY of Sent of 4294967296');
  expect(message).toContain('from 1 to 4294967295');
});
