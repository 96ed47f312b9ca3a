/**
 * Finds the messages of a mailbox that the server cannot list because it ends the connection over them. What was asked for when the connection
 * was lost twice is asked for in halves, until single messages are left over. It spans connections, as each try costs one.
 */
import type { Uid } from '../maildrop/numbers.ts';

/** Any connection may be lost once. */
const LOSSES_BY_CHANCE = 2;
/** After so many losses in a row the server itself is in trouble, not one of its messages. */
const MAX_LOSSES = 5;

export class Isolation {
  readonly #unlistable = new Set<Uid>();
  /** Each part is asked for on its own; in the first ones the trouble is least likely. */
  #suspects: (readonly Uid[])[] = [];
  #asked: readonly Uid[] | undefined;
  #losses = 0;
  /** Found in the losses since the server last answered. */
  #found: Uid[] = [];

  /** Every command has to be small enough to tell which messages it was that the server choked on. */
  get isCareful(): boolean {
    return this.#losses >= LOSSES_BY_CHANCE || this.#suspects.length > 0 || this.#unlistable.size > 0;
  }

  /** To try again on another connection is of use. */
  get isWorthwhile(): boolean {
    return this.#losses < MAX_LOSSES;
  }

  isUnlistable(uid: Uid): boolean {
    return this.#unlistable.has(uid);
  }

  /** The messages in the parts in which they are to be asked for, one part after the other. Those that cannot be listed are in none. */
  partsOf(uids: readonly Uid[]): Uid[][] {
    const wanted = new Set(uids);
    const suspects = this.#suspects.map((part) => part.filter((uid) => wanted.has(uid))).filter((part) => part.length > 0);
    const suspected = new Set(suspects.flat());
    const rest = uids.filter((uid) => !suspected.has(uid) && !this.#unlistable.has(uid));
    return rest.length > 0 ? [rest, ...suspects] : suspects;
  }

  /** These are asked for now. */
  asks(uids: readonly Uid[]): void {
    this.#asked = uids;
  }

  /** The server lived to answer. */
  answered(): void {
    const asked = this.#asked;
    this.#asked = undefined;
    if (this.#losses >= MAX_LOSSES - 1) this.#doubt(this.#found);
    this.#found = [];
    this.#losses = 0;
    if (asked !== undefined) this.#takeOut(asked);
  }

  /** The connection was lost while the mailbox was listed. */
  lost(): void {
    const asked = this.#asked;
    this.#asked = undefined;
    this.#losses += 1;
    if (asked === undefined) return;
    const wasSuspected = this.#takeOut(asked);
    if (!wasSuspected && this.#losses < LOSSES_BY_CHANCE) return;
    const [first] = asked;
    if (first !== undefined && asked.length === 1) this.#note(first);
    else this.#suspects = [...this.#suspects, ...halves(asked)];
  }

  /** Nothing is known any more: the server gave rows of no message at all. */
  forget(): void {
    this.#unlistable.clear();
    this.#suspects = [];
    this.#found = [];
  }

  #note(uid: Uid): void {
    this.#unlistable.add(uid);
    this.#found.push(uid);
  }

  /** A server that ended so many connections in a row may have done so over anything. */
  #doubt(uids: readonly Uid[]): void {
    for (const uid of uids) this.#unlistable.delete(uid);
    this.#suspects = [...this.#suspects, ...uids.map((uid) => [uid])];
  }

  /**
   * From now on these are in no suspected part; true where one of them was. What was asked for may be less than such a part: messages of it have
   * gone, or others of it were told already.
   */
  #takeOut(asked: readonly Uid[]): boolean {
    const all = new Set(asked);
    const wasSuspected = this.#suspects.some((part) => part.some((uid) => all.has(uid)));
    if (wasSuspected) this.#suspects = this.#suspects.map((part) => part.filter((uid) => !all.has(uid))).filter((part) => part.length > 0);
    return wasSuspected;
  }
}

/** Two parts of the same size. */
export function halves<T>(all: readonly T[]): readonly [T[], T[]] {
  const half = Math.ceil(all.length / 2);
  return [all.slice(0, half), all.slice(half)];
}
