/** Looks at the files that a configuration names, before anything is started with them. */
import { accessSync, constants, statSync } from 'node:fs';
import { dirname } from 'node:path';
import type { ConfigFault } from '../errors.ts';
import type { ReferencedFile } from './file-config.ts';
import { fileProblem } from './file-problem.ts';

/** Read, write and execute for those who are neither owner nor group. */
const OTHERS = 0o007;
const PERMISSIONS = 0o777;

export interface LookedAt {
  readonly faults: readonly ConfigFault[];
  /** The operating system's errors behind the faults. */
  readonly causes: readonly unknown[];
}

/** Faults of files that can't be read, and of secrets that others could. */
export function lookAtFiles(references: readonly ReferencedFile[]): LookedAt {
  const faults: ConfigFault[] = [];
  const causes: unknown[] = [];
  for (const { file, key, path, isSecret, mayBeMissing = false } of references) {
    try {
      const isMade = mayBeMissing && statSync(path, { throwIfNoEntry: false }) === undefined;
      const problem = isMade ? folderProblem(path) : problemOf(path, isSecret);
      if (problem !== undefined) faults.push({ file, key, problem });
    } catch (error) {
      causes.push(error);
      faults.push({ file, key, problem: `${path}: ${fileProblem(error)}` });
    }
  }
  return { faults, causes };
}

/** Of a file that is to be made. */
function folderProblem(path: string): string | undefined {
  const folder = dirname(path);
  return statSync(folder, { throwIfNoEntry: false })?.isDirectory() === true ? undefined : `${path}: there is no folder ${folder}`;
}

function problemOf(path: string, isSecret: boolean): string | undefined {
  const stat = statSync(path);
  if (stat.isDirectory()) return `${path}: is a directory; give a file`;
  accessSync(path, constants.R_OK);
  if (!isSecret || (stat.mode & OTHERS) === 0) return undefined;
  const mode = (stat.mode & PERMISSIONS).toString(8).padStart(4, '0');
  return `${path}: others can use this secret (mode ${mode}); run: chmod o= ${path}`;
}
