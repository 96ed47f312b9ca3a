/**
 * UID sets in IMAP's notation (RFC 3501 section 9, sequence-set). Only truly consecutive UIDs become a range: a gap may hold
 * a message that is not ours to touch.
 */
import type { Uid } from '../maildrop/numbers.ts';

/** Longest set put into one command, in characters (TRAPS: Dovecot's line limit is 64 KiB, others choke far below). */
export const MAX_SET_CHARACTERS = 7_000;

/** Messages one command names at most: some providers answer for no more (RFC 9738, TRAPS 3.11 and 3.15). */
export const MESSAGES_PER_COMMAND = 1_000;

/** A part of a list of UIDs, as one command names it. */
export interface UidBatch {
  readonly set: string;
  readonly uids: readonly Uid[];
}

/** Cuts ascending UIDs into batches, each of at most `maxMessages` UIDs and MAX_SET_CHARACTERS of notation. */
export function uidBatches(uids: readonly Uid[], maxMessages: number = Number.POSITIVE_INFINITY): UidBatch[] {
  const batches: UidBatch[] = [];
  let start = 0;
  let parts: string[] = [];
  let characters = 0;
  for (const [from, to] of runs(uids, maxMessages)) {
    const part = notation(uids, from, to);
    if (parts.length > 0 && (characters + part.length + 1 > MAX_SET_CHARACTERS || to - start > maxMessages)) {
      batches.push({ set: parts.join(','), uids: uids.slice(start, from) });
      [start, parts, characters] = [from, [], 0];
    }
    parts.push(part);
    characters += part.length + 1;
  }
  if (parts.length > 0) batches.push({ set: parts.join(','), uids: uids.slice(start) });
  return batches;
}

/** Runs of consecutive UIDs as [from, to) indices, none longer than `maxLength`. */
function* runs(uids: readonly Uid[], maxLength: number): Generator<readonly [number, number]> {
  let from = 0;
  for (let index = 1; index <= uids.length; index += 1) {
    if (index < uids.length && uids[index] === (uids[index - 1] ?? 0) + 1 && index - from < maxLength) continue;
    yield [from, index];
    from = index;
  }
}

function notation(uids: readonly Uid[], from: number, to: number): string {
  const first = String(uids[from]);
  return to - from === 1 ? first : `${first}:${uids[to - 1]}`;
}
