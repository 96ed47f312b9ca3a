/**
 * Writes the small shell launchers by which extracted peers are run. A peer finds its libraries beside itself; one with compiled-in paths sees
 * the extracted files laid over /usr, in a mount namespace of its own that ends with it.
 */
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { patience } from '../patience.ts';
import { catalogue, type PeerName } from './catalogue.ts';
import { installedPath } from './locate.ts';

const VERSION_MS = 15_000;

/** Writes `cache/bin/NAME` for a peer extracted into `cache/root`; true if what it launches works, else no launcher is left. */
export function writeLauncher(name: PeerName, cache: string): boolean {
  const root = join(cache, 'root');
  const program = ['usr/bin', 'usr/sbin'].map((folder) => join(root, folder, name)).find((path) => existsSync(path));
  if (program === undefined && !['overlay', 'toolbox'].includes(catalogue[name].extractedAs)) return false;
  const launcher = join(cache, 'bin', name);
  mkdirSync(join(cache, 'bin'), { recursive: true });
  const draft = `${launcher}.${process.pid}`;
  writeFileSync(draft, script(name, program ?? name, root, cache));
  chmodSync(draft, 0o755);
  const tried = spawnSync(draft, catalogue[name].versionArguments, { timeout: patience(VERSION_MS), stdio: 'ignore' });
  if (tried.status === 0) renameSync(draft, launcher);
  else rmSync(draft);
  return tried.status === 0;
}

function script(name: PeerName, program: string, root: string, cache: string): string {
  switch (catalogue[name].extractedAs) {
    case 'overlay':
      return overlayScript(name, root);
    case 'python':
      return lines(
        ...libraryPath(root),
        `export PYTHONPATH=${quote(join(root, 'usr/lib/python3/dist-packages'))} PYTHONDONTWRITEBYTECODE=1`,
        `exec ${quote(installedPath('python3') ?? join(cache, 'bin/python3'))} ${quote(program)} "$@"`,
      );
    case 'toolbox':
      return toolboxScript(root);
    case 'testssl':
      return lines(
        ...libraryPath(root),
        `export PATH="$PATH":${quote(join(root, 'usr/bin'))} TESTSSL_INSTALL_DIR=${quote(join(root, 'etc/testssl'))}`,
        `exec bash ${quote(program)} "$@"`,
      );
    case 'chromium':
      return lines(...libraryPath(root, 'pulseaudio'), `exec ${quote(join(root, 'usr/lib/chromium/chromium'))} "$@"`);
    case 'library-path':
      return lines(...libraryPath(root), ...opensslSettings(root), `exec ${quote(program)} "$@"`);
  }
}

/** The inner shell gets the command as $0, so that nothing has to be quoted twice; the mounts vanish with the last process of the namespace. */
function overlayScript(name: PeerName, root: string): string {
  const options = `ro,lowerdir=${join(root, 'usr').replaceAll(/[\\:,]/g, '\\$&')}:/usr`;
  const inner = `mount -t overlay overlay -o ${quote(options)} /usr && exec "$0" "$@"`;
  return lines(`exec unshare --mount -- /bin/sh -c ${quote(inner)} ${quote(name)} "$@"`);
}

/** Cyrus keeps its programs in a folder of their own; Cyrus SASL has to be told where its plug-ins are, and looks nowhere else then. */
function toolboxScript(root: string): string {
  const folders = ['usr/lib/cyrus/bin', 'usr/sbin'].map((folder) => join(root, folder));
  const plugins = architectures(root).flatMap((folder) => [join(root, 'usr/lib', folder, 'sasl2'), join('/usr/lib', folder, 'sasl2')]);
  return lines(
    ...libraryPath(root),
    `export PATH=${quote(folders.join(':'))}:"$PATH"`,
    `export SASL_PATH=${quote(plugins.join(':'))}`,
    // By its full path: a Cyrus service looks at its own file and ends when that seems to have been replaced.
    'program=$(command -v "$1") && shift && exec "$program" "$@"',
  );
}

function libraryPath(root: string, ...more: readonly string[]): readonly string[] {
  const base = join(root, 'usr/lib');
  const folders = architectures(root).flatMap((folder) => ['', 'systemd', ...more].map((below) => join(base, folder, below)));
  return folders.length === 0 ? [] : [`export LD_LIBRARY_PATH=${quote(folders.join(':'))}\${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}`];
}

function architectures(root: string): readonly string[] {
  const base = join(root, 'usr/lib');
  return existsSync(base) ? readdirSync(base).filter((folder) => folder.includes('-linux-gnu')) : [];
}

/** OpenSSL's tools look for their configuration under a compiled-in path and refuse `req` without it. */
function opensslSettings(root: string): readonly string[] {
  const file = join(root, 'etc/ssl/openssl.cnf');
  return existsSync(file) && !existsSync('/etc/ssl/openssl.cnf') ? [`export OPENSSL_CONF=${quote(file)}`] : [];
}

function lines(...body: readonly string[]): string {
  return ['#!/bin/sh', ...body, ''].join('\n');
}

function quote(text: string): string {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`;
}
