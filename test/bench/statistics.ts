/** The little arithmetic of the tables; pure. */

/** The middle value, or the mean of the two in the middle; NaN of nothing. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((one, other) => one - other);
  const middle = Math.floor(sorted.length / 2);
  const [low = NaN, high = NaN] = [sorted[sorted.length % 2 === 1 ? middle : middle - 1], sorted[middle]];
  return (low + high) / 2;
}

/** NaN of nothing. */
export function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** How something that was measured at two sizes would be at a third, if it grows by the same for each message. */
export function extrapolate(small: SizedTime, large: SizedTime, messages: number): number {
  const perMessage = (large.ms - small.ms) / (large.messages - small.messages);
  return large.ms + perMessage * (messages - large.messages);
}

/** How long a mailbox of so many messages took. */
export interface SizedTime {
  readonly messages: number;
  readonly ms: number;
}
