/** What the UPDATE state has to do upstream (RFC 1939 section 6), and how it went. */
import type { Uid } from './numbers.ts';

/** For one mailbox. UIDs ascending, all from the session's snapshot, hence under its UIDVALIDITY. */
export interface MailboxPlan {
  /** Its place in the snapshot. */
  readonly mailbox: number;
  readonly remove: readonly Uid[];
  /** Retrieved and kept; they become \\Seen at QUIT where `mark_seen = "on-quit"`. */
  readonly seen: readonly Uid[];
}

export interface UpdatePlan {
  readonly mailboxes: readonly MailboxPlan[];
  readonly removeCount: number;
  /** As LIST told them. */
  readonly removeOctets: number;
}

export type UpdateOutcome =
  | { readonly result: 'done' }
  | { readonly result: 'partial'; readonly failed: number; readonly total: number; readonly temporary: boolean }
  | { readonly result: 'unknown'; readonly total: number };
