/**
 * Laws that fast-check looks for exceptions to. `npm test` tries each so often as it has time for; `FUZZ_RUNS=N` (`npm run fuzz`) tries N times what it
 * tries a hundred times else.
 */
import fc from 'fast-check';

const USUAL_RUNS = 100;
const FUZZ_RUNS = Number(process.env['FUZZ_RUNS'] ?? 0);

export interface Trial<Ts> {
  /** How often in `npm test`. */
  readonly usual?: number;
  /** Old failures, and what is known to have broken others: tried first, every time. */
  readonly examples?: readonly Ts[];
}

/** How often to do what `npm test` does `usual` times. */
export function fuzzRuns(usual: number, asked = FUZZ_RUNS): number {
  return Math.max(usual, Math.ceil((usual * asked) / USUAL_RUNS));
}

/** How often to do besides what costs as much as `each` tries, and `npm test` does not do. */
export function moreFuzzRuns(each: number): number {
  return Math.floor(FUZZ_RUNS / each);
}

/** Throws, or rejects, with the smallest exception that was found. */
export function holds<Ts>(law: fc.IAsyncProperty<Ts>, trial?: Trial<Ts>): Promise<void>;
export function holds<Ts>(law: fc.IProperty<Ts>, trial?: Trial<Ts>): void;
export function holds<Ts>(law: fc.IRawProperty<Ts>, { usual = USUAL_RUNS, examples = [] }: Trial<Ts> = {}): Promise<void> | void {
  return fc.assert(law, { numRuns: fuzzRuns(usual) + examples.length, examples: [...examples] });
}
