/** No more sessions than descriptors. */
import { expect, test } from 'vitest';
import { fitSessions } from '../../../src/cli/fit-sessions.ts';
import { configFromUpstreamUrl } from '../../../src/config/load.ts';

const config = configFromUpstreamUrl('imaps://imap.example.com');

test.for([
  [undefined, 2_000],
  [16_384, 2_000],
  [4_100, 2_000],
  [4_099, 1_999],
  [1_024, 462],
  [64, 1],
] as const)('with %s descriptors there are %i', ([descriptors, sessions]) => {
  const fitting = fitSessions(config, descriptors);
  expect(fitting.process.limits.sessions).toBe(sessions);
  expect({ ...fitting, process: { ...fitting.process, limits: config.process.limits } }).toEqual(config);
});
