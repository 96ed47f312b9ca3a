/**
 * Sets of UIDs as a server names them: as ranges, which stay ranges. Forty octets can name four thousand million UIDs, so a set is only
 * turned into a list where a bound is given. Pure.
 */
import { UpstreamError } from '../errors.ts';
import { asUid, type Uid } from '../maildrop/numbers.ts';

/** From the first to the last UID, both included. */
export type UidRange = readonly [first: number, last: number];

export class UidRanges {
  static readonly NONE: UidRanges = new UidRanges([]);

  /** Ascending, apart from one another. */
  readonly #ranges: readonly UidRange[];
  /** How many UIDs the set names. */
  readonly count: number;

  private constructor(ranges: readonly UidRange[]) {
    this.#ranges = ranges;
    this.count = ranges.reduce((sum, [first, last]) => sum + last - first + 1, 0);
  }

  /** The union of ranges in any order. */
  static of(ranges: readonly UidRange[]): UidRanges {
    const isInOrder = ranges.every(([first], place) => place === 0 || first > (ranges[place - 1]?.[1] ?? 0) + 1);
    if (isInOrder) return new UidRanges(ranges);
    const joined: [number, number][] = [];
    for (const [first, last] of ranges.toSorted(([one], [other]) => one - other)) {
      const before = joined.at(-1);
      if (before === undefined || first > before[1] + 1) joined.push([first, last]);
      else before[1] = Math.max(before[1], last);
    }
    return new UidRanges(joined);
  }

  /** The union of several sets. */
  static union(sets: readonly UidRanges[]): UidRanges {
    const [only = UidRanges.NONE, ...others] = sets;
    return others.length === 0 ? only : UidRanges.of(sets.flatMap((set) => set.#ranges));
  }

  /** Exactly those UIDs, which have to ascend. */
  static ofUids(uids: readonly Uid[]): UidRanges {
    const ranges: [number, number][] = [];
    for (const uid of uids) {
      const before = ranges.at(-1);
      if (before !== undefined && uid === before[1] + 1) before[1] = uid;
      else ranges.push([uid, uid]);
    }
    return new UidRanges(ranges);
  }

  /** How many ranges it takes to name it. */
  get parts(): number {
    return this.#ranges.length;
  }

  /** The lowest UID of the set. */
  get first(): number | undefined {
    return this.#ranges[0]?.[0];
  }

  has(uid: number): boolean {
    let low = 0;
    let high = this.#ranges.length - 1;
    while (low <= high) {
      const middle = (low + high) >>> 1;
      const [first, last] = this.#ranges[middle] ?? [0, 0];
      if (uid < first) high = middle - 1;
      else if (uid > last) low = middle + 1;
      else return true;
    }
    return false;
  }

  /** Gives the part of the set up to and including that UID. */
  upTo(last: number): UidRanges {
    if ((this.#ranges.at(-1)?.[1] ?? 0) <= last) return this;
    return new UidRanges(this.#ranges.flatMap(([from, to]): UidRange[] => (from > last ? [] : [[from, Math.min(to, last)]])));
  }

  /** Gives the part of the set above that UID. */
  beyond(last: number): UidRanges {
    if ((this.first ?? last + 1) > last) return this;
    return new UidRanges(this.#ranges.flatMap(([from, to]): UidRange[] => (to <= last ? [] : [[Math.max(from, last + 1), to]])));
  }

  /** Those of ascending UIDs that the set names. */
  among(uids: readonly Uid[]): Uid[] {
    if (this.count === 0) return [];
    const found: Uid[] = [];
    let at = 0;
    for (const uid of uids) {
      while (at < this.#ranges.length && (this.#ranges[at]?.[1] ?? 0) < uid) at += 1;
      if (at === this.#ranges.length) break;
      if ((this.#ranges[at]?.[0] ?? 0) <= uid) found.push(uid);
    }
    return found;
  }

  /** The set as a list, ascending. Throws UpstreamError `protocol` where it names more than `most`. */
  toUids(most: number): Uid[] {
    if (this.count > most) {
      throw new UpstreamError('protocol', `a search names ${this.count} messages where there can be no more than ${most}`);
    }
    const uids: Uid[] = [];
    for (const [first, last] of this.#ranges) for (let uid = first; uid <= last; uid += 1) uids.push(asUid(uid));
    return uids;
  }
}
