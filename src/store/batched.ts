/** The items in lists of at most that many. */
export function* batched<T>(items: Iterable<T>, size: number): Generator<readonly T[], void, void> {
  let batch: T[] = [];
  for (const item of items) {
    batch.push(item);
    if (batch.length < size) continue;
    yield batch;
    batch = [];
  }
  if (batch.length > 0) yield batch;
}
