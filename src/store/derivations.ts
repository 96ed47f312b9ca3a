/**
 * A small file beside the UID map: for each upstream the template from which all its unique-ids follow, or none where some don't, as
 * after an import. Should the map itself be damaged, it tells whether it can be made anew without a client noticing.
 */
import { closeSync, existsSync, fsyncSync, openSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';

const OWNER_ONLY = 0o600;

/** By upstream; null where unique-ids are not derivable. */
type Templates = Readonly<Record<string, string | null>>;

export class Derivations {
  readonly #path: string | undefined;
  #templates: Templates;
  /** Ids were given away before anybody wrote down how. */
  readonly #isUnsure: boolean;

  private constructor(path: string | undefined, templates: Templates | undefined) {
    this.#path = path;
    this.#templates = templates ?? {};
    this.#isUnsure = templates === undefined;
  }

  /** Those of the map in that file; for undefined they are kept in memory alone. */
  static of(map: string | undefined): Derivations {
    if (map === undefined) return new Derivations(undefined, {});
    const path = derivationsFile(map);
    if (!existsSync(map)) {
      rmSync(path, { force: true });
      return new Derivations(path, {});
    }
    return new Derivations(path, read(path));
  }

  /** No id was ever given away. */
  get isEmpty(): boolean {
    return Object.keys(this.#templates).length === 0;
  }

  /** True when nothing is lost with the map: every id it ever held follows from the template configured now. */
  areAll(configured: ReadonlyMap<string, string>): boolean {
    const known = Object.entries(this.#templates);
    return known.length > 0 && known.every(([upstream, template]) => template !== null && template === configured.get(upstream));
  }

  /** Must be on disk before the map is: what it says may be too dark, never too bright. */
  note(upstream: string, template: string | undefined): void {
    const before = Object.hasOwn(this.#templates, upstream) ? this.#templates[upstream] : undefined;
    const next = (before === undefined && !this.#isUnsure) || before === template ? (template ?? null) : null;
    if (before === next) return;
    const templates = { ...this.#templates, [upstream]: next };
    if (this.#path !== undefined) replace(this.#path, JSON.stringify(templates));
    this.#templates = templates;
  }
}

/** Where that of the map in a file is. */
export function derivationsFile(map: string): string {
  return `${map}.derivations`;
}

/** Undefined where there is no such file or it makes no sense: then nobody knows. */
function read(path: string): Templates | undefined {
  try {
    const known: unknown = JSON.parse(readFileSync(path, 'utf8'));
    if (typeof known !== 'object' || known === null) return undefined;
    return Object.fromEntries(
      Object.entries(known).map(([upstream, template]) => [upstream, typeof template === 'string' ? template : null]),
    );
  } catch {
    return undefined;
  }
}

function replace(path: string, text: string): void {
  const draft = `${path}.new`;
  rmSync(draft, { force: true });
  // One that is there all the same, a link perhaps, is not written to.
  const file = openSync(draft, 'wx', OWNER_ONLY);
  try {
    writeFileSync(file, text);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  renameSync(draft, path);
}
