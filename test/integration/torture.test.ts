/** A short torture run; `npm run torture -- --seed N --sessions M` is the long one. */
import { expect, test } from 'vitest';
import { describeWithPeers } from '../support/peers/peers.ts';
import { torture } from '../torture/torture-run.ts';
import { patience } from '../support/patience.ts';

const SESSIONS = 60;

describeWithPeers(['dovecot', 'openssl'], 'torture', () => {
  test.for([4, 11])('through kills, cuts and stalls no promise is broken (seed %i)', { timeout: patience(180_000) }, async (seed) => {
    const report = await torture({ seed, sessions: SESSIONS });

    expect(report.kills).toBeGreaterThan(2);
    expect(Object.keys(report.cutsByPhase).length).toBeGreaterThan(3);
    expect(report.deleted).toBeGreaterThan(10);
    expect(report.retrieved).toBeGreaterThan(50);
  });
});
