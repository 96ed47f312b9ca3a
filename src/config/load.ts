/**
 * From files to the configuration (CONTRACT sections 3 and 4). The edge of config/: it alone reads files, with find-files.ts and
 * referenced-files.ts; what they mean is decided elsewhere. May be called again and again (SIGHUP); nothing is kept between calls.
 */
import { isUtf8 } from 'node:buffer';
import { readFileSync, statSync } from 'node:fs';
import { basename, dirname, isAbsolute, join, resolve } from 'node:path';
import { parse as parseToml, TomlError } from 'smol-toml';
import { ConfigError, type ConfigFault } from '../errors.ts';
import { fileProblem, isPermissionDenied } from './file-problem.ts';
import { findConfigFiles, type FoundFile } from './find-files.ts';
import { checkListenOption, withListenAddresses } from './override-listen.ts';
import { parseHost } from './network-address.ts';
import { parseDocument, type ParsedDocument } from './parse-file.ts';
import { lookAtFiles } from './referenced-files.ts';
import type { BridgeConfig, ProcessConfig } from './schema.ts';
import { checkSharing } from './sharing.ts';
import { parseUpstreamUrl } from './upstream-url.ts';

export interface LoadRequest {
  /** Files and directories of *.toml. */
  readonly paths: readonly string[];
  /** Addresses instead of the configured ones, in every file. */
  readonly listen?: readonly string[];
}

/** Whose configuration and state it is. */
export interface ProcessOwner {
  readonly uid: number;
  readonly env: Readonly<Record<string, string | undefined>>;
}

const EXTENSION = '.toml';
const ROOT_UID = 0;

/** Who writes the configuration decides where passwords go, and which commands run. */
const OTHERS_WRITE = 0o002;

/**
 * The configuration of all files. Throws ConfigError with every fault of every file; its `cause` is the operating system's error where
 * nothing but missing permissions stood in the way.
 */
export function loadConfig({ paths, listen = [] }: LoadRequest): BridgeConfig {
  const listenFaults = checkListenOption(listen);
  const found = findConfigFiles(paths);
  const read = found.files.map((file) => readDocument(file, listenFaults.length === 0 ? listen : []));
  const parsed = read.flatMap(({ document }) => document ?? []);
  const looked = lookAtFiles(parsed.flatMap(({ references }) => references));
  const upstreams = parsed.flatMap(({ upstream }) => upstream ?? []);
  const faults = [listenFaults, found.faults, ...read.map((one) => one.faults), looked.faults, checkSharing(upstreams)].flat();
  throwAny(faults, [...found.causes, ...read.flatMap(({ cause }) => cause ?? []), ...looked.causes]);
  return { process: processOf(found.files, parsed), upstreams };
}

/** The files that `loadConfig` would read, for messages. Throws ConfigError where a path can't be read. */
export function configFiles(paths: readonly string[]): readonly string[] {
  const { files, faults, causes } = findConfigFiles(paths);
  throwAny(faults, causes);
  return files.map(({ path }) => path);
}

/** The configuration of `--upstream URL`: everything at its default but the server, which also names the upstream. Throws ConfigError. */
export function configFromUpstreamUrl(url: string, listen: readonly string[] = []): BridgeConfig {
  const file = '--upstream';
  const upstream = parseUpstreamUrl(url);
  const listenFaults = checkListenOption(listen);
  if ('problem' in upstream) throw new ConfigError([...listenFaults, { file, key: '', problem: upstream.problem }]);
  throwAny(listenFaults, []);
  const document = withListenAddresses({ upstream }, listen);
  const parsed = parseDocument({ file, folder: resolve('.'), name: parseHost(upstream.host) ?? '', role: 'only', document });
  throwAny(parsed.faults, []);
  return { process: parsed.process, upstreams: parsed.upstream === undefined ? [] : [parsed.upstream] };
}

/** Where configuration is looked for without `--config`. Pure. */
export function defaultConfigPath({ uid, env }: ProcessOwner): string {
  if (uid === ROOT_UID) return '/etc/popbridge';
  return join(absoluteOr(env['XDG_CONFIG_HOME'], join(env['HOME'] ?? '/', '.config')), 'popbridge');
}

/** Where state is kept without `--state`. Pure. */
export function defaultStateDirectory({ uid, env }: ProcessOwner): string {
  // systemd puts all of StateDirectory= there, separated by colons.
  const [given = ''] = (env['STATE_DIRECTORY'] ?? '').split(':');
  if (given !== '') return given;
  if (uid === ROOT_UID) return '/var/lib/popbridge';
  return join(absoluteOr(env['XDG_STATE_HOME'], join(env['HOME'] ?? '/', '.local', 'state')), 'popbridge');
}

interface ReadDocument {
  readonly faults: readonly ConfigFault[];
  readonly document?: ParsedDocument;
  /** The operating system's error where the file can't be read. */
  readonly cause?: unknown;
}

function readDocument(found: FoundFile, listen: readonly string[]): ReadDocument {
  const { path: file, role } = found;
  const read = readToml(file);
  if ('faults' in read) return read;
  const document = role === 'process' ? read.toml : withListenAddresses(read.toml, listen);
  const parsed = parseDocument({ file, folder: resolve(dirname(file)), name: basename(file, EXTENSION), role, document });
  return { faults: parsed.faults, document: parsed };
}

function readToml(file: string): { readonly toml: unknown } | ReadDocument {
  try {
    if ((statSync(file).mode & OTHERS_WRITE) !== 0)
      return { faults: [{ file, key: '', problem: `others can change this file; run: chmod o-w ${file}` }] };
    const octets = readFileSync(file);
    if (!isUtf8(octets)) return { faults: [{ file, key: '', problem: 'is not UTF-8 text' }] };
    // Editors on Windows put a byte order mark first; the decoder drops it.
    return { toml: parseToml(new TextDecoder().decode(octets)) };
  } catch (error) {
    if (error instanceof TomlError) return { faults: [syntaxFault(file, error)] };
    return { faults: [{ file, key: '', problem: fileProblem(error) }], cause: error };
  }
}

/** The parser's message goes on with an excerpt of the file, which would not fit on one line. */
function syntaxFault(file: string, error: TomlError): ConfigFault {
  const [line = ''] = error.message.split('\n');
  const problem = line.replace(/^Invalid TOML document: /, '');
  return { file, key: `line ${error.line}, column ${error.column}`, problem };
}

function processOf(files: readonly FoundFile[], parsed: readonly ParsedDocument[]): ProcessConfig {
  const index = files.findIndex(({ role }) => role !== 'upstream');
  return (parsed[index] ?? parseDocument(NO_FILE)).process;
}

const NO_FILE = { file: '', folder: '/', name: '', role: 'process', document: {} } as const;

function throwAny(faults: readonly ConfigFault[], causes: readonly unknown[]): void {
  if (faults.length === 0) return;
  const isPermissionOnly = causes.length === faults.length && causes.every(isPermissionDenied);
  throw new ConfigError(faults, isPermissionOnly ? { cause: causes[0] } : {});
}

/** The XDG base directory specification: what is not absolute is as if it were not set. */
function absoluteOr(value: string | undefined, fallback: string): string {
  return value !== undefined && isAbsolute(value) ? value : fallback;
}
