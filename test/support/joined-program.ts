/**
 * The built program joined into few files. Node takes two thirds of a start to find and read six hundred small ones, and the tests start the program
 * several hundred times. What it does is the same; `AS_INSTALLED` in vitest.config.ts names the tests that start `dist` itself.
 */
import { copyFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { rolldown } from 'rolldown';

const root = join(import.meta.dirname, '../..');
/** Each run of the tests has its own: another one in the same checkout must not replace it. Every user may read it, as the user of a service must. */
const folder = join(tmpdir(), `popbridge-joined-${process.pid}`);

/** What the configuration of the tests hands to those that start the program: variables of the environment. */
export const JOINED = {
  TEST_PROGRAM: join(folder, 'dist/main.js'),
  // Node compiles each of the files once, and not again at every start.
  NODE_COMPILE_CACHE: join(folder, 'compiled'),
};

/** Called once before the first test, by the test runner. */
export async function setup(): Promise<void> {
  const bundle = await rolldown({ input: join(root, 'dist/main.js'), platform: 'node' });
  await bundle.write({ dir: join(folder, 'dist'), format: 'esm' });
  await bundle.close();
  copyFileSync(join(root, 'package.json'), join(folder, 'package.json'));
}

/** Called once behind the last test. */
export function teardown(): void {
  rmSync(folder, { recursive: true, force: true });
}
