/** One configuration document, from unknown to typed configuration or faults, all of them at once. Pure. */
import type { ConfigFault } from '../errors.ts';
import { withPreset } from './apply-preset.ts';
import { crossCheck } from './cross-checks.ts';
import { formatKeyPath, isTable, isWithin, valueAt, without, withoutTrailingIndexes, type KeyPath } from './key-path.ts';
import { findLaterKeys } from './not-built-yet.ts';
import { fileConfig, processConfig, references, type FileOrigin, type ReferencedFile } from './file-config.ts';
import { fileSchema, PROCESS_TABLES, type FileConfig, type FileTables, type ProcessConfig } from './schema.ts';
import { parseTolerantly, type KeyFault } from './tolerant-parse.ts';

/** `only`: may hold everything. `upstream`: one of several. `process`: popbridge.toml beside others. */
export type FileRole = 'only' | 'upstream' | 'process';

export interface ConfigDocument extends FileOrigin {
  readonly role: FileRole;
  readonly document: unknown;
}

export interface ParsedDocument {
  readonly faults: readonly ConfigFault[];
  /** Undefined in popbridge.toml, and where faults leave nothing to go by when files are compared. */
  readonly upstream: FileConfig | undefined;
  readonly process: ProcessConfig;
  readonly references: readonly ReferencedFile[];
}

/** Tables that are compared between files; one that is faulty would be compared by its default. */
const COMPARED: readonly KeyPath[] = [['upstream', 'id'], ['listen'], ['tls'], ['login']];

/** Never throws, whatever the document is. */
export function parseDocument(source: ConfigDocument): ParsedDocument {
  const refused = [...findMisplaced(source), ...findLaterKeys(source.document), ...findUnusableViews(source.document)];
  const rest = refused.reduce<unknown>((kept, { path }) => without(kept, path), source.document);
  const { tables, faults } = parseTolerantly(withPreset(rest));
  const single = [...refused, ...faults, ...findMissingUpstream(source, tables, faults)];
  const faulty = single.map(({ path }) => withoutTrailingIndexes(path));
  const isSound = (path: KeyPath): boolean => !faulty.some((other) => isWithin(path, other) || isWithin(other, path));
  const crossed = crossCheck(tables).filter(({ path, reads }) => [path, ...reads].every(isSound));
  const all = [...single, ...crossed];
  const isComparable = !all.some(({ path }) => path.length === 0 || COMPARED.some((table) => isWithin(path, table)));
  return {
    faults: all.map(({ path, problem }) => ({ file: source.file, key: formatKeyPath(path), problem })),
    upstream: tables.upstream === undefined || !isComparable ? undefined : fileConfig(source, tables, tables.upstream),
    process: processConfig(source, tables),
    references: references(source, tables),
  };
}

/** A name that no object of the language can have as a key would be dropped without a word. */
function findUnusableViews(document: unknown): KeyFault[] {
  const views = valueAt(document, ['views']);
  if (!isTable(views) || !Object.hasOwn(views, '__proto__')) return [];
  return [{ path: ['views', '__proto__'], problem: 'is no name for a view; choose another' }];
}

/** Tables that stand in the wrong file; those not built yet are refused by their own names. */
function findMisplaced({ role, document }: ConfigDocument): KeyFault[] {
  if (role === 'only' || !isTable(document)) return [];
  const isProcess = role === 'process';
  return Object.keys(document)
    .filter((key) => FILE_TABLES.has(key) && PROCESS_TABLES.includes(key) !== isProcess)
    .map((key) => ({
      path: [key],
      problem: isProcess ? NOT_OF_THE_PROCESS : 'is about the whole process; put it into popbridge.toml beside this file',
    }));
}

const NOT_OF_THE_PROCESS = `is about one upstream; popbridge.toml holds only ${PROCESS_TABLES.join(', ')}, put it into a file of its own`;

const FILE_TABLES: ReadonlySet<string> = new Set(Object.keys(fileSchema.shape));

function findMissingUpstream({ role }: ConfigDocument, tables: FileTables, faults: readonly KeyFault[]): KeyFault[] {
  const isRefused = faults.some(({ path }) => path.length === 0 || path[0] === 'upstream');
  if (role === 'process' || tables.upstream !== undefined || isRefused) return [];
  return [{ path: ['upstream'], problem: 'missing; give at least [upstream] with host' }];
}
