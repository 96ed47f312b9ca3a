/** From `--config` to the files it stands for. Reads directories only. */
import { readdirSync, statSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import type { ConfigFault } from '../errors.ts';
import type { FileRole } from './parse-file.ts';
import { fileProblem } from './file-problem.ts';

/** Holds the tables of the process as a whole, beside files of upstreams. */
const PROCESS_FILE = 'popbridge.toml';
const EXTENSION = '.toml';

export interface FoundFile {
  readonly path: string;
  readonly role: FileRole;
}

export interface FoundFiles {
  readonly files: readonly FoundFile[];
  readonly faults: readonly ConfigFault[];
  /** The operating system's errors behind the faults. */
  readonly causes: readonly unknown[];
}

/** Files in the order of the paths; those of a directory sorted by name. Each once, however often it is named. */
export function findConfigFiles(paths: readonly string[]): FoundFiles {
  const faults: ConfigFault[] = [];
  const causes: unknown[] = [];
  const found = new Map<string, { readonly path: string; readonly isAlone: boolean }>();
  for (const path of paths) {
    try {
      const isDirectory = statSync(path).isDirectory();
      const inside = isDirectory ? filesIn(path) : [path];
      if (isDirectory) for (const fault of checkDirectory(path, inside)) faults.push(fault);
      for (const file of inside) found.set(resolve(file), { path: file, isAlone: !isDirectory });
    } catch (error) {
      causes.push(error);
      faults.push({ file: path, key: '', problem: `${fileProblem(error)}; give --config a file or a directory of *${EXTENSION}` });
    }
  }
  const all = [...found.values()];
  const isOnly = paths.length === 1 && all.every(({ isAlone }) => isAlone);
  const files = all.map(({ path }): FoundFile => ({
    path,
    role: isOnly ? 'only' : basename(path) === PROCESS_FILE ? 'process' : 'upstream',
  }));
  return { files, faults: [...faults, ...checkProcessFiles(files, faults)], causes };
}

/** Files whose names begin with a dot are editors' leavings. */
function filesIn(directory: string): string[] {
  const names = readdirSync(directory).filter((name) => name.endsWith(EXTENSION) && !name.startsWith('.'));
  return names.sort().map((name) => join(directory, name));
}

function checkDirectory(directory: string, files: readonly string[]): ConfigFault[] {
  if (files.length === 0) return [{ file: directory, key: '', problem: `holds no *${EXTENSION} file; each upstream needs one` }];
  if (files.some((file) => basename(file) !== PROCESS_FILE)) return [];
  return [{ file: directory, key: '', problem: `holds ${PROCESS_FILE} alone; each upstream needs a file of its own beside it` }];
}

function checkProcessFiles(files: readonly FoundFile[], before: readonly ConfigFault[]): ConfigFault[] {
  const [first, ...others] = files.filter(({ role }) => role === 'process');
  if (first === undefined) return [];
  const hasUpstream = files.some(({ role }) => role === 'upstream');
  const alone =
    hasUpstream || before.length > 0
      ? []
      : [{ file: first.path, key: '', problem: 'is alone; each upstream needs a file of its own beside it' }];
  return [
    ...alone,
    ...others.map(({ path }) => ({ file: path, key: '', problem: `${first.path} is there already; only one ${PROCESS_FILE} is allowed` })),
  ];
}
