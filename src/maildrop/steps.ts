/** Work on large mailboxes that can be interrupted: a generator that yields wherever others may have their turn. Pure. */

export type Steps<T> = Generator<void, T, void>;

/** After so many messages work yields. */
export const MESSAGES_A_STEP = 256;

/** Does all of the work without a pause. */
export function atOnce<T>(work: Steps<T>): T {
  for (;;) {
    const step = work.next();
    if (step.done === true) return step.value;
  }
}

/** The items that are wanted, with a yield after every `MESSAGES_A_STEP` of them. */
export function* filtered<T>(items: Iterable<T>, isWanted: (item: T) => boolean): Steps<T[]> {
  const wanted: T[] = [];
  yield* stepwise(items, (item) => {
    if (isWanted(item)) wanted.push(item);
  });
  return wanted;
}

/** Calls for each of the items, with a yield after every `MESSAGES_A_STEP` of them. */
export function* stepwise<T>(items: Iterable<T>, each: (item: T) => void): Steps<void> {
  let count = 0;
  for (const item of items) {
    each(item);
    count += 1;
    if (count % MESSAGES_A_STEP === 0) yield;
  }
}
