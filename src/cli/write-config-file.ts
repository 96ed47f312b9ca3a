/** Writes a new configuration file, so that the daemon can read it whose state directory belongs to another user than root. */
import { chmodSync, chownSync, closeSync, fchmodSync, fchownSync, mkdirSync, openSync, statSync, writeFileSync, type Stats } from 'node:fs';
import { dirname } from 'node:path';

const ROOT = 0;

/** For the owner and the group; the second pair where there is no group that the daemon is known to be in. Such a file holds no secret. */
const SHARED = { folder: 0o750, file: 0o640 } as const;
const READABLE = { folder: 0o755, file: 0o644 } as const;

/**
 * Makes the file, and its folders where they are missing. Throws the operating system's error, EEXIST where there is a file. Where root writes,
 * `stateDirectory` tells whose daemon is to read it; undefined where the daemon runs as the user who writes.
 */
export function writeConfigFile(file: string, text: string, stateDirectory: string | undefined): void {
  const missing = missingFolders(dirname(file));
  const access = stateDirectory === undefined ? undefined : accessFor(statSync(dirname(missing[0] ?? file)), stateDirectory);
  for (const folder of missing) {
    mkdirSync(folder);
    if (access === undefined) continue;
    chownSync(folder, access.uid, access.gid);
    chmodSync(folder, access.modes.folder);
  }
  // Never through a link, nor over what is there: the folder may belong to another user.
  const handle = openSync(file, 'wx', SHARED.file);
  try {
    writeFileSync(handle, text);
    if (access === undefined) return;
    fchownSync(handle, access.uid, access.gid);
    fchmodSync(handle, access.modes.file);
  } finally {
    closeSync(handle);
  }
}

/** From the outermost to the innermost. */
function missingFolders(folder: string): string[] {
  return statSync(folder, { throwIfNoEntry: false }) === undefined ? [...missingFolders(dirname(folder)), folder] : [];
}

interface Access {
  readonly uid: number;
  readonly gid: number;
  readonly modes: typeof SHARED | typeof READABLE;
}

/** The owner of the folder that is there keeps the files in it; the group is the daemon's, or else the folder's, which is where packages put it. */
function accessFor(folder: Stats, stateDirectory: string): Access {
  const state = statSync(stateDirectory, { throwIfNoEntry: false });
  const isOfRoot = state === undefined || state.uid === ROOT;
  const gid = isOfRoot || state.gid === ROOT ? folder.gid : state.gid;
  return { uid: folder.uid, gid, modes: isOfRoot || gid !== ROOT ? SHARED : READABLE };
}
