import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'smol-toml';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { configJsonSchema, configKeys } from '../../../src/config/json-schema.ts';
import { isTable } from '../../../src/config/key-path.ts';
import { LATER_KEYS } from '../../../src/config/not-built-yet.ts';

const EXAMPLES = join(import.meta.dirname, '../../../config');
const SHIPPED = join(EXAMPLES, 'popbridge.schema.json');
const examples = readdirSync(EXAMPLES).filter((name) => name.endsWith('.toml'));
const keys = configKeys();
const paths = keys.map(({ path }) => path);

test('the shipped schema is the generated one (UPDATE_SCHEMA=1 writes it)', () => {
  const generated = `${JSON.stringify(configJsonSchema(), null, 2)}\n`;
  if (process.env['UPDATE_SCHEMA'] === '1') writeFileSync(SHIPPED, generated);
  expect(readFileSync(SHIPPED, 'utf8')).toBe(generated);
});

test('every table refuses unknown keys; in [views] any name is one, of a table that does', () => {
  const schema = JSON.stringify(configJsonSchema());
  expect(schema.match(/"additionalProperties":\{/g)).toHaveLength(1);
  expect(schema.match(/"type":"object"/g)).toHaveLength((schema.match(/"additionalProperties":false/g)?.length ?? 0) + 1);
});

test('every key is described, and is there once', () => {
  for (const { path, description } of keys) expect(description, path).toMatch(/^\S.{9,}$/);
  expect(new Set(paths).size).toBe(paths.length);
});

test('every default is TOML, or is explained', () => {
  const without = keys.filter((key) => key.default === undefined);
  expect(without.map(({ path }) => path)).toEqual(['upstream.host', 'upstream.port', 'listen.security', 'account.user', 'views']);
  for (const key of keys) if (key.default !== undefined) expect(parse(`x = ${key.default}`)).toHaveProperty('x');
});

test('keys that are not built yet are not in it', () => {
  const whole = LATER_KEYS.filter(({ when }) => when === undefined).map(({ key }) => key.replace('[]', ''));
  expect(whole.filter((key) => paths.some((path) => path === key || path.startsWith(`${key}.`)))).toEqual([]);
});

describe('it accepts the example', () => {
  const validator = z.fromJSONSchema(z.looseObject({}).parse(configJsonSchema()));

  test.each(examples)('%s', (name) => {
    const document = parse(readFileSync(join(EXAMPLES, name), 'utf8'));
    expect(validator.safeParse(document).error?.issues ?? []).toEqual([]);
    expect(pathsIn(document).filter((path) => !paths.includes(path))).toEqual([]);
  });

  test('but not one with an unknown key', () => {
    expect(validator.safeParse({ upstream: { host: 'a', hots: 'b' } }).success).toBe(false);
  });
});

function pathsIn(value: unknown, path = ''): string[] {
  if (Array.isArray(value) && value.some(isTable)) return value.flatMap((item: unknown) => pathsIn(item, path));
  if (!isTable(value)) return [path];
  return Object.entries(value).flatMap(([key, inner]) => pathsIn(inner, path === '' ? key : `${path}.${key}`));
}
