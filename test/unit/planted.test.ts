/** The planted bugs still fit the source: `npm run planted` takes long, and is not part of the suite. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { PLANTED_BUGS } from '../planted/planted-bugs.ts';

const SOURCE = join(import.meta.dirname, '../../src');

test.each(PLANTED_BUGS.map(({ name, changes }) => [name, changes] as const))('%s: can be planted', (_, changes) => {
  for (const { file, from } of changes) expect(readFileSync(join(SOURCE, file), 'utf8').split(from)).toHaveLength(2);
});
