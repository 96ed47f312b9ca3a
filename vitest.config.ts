import { defineConfig } from 'vitest/config';
import { JOINED } from './test/support/joined-program.ts';
import { LongestFirst } from './test/support/longest-first.ts';
import { patience } from './test/support/patience.ts';

/** Unit tests share nothing but modules that keep nothing: a process for each of their files would take longer than the files. */
const UNIT = 'test/unit/**/*.test.ts';
/** They run the program as it is installed, before a real server and real clients; the others run it joined, which starts sooner. */
const AS_INSTALLED = ['test/integration/dovecot-*.test.ts', 'test/process/{package,demo}.test.ts'];
/** Replace a module, which a file before may have loaded already: each needs a process of its own (test/unit/vitest-config.test.ts). */
export const REPLACING = ['test/unit/accounts/password-hash.test.ts'];

export default defineConfig({
  test: {
    testTimeout: patience(60_000),
    hookTimeout: patience(90_000),
    pool: 'forks',
    // Most of the time the tests wait: for daemons, deadlines and delays.
    maxWorkers: 4,
    sequence: { sequencer: LongestFirst },
    coverage: { provider: 'v8', include: ['src/**'], reporter: ['text-summary', 'json-summary'] },
    projects: [
      { extends: true, test: { name: 'unit', include: [UNIT], exclude: REPLACING, isolate: false } },
      {
        extends: true,
        test: {
          name: 'whole',
          include: ['test/!(unit)/**/*.test.ts', 'test/*.test.ts', ...REPLACING],
          exclude: AS_INSTALLED,
          setupFiles: ['test/support/report-last-words.ts'],
          globalSetup: ['test/support/joined-program.ts'],
          env: JOINED,
        },
      },
      {
        extends: true,
        test: { name: 'installed', include: AS_INSTALLED, setupFiles: ['test/support/report-last-words.ts'] },
      },
    ],
  },
});
