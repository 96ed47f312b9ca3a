/**
 * Whether what lies in the state directory is popbridge's own. A link that another user put there would make a daemon of root write to, or
 * change the mode of, any file on the machine. Once the directory belongs to our user, and nobody else can change it (state-directory.ts),
 * what was looked at stays as it is until it is opened.
 */
import { lstatSync, statSync, type Stats } from 'node:fs';
import { dirname } from 'node:path';
import { StoreError } from '../errors.ts';

const ROOT = 0;
const WRITABLE_BY_ALL = 0o002;
/** As /tmp has it: there everybody may add files, and remove only their own. */
const STICKY = 0o1000;

/** Throws STATE_UNSAFE where that directory belongs to another user than `uid`, which we run as. -1: the system knows no users. */
export function requireOwnStateDirectory(directory: string, uid: number): void {
  const { uid: owner } = statSync(directory);
  if (uid < 0 || owner === uid) return;
  throw unsafe(
    `the state directory ${directory} belongs to user ${owner}, and this command runs as user ${uid}; run it as user ${owner}, or name another directory with --state`,
  );
}

/** The files of a database, with all that SQLite puts beside it. */
export function databaseFiles(path: string): readonly string[] {
  return ['', '-wal', '-shm', '-journal'].map((part) => path + part);
}

/** Throws STATE_UNSAFE where one of them is there and is a link, no regular file, or not of the user to whom the state directory belongs. */
export function requireOwnFiles(paths: readonly string[], stateDirectory: string): void {
  for (const path of paths) requireOwn(path, stateDirectory, 'a regular file', (stat) => stat.isFile());
}

/** The same for a socket; false where there is none. */
export function hasOwnSocket(path: string, stateDirectory: string): boolean {
  return requireOwn(path, stateDirectory, 'a socket', (stat) => stat.isSocket());
}

/** Of a file that lies outside the state directory: throws STATE_UNSAFE where others could put another one in its place. */
export function requireSafeFolder(path: string, stateDirectory: string): void {
  const folder = dirname(path);
  const stat = statSync(folder, { throwIfNoEntry: false });
  if (stat === undefined) return;
  const { uid: owner } = statSync(stateDirectory);
  if (stat.uid !== owner && stat.uid !== ROOT) {
    throw unsafe(
      `the folder ${folder} belongs to user ${stat.uid}, and the state directory to user ${owner}; give ${path} a folder of user ${owner}`,
    );
  }
  if ((stat.mode & WRITABLE_BY_ALL) !== 0 && (stat.mode & STICKY) === 0) {
    throw unsafe(`everybody can write to the folder ${folder}, where ${path} is to be; run: chmod o-w ${folder}`);
  }
}

function requireOwn(path: string, stateDirectory: string, kind: string, isRight: (stat: Stats) => boolean): boolean {
  const stat = lstatSync(path, { throwIfNoEntry: false });
  if (stat === undefined) return false;
  if (stat.isSymbolicLink()) {
    throw unsafe(`${path} is a symbolic link, and popbridge follows none to its own files; remove it, or put the file that it names there`);
  }
  if (!isRight(stat)) throw unsafe(`${path} is not ${kind}; move it away`);
  const { uid: owner } = statSync(stateDirectory);
  if (stat.uid === owner) return true;
  throw unsafe(`${path} belongs to user ${stat.uid}, and the state directory to user ${owner}; run: chown ${owner} ${path}`);
}

function unsafe(problem: string): StoreError {
  return new StoreError('STATE_UNSAFE', problem);
}
