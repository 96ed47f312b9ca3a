import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { holds } from '../../support/holds.ts';
import { configKeys } from '../../../src/config/json-schema.ts';
import { parseDocument, type ConfigDocument } from '../../../src/config/parse-file.ts';

type Role = ConfigDocument['role'];

const SOURCE: Omit<ConfigDocument, 'document' | 'role'> = { file: 'x.toml', folder: '/', name: 'x' };
const role = fc.constantFrom<Role>('only', 'upstream', 'process');
/** Documents that are no table, and keys that are names of properties. */
const NO_CONFIGURATIONS = [
  null,
  [],
  'upstream',
  JSON.parse('{"__proto__": {"x": 1}}'),
  { constructor: { prototype: 1 } },
  { listen: null },
  { views: { toString: {} } },
];

/** Documents whose tables and keys exist, with anything as values. */
const nearDocument = fc
  .array(fc.tuple(fc.constantFrom(...configKeys().map(({ path }) => path), 'upstream.preset', 'maildrop.x', '__proto__.x'), fc.jsonValue()))
  .map((keys) => {
    const document: Record<string, unknown> = {};
    for (const [path, value] of keys) {
      const [table = '', key = ''] = path.split('.');
      const entry = Object.fromEntries([...Object.entries(Object(document[table])), [key, value]]);
      Object.defineProperty(document, table, { value: entry, enumerable: true, configurable: true, writable: true });
    }
    if ('listen' in document) document['listen'] = [document['listen'], {}];
    return document;
  });

test('no document makes it throw; each fault fits on one line and has a key', () => {
  holds(
    fc.property(fc.oneof(fc.jsonValue(), nearDocument), role, (document, role) => {
      const { faults } = parseDocument({ ...SOURCE, role, document });
      for (const { key, problem } of faults) {
        // The document itself, where it is no table at all, has no key.
        expect(key !== '' || typeof document !== 'object' || document === null || Array.isArray(document)).toBe(true);
        expect(`${key}${problem}`).not.toMatch(/[\r\n]/);
      }
    }),
    { usual: 500, examples: NO_CONFIGURATIONS.map((document): [unknown, Role] => [document, 'only']) },
  );
});

test('a fault is reported once', () => {
  holds(
    fc.property(nearDocument, (document) => {
      const lines = parseDocument({ ...SOURCE, role: 'only', document }).faults.map((fault) => JSON.stringify(fault));
      expect(new Set(lines).size).toBe(lines.length);
    }),
  );
});
