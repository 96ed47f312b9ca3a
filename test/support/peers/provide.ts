/**
 * The first step of `npm test`: makes sure that the real servers and clients are there. Run as root it fetches what is missing without starting
 * any service; else it says what will be left out and how to get it. Where CI=true nothing may be left out. Prints nothing when all is there.
 */
import { spawnSync } from 'node:child_process';
import { statSync } from 'node:fs';
import { extractPackages, hasApt, installWithoutStarting, PackageError } from './apt.ts';
import { catalogue, peerNames, type PeerName } from './catalogue.ts';
import { writeLauncher } from './launchers.ts';
import { cacheFolder, isRoot, locate, projectRoot } from './locate.ts';
import { peer } from './peer.ts';

const missing = (): readonly PeerName[] => peerNames.filter((name) => locate(name) === undefined);
const packagesOf = (names: readonly PeerName[]): readonly string[] => [...new Set(names.flatMap((name) => catalogue[name].packages))];

if (missing().length > 0 && isRoot && hasApt()) provide(missing());
const left = missing();
for (const name of left)
  say(
    `${name} is missing: tests that need it ${process.env['CI'] === 'true' ? 'can not run' : 'are skipped'}; to provide it: ${peer(name).hint}`,
  );
if (left.length > 0 && process.env['CI'] === 'true') process.exitCode = 1;

function provide(wanted: readonly PeerName[]): void {
  say(`fetching ${packagesOf(wanted).join(' ')}`);
  for (const names of coinstallable(wanted)) attempt('extract', () => extractPackages(packagesOf(names), `${cacheFolder}/root`));
  // python3 before getmail, whose launcher runs it.
  for (const name of wanted.toSorted((a, b) => Number(a === 'getmail') - Number(b === 'getmail'))) writeLauncher(name, cacheFolder);
  giveToOwnerOfCheckout();
  const unusable = missing().filter((name) => catalogue[name].staysApart !== true);
  if (unusable.length === 0) return;
  say(`installing ${packagesOf(unusable).join(' ')}, with service starts forbidden`);
  const services = unusable.flatMap((name) => catalogue[name].services);
  attempt('install', () => installWithoutStarting(packagesOf(unusable), services));
}

/** apt finds no answer for packages that exclude each other. */
function coinstallable(names: readonly PeerName[]): readonly (readonly PeerName[])[] {
  const apart = names.filter((name) => catalogue[name].staysApart === true);
  const together = names.filter((name) => !apart.includes(name));
  return [...(together.length === 0 ? [] : [together]), ...apart.map((name) => [name])];
}

function attempt(what: string, work: () => void): void {
  try {
    work();
  } catch (error) {
    if (!(error instanceof PackageError)) throw error;
    say(`could not ${what}: ${error.message}`);
  }
}

/** Else the owner's next `npm ci` could not remove node_modules. */
function giveToOwnerOfCheckout(): void {
  const { uid, gid } = statSync(projectRoot);
  if (uid !== 0) spawnSync('chown', ['-R', '-h', `${uid}:${gid}`, cacheFolder], { stdio: 'ignore' });
}

function say(line: string): void {
  process.stdout.write(`peers: ${line}\n`);
}
