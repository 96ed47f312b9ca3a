/** TLS towards clients, as OpenSSL sees it: what is offered, what is refused, and how a renewed certificate is taken up. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { copyFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { bridgeConfig } from '../support/bridge-config.ts';
import { allowInLog, BridgeProcess } from '../support/bridge-process.ts';
import { ImapServer } from '../support/imap-server.ts';
import { makeCertificates } from '../support/peers/certificates.ts';
import { opensslDialogue } from '../support/peers/openssl-dialogue.ts';
import { describeWithPeers } from '../support/peers/peers.ts';
import { until } from '../support/until.ts';

allowInLog('legacy-tls', 'reload-failed', 'tls-failed');

const TLS = 2;
const OLD = ['-tls1', '-cipher', 'DEFAULT@SECLEVEL=0'];

let imap: ImapServer;
let folder: string;
let bridge: BridgeProcess;
let certificate: { ca: string; certificate: string; key: string };

describeWithPeers(['openssl'], 'TLS towards clients', () => {
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'popbridge-tls-'));
    certificate = await makeCertificates(folder);
    imap = await ImapServer.start();
    bridge = await BridgeProcess.start({ config: bridgeConfig({ imapPort: imap.port, certificate }) });
  });

  afterAll(async () => {
    await bridge[Symbol.asyncDispose]();
    await imap.close();
    rmSync(folder, { recursive: true, force: true });
  });

  const dialogue = async (through: BridgeProcess, options: readonly string[], ca?: string): Promise<string> => {
    const port = through.port(TLS);
    const end = await opensslDialogue({
      host: '127.0.0.1',
      port,
      tls: 'implicit',
      lines: ['NOOP', 'QUIT'],
      home: folder,
      options,
      ...(ca && { ca }),
    });
    return end.stdout;
  };

  test.for([
    ['TLS 1.2', ['-tls1_2'], true],
    ['TLS 1.3', ['-tls1_3'], true],
    ['TLS 1.1', ['-tls1_1', '-cipher', 'DEFAULT@SECLEVEL=0'], false],
    ['TLS 1.0', OLD, false],
    ['a cipher without forward secrecy', ['-tls1_2', '-cipher', 'AES128-GCM-SHA256'], false],
    ['CBC', ['-tls1_2', '-cipher', 'ECDHE-ECDSA-AES128-SHA'], false],
    ['ALPN pop3', ['-alpn', 'pop3'], true],
    ['ALPN of another protocol', ['-alpn', 'http/1.1,imap'], false],
  ] as const)('%s', async ([, options, isTaken]) => {
    const said = await dialogue(bridge, options);
    expect(said.startsWith('+OK POP3 server ready')).toBe(isTaken);
  });

  test('a client that asks to renegotiate is cut off', async () => {
    const port = bridge.port(TLS);
    const script = `(printf 'NOOP\\n'; sleep 0.5; printf 'R\\n'; sleep 0.5; printf 'NOOP\\n'; sleep 0.5) | openssl s_client -tls1_2 -connect 127.0.0.1:${port} 2>&1`;
    const { stdout } = spawnSync('sh', ['-c', script], { encoding: 'utf8', timeout: 20_000 });
    expect(stdout).toContain('RENEGOTIATING');
    expect(stdout).toMatch(/no renegotiation|handshake failure|unexpected eof|Connection reset|errno/i);
    expect(bridge.exitCode).toBeNull();
  });

  test('legacy = true takes TLS 1.0 on that address alone, and is warned of', async () => {
    const text = bridgeConfig({ imapPort: imap.port, certificate }).replace(
      'security = "tls"\n',
      'security = "tls"\nlegacy = true\n[[listen]]\naddress = "127.0.0.1:0"\nsecurity = "tls"\n',
    );
    await using legacy = await BridgeProcess.start({ config: text });
    expect(await dialogue(legacy, OLD)).toMatch(/^\+OK POP3 server ready/);
    const modern = await opensslDialogue({
      host: '127.0.0.1',
      port: legacy.port(3),
      tls: 'implicit',
      lines: ['QUIT'],
      home: folder,
      options: OLD,
    });
    expect(modern.stdout).toBe('');
    expect(legacy.events('legacy-tls')).toHaveLength(1);
  });

  test('a renewed certificate is used for new handshakes after SIGHUP; one that is broken leaves the old in place', async () => {
    const renewed = mkdtempSync(join(folder, 'renewed-'));
    const next = await makeCertificates(renewed);
    expect(await dialogue(bridge, [], certificate.ca)).toMatch(/^\+OK/);
    await copyFile(next.key, certificate.certificate);
    bridge.kill('SIGHUP');
    await bridge.event('reload-failed');
    expect(await dialogue(bridge, [], certificate.ca)).toMatch(/^\+OK/);
    await copyFile(next.certificate, certificate.certificate);
    await copyFile(next.key, certificate.key);
    bridge.kill('SIGHUP');
    await bridge.event('reloaded');
    await until(async () => (await dialogue(bridge, [], next.ca)).startsWith('+OK'));
    expect(await dialogue(bridge, [], certificate.ca)).toBe('');
  });
});
