/**
 * Remembers the HIGHESTMODSEQ (RFC 7162 section 3.1.2.1) of each mailbox at the listing from which its map was last stored. As long as the server
 * tells the same number, nothing has changed in the mailbox. It lives in memory only: without it, messages are counted instead of compared.
 */
import { LRUCache } from 'lru-cache';
import type { MailboxKey } from '../store/store.ts';

const MAX_MAILBOXES = 20_000;

export class ListedChanges {
  readonly #modSeqs = new LRUCache<string, string>({ maxSize: MAX_MAILBOXES, sizeCalculation: () => 1 });

  /** Gives undefined if it is not known. */
  modSeqOf(key: MailboxKey): string | undefined {
    return this.#modSeqs.get(nameOf(key));
  }

  /** Call this once the map that the listing led to has been stored. */
  noteStored(key: MailboxKey, modSeq: string): void {
    this.#modSeqs.set(nameOf(key), modSeq);
  }
}

function nameOf({ maildrop: { upstream, user, view }, path }: MailboxKey): string {
  return JSON.stringify([upstream, user, view, path]);
}
