/** Maps and keys for the tests of the store. */
import { newIds, uid, uidValidity } from '../../support/fake-maildrop.ts';
import { reconcile } from '../../../src/maildrop/reconcile.ts';
import type { UidMap } from '../../../src/maildrop/uid-map.ts';
import type { MailboxKey } from '../../../src/store/store.ts';

/** A mailbox of a user: of upstream "one", without a view, unless said otherwise. */
export function keyOf(user: string, { upstream = 'one', view = '', path = 'INBOX' } = {}): MailboxKey {
  return { maildrop: { upstream, user, view }, path };
}

/** The map after those UIDs were listed, with octets and arrivals of ten times the UID. */
export function mapOf(numbers: readonly number[], validity = 7, stored?: UidMap): UidMap {
  const all = numbers.map(uid);
  const octets = numbers.map((number) => number * 10);
  const listed = { uidValidity: uidValidity(validity), uidNext: 0, server: '', uids: all, added: { uids: all, octets, arrivals: octets } };
  return reconcile(stored, listed, newIds(listed.uidValidity));
}
