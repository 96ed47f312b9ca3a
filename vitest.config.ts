import { defineConfig } from 'vitest/config';

/** Unit tests share nothing but modules that keep nothing: a process for each of their files would take longer than the files. */
const UNIT = 'test/unit/**/*.test.ts';

export default defineConfig({
  test: {
    testTimeout: 60_000,
    hookTimeout: 90_000,
    pool: 'forks',
    // Most of the time the tests wait: for daemons, deadlines and delays.
    maxWorkers: 4,
    coverage: { provider: 'v8', include: ['src/**'], reporter: ['text-summary', 'json-summary'] },
    projects: [
      { extends: true, test: { name: 'unit', include: [UNIT], isolate: false } },
      { extends: true, test: { name: 'whole', include: ['test/**/*.test.ts'], exclude: [UNIT] } },
    ],
  },
});
