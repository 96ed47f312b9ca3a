/** Torture before servers that can do less than Dovecot; the seeds of old failures are kept here. More of it: `FUZZ_RUNS`. */
import { describe, test } from 'vitest';
import { moreFuzzRuns } from '../support/holds.ts';
import { ScriptedServer } from '../torture/mail-server.ts';
import { torture } from '../torture/torture-run.ts';
import { patience } from '../support/patience.ts';

const SESSIONS = 40;
const FUZZ_RUNS_A_SEED = 500;
const SERVERS = {
  'all that matters': 'IMAP4rev1 SASL-IR LITERAL+ ID ENABLE IDLE NAMESPACE UIDPLUS MOVE ESEARCH SPECIAL-USE UNSELECT AUTH=PLAIN',
  'no MOVE': 'IMAP4rev1 SASL-IR UIDPLUS SPECIAL-USE AUTH=PLAIN',
  'RFC 3501 and nothing else': 'IMAP4rev1 AUTH=PLAIN',
} as const;

describe.concurrent.for(Object.entries(SERVERS))('a server with %s', ([, capabilities]) => {
  const seeds = [1, 2, ...Array.from({ length: moreFuzzRuns(FUZZ_RUNS_A_SEED) }, () => Math.floor(Math.random() * 1e9))];

  test.for(seeds)('keeps every promise (seed %i)', { timeout: patience(180_000) }, async (seed, { expect }) => {
    const report = await torture({ seed, sessions: SESSIONS, server: (users) => ScriptedServer.start(users, capabilities.split(' ')) });

    expect(report.kills).toBeGreaterThan(0);
    expect(report.retrieved).toBeGreaterThan(20);
  });
});
