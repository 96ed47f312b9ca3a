import { cpuMs } from '../bench/process-usage.ts';
import { lastWords } from './last-words.ts';
import { patience } from './patience.ts';

/** Waits until something is so; throws when it does not become so. `ms` is meant for a quiet machine. */
export async function until(isSo: () => boolean | Promise<boolean>, ms = 15_000): Promise<void> {
  const limit = patience(ms);
  const deadline = performance.now() + limit;
  while (!(await isSo())) {
    if (performance.now() > deadline) throw new Error(`it did not come about within ${limit} ms; said last:\n${lastWords()}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

const QUIET_MS = 300;

/** Waits until that process has nothing left to do for a while. */
export async function untilQuiet(pid: number): Promise<void> {
  await until(async () => {
    const before = cpuMs(pid);
    await new Promise((resolve) => setTimeout(resolve, QUIET_MS));
    return cpuMs(pid) - before <= QUIET_MS / 10;
  });
}
