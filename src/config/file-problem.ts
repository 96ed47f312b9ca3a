/** The operating system's refusals in words. Pure. */

const PROBLEMS: Readonly<Record<string, string>> = {
  ENOENT: 'no such file or directory',
  ENOTDIR: 'no such file or directory',
  EACCES: 'permission denied',
  EPERM: 'permission denied',
  EISDIR: 'is a directory',
};

/** Why a file can't be read. */
export function fileProblem(error: unknown): string {
  const code = systemCode(error);
  return PROBLEMS[code] ?? `can't be read (${code === '' ? String(error) : code})`;
}

/** True where only a permission is missing. */
export function isPermissionDenied(error: unknown): boolean {
  return PROBLEMS[systemCode(error)] === PROBLEMS['EACCES'];
}

function systemCode(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : '';
}
