/** True sizes before a message is ever retrieved (`maildrop.sizes = "exact"`): each is read once and its octets are counted as POP3 has them. */
import type { Clock } from '../clock.ts';
import { BusyError, UpstreamError, type UpstreamFailureKind } from '../errors.ts';
import { withTrueOctets } from '../maildrop/map-changes.ts';
import type { Uid } from '../maildrop/numbers.ts';
import { knownMessage, messagesIn, UNKNOWN_OCTETS, type UidMap } from '../maildrop/uid-map.ts';
import type { UniqueIdTemplate } from '../maildrop/unique-id.ts';
import { LineEndNormaliser } from '../pop3/line-ends.ts';
import type { MailboxKey, SizeVerdict, Store } from '../store/store.ts';
import type { UpstreamMailbox } from '../upstream/upstream.ts';
import { templateFor } from './derivation.ts';

export interface MeasureParts {
  readonly store: Store;
  readonly clock: Clock;
  readonly uniqueId: UniqueIdTemplate;
}

/** What is to be measured in one mailbox. */
export interface Unmeasured {
  readonly key: MailboxKey;
  readonly mailbox: UpstreamMailbox;
  readonly map: UidMap;
  /** What of it is on disk. */
  readonly stored: UidMap | undefined;
}

/** A client waits so long for its login; what is left then is measured after it was sent away. */
const PATIENCE_MS = 8_000;
/** What was measured is on disk after so many messages. */
const SAVED_AFTER = 100;

export const NOTHING_MEASURED: SizeVerdict = { measured: 0, differing: 0, largest: 0 };

/** A verdict with one more message in it. */
export function judged({ measured, differing, largest }: SizeVerdict, declared: number, octets: number): SizeVerdict {
  const difference = Math.abs(declared - octets);
  return { measured: measured + 1, differing: differing + (difference === 0 ? 0 : 1), largest: Math.max(largest, difference) };
}

/** The maps with every true size known. Rejects with BusyError SIZES_UNMEASURED where that takes longer than a client waits. */
export async function measuredMaps(parts: MeasureParts, mailboxes: readonly Unmeasured[], signal: AbortSignal): Promise<UidMap[]> {
  const until = parts.clock.monotonic() + PATIENCE_MS;
  const maps: UidMap[] = [];
  for (const one of mailboxes) {
    const map = await measured(parts, one, () => parts.clock.monotonic() < until, signal);
    if (unmeasuredIn(map).length > 0) throw new BusyError('SIZES_UNMEASURED', 'the sizes of messages are being measured');
    maps.push(map);
  }
  return maps;
}

/** The map with what could be measured while `goesOn`; saved as it goes. */
export async function measured(
  { store, clock, uniqueId }: MeasureParts,
  { key, mailbox, map, stored }: Unmeasured,
  goesOn: () => boolean,
  signal: AbortSignal,
): Promise<UidMap> {
  let [saved, next] = [stored, map];
  let verdict = NOTHING_MEASURED;
  const save = async (): Promise<void> => {
    if (next === saved) return;
    const change = { key, previous: saved, next, derivation: templateFor(next, key.path, uniqueId) };
    await store.saveMaps([change], Math.floor(clock.now() / 1000));
    await store.noteSizes(key.maildrop.upstream, verdict);
    saved = next;
    verdict = NOTHING_MEASURED;
  };
  try {
    for (const uid of unmeasuredIn(map)) {
      if (!goesOn() || signal.aborted) break;
      const declared = knownMessage(map, uid)?.declaredOctets ?? 0;
      const octets = await countOctets(mailbox, uid, declared, signal).catch(declaredIfUnreadable(declared));
      next = withTrueOctets(next, uid, octets);
      verdict = judged(verdict, declared, octets);
      if (verdict.measured >= SAVED_AFTER) await save();
    }
  } finally {
    await save();
  }
  return next;
}

/** The octets of a message as RETR sends them, before dot-stuffing. */
export async function countOctets(mailbox: UpstreamMailbox, uid: Uid, declared: number, signal: AbortSignal): Promise<number> {
  const normaliser = new LineEndNormaliser();
  for await (const chunk of mailbox.fetch({ uid, octets: declared, part: 'whole' }, signal)) normaliser.transform(chunk);
  normaliser.end();
  return normaliser.octets;
}

/** One message that can't be read must not keep its user from all others: what the server says has to do until it can. */
function declaredIfUnreadable(declared: number): (error: unknown) => number {
  return (error) => {
    if (isOfOneMessage(error)) return declared;
    throw error;
  };
}

/** True where one message can't be read, and the others may well be. */
export function isOfOneMessage(error: unknown): error is UpstreamError {
  return error instanceof UpstreamError && OF_ONE_MESSAGE.has(error.kind);
}

const OF_ONE_MESSAGE: ReadonlySet<UpstreamFailureKind> = new Set(['message-gone', 'message-unreadable', 'incomplete', 'refused']);

/** Those that clients may see, the latest first: they are retrieved soonest. */
export function unmeasuredIn(map: UidMap): Uid[] {
  const unmeasured = Array.from(messagesIn(map), ({ segment, index, uid }) => {
    const isKnown = segment.trueOctets[index] !== UNKNOWN_OCTETS || (segment.states?.deletedAt[index] ?? 0) > 0;
    return isKnown ? [] : [uid];
  });
  return unmeasured.flat().reverse();
}
