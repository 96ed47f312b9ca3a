/**
 * Suites that need real servers and clients. One that lacks a peer is skipped and says so in one line; where CI=true it fails instead. What runs
 * outside the test runner uses peer.ts.
 */
import { writeSync } from 'node:fs';
import { describe, test } from 'vitest';
import type { PeerName } from './catalogue.ts';
import { peer } from './peer.ts';

export { peer } from './peer.ts';

/** A `describe` that needs real peers. */
export function describeWithPeers(names: readonly PeerName[], title: string, suite: () => void): void {
  const absent = names.filter((name) => !peer(name).available);
  if (absent.length === 0) {
    describe(title, suite);
    return;
  }
  const reason = `${absent.join(', ')} missing; to provide: ${[...new Set(absent.map((name) => peer(name).hint))].join(' && ')}`;
  if (process.env['CI'] === 'true') {
    describe(title, () => {
      test(`has ${absent.join(', ')}`, () => {
        throw new Error(reason);
      });
    });
    return;
  }
  // Past the console, which the test runner wraps into a block of its own.
  writeSync(2, `skipped: ${title} (${reason})\n`);
  describe.skip(title, suite);
}
