/**
 * Which message has which number in the selected mailbox, as far as anybody asked. Some servers give bodies without a UID, and one that was
 * thought lost may come while another is awaited: nothing but its number (RFC 3501 section 7.4.2) tells then whose it is.
 */
import type { FetchRow } from '../imap/fetch-row.ts';
import type { Uid } from '../maildrop/numbers.ts';

/** Asked for in turn; each is needed for as long as its body comes. */
const MAX_NUMBERS = 1_000;
const NOBODY = 0;

export class MessageNumbers {
  readonly #uids = new Map<number, number>();

  /** UID of the message of that number; 0 where it is not known. */
  uidOf(number: number): number {
    return this.#uids.get(number) ?? NOBODY;
  }

  /** Numbers are good until a message is taken out of the mailbox. */
  forget(): void {
    this.#uids.clear();
  }

  /** Takes what a row tells of the number of that message, and leaves the row to others. */
  learner(uid: Uid): { readonly row: (row: FetchRow) => false } {
    return {
      row: (row) => {
        if (row.uid === uid) this.#learn(row.number, uid);
        return false;
      },
    };
  }

  #learn(number: number, uid: Uid): void {
    const known = this.#uids.get(number);
    // A number that the server gives to several messages tells nothing.
    this.#uids.set(number, known === undefined || known === uid ? uid : NOBODY);
    if (this.#uids.size > MAX_NUMBERS) for (const [oldest] of this.#uids.entries().take(1)) this.#uids.delete(oldest);
  }
}

/** The command that makes the server tell the number of that message. */
export function askForNumber(uid: Uid): string {
  return `UID FETCH ${uid} (UID)`;
}
