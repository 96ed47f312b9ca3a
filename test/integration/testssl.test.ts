/** What testssl.sh says of TLS towards clients, on an address with implicit TLS and on one with STLS. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { bridgeConfig } from '../support/bridge-config.ts';
import { allowInLog, BridgeProcess } from '../support/bridge-process.ts';
import { moreFuzzRuns } from '../support/holds.ts';
import { ImapServer } from '../support/imap-server.ts';
import { makeCertificates } from '../support/peers/certificates.ts';
import { peerPath } from '../support/peers/peer.ts';
import { describeWithPeers } from '../support/peers/peers.ts';
import { runProgram } from '../support/peers/run-program.ts';
import { patience } from '../support/patience.ts';

// It looks whether a web server answers, too.
allowInLog('connection-refused', 'tls-failed');

const STARTTLS = 1;
const TLS = 2;
/** Protocols. */
const SOME_CHECKS = ['-p'];
/** Known attacks besides, that on STARTTLS among them. One address is enough: both have the same TLS context. */
const CHECKS = [...SOME_CHECKS, '-U', '-t', 'pop3'];
/** With kinds of ciphers and the server's preferences it takes minutes; tls.test.ts asks both addresses for each by name in a second. */
const IS_LONG = moreFuzzRuns(1) > 0;
const RUNS = [
  { name: 'STLS', listener: STARTTLS, options: CHECKS },
  ...(IS_LONG ? [{ name: 'POP3S', listener: TLS, options: [...SOME_CHECKS, '-s', '-P', '-U'] }] : []),
];
/** WARN and DEBUG are what the tool itself could not do here. */
const HARMLESS = new Set(['OK', 'INFO', 'LOW', 'WARN', 'DEBUG']);
/** The test's certificate authority is nobody's: it has no list of revoked ones, and no service to ask. */
const OF_THE_CERTIFICATE = new Set(['cert_chain_of_trust', 'cert_crlDistributionPoints', 'cert_revocation']);

describeWithPeers(['testssl', 'openssl'], 'testssl.sh', () => {
  let folder: string;
  let imap: ImapServer;
  let bridge: BridgeProcess;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'popbridge-testssl-'));
    const certificate = await makeCertificates(folder);
    imap = await ImapServer.start();
    const tables = '[limits]\nsessions_per_address = 1000';
    bridge = await BridgeProcess.start({ config: bridgeConfig({ imapPort: imap.port, certificate, tables }) });
  });

  afterAll(async () => {
    await bridge[Symbol.asyncDispose]();
    await imap.close();
    rmSync(folder, { recursive: true, force: true });
  });

  test.concurrent.for(RUNS)(
    'finds nothing wrong with $name but who signed the certificate',
    { timeout: patience(300_000) },
    async ({ name, listener, options }) => {
      const report = join(folder, `${name}.json`);
      const target = `127.0.0.1:${bridge.port(listener)}`;
      const args = ['--quiet', '--color', '0', '--warnings', 'off', '--jsonfile', report, ...options, target];
      await runProgram({ path: peerPath('testssl'), args, home: folder, timeoutMs: 290_000 });
      const findings: readonly { id: string; severity: string; finding: string }[] = JSON.parse(readFileSync(report, 'utf8'));
      expect(findings.filter(({ severity, id }) => !HARMLESS.has(severity) && !OF_THE_CERTIFICATE.has(id))).toEqual([]);
      expect(findings.filter(({ finding }) => finding.startsWith('VULNERABLE'))).toEqual([]);
      // It has looked.
      const said = (id: string): string | undefined => findings.find((finding) => finding.id === id)?.finding;
      expect([said('TLS1'), said('TLS1_2'), said('TLS1_3')]).toEqual(['not offered', 'offered', 'offered with final']);
      expect(said('secure_client_renego')).toBe('not vulnerable');
    },
  );
});
