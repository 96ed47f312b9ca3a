/** Listings for the tests of the UID map: message n has 10 n octets and arrived at second 1000 n. */
import { newIds, uid, uidValidity } from '../../support/fake-maildrop.ts';
import { reconcile, type ListedMessages } from '../../../src/maildrop/reconcile.ts';
import type { UidMap } from '../../../src/maildrop/uid-map.ts';

/** A listing of those UIDs, with rows for `added` (all, when not given). */
export function listing(validity: number, listed: readonly number[], added: readonly number[] = listed): ListedMessages {
  return {
    uidValidity: uidValidity(validity),
    uidNext: 0,
    server: '',
    uids: listed.map(uid),
    added: { uids: added.map(uid), octets: added.map((one) => one * 10), arrivals: added.map((one) => one * 1000) },
  };
}

/** The map after a listing, with unique-ids under a template. */
export function reconciled(stored: UidMap | undefined, listed: ListedMessages, template = 'popbridge'): UidMap {
  return reconcile(stored, listed, newIds(listed.uidValidity, template));
}
