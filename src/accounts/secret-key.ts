/**
 * Where the key for secrets at rest comes from: a systemd credential, a file, or an environment variable. A key is 32 octets in base64 on a
 * line of its own; the first line seals, the others still open what they sealed.
 */
import { randomBytes } from 'node:crypto';
import { closeSync, existsSync, fsyncSync, openSync, readFileSync, renameSync, rmSync, statSync, writeSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { ConfigError } from '../errors.ts';
import { KEY_OCTETS } from './secret-box.ts';

/** Name of the systemd credential, and of the environment variable. */
const CREDENTIAL = 'popbridge.key';
const VARIABLE = 'POPBRIDGE_SECRETS_KEY';
const DEFAULT_FILE = 'secrets.key';
const OTHERS = 0o007;
const PERMISSIONS = 0o777;

export interface KeyPlaces {
  /** `secrets.key_file`; absolute. */
  readonly configured: string | undefined;
  readonly stateDirectory: string;
  readonly variables: Readonly<Record<string, string | undefined>>;
}

/** Keys, the newest first, and whence. */
export interface SecretKeys {
  readonly keys: readonly Buffer[];
  /** For messages. */
  readonly source: string;
  /** Where it is a file of ours that a rotation may write. */
  readonly file: string | undefined;
  /** The file in the state directory, where the key has another place now: what it sealed it still opens. */
  readonly formerFile: string | undefined;
}

/** Where the key is that popbridge makes itself. */
export function ownKeyFile(stateDirectory: string): string {
  return join(stateDirectory, DEFAULT_FILE);
}

/** Reads the keys; none where there is no place that has one yet. Throws ConfigError where what is there is no key, or others can read it. */
export function readKeys(places: KeyPlaces): SecretKeys {
  const own = ownKeyFile(places.stateDirectory);
  const given = givenKeys(places);
  if (given === undefined) return { keys: keysInFile(own), source: own, file: own, formerFile: undefined };
  const former = given.file === own ? [] : keysInFile(own);
  return { ...given, keys: [...given.keys, ...former], formerFile: former.length > 0 ? own : undefined };
}

/** From where an administrator has put them. */
function givenKeys({ configured, variables }: KeyPlaces): Omit<SecretKeys, 'formerFile'> | undefined {
  const credentials = variables['CREDENTIALS_DIRECTORY'];
  const credential = credentials === undefined ? undefined : join(credentials, CREDENTIAL);
  if (configured !== undefined) return { keys: keysInFile(configured), source: configured, file: configured };
  if (credential !== undefined && existsSync(credential)) return { keys: keysInFile(credential), source: credential, file: undefined };
  const given = variables[VARIABLE];
  return given === undefined || given === '' ? undefined : { keys: parseKeys(given, VARIABLE), source: VARIABLE, file: undefined };
}

/** A new key before those there are, on disk when this returns. */
export function addKey(known: SecretKeys): SecretKeys {
  const { keys, file, source } = known;
  if (file === undefined) throw fault(source, 'holds no key that popbridge may change');
  const next = [randomBytes(KEY_OCTETS), ...keys];
  writeKeys(file, next);
  return { ...known, keys: next };
}

/** Leaves the newest key alone in the file, and none in the state directory where the key has another place. Nothing may need the others any more. */
export function dropOldKeys(known: SecretKeys): SecretKeys {
  const keys = known.keys.slice(0, 1);
  if (known.file !== undefined) writeKeys(known.file, keys);
  if (known.formerFile !== undefined) rmSync(known.formerFile, { force: true });
  return { ...known, keys, formerFile: undefined };
}

function keysInFile(path: string): readonly Buffer[] {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat === undefined) return [];
  if (!stat.isFile()) throw fault(path, 'is not a file');
  if ((stat.mode & OTHERS) !== 0) {
    const mode = (stat.mode & PERMISSIONS).toString(8).padStart(4, '0');
    throw fault(path, `others can use this secret (mode ${mode}); run: chmod o= ${path}`);
  }
  return parseKeys(readFileSync(path, 'utf8'), path);
}

function parseKeys(text: string, source: string): readonly Buffer[] {
  const keys = text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '')
    .map((line) => Buffer.from(line, 'base64'));
  if (keys.length === 0 || keys.some((key) => key.length !== KEY_OCTETS)) {
    throw fault(source, `is no key; must hold ${KEY_OCTETS} octets in base64, one key a line: openssl rand -base64 ${KEY_OCTETS}`);
  }
  return keys;
}

/** A crash leaves the old file or the new one. */
function writeKeys(path: string, keys: readonly Buffer[]): void {
  if (!existsSync(dirname(path))) throw fault(path, 'its folder does not exist');
  const draft = `${path}.new`;
  rmSync(draft, { force: true });
  const handle = openSync(draft, 'wx', 0o600);
  try {
    writeSync(handle, keys.map((key) => `${key.toString('base64')}\n`).join(''));
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
  renameSync(draft, path);
  const folder = openSync(dirname(path), 'r');
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}

function fault(file: string, problem: string): ConfigError {
  return new ConfigError([{ file, key: '', problem }]);
}
