/** The views of one file: what a view does not say, it takes from the tables of the file. Pure. */
import type { KeyPath } from './key-path.ts';
import type { FileTables, ViewTable } from './schema.ts';

/** A view with every key set. */
export type WholeView = FileTables['maildrop'] & FileTables['retrieve'] & FileTables['delete'];

export interface NamedView {
  /** '' for the file's own tables. */
  readonly name: string;
  readonly table: WholeView;
  /** Where a key of the view stands: in the view, or in the file's own tables. */
  readonly pathOf: (key: keyof WholeView) => KeyPath;
}

/** Every view, the file's own tables first. */
export function viewsOf(tables: FileTables): NamedView[] {
  const base: WholeView = { ...tables.maildrop, ...tables.retrieve, ...tables.delete };
  const pathOf = (key: keyof WholeView): KeyPath => [tableOf(tables, key), key];
  const named = Object.entries(tables.views).map(([name, view]): NamedView => {
    const own = set(view);
    return { name, table: { ...base, ...own }, pathOf: (key) => (Object.hasOwn(own, key) ? ['views', name, key] : pathOf(key)) };
  });
  return [{ name: '', table: base, pathOf }, ...named];
}

function tableOf({ maildrop, retrieve }: FileTables, key: keyof WholeView): 'maildrop' | 'retrieve' | 'delete' {
  if (Object.hasOwn(maildrop, key)) return 'maildrop';
  return Object.hasOwn(retrieve, key) ? 'retrieve' : 'delete';
}

/** Without keys that are there but undefined. */
function set(view: ViewTable): Partial<WholeView> {
  return Object.fromEntries(Object.entries(view).filter(([, value]) => value !== undefined));
}
