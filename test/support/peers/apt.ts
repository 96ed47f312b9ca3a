/**
 * The few things asked of apt and dpkg: what would have to be added for some packages, download and extract that, or, as a last resort, install
 * it without starting anything. Every call is bounded in time.
 */
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, lstatSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { patience } from '../patience.ts';

const QUICK_MS = 30_000;
const DOWNLOAD_MS = 180_000;
const INSTALL_MS = 240_000;

/** Options that keep apt from waiting for a lock, a mirror or a human. */
const APT_OPTIONS = [
  '-q',
  '-o',
  'APT::Sandbox::User=root',
  '-o',
  'Acquire::Retries=1',
  '-o',
  'Acquire::http::Timeout=20',
  '-o',
  'DPkg::Lock::Timeout=60',
];

/** Extracting these would put a foreign C library in front of the system's own. */
const NEVER_EXTRACTED = new Set(['libc6', 'libc-bin']);

/** apt or dpkg failed; the message is its last telling line. */
export class PackageError extends Error {
  override readonly name = 'PackageError';
}

/** True on a system with apt and dpkg. */
export function hasApt(): boolean {
  return existsSync('/usr/bin/apt-get') && existsSync('/usr/bin/dpkg-deb');
}

/** Downloads the packages, with those they depend on that are not installed, and extracts all into `root` (a merged /usr layout). */
export function extractPackages(packages: readonly string[], root: string): void {
  const staging = `${root}.${process.pid}`;
  const downloads = join(staging, 'downloads');
  mkdirSync(downloads, { recursive: true });
  try {
    // Stale lists name versions that the mirror no longer has, missing lists none at all; an update mends both.
    if (!tryDownload(packages, downloads)) {
      run('apt-get', [...APT_OPTIONS, 'update'], DOWNLOAD_MS);
      download(packages, downloads);
    }
    const unpacked = join(staging, 'root');
    for (const file of readdirSync(downloads)) run('dpkg-deb', ['-x', join(downloads, file), unpacked], QUICK_MS);
    mergeUsr(unpacked);
    mkdirSync(root, { recursive: true });
    run('cp', ['-a', '--remove-destination', `${unpacked}/.`, root], QUICK_MS);
  } finally {
    rmSync(staging, { recursive: true, force: true });
  }
}

/** Installs the packages under a policy-rc.d that forbids every start, puts back what stood there, and disables what was enabled. */
export function installWithoutStarting(packages: readonly string[], services: readonly string[]): void {
  const { removed } = simulate(packages);
  if (removed.length > 0) throw new PackageError(`installing would remove ${removed.join(', ')}`);
  // spawnSync runs to its end before a signal is seen, so an interrupt can't leave the forbidding policy behind; it is only put off.
  const putOff = (): void => {};
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, putOff);
  const restore = forbidStarts();
  try {
    run('apt-get', [...APT_OPTIONS, 'install', '-y', '--no-install-recommends', ...packages], INSTALL_MS);
    for (const service of services) disable(service);
  } finally {
    restore();
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.off(signal, putOff);
  }
}

function tryDownload(packages: readonly string[], folder: string): boolean {
  try {
    download(packages, folder);
    return true;
  } catch (error) {
    if (error instanceof PackageError) return false;
    throw error;
  }
}

function download(packages: readonly string[], folder: string): void {
  const needed = new Set(
    [...simulate(packages).added, ...packages.filter((name) => !isInstalled(name))].filter((name) => !NEVER_EXTRACTED.has(name)),
  );
  if (needed.size > 0) run('apt-get', [...APT_OPTIONS, 'download', ...needed], DOWNLOAD_MS, { cwd: folder });
}

function simulate(packages: readonly string[]): { readonly added: readonly string[]; readonly removed: readonly string[] } {
  const plan = run('apt-get', [...APT_OPTIONS, '--simulate', 'install', '--no-install-recommends', ...packages], QUICK_MS);
  const names = (verb: string): readonly string[] => [...plan.matchAll(new RegExp(`^${verb} (\\S+)`, 'gm'))].map((match) => match[1] ?? '');
  return { added: names('Inst'), removed: names('Remv') };
}

function isInstalled(name: string): boolean {
  const asked = spawnSync('/usr/bin/dpkg-query', ['-W', '-f', '${db:Status-Status}', name], {
    encoding: 'utf8',
    timeout: patience(QUICK_MS),
  });
  return asked.status === 0 && asked.stdout === 'installed';
}

/** Packages of a merged-/usr release may still ship files under /lib, /bin and /sbin; here all of them go below /usr, where launchers look. */
function mergeUsr(root: string): void {
  for (const folder of ['bin', 'sbin', 'lib', 'lib64']) {
    const path = join(root, folder);
    if (!existsSync(path) || lstatSync(path).isSymbolicLink()) continue;
    mkdirSync(join(root, 'usr', folder), { recursive: true });
    run('cp', ['-a', `${path}/.`, join(root, 'usr', folder)], QUICK_MS);
    rmSync(path, { recursive: true });
  }
}

const POLICY = '/usr/sbin/policy-rc.d';
const SAVED_POLICY = `${POLICY}.popbridge-saved`;

function forbidStarts(): () => void {
  // A saved file that is still there was left by a run that was killed; it, not what stands in its place, is the system's own.
  if (existsSync(POLICY) && !existsSync(SAVED_POLICY)) renameSync(POLICY, SAVED_POLICY);
  writeFileSync(POLICY, '#!/bin/sh\nexit 101\n');
  chmodSync(POLICY, 0o755);
  return () => {
    if (existsSync(SAVED_POLICY)) renameSync(SAVED_POLICY, POLICY);
    else rmSync(POLICY, { force: true });
  };
}

/** Debian's maintainer scripts enable a service at installation whatever policy-rc.d says; it would come up at the next boot. */
function disable(service: string): void {
  const units = [`${service}.service`, `${service}.socket`].filter((unit) => existsSync(join('/lib/systemd/system', unit)));
  // It asks on whose behalf it keeps the record of what was enabled.
  const asPackage = { DPKG_MAINTSCRIPT_PACKAGE: service };
  if (units.length > 0) run('/usr/bin/deb-systemd-helper', ['disable', ...units], QUICK_MS, { env: asPackage });
  if (existsSync(join('/etc/init.d', service))) run('/usr/sbin/update-rc.d', [service, 'disable'], QUICK_MS);
}

interface RunSettings {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
}

function run(command: string, args: readonly string[], timeout: number, { cwd = '/', env: more = {} }: RunSettings = {}): string {
  const env = { ...process.env, LC_ALL: 'C', DEBIAN_FRONTEND: 'noninteractive', NEEDRESTART_MODE: 'l', ...more };
  const done = spawnSync(command, args, {
    cwd,
    env,
    timeout: patience(timeout),
    encoding: 'utf8',
    killSignal: 'SIGTERM',
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  if (done.status === 0) return done.stdout;
  const lines = `${done.stdout ?? ''}\n${done.stderr ?? ''}`.split('\n').filter((line) => line.trim() !== '');
  const reason = lines.find((line) => line.startsWith('E: ')) ?? lines.at(-1) ?? done.error?.message ?? 'no output';
  throw new PackageError(`${command} ${args.find((arg) => !arg.startsWith('-') && !arg.includes('=')) ?? ''}: ${reason.trim()}`);
}
