/**
 * `npm run planted [-- --only TEXT]`: builds the program with each planted bug in a copy of the checkout, and tells what found it. Exits 1 where a bug
 * gets past the tests, or past a torture run that has to find it.
 */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { PLANTED_BUGS, type PlantedBug } from './planted-bugs.ts';
import { patience } from '../support/patience.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const SESSIONS = 400;
const LONGEST_MS = 600_000;

const { values } = parseArgs({ options: { only: { type: 'string', default: '' } } });
let missed = 0;
for (const bug of PLANTED_BUGS.filter(({ name }) => name.includes(values.only))) {
  const copy = await copyWith(bug);
  try {
    const found = [await failingTest(copy, bug.tests)];
    for (const seed of bug.seeds) found.push(await violation(copy, seed));
    missed += found.filter((one) => one === undefined).length;
    process.stdout.write(`${bug.name}\n`);
    for (const one of found) process.stdout.write(`    ${one ?? 'NOT FOUND'}\n`);
  } finally {
    rmSync(copy, { recursive: true, force: true });
  }
}
process.exitCode = missed === 0 ? 0 : 1;

async function copyWith({ changes }: PlantedBug): Promise<string> {
  const copy = mkdtempSync(join(tmpdir(), 'popbridge-planted-'));
  const files = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard'], { cwd: ROOT, encoding: 'utf8' });
  for (const file of files.trim().split('\n')) {
    mkdirSync(join(copy, dirname(file)), { recursive: true });
    cpSync(join(ROOT, file), join(copy, file));
  }
  symlinkSync(join(ROOT, 'node_modules'), join(copy, 'node_modules'));
  for (const { file, from, to } of changes) {
    const path = join(copy, 'src', file);
    const parts = readFileSync(path, 'utf8').split(from);
    if (parts.length !== 2) throw new Error(`${file} does not hold once: ${from}`);
    writeFileSync(path, parts.join(to));
  }
  await run(copy, 'npm', ['run', '-s', 'build'], true);
  return copy;
}

/** The first test that fails. Files that were broken off by that are named before it. */
async function failingTest(copy: string, tests: readonly string[]): Promise<string | undefined> {
  const output = await run(copy, 'npx', ['vitest', 'run', '--bail', '1', ...tests]);
  const text = output.replaceAll(/\x1b\[\d+m/g, '');
  const failed = (/FAIL\s+(.* > .*)/.exec(text) ?? /FAIL\s+(.*)/.exec(text))?.[1];
  return failed === undefined ? undefined : `tests: ${failed}`;
}

async function violation(copy: string, seed: number): Promise<string | undefined> {
  const output = await run(copy, process.execPath, ['test/torture/torture.ts', '--seed', String(seed), '--sessions', String(SESSIONS)]);
  return /VIOLATION (.*)/.exec(output)?.[1]?.replace(/^/, 'torture: ');
}

/** Daemons that a test left behind when it was broken off end with it. */
async function run(cwd: string, command: string, args: readonly string[], mustSucceed = false): Promise<string> {
  const child = spawn(command, args, { cwd, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (output += chunk.toString()));
  const killAll = (): boolean => child.pid !== undefined && process.kill(-child.pid, 'SIGKILL');
  const timer = setTimeout(killAll, patience(LONGEST_MS));
  const [status] = (await once(child, 'exit')) as [number | null];
  clearTimeout(timer);
  try {
    killAll();
  } catch {
    // Nobody is left.
  }
  if (mustSucceed && status !== 0) throw new Error(`${command} ${args.join(' ')}: ${output}`);
  return output;
}
