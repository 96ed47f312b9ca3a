/**
 * One daemon a state directory. The lock is SQLite's on `daemon.lock`: the operating system drops it when the process ends,
 * however it ends, so there is no stale lock to clean up.
 */
import { chmodSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { BusyError } from '../errors.ts';

/** Takes the lock or throws BusyError. Disposing gives it back. */
export function lockStateDirectory(directory: string): Disposable {
  const path = join(directory, 'daemon.lock');
  const database = new DatabaseSync(path, { timeout: 0 });
  try {
    chmodSync(path, 0o600);
    database.exec('PRAGMA journal_mode = MEMORY; PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE;');
  } catch (error) {
    database.close();
    throw new BusyError('STATE_IN_USE', `another daemon holds the state directory ${directory}`, { cause: error });
  }
  return { [Symbol.dispose]: () => database.close() };
}
