/** How long a daemon took to end, by its own account: a busy machine lets whoever waits for it wait longer. */
import type { LogLine } from './bridge-process.ts';

/** Milliseconds from `stopping` to the last line of the log. */
export function stoppingMs(log: readonly LogLine[]): number {
  const began = log.find(({ event }) => event === 'stopping');
  return Date.parse(String(log.at(-1)?.['time'])) - Date.parse(String(began?.['time']));
}
