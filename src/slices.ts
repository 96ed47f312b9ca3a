/** Long work in slices, so that one user's large mailbox does not keep the event loop from everybody else. */

/** Work pauses after so many milliseconds. No step at a login may take longer than 20 ms, and a slice ends only after the step that is running. */
const SLICE_MS = 5;

/** Does the work with pauses in which the event loop serves others. Rejects with what the work throws. */
export async function inSlices<T>(work: Iterator<void, T, void>): Promise<T> {
  let began = performance.now();
  for (;;) {
    const step = work.next();
    if (step.done === true) return step.value;
    if (performance.now() - began < SLICE_MS) continue;
    await othersTurn();
    began = performance.now();
  }
}

/** Resolves when the event loop has served what waited. */
export function othersTurn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}
