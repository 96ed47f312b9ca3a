/**
 * Under which HIGHESTMODSEQ (RFC 7162 section 3.1.2.1) each mailbox of a maildrop was listed when its map was last stored: as long as the server
 * tells the same number, nothing has changed there. It is kept in memory, for without it more is asked for, and nothing is lost.
 */
import { LRUCache } from 'lru-cache';
import type { MailboxKey } from '../store/store.ts';

const MAX_MAILBOXES = 20_000;

export class ListedChanges {
  readonly #modSeqs = new LRUCache<string, string>({ maxSize: MAX_MAILBOXES, sizeCalculation: () => 1 });

  /** Undefined where it is not known. */
  modSeqOf(key: MailboxKey): string | undefined {
    return this.#modSeqs.get(nameOf(key));
  }

  /** To be called when the map that came of the listing is stored. */
  noteStored(key: MailboxKey, modSeq: string): void {
    this.#modSeqs.set(nameOf(key), modSeq);
  }
}

function nameOf({ maildrop: { upstream, user, view }, path }: MailboxKey): string {
  return JSON.stringify([upstream, user, view, path]);
}
