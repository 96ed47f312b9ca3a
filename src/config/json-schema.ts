/** The JSON Schema of a configuration file, and the list of its keys, both made from the schema that reads it. Pure. */
import { z } from 'zod';
import { isTable } from './key-path.ts';
import { fileSchema } from './schema.ts';

/** One key, for documentation. */
export interface ConfigKey {
  /** `upstream.host`; `listen.address` for a key of [[listen]]. */
  readonly path: string;
  /** As TOML writes it; undefined where there is none, or where it depends on other keys and the description says how. */
  readonly default: string | undefined;
  readonly description: string;
}

/** The JSON Schema (draft 2020-12) of a configuration file, for editors. */
export function configJsonSchema(): Readonly<Record<string, unknown>> {
  const { $schema, ...schema } = z.toJSONSchema(fileSchema, { io: 'input', override: ({ jsonSchema }) => adjusted(jsonSchema) });
  return { $schema, title: 'popbridge configuration file', ...schema };
}

/** Every key that a file may hold, in the order of the schema. */
export function configKeys(): readonly ConfigKey[] {
  return keysBelow('', configJsonSchema());
}

function keysBelow(path: string, schema: unknown): ConfigKey[] {
  if (!isTable(schema)) return [];
  const { properties, items } = schema;
  if (isTable(properties)) {
    return Object.entries(properties).flatMap(([key, inner]) => keysBelow(path === '' ? key : `${path}.${key}`, inner));
  }
  // An array of tables: [[listen]].
  if (isTable(items) && isTable(items['properties'])) return keysBelow(path, items);
  const { default: value, description } = schema;
  return [{ path, default: value === undefined ? undefined : JSON.stringify(value), description: String(description) }];
}

/** A table that may be left out has no default of its own; its keys have. What a preset may give is not required. */
function adjusted(schema: z.core.JSONSchema.BaseSchema): void {
  if (schema.properties?.['preset'] !== undefined) delete schema.required;
  const isTables = schema.type === 'array' && isTable(schema.items) && schema.items['type'] === 'object';
  if (schema.type === 'object' || isTables) delete schema.default;
}
