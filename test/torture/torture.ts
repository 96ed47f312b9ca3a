/** `npm run torture -- --seed N --sessions M`: the real daemon before a real server, through everything that breaks. Exits 1 where a promise is broken. */
import { parseArgs } from 'node:util';
import { torture } from './torture-run.ts';

const { values } = parseArgs({ options: { seed: { type: 'string', default: '1' }, sessions: { type: 'string', default: '500' } } });
const [seed, sessions] = [Number(values.seed), Number(values.sessions)];
if (!Number.isInteger(seed) || !Number.isInteger(sessions) || sessions < 1) throw new Error('--seed and --sessions are whole numbers');

const onSession = (session: number): void => {
  if (process.stderr.isTTY) process.stderr.write(`\rsession ${session} of ${sessions}`);
};
try {
  const report = await torture({ seed, sessions, onSession });
  process.stdout.write(`seed ${seed}: no violation\n${JSON.stringify(report, undefined, 2)}\n`);
} catch (error) {
  process.stdout.write(`VIOLATION ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
