import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { launcherIn } from '../../../support/peers/locate.ts';

test('a launcher counts where it was written, not where its checkout was copied to', () => {
  const folder = mkdtempSync(join(tmpdir(), 'popbridge-locate-'));
  try {
    const [cache, copy] = [join(folder, 'cache'), join(folder, 'copy')];
    mkdirSync(join(cache, 'bin'), { recursive: true });
    const launcher = join(cache, 'bin/openssl');
    writeFileSync(launcher, `#!/bin/sh\nexec '${cache}/root/usr/bin/openssl' "$@"\n`, { mode: 0o755 });
    cpSync(cache, copy, { recursive: true });
    expect([launcherIn(cache, 'openssl'), launcherIn(copy, 'openssl'), launcherIn(cache, 'getmail')]).toEqual([
      launcher,
      undefined,
      undefined,
    ]);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
