/** What the UPDATE state has to do upstream (RFC 1939 section 6), and how it went. */
import type { Uid } from './numbers.ts';

/** UIDs ascending, all from the session's snapshot, hence under its UIDVALIDITY. */
export interface UpdatePlan {
  readonly remove: readonly Uid[];
  /** Their octets, as LIST told them. */
  readonly removeOctets: number;
  /** Retrieved and kept; they become \\Seen at QUIT where `mark_seen = "on-quit"`. */
  readonly seen: readonly Uid[];
}

export type UpdateOutcome =
  | { readonly result: 'done' }
  | { readonly result: 'partial'; readonly failed: number; readonly total: number; readonly temporary: boolean }
  | { readonly result: 'unknown'; readonly total: number };
