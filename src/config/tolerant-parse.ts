/**
 * Parses a document and goes on where it is wrong: each fault is reported and its key left out, until the rest stands. So the checks of
 * several keys together can run on what is sound, and every fault comes out in one go. Pure.
 */
import { z } from 'zod';
import { InvariantError } from '../errors.ts';
import { describeIssue, describeUnknownKey } from './fault-text.ts';
import { formatKeyPath, isTable, without, withoutTrailingIndexes, type KeyPath } from './key-path.ts';
import { fileSchema, type FileTables } from './schema.ts';

/** What is wrong with one key. */
export interface KeyFault {
  readonly path: KeyPath;
  readonly problem: string;
}

export interface TolerantResult {
  /** The document, with the default of every key that was wrong. */
  readonly tables: FileTables;
  readonly faults: readonly KeyFault[];
}

/** Each pass removes every key that the one before refused; two or three do. */
const MOST_PASSES = 20;

/** A key without a default, in an array of tables: where it is faulty, no check may look at any of them. */
const REQUIRED_IN_ARRAY = { table: 'account', key: 'user' };

/** The only other key that has no default; in place of a faulty one no check may look at it. */
const REQUIRED: KeyPath = ['upstream', 'host'];
const STAND_IN_HOST = 'localhost';

/** Never throws, whatever the document is. */
export function parseTolerantly(document: unknown): TolerantResult {
  const faults: KeyFault[] = [];
  let rest = document;
  for (let pass = 0; pass < MOST_PASSES; pass += 1) {
    const result = fileSchema.safeParse(rest, { error: describeIssue });
    if (result.success) return { tables: result.data, faults };
    const found = onePerKey(result.error.issues).flatMap(faultsOf);
    for (const fault of found) faults.push(fault);
    rest = found.reduce<unknown>((kept, { path }) => leaveOut(kept, path), rest);
  }
  throw new InvariantError('a configuration file stays faulty without its faulty keys');
}

/** A value of the wrong kind may fail more checks than one; that it is of the wrong kind says it all. */
function onePerKey(issues: readonly z.core.$ZodIssue[]): z.core.$ZodIssue[] {
  const wrongKinds = new Set(issues.filter(({ code }) => code === 'invalid_type').map(({ path }) => formatKeyPath(path)));
  return issues.filter(({ code, path }) => code === 'invalid_type' || !wrongKinds.has(formatKeyPath(path)));
}

function faultsOf(issue: z.core.$ZodIssue): KeyFault[] {
  if (issue.code === 'invalid_key') return [{ path: issue.path, problem: issue.issues[0]?.message ?? issue.message }];
  if (issue.code !== 'unrecognized_keys') return [{ path: issue.path, problem: issue.message }];
  const known = keysAt(fileSchema, issue.path);
  return issue.keys.map((key) => ({ path: [...issue.path, key], problem: describeUnknownKey(key, known) }));
}

function leaveOut(document: unknown, path: KeyPath): unknown {
  const key = withoutTrailingIndexes(path);
  if (key.length === 0) return {};
  if (key[0] === REQUIRED_IN_ARRAY.table && key.at(-1) === REQUIRED_IN_ARRAY.key) return without(document, [REQUIRED_IN_ARRAY.table]);
  const rest = without(document, key);
  if (key.length !== REQUIRED.length || !key.every((part, index) => part === REQUIRED[index]) || !isTable(rest)) return rest;
  const { upstream } = rest;
  return { ...rest, upstream: { ...(isTable(upstream) ? upstream : {}), host: STAND_IN_HOST } };
}

/** The keys of the table at a path. */
function keysAt(schema: z.core.$ZodType, path: KeyPath): string[] {
  if (schema instanceof z.ZodDefault || schema instanceof z.ZodPrefault || schema instanceof z.ZodOptional)
    return keysAt(schema.unwrap(), path);
  if (schema instanceof z.ZodArray) return keysAt(schema.element, path.slice(1));
  if (schema instanceof z.ZodRecord) return path.length === 0 ? [] : keysAt(schema.valueType, path.slice(1));
  if (!(schema instanceof z.ZodObject)) return [];
  const [first, ...rest] = path;
  if (first === undefined) return Object.keys(schema.shape);
  const inner: z.core.$ZodType | undefined = schema.shape[String(first)];
  return inner === undefined ? [] : keysAt(inner, rest);
}
