/** The folder for state. It is made if there is none; it has to belong to the user that we run as, and nobody else may be able to change it. */
import { chmodSync, mkdirSync, readdirSync, statSync } from 'node:fs';
import { requireOwnStateDirectory } from '../daemon/own-files.ts';
import { ConfigError } from '../errors.ts';
import type { CliEnvironment } from './environment.ts';
import { stateDirectory, type StateOptions } from './state-request.ts';

const OWNER_ONLY = 0o700;
const WRITABLE_BY_OTHERS = 0o022;

/**
 * For the daemon, which stays the user that it was started as. `source` names where the path came from, for the fault. Throws ConfigError,
 * StoreError where the directory belongs to somebody else, or the operating system's error.
 */
export function prepareStateDirectory(directory: string, source: string, uid: number): void {
  mkdirSync(directory, { recursive: true, mode: OWNER_ONLY });
  requireOwnStateDirectory(directory, uid);
  keepToOwner(directory, source);
}

/** For other commands: root becomes the owner of the directory. Throws as prepareStateDirectory does. */
export function enterStateDirectory(environment: CliEnvironment, options: Pick<StateOptions, 'state'>): void {
  const directory = stateDirectory(environment, options);
  mkdirSync(directory, { recursive: true, mode: OWNER_ONLY });
  environment.becomeOwnerOf(directory);
  keepToOwner(directory, options.state === undefined ? directory : '--state');
}

function keepToOwner(directory: string, source: string): void {
  if ((statSync(directory).mode & WRITABLE_BY_OTHERS) !== 0) {
    const problem = `others can write to the state directory ${directory}; must be one of its own that only its owner can change (chmod 700)`;
    throw new ConfigError([{ file: source, key: '', problem }]);
  }
  // Somebody's folder with other things in it is theirs to open or close; what we put there is for our user alone anyway.
  const names = readdirSync(directory);
  if (names.length === 0 || names.includes('daemon.lock')) chmodSync(directory, OWNER_ONLY);
}
