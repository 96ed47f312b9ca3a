/**
 * Bodies of small messages that were read a moment ago: TOP and then RETR, or a second client of the account, cost nothing. Every account
 * sees its own alone, and nothing outlives the mailbox it was read from.
 */
import { LRUCache } from 'lru-cache';

/** Of one mailbox under one UIDVALIDITY. */
export interface MailboxBodies {
  /** `octets` is RFC822.SIZE: of another size it is another message. */
  get(uid: number, octets: number): Buffer | undefined;
  /** Takes the pieces of a whole message, if they are small enough. */
  add(uid: number, octets: number, pieces: readonly Uint8Array[]): void;
  /** The mailbox is not what it was: nothing that was read from it holds. */
  forget(): void;
}

/** A larger message is not kept. */
export const MAX_BODY_OCTETS = 256 * 1024;
const KEPT_MS = 10 * 60_000;
const MAX_MAILBOXES = 10_000;
/** What an entry takes besides the body. */
const ENTRY_OCTETS = 512;

export class BodyCache {
  readonly #bodies: LRUCache<string, Buffer> | undefined;
  /** Stands in the keys of a mailbox's bodies; another one makes them unreachable. */
  readonly #epochs = new LRUCache<string, number>({ max: MAX_MAILBOXES });
  #lastEpoch = 0;

  /** `octets`: how much there is room for; 0 keeps nothing. */
  constructor(octets: number) {
    const sizeCalculation = (body: Buffer): number => body.length + ENTRY_OCTETS;
    this.#bodies = octets > 0 ? new LRUCache({ maxSize: octets, sizeCalculation, ttl: KEPT_MS }) : undefined;
  }

  /** `mailbox` has to name the server, the account, the folder and its UIDVALIDITY. */
  of(mailbox: readonly (string | number)[]): MailboxBodies {
    const name = JSON.stringify(mailbox);
    const keyOf = (uid: number, octets: number): string => `${this.#epoch(name)} ${uid} ${octets}`;
    return {
      get: (uid, octets) => this.#bodies?.get(keyOf(uid, octets)),
      add: (uid, octets, pieces) => {
        const total = pieces.reduce((sum, { length }) => sum + length, 0);
        if (total > 0 && total <= MAX_BODY_OCTETS) this.#bodies?.set(keyOf(uid, octets), copyOf(pieces, total));
      },
      forget: () => this.#epochs.delete(name),
    };
  }

  #epoch(name: string): number {
    const epoch = this.#epochs.get(name) ?? (this.#lastEpoch += 1);
    this.#epochs.set(name, epoch);
    return epoch;
  }
}

/** In memory of its own: a piece is a view of all that came with it, and so is a small Buffer of what others were made at the same time. */
function copyOf(pieces: readonly Uint8Array[], total: number): Buffer {
  const copy = Buffer.allocUnsafeSlow(total);
  let at = 0;
  for (const piece of pieces) {
    copy.set(piece, at);
    at += piece.length;
  }
  return copy;
}
