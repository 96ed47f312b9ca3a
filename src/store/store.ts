/**
 * The port to what must survive: UID maps and the journal of deletions. Whatever resolves is on disk. Rejects with StoreError.
 */
import type { Uid, UidValidity } from '../maildrop/numbers.ts';
import type { UidMap } from '../maildrop/uid-map.ts';

/** Whose maildrop: injective over upstream, IMAP user and view. */
export interface MaildropKey {
  readonly upstream: string;
  readonly user: string;
  readonly view: string;
}

/** A mailbox within a maildrop. */
export interface MailboxKey {
  readonly maildrop: MaildropKey;
  readonly path: string;
}

/** What DELE and QUIT promised and is not known to be done. */
export interface JournalEntry {
  readonly id: number;
  readonly path: string;
  readonly uidValidity: UidValidity;
  readonly uids: readonly Uid[];
  readonly action: string;
  readonly folder: string | undefined;
  readonly stage: string;
}

export interface Store extends AsyncDisposable {
  /** The map of a mailbox, or undefined when there is none. Rejects with STORE_CORRUPT where it makes no sense. */
  loadMap(key: MailboxKey): Promise<UidMap | undefined>;
  /** Saves `next`, writing only the segments that are not the same objects as in `previous`, which must be what is stored; without one all of it. */
  saveMap(key: MailboxKey, previous: UidMap | undefined, next: UidMap): Promise<void>;
  /** Open journal entries of a maildrop, oldest first. */
  openEntries(key: MaildropKey): Promise<JournalEntry[]>;
  /** Writes a journal entry and gives its id. */
  addEntry(key: MaildropKey, entry: Omit<JournalEntry, 'id'>): Promise<number>;
  setStage(id: number, stage: string): Promise<void>;
  removeEntry(id: number): Promise<void>;
  /** Ids of all upstreams that have maps. */
  upstreams(): Promise<string[]>;
}
