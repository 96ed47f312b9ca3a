/** What a server must give, and some do not: UIDs and UIDVALIDITY of 32 bits (RFC 3501 section 2.3.1.1). Pure. */
import { UpstreamError } from '../errors.ts';

/** For a number that no unique-id can be made of: trying again does not help, so the failure is permanent. */
export function outsideUidSpace(what: string, value: number | string): UpstreamError {
  return new UpstreamError(
    'unsupported',
    `the server gives ${what} of ${value}; it must be a number from 1 to 4294967295 (RFC 3501 section 2.3.1.1)`,
  );
}
