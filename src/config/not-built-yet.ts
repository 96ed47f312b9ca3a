/**
 * Keys and values that belong to a later version (CONTRACT section 4). They do not exist: whoever uses one is told so by name. The schema
 * knows nothing of them; a row goes when its feature comes. Pure.
 */
import { isTable, valueAt, type KeyPath } from './key-path.ts';

interface LaterKey {
  /** `[]` stands for every entry of an array. */
  readonly key: string;
  /** Which values are meant; without it, all. */
  readonly when?: (value: unknown) => boolean;
  readonly problem: string;
}

/** Every key and value that is not built yet, with what to do instead. */
export const LATER_KEYS: readonly LaterKey[] = [
  { key: 'listen[].address', when: startsWith('socket:'), problem: 'sockets from systemd are not built yet; give host:port' },
  { key: 'listen[].proxy_protocol', problem: 'the PROXY protocol is not built yet; leave it out' },
  { key: 'listen[].trusted_proxies', problem: 'the PROXY protocol is not built yet; leave it out' },
  { key: 'store.url', when: startsWith('postgres'), problem: 'PostgreSQL is not built yet; must be "sqlite:", "sqlite:PATH" or "memory:"' },
  { key: 'admin', problem: 'metrics and health are not built yet; leave the table out' },
];

/** Where a document uses what is not built yet. */
export function findLaterKeys(document: unknown): { readonly path: KeyPath; readonly problem: string }[] {
  return LATER_KEYS.flatMap(({ key, when, problem }) =>
    pathsOf(document, key)
      .filter((path) => when?.(valueAt(document, path)) ?? true)
      .map((path) => ({ path, problem })),
  );
}

/** Paths that stand in the document: one for each entry where the key has `[]`. */
function pathsOf(document: unknown, key: string): KeyPath[] {
  const [before = '', after] = key.split('[].');
  const parts: KeyPath = before.split('.');
  if (after === undefined) return has(document, parts) ? [parts] : [];
  const entries = valueAt(document, parts);
  if (!Array.isArray(entries)) return [];
  return entries.map((_, index) => parts.concat(index, after)).filter((path) => has(document, path));
}

function has(document: unknown, path: KeyPath): boolean {
  const parent = valueAt(document, path.slice(0, -1));
  return isTable(parent) && Object.hasOwn(parent, path.at(-1) ?? '');
}

function startsWith(prefix: string): (value: unknown) => boolean {
  return (value) => typeof value === 'string' && value.startsWith(prefix);
}
