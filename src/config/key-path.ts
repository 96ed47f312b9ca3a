/** Paths of configuration keys: how they are written in faults, and values without what stands at a path. Pure. */

/** `['listen', 0, 'address']`. */
export type KeyPath = readonly PropertyKey[];

/** `listen[0].address`. What TOML would quote is quoted, so a fault always fits on its line. */
export function formatKeyPath(path: KeyPath): string {
  return path.reduce<string>((text, part) => {
    if (typeof part === 'number') return `${text}[${part}]`;
    const key = /^[\w-]+$/.test(String(part)) ? String(part) : JSON.stringify(String(part));
    return text === '' ? key : `${text}.${key}`;
  }, '');
}

/** True when `path` is `parent` or below it. */
export function isWithin(path: KeyPath, parent: KeyPath): boolean {
  return parent.length <= path.length && parent.every((part, index) => part === path[index]);
}

/** The value at the path; undefined when there is none. */
export function valueAt(value: unknown, [first, ...rest]: KeyPath): unknown {
  if (first === undefined) return value;
  if (Array.isArray(value)) return typeof first === 'number' ? valueAt(value[first], rest) : undefined;
  return isTable(value) && Object.hasOwn(value, first) ? valueAt(value[String(first)], rest) : undefined;
}

/** A copy without the key at the path. An entry of an array can't be left out: then the whole array is. */
export function without(value: unknown, path: KeyPath): unknown {
  const [first, ...rest] = withoutTrailingIndexes(path);
  if (Array.isArray(value)) return value.map((item: unknown, index) => (index === first ? without(item, rest) : item));
  if (!isTable(value)) return value;
  const entries = Object.entries(value);
  if (rest.length === 0) return Object.fromEntries(entries.filter(([key]) => key !== first));
  return Object.fromEntries(entries.map(([key, item]): [string, unknown] => [key, key === first ? without(item, rest) : item]));
}

/** The longest part of the path that ends in a key. */
export function withoutTrailingIndexes(path: KeyPath): KeyPath {
  return path.slice(0, path.findLastIndex((part) => typeof part !== 'number') + 1);
}

/** A TOML table, not an array and not a date. */
export function isTable(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Date);
}
