/**
 * One daemon a state directory. The lock is SQLite's on `daemon.lock`: the operating system drops it when the process ends,
 * however it ends, so there is no stale lock to clean up.
 */
import { closeSync, constants, fchmodSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { BusyError, StoreError } from '../errors.ts';
import { databaseFiles, requireOwnFiles } from './own-files.ts';

const OWNER_ONLY = 0o600;
const SQLITE_BUSY = 5;

/** Takes the lock of a state directory; see lockFile. */
export function lockStateDirectory(directory: string): Disposable {
  return lockFile(join(directory, 'daemon.lock'), `the state directory ${directory}`, directory);
}

/**
 * Takes a lock; disposing gives it back. Throws BusyError where another process has it, StoreError where the file is no lock or not ours,
 * and the operating system's error where it can't be written. `what` is locked by it, for the error.
 */
export function lockFile(path: string, what: string, stateDirectory: string): Disposable {
  requireOwnFiles(databaseFiles(path), stateDirectory);
  // SQLite would only say that it can't open the file, not why.
  const file = openSync(path, constants.O_WRONLY | constants.O_CREAT | constants.O_NOFOLLOW, OWNER_ONLY);
  fchmodSync(file, OWNER_ONLY);
  closeSync(file);
  const database = new DatabaseSync(path, { timeout: 0 });
  try {
    database.exec('PRAGMA journal_mode = MEMORY; PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE;');
  } catch (error) {
    database.close();
    if (isBusy(error)) throw new BusyError('STATE_IN_USE', `another daemon holds ${what}`, { cause: error });
    throw new StoreError('STORE_FAILED', `${path} can't be used as a lock: ${error instanceof Error ? error.message : String(error)}`, {
      cause: error,
    });
  }
  return { [Symbol.dispose]: () => database.close() };
}

function isBusy(error: unknown): boolean {
  return error instanceof Error && 'errcode' in error && error.errcode === SQLITE_BUSY;
}
