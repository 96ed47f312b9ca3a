/** The folder for state: made where there is none, and never one that others can change. */
import { chmodSync, mkdirSync, readdirSync, statSync } from 'node:fs';
import { ConfigError } from '../errors.ts';

const OWNER_ONLY = 0o700;
const WRITABLE_BY_OTHERS = 0o022;

/** `source` names where the path came from, for the fault. Throws ConfigError, or the operating system's error. */
export function prepareStateDirectory(directory: string, source: string): void {
  mkdirSync(directory, { recursive: true, mode: OWNER_ONLY });
  if ((statSync(directory).mode & WRITABLE_BY_OTHERS) !== 0) {
    const problem = `others can write to the state directory ${directory}; must be one of its own that only its owner can change (chmod 700)`;
    throw new ConfigError([{ file: source, key: '', problem }]);
  }
  // Somebody's folder with other things in it is theirs to open or close; what we put there is for our user alone anyway.
  const names = readdirSync(directory);
  if (names.length === 0 || names.includes('daemon.lock')) chmodSync(directory, OWNER_ONLY);
}
