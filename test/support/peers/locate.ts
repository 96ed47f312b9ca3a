/**
 * Finds a peer: installed on this machine, or extracted earlier into the cache. Looks at files only, starts nothing, so asking is cheap.
 */
import { accessSync, constants, existsSync, readFileSync, realpathSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { catalogue, type PeerName } from './catalogue.ts';

/** The checkout. */
export const projectRoot = join(import.meta.dirname, '../../..');

/** Where extracted peers live: `root/` as in the packages, `bin/` a launcher for each. Checkouts whose `node_modules` is a link share it. */
export const cacheFolder = join(realpathSync(join(projectRoot, 'node_modules')), '.cache/popbridge-peers');

/** True when this process may create mount namespaces and run servers under other users. */
export const isRoot = process.getuid?.() === 0;

/** The path by which a peer can be started now, or undefined. */
export function locate(name: PeerName): string | undefined {
  return installedPath(name) ?? extractedPath(name);
}

/** The installed command, provided all the files it needs are installed too. */
export function installedPath(name: PeerName): string | undefined {
  if (catalogue[name].staysApart === true) return undefined;
  if (!catalogue[name].files.every((file) => existsSync(join('/', file)))) return undefined;
  return searchPath()
    .map((folder) => join(folder, name))
    .find(isExecutable);
}

function extractedPath(name: PeerName): string | undefined {
  if (catalogue[name].extractedAs === 'overlay' && !isRoot) return undefined;
  return launcherIn(cacheFolder, name);
}

/** The launcher in a cache, unless it was written elsewhere: it names files by their full paths, and a checkout may be moved or copied. */
export function launcherIn(cache: string, name: PeerName): string | undefined {
  const launcher = join(cache, 'bin', name);
  return isExecutable(launcher) && readFileSync(launcher, 'utf8').includes(join(cache, 'root')) ? launcher : undefined;
}

/**
 * The system's own folders come first: a version manager's shim on PATH may stop working once HOME points into a test's folder. And sbin, where
 * Dovecot is, is not on every PATH.
 */
function searchPath(): readonly string[] {
  const own = (process.env['PATH'] ?? '').split(delimiter).filter((folder) => folder.startsWith('/'));
  return [...new Set(['/usr/bin', '/usr/sbin', '/bin', '/sbin', '/usr/local/bin', '/usr/local/sbin', ...own])];
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
