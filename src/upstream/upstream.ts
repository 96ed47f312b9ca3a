/**
 * The port to an IMAP server: all that a POP3 session needs of it. Every call takes a signal that cancels it, keeps its own
 * deadline, and rejects with UpstreamError, login also with CredentialsError. After a rejection the session may be unusable;
 * `isUsable` tells.
 */
import type { ChosenFolder, ListedFolder } from '../imap/special-use.ts';
import type { Uid, UidValidity } from '../maildrop/numbers.ts';

/** Name and password as the IMAP server knows them. */
export interface UpstreamLogin {
  readonly user: string;
  /** With `isToken` an access token of OAuth 2.0. */
  readonly password: string;
  readonly isToken?: boolean;
  /**
   * What has to be the same for a connection that was kept to serve this login too; by default the password. Who gives it has proven in
   * another way for whom the connection is.
   */
  readonly provenAs?: string;
}

/** `isApart`: on a connection of its own, that nobody else is served by. */
export interface LoginHow {
  readonly isApart?: boolean;
}

export interface Upstream {
  /** A session on a fresh connection, or unless told otherwise on one that the same password opened before. */
  login(login: UpstreamLogin, signal: AbortSignal, how?: LoginHow): Promise<UpstreamSession>;
  /** Keeps no connection any more: those in use end with their sessions. */
  retire(): Promise<void>;
}

/** What the server can do that decides how messages are removed (RFC 6851, RFC 4315). */
export interface UpstreamAbilities {
  readonly move: boolean;
  readonly uidPlus: boolean;
  /** What others do in a mailbox is told at once, and they see at once what is done here (RFC 7162). */
  readonly condstore: boolean;
  /** Every capability, as announced after login. */
  readonly capabilities: readonly string[];
}

/** All folders of an account, and the prefix of the personal namespace. */
export interface FolderList {
  readonly folders: readonly ListedFolder[];
  readonly prefix: string;
}

/** Why a mailbox is selected: what will be asked for anyway is asked for at the same time. */
export type Purpose =
  | { readonly for: 'first-listing' | 'other' }
  /** `known` is what the previous listing left. */
  | { readonly for: 'listing'; readonly known: KnownEnd };

export interface UpstreamSession {
  /** `host:port`. */
  readonly server: string;
  readonly abilities: UpstreamAbilities;
  readonly isUsable: boolean;
  /** Its connection was there before: the server may have closed it without our knowing. */
  readonly isKept: boolean;
  /** IMAP operations so far, for the log. */
  readonly operations: number;
  /** Several may be open: each is selected again when it is used, under its UIDVALIDITY alone. */
  select(path: string, signal: AbortSignal, purpose?: Purpose): Promise<UpstreamMailbox>;
  folders(signal: AbortSignal): Promise<FolderList>;
  /** Whether the server lately ended the connection, more than once, when the folder was opened or listed. */
  isFatal(path: string): boolean;
  /** Whether the folder was not there when the account's sessions last tried to select it. */
  wasMissing(path: string): boolean;
  /** The session is over: the connection stays for the next one, or the server is told goodbye. Never rejects. */
  logout(): Promise<void>;
  /** Ends the connection at once, unless other sessions use it; after `logout` only where it was not to stay. */
  destroy(): void;
  /** Runs something when it is over, in whatever way. */
  onEnd(run: () => void): void;
}

/** Rows for messages not known before, in parallel arrays, ascending by UID. */
export interface ListingRows {
  readonly uids: Uid[];
  /** RFC822.SIZE as the server tells it; a hint, never a frame. */
  readonly octets: number[];
  /** INTERNALDATE in seconds since 1970, 0 where the server gives none. */
  readonly arrivals: number[];
  /** What the server calls the content, for ever and wherever it lies (EMAILID of RFC 8474, X-GM-MSGID); with its kind. */
  readonly identities: (string | undefined)[];
  /** Those that have one; nothing where they were not asked for. */
  readonly messageIds: Map<Uid, string>;
  /** Messages among them that are there though the server gives no row of them: size and date are not known. */
  readonly untold?: readonly Uid[];
}

export interface RowsRequest {
  /** Also asks for the Message-ID header. */
  readonly withMessageIds: boolean;
}

/** The end of what is known of a mailbox. */
export interface KnownEnd {
  /** How many messages are known in all. */
  readonly count: number;
  /** The highest UID of all. */
  readonly lastUid: Uid | undefined;
  /** Gives the UIDs of the last messages, at most that many, in ascending order. */
  lastUids(most: number): readonly Uid[];
}

/** What is known of a mailbox under its UIDVALIDITY: only what changed since is asked for. */
export interface KnownMailbox extends KnownEnd {
  /** UIDNEXT at the listing before; 0 where the server told none. */
  readonly uidNext: number;
  /** HIGHESTMODSEQ at the previous listing (RFC 7162 section 3.1.2.1); undefined if it is not known. */
  readonly modSeq: string | undefined;
  /** All of them, ascending. */
  uids(): readonly Uid[];
  /** INTERNALDATE in seconds since 1970; undefined where the message is not known. */
  arrivalOf(uid: Uid): number | undefined;
}

/** Of a mailbox seen for the first time. */
export const NOTHING_KNOWN: KnownMailbox = {
  uidNext: 0,
  count: 0,
  modSeq: undefined,
  lastUid: undefined,
  lastUids: () => [],
  uids: () => [],
  arrivalOf: () => undefined,
};

/** A whole mailbox: never a part of it (CONTRACT section 5.3). */
export interface Listing {
  readonly uidValidity: UidValidity;
  /** 0 where the server told none. */
  readonly uidNext: number;
  /** As in KnownMailbox; undefined where the server told none, or was not asked. */
  readonly modSeq: string | undefined;
  /** Every message, ascending by UID. */
  readonly uids: readonly Uid[];
  /** Those flagged \Deleted. */
  readonly deleted: ReadonlySet<Uid>;
  readonly added: ListingRows;
  /** Nothing came and nothing went: every message is one of those known. */
  readonly isUnchanged: boolean;
  /** What was known is of other messages under the same UIDs, as after a restore from backup: rows are of all messages. */
  readonly isOther: boolean;
}

/** `header` is BODY[HEADER]; `beginning` is read in small steps, for a caller that stops early. */
export type MessagePart = 'whole' | 'beginning' | 'header';

/** A message that may be asked for. */
export interface UpcomingMessage {
  readonly uid: Uid;
  /** RFC822.SIZE, to choose how to ask; never to cut. */
  readonly octets: number;
}

export interface FetchRequest extends UpcomingMessage {
  readonly part: MessagePart;
  /** Not in one piece: the server dropped the connection within it the last time. */
  readonly inWindows?: boolean;
  /** What is likely to be asked for next, in that order, in the same part and mailbox. */
  readonly ahead?: () => Iterator<UpcomingMessage>;
}

export type DeleteAction = 'trash' | 'expunge' | 'archive' | 'move' | 'flag';

/** What "delete" means upstream, as configured. */
export interface DeletePolicy {
  readonly action: DeleteAction;
  readonly folder: string | undefined;
  /** Mailboxes that clients see: what they delete must not come back to them from there. */
  readonly shown?: readonly string[];
}

/** How far a removal has come; only COPY can't be repeated, so only it has stages. */
export type RemovalStage = 'planned' | 'copying' | 'copied';

export interface Removal {
  readonly uids: readonly Uid[];
  readonly policy: DeletePolicy;
  readonly stage: RemovalStage;
  /** Must be on disk before it resolves. */
  readonly onStage: (stage: RemovalStage) => Promise<void>;
}

export interface RemovalResult {
  /** Still in the mailbox and not flagged \Deleted: not removed. */
  readonly remaining: readonly Uid[];
  /** Why, when the server refused something. */
  readonly problem: Error | undefined;
  /** The server can neither move nor expunge by UID: they were only flagged \Deleted. */
  readonly onlyFlagged: boolean;
}

export interface UpstreamMailbox {
  readonly path: string;
  readonly uidValidity: UidValidity;
  readonly isReadOnly: boolean;
  /** Lists the mailbox, to be called once, right after it was selected; rows are asked only for messages not known. */
  list(known: KnownMailbox, signal: AbortSignal): Promise<Listing>;
  /**
   * The octets of a message, as the server has them. Throws `message-gone` or `message-unreadable` before the first chunk
   * where that can be told; any failure later means that what was given is not the whole message.
   */
  fetch(request: FetchRequest, signal: AbortSignal): AsyncGenerator<Uint8Array, void, void>;
  /** Rows of those that are still in the mailbox. */
  rows(uids: readonly Uid[], request: RowsRequest, signal: AbortSignal): Promise<ListingRows>;
  /** The first 64 KiB of a message, as the server has them now: never kept ones. Undefined where it doesn't give them. */
  beginning(uid: Uid, signal: AbortSignal): Promise<Uint8Array | undefined>;
  /** Gives those of the messages that lack the flag \Seen. The UIDs have to ascend. */
  unseen(uids: readonly Uid[], signal: AbortSignal): Promise<ReadonlySet<Uid>>;
  /** Whether the message truly has no octets, by every way of asking. */
  isEmptyMessage(uid: Uid, signal: AbortSignal): Promise<boolean>;
  /** The Message-IDs, or what stands in for them (see messageIdIn), of those that have any. */
  messageIds(uids: readonly Uid[], signal: AbortSignal): Promise<ReadonlyMap<Uid, string>>;
  addSeen(uids: readonly Uid[], signal: AbortSignal): Promise<void>;
  /** Which of these messages are still in the mailbox, those flagged \Deleted among them unless told otherwise. */
  existing(uids: readonly Uid[], onlyUndeleted: boolean, signal: AbortSignal): Promise<Uid[]>;
  /** Removes messages; an UpstreamError means that the outcome is unknown. */
  remove(removal: Removal, signal: AbortSignal): Promise<RemovalResult>;
  /** No message will be fetched any more: what was read ahead is dropped. */
  close(): void;
  /** The folder that would take deleted messages under trash, archive or move; nothing is created. */
  expectedDestination(policy: DeletePolicy, signal: AbortSignal): Promise<ChosenFolder>;
}
