/** What tests open ends with them, also when they fail. To be called where a file of tests begins. */
import { afterAll, afterEach } from 'vitest';
import { SharedBridge } from './shared-bridge.ts';

/** A list for what a test opens: after the test all of it ends, the latest first. */
export function endsWithEachTest(): AsyncDisposable[] {
  const open: AsyncDisposable[] = [];
  afterEach(async () => {
    for (const resource of open.splice(0).reverse()) await resource[Symbol.asyncDispose]();
  });
  return open;
}

/** A daemon for all tests of the file: it ends after the last of them. */
export function sharedByTests(): SharedBridge {
  const shared = new SharedBridge();
  afterAll(() => shared[Symbol.asyncDispose]());
  return shared;
}
