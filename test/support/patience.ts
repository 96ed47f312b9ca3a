/**
 * How long the tests wait before they call something a hang. Such a limit says nothing about the program: it follows the machine, whose speed is measured
 * once, with the load that is on it, before the first test. Deadlines that a test is about are asserted with a `FakeClock` or a `TimeMachine`.
 */

/** Carries the measure to the processes that run the tests. */
const VARIABLE = 'TEST_SLOWNESS';
const ROUNDS = 5;
/** What the longest round takes on the machine for which the limits were written: two cores with nothing else to do. */
const USUAL_ROUND_MS = 60;

/** Stretches a limit in milliseconds, meant for a quiet machine, to what this machine needs. */
export function patience(ms: number): number {
  return Math.ceil(ms * slowness());
}

/** The same as a duration for a configuration file, for a deadline that only what hangs may reach. */
export function patienceText(ms: number): string {
  return `${patience(ms)}ms`;
}

/** How many times slower than a quiet machine this one is; never less than 1. Measured once for this process and its children. */
export function slowness(): number {
  const known = Number(process.env[VARIABLE]);
  if (known >= 1) return known;
  const measured = slownessFrom(Array.from({ length: ROUNDS }, roundMs));
  process.env[VARIABLE] = String(measured);
  return measured;
}

/** From the duration of each round. The longest counts: on a busy machine some rounds are lucky. */
export function slownessFrom(rounds: readonly number[]): number {
  return Math.max(1, Math.max(...rounds) / USUAL_ROUND_MS);
}

/** Does a fixed piece of work of the kind that most tests wait for: JavaScript that fills memory with short texts. */
function roundMs(): number {
  const begun = performance.now();
  const counts = new Map<string, number>();
  for (let index = 0; index < 120_000; index += 1) {
    const key = `key ${(index * 7_919) % 50_021}`;
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  [...counts.keys()].sort();
  return performance.now() - begun;
}
