/**
 * The port to what must survive: UID maps and the journal of deletions. Whatever resolves is on disk. Rejects with StoreError.
 */
import type { Uid, UidValidity } from '../maildrop/numbers.ts';
import type { Recognisable } from '../maildrop/rematch.ts';
import type { IdSource, UidMap } from '../maildrop/uid-map.ts';

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

/** A message that is no longer in its mailbox; should it come back, it gets its unique-id again. */
export interface GoneMessage extends Recognisable, IdSource {}

/** What is saved together with a map. */
export interface MapExtras {
  /** Identity keys by UID; '' for a message that was looked at and has none. */
  readonly identities: ReadonlyMap<Uid, string>;
  readonly gone: readonly GoneMessage[];
  /** Seconds since 1970; what went long before is forgotten. */
  readonly now: number;
}

export interface Store extends AsyncDisposable {
  /** The map of a mailbox, or undefined when there is none. Rejects with STORE_CORRUPT where it makes no sense. */
  loadMap(key: MailboxKey): Promise<UidMap | undefined>;
  /** Saves `next`, writing only the segments that are not the same objects as in `previous`, which must be what is stored; without one all of it. */
  saveMap(key: MailboxKey, previous: UidMap | undefined, next: UidMap, extras?: MapExtras): Promise<void>;
  /** Identity keys of the messages in a mailbox, in those segments or in all. */
  loadIdentities(key: MailboxKey, segments?: readonly number[]): Promise<ReadonlyMap<Uid, string>>;
  /** Adds identity keys; does nothing where the mailbox has another UIDVALIDITY by now. */
  addIdentities(key: MailboxKey, uidValidity: UidValidity, identities: ReadonlyMap<Uid, string>): Promise<void>;
  /** How many messages of each segment have been looked at for their identity. */
  identityCounts(key: MailboxKey): Promise<ReadonlyMap<number, number>>;
  /** The highest UID that was ever saved under that UIDVALIDITY; 0 for none. */
  highestUid(key: MailboxKey, uidValidity: UidValidity): Promise<number>;
  /** Messages that went within the last year and more, the latest first. */
  loadGone(key: MailboxKey): Promise<GoneMessage[]>;
  /** Open journal entries of a maildrop, oldest first. */
  openEntries(key: MaildropKey): Promise<JournalEntry[]>;
  /** Writes a journal entry and gives its id. */
  addEntry(key: MaildropKey, entry: Omit<JournalEntry, 'id'>): Promise<number>;
  setStage(id: number, stage: string): Promise<void>;
  removeEntry(id: number): Promise<void>;
  /** Ids of all upstreams that have maps. */
  upstreams(): Promise<string[]>;
}
