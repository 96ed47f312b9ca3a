/**
 * The port to what must survive: UID maps and the journal of deletions. Whatever resolves is on disk. Rejects with StoreError.
 */
import type { Uid, UidValidity } from '../maildrop/numbers.ts';
import type { Identity, Recognisable } from '../maildrop/rematch.ts';
import type { IdSource, MessageState, UidMap } from '../maildrop/uid-map.ts';
import type { UniqueIdFormula } from '../maildrop/unique-id.ts';

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
  /** On which server it was promised, as in UidMap: it is carried out on no other. '' where that was not written down. */
  readonly server: string;
  readonly path: string;
  readonly uidValidity: UidValidity;
  readonly uids: readonly Uid[];
  readonly action: string;
  readonly folder: string | undefined;
  readonly stage: string;
}

/** A message that is no longer in its mailbox; should it come back, it gets its unique-id again, and all else that was known of it. */
export interface GoneMessage extends Recognisable, IdSource {
  readonly trueOctets: number | undefined;
  /** On which server it was, as in UidMap: a deletion that waits is carried out on no other. */
  readonly server: string;
  readonly state: MessageState;
}

/** A message that went, and from where. */
export interface Tombstone extends GoneMessage {
  readonly path: string;
  /** Seconds since 1970. */
  readonly goneAt: number;
}

/** How a map has changed, and what is saved together with it. */
export interface MapChange {
  readonly key: MailboxKey;
  /** What is stored: only segments that are other objects in `next` are written. Undefined: all of it is new, identities too. */
  readonly previous: UidMap | undefined;
  readonly next: UidMap;
  readonly identities?: ReadonlyMap<Uid, Identity>;
  readonly gone?: readonly GoneMessage[];
  /** Ids of messages that were remembered as gone and are in this map again. */
  readonly found?: readonly IdSource[];
  /** The template from which all its unique-ids can be made again and nothing else is lost with it; undefined where there is none. */
  readonly derivation?: string | undefined;
}

/** By what messages that went are found: keys of identities, unique-ids in lower case, arrival with size. One of them is enough. */
export interface Resemblance {
  readonly given: readonly string[];
  readonly messageIds: readonly string[];
  readonly uniqueIds: readonly string[];
  readonly looks: readonly { readonly arrival: number; readonly octets: number }[];
}

/** Unique-ids that mailboxes of a maildrop gave away, whether a message has them still or not. */
export interface UsedIds {
  /** The highest UID that was ever listed under each UIDVALIDITY. */
  readonly epochs: readonly { readonly path: string; readonly uidValidity: number; readonly highestUid: number }[];
  /** Of ids that no message has any more, by the formula from which they followed, the highest UID that stood in one. */
  readonly formulas: readonly { readonly path: string; readonly formula: UniqueIdFormula; readonly highestUid: number }[];
}

/** How often RFC822.SIZE was what RETR sent, of one upstream. */
export interface SizeVerdict {
  readonly measured: number;
  readonly differing: number;
  /** The largest difference, in octets. */
  readonly largest: number;
}

/** The right to a maildrop, among all processes that share the store. */
export interface Lease {
  release(): Promise<void>;
}

export interface Store extends AsyncDisposable {
  /** Undefined where another has it. `onLost` is called when it is lost before it was released; whoever holds it must stop at once. */
  acquireLease(key: MaildropKey, onLost: () => void): Promise<Lease | undefined>;
  /** The map of a mailbox, or undefined when there is none. Rejects with STORE_CORRUPT where it makes no sense. */
  loadMap(key: MailboxKey): Promise<UidMap | undefined>;
  /** Saves maps in one transaction. `now` in seconds since 1970: what went long before is forgotten. */
  saveMaps(changes: readonly MapChange[], now: number): Promise<void>;
  /** The template from which a damaged map can be made again; undefined where that would change unique-ids. */
  derivationOf(key: MailboxKey): Promise<string | undefined>;
  /** Identities of the messages in a mailbox, in those segments or in all. */
  loadIdentities(key: MailboxKey, segments?: readonly number[]): Promise<ReadonlyMap<Uid, Identity>>;
  /** Adds to what is known; does nothing where the mailbox has another UIDVALIDITY by now. */
  addIdentities(key: MailboxKey, uidValidity: UidValidity, identities: ReadonlyMap<Uid, Identity>): Promise<void>;
  /** How many messages of each segment have been looked at for their Message-ID. */
  identityCounts(key: MailboxKey): Promise<ReadonlyMap<number, number>>;
  /** What is known of all unique-ids that a maildrop ever gave away. */
  usedIds(key: MaildropKey): Promise<UsedIds>;
  /** Which of those texts, in lower case, are ids that messages had before they went: all that are remembered, and those that follow from no formula. */
  idsAmong(key: MaildropKey, uniqueIds: Iterable<string>): Promise<ReadonlySet<string>>;
  /** Messages that went from a maildrop within the last year and more, the latest first, in parts. Of very many only the latest are remembered. */
  allGone(key: MaildropKey): AsyncIterable<readonly Tombstone[]>;
  /** Those of them that resemble others, the latest first. */
  findGone(key: MaildropKey, like: Resemblance): Promise<Tombstone[]>;
  /** True where a Message-ID could tell that one of them came back. */
  hasGoneMessageIds(key: MaildropKey): Promise<boolean>;
  /** Whether any message of the maildrop is remembered that went. */
  hasGone(key: MaildropKey): Promise<boolean>;
  /** Open journal entries of a maildrop, oldest first. */
  openEntries(key: MaildropKey): Promise<JournalEntry[]>;
  /** Writes journal entries in one transaction and gives their ids. */
  addEntries(key: MaildropKey, entries: readonly Omit<JournalEntry, 'id'>[]): Promise<number[]>;
  setStage(id: number, stage: string): Promise<void>;
  removeEntry(id: number): Promise<void>;
  /** Maildrops of an account in which something promised or due by then is still to be done upstream. */
  unfinished(account: Omit<MaildropKey, 'view'>, now: number): Promise<MaildropKey[]>;
  /** Every mailbox there is a map of; those of one upstream and user, or all. */
  mailboxes(of?: Partial<MaildropKey>): Promise<MailboxKey[]>;
  noteSizes(upstream: string, verdict: SizeVerdict): Promise<void>;
  sizeVerdict(upstream: string): Promise<SizeVerdict>;
}
