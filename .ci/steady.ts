/**
 * `npm run steady -- --runs N --stressed M`: runs the whole suite N times in a row, the last M of them with `stress-ng --cpu 4` beside, and prints a table.
 * The program is built once, before the first run. Exits with 0 where every run was green. The output of each run goes to out/steady/.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdirSync, openSync, rmSync } from 'node:fs';
import { loadavg } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

const root = join(import.meta.dirname, '..');
const out = join(root, 'out/steady');
const STRESS = ['--cpu', '4'];
const COLUMNS = ['run', 'passed', 'failed', 'skipped', 'seconds', 'load'];

interface Counts {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

const { runs, stressed } = options();
/** What was started and has not ended, for the end of this process: each leads a process group of its own. */
const running = new Set<ChildProcess>();
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    for (const child of running) end(child);
    process.exit(130);
  });
}

if (stressed > 0 && spawnSync('stress-ng', ['--version'], { stdio: 'ignore' }).status !== 0)
  fail('stress-ng is missing: apt-get install stress-ng');
mkdirSync(out, { recursive: true });
let isGreen = true;
print(COLUMNS);
for (let run = 1; run <= runs; run += 1) {
  const isStressed = run > runs - stressed;
  const stress = isStressed ? start('stress-ng', STRESS, 'ignore') : undefined;
  const begun = performance.now();
  const { counts, isOver } = await suite(run);
  const seconds = Math.round((performance.now() - begun) / 1_000);
  if (stress !== undefined) {
    const ended = once(stress, 'close');
    end(stress);
    await ended;
  }
  isGreen &&= isOver && counts.failed === 0;
  const name = `${run}${isStressed ? ' stressed' : ''}`;
  print([name, counts.passed, counts.failed, counts.skipped, seconds, (loadavg()[0] ?? 0).toFixed(1)]);
}
process.exitCode = isGreen ? 0 : 1;

/** One run of the suite; `isOver` is false where it did not end as a green one does. */
async function suite(run: number): Promise<{ readonly counts: Counts; readonly isOver: boolean }> {
  const report = join(out, `run-${run}.json`);
  rmSync(report, { force: true });
  const log = openSync(join(out, `run-${run}.log`), 'w');
  const args = ['run', '-s', 'vitest', '--', '--reporter=default', '--reporter=json', `--outputFile.json=${report}`];
  const child = start('npm', args, log);
  const [code] = await once(child, 'close');
  closeSync(log);
  return { counts: countsIn(report), isOver: code === 0 };
}

/** A run that left no report has failed as a whole. */
function countsIn(report: string): Counts {
  const totals = spawnSync(process.execPath, [join(import.meta.dirname, 'totals.ts'), report, '0'], { encoding: 'utf8' });
  const [, passed, failed, skipped] = /^(\d+) passed, (\d+) failed, (\d+) skipped$/m.exec(totals.stdout) ?? ['', '0', '1', '0'];
  return { passed: Number(passed), failed: Number(failed), skipped: Number(skipped) };
}

function start(command: string, args: readonly string[], output: number | 'ignore'): ChildProcess {
  const child = spawn(command, args, { cwd: root, detached: true, stdio: ['ignore', output, output] });
  running.add(child);
  child.once('close', () => running.delete(child));
  return child;
}

/** Ends exactly what was started, with what that has started. */
function end({ pid }: ChildProcess): void {
  try {
    if (pid !== undefined) process.kill(-pid, 'SIGTERM');
  } catch {
    // It has ended by itself.
  }
}

function options(): { readonly runs: number; readonly stressed: number } {
  const known = { runs: { type: 'string', default: '10' }, stressed: { type: 'string', default: '5' } } as const;
  const { values } = parseArgs({ options: known });
  const [runs, stressed] = [Number(values.runs), Number(values.stressed)];
  if (!Number.isInteger(runs) || !Number.isInteger(stressed) || runs < 1 || stressed < 0 || stressed > runs)
    return fail('--runs takes a number from 1 on, and --stressed how many of them');
  return { runs, stressed };
}

function print(cells: readonly (string | number)[]): void {
  process.stdout.write(
    `${cells
      .map((cell, index) => String(cell).padEnd(index === 0 ? 14 : 9))
      .join('')
      .trimEnd()}\n`,
  );
}

function fail(message: string): never {
  process.stderr.write(`steady: ${message}\n`);
  process.exit(1);
}
