/** `npm run soak -- --sessions N`: thousands of sessions on one daemon; what it holds afterwards is what it held before. Exits 1 where it is not. */
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { seededRandom } from '../bench/seeded-random.ts';
import { until } from '../support/until.ts';
import { DovecotServer } from './mail-server.ts';
import { TortureRun } from './torture-run.ts';
import { TortureSite, USERS } from './torture-site.ts';

const PROBE = fileURLToPath(new URL('resource-probe.cjs', import.meta.url));
/** Sessions before the first look: code is compiled, caches fill. */
const WARM_UP = 1_000;
/** More live heap than this after thousands of sessions is a leak, and not the unique-ids of mail that came meanwhile. */
const MOST_GROWTH = 4 * 1024 * 1024;
const MIB = 1024 * 1024;

interface Look {
  readonly rss: number;
  readonly heapTotal: number;
  readonly heapUsed: number;
  readonly arrayBuffers: number;
  readonly resources: Readonly<Record<string, number>>;
  readonly descriptors: number;
}

const { values } = parseArgs({ options: { seed: { type: 'string', default: '1' }, sessions: { type: 'string', default: '5000' } } });
const sessions = Number(values.sessions);
const path = join(tmpdir(), `popbridge-soak-${process.pid}.json`);
await using site = await TortureSite.start(await DovecotServer.start(USERS), 'expunge', {
  NODE_OPTIONS: `--require ${PROBE}`,
  RESOURCE_PROBE: path,
});
const run = new TortureRun(site, seededRandom(Number(values.seed)), ['none', 'none', 'none', 'cut', 'command-cut', 'hang-up', 'pieces']);

await play(WARM_UP);
const before = await look();
print('before', before);
for (let part = 1; part <= 4; part += 1) {
  await play(Math.ceil(sessions / 4));
  print(`after ${Math.ceil(sessions / 4) * part} sessions`, await look());
}
await run.finish();
const after = await look();
const grown = after.heapUsed + after.arrayBuffers - before.heapUsed - before.arrayBuffers;
const same = (kind: string): boolean => (after.resources[kind] ?? 0) <= (before.resources[kind] ?? 0);
const isFlat = grown < MOST_GROWTH && after.descriptors <= before.descriptors && same('Timeout') && same('TCPSocketWrap');
process.stdout.write(isFlat ? 'flat\n' : 'NOT FLAT\n');
process.exitCode = isFlat ? 0 : 1;

async function play(count: number): Promise<void> {
  for (let session = 0; session < count; session += 1) await run.session();
  // Both users are left with a kept connection, whatever the last of them met.
  await run.finish();
}

async function look(): Promise<Look> {
  rmSync(path, { force: true });
  site.signal('SIGUSR2');
  await until(() => existsSync(path));
  const probed = JSON.parse(readFileSync(path, 'utf8')) as Omit<Look, 'descriptors'>;
  rmSync(path);
  return { ...probed, descriptors: site.descriptors };
}

function print(when: string, { rss, heapTotal, heapUsed, arrayBuffers, descriptors, resources }: Look): void {
  const mib = (octets: number): string => `${(octets / MIB).toFixed(1)} MiB`;
  const { Timeout: timers = 0, TCPSocketWrap: sockets = 0 } = resources;
  process.stdout.write(
    `${when}: RSS ${mib(rss)}, heap ${mib(heapTotal)}, of it live ${mib(heapUsed)}, buffers ${mib(arrayBuffers)}, ${descriptors} descriptors, ${sockets} sockets, ${timers} timers\n`,
  );
}
