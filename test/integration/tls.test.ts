/** TLS towards clients, as OpenSSL sees it: what is offered, what is refused, and how a renewed certificate is taken up. */
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { copyFile } from 'node:fs/promises';
import { connect, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as connectTls, createServer, type Server } from 'node:tls';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { bridgeConfig } from '../support/bridge-config.ts';
import { allowInLog, BridgeProcess } from '../support/bridge-process.ts';
import { ImapServer } from '../support/imap-server.ts';
import { makeCertificates } from '../support/peers/certificates.ts';
import { opensslDialogue } from '../support/peers/openssl-dialogue.ts';
import { describeWithPeers } from '../support/peers/peers.ts';
import { PopDialogue } from '../support/pop-dialogue.ts';
import { TimeMachine } from '../support/time-machine.ts';
import { until } from '../support/until.ts';

allowInLog('certificate-failed', 'legacy-tls', 'login-failed', 'reload-failed', 'tls-failed', 'upstream-failed');

const STLS = 1;
const TLS = 2;
const OLD = ['-tls1', '-cipher', 'DEFAULT@SECLEVEL=0'];

const time = new TimeMachine();
let imap: ImapServer;
let folder: string;
let bridge: BridgeProcess;
let certificate: { ca: string; certificate: string; key: string };

describeWithPeers(['openssl'], 'TLS towards clients', () => {
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'popbridge-tls-'));
    // RSA: with a key for signatures alone there would be nothing without forward secrecy to refuse.
    certificate = await makeCertificates(folder, { algorithm: 'rsa' });
    imap = await ImapServer.start();
    bridge = await BridgeProcess.start({ config: bridgeConfig({ imapPort: imap.port, certificate }), variables: time.variables });
  });

  afterAll(async () => {
    await bridge[Symbol.asyncDispose]();
    await imap.close();
    time[Symbol.dispose]();
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

  describe.for(['implicit', 'stls'] as const)('(%s)', (tls) => {
    test.for([
      ['TLS 1.2', ['-tls1_2'], true],
      ['TLS 1.3', ['-tls1_3'], true],
      ['TLS 1.1', ['-tls1_1', '-cipher', 'DEFAULT@SECLEVEL=0'], false],
      ['TLS 1.0', OLD, false],
      ['a cipher without forward secrecy', ['-tls1_2', '-cipher', 'AES128-GCM-SHA256'], false],
      ['CBC', ['-tls1_2', '-cipher', 'ECDHE-RSA-AES128-SHA'], false],
      ['ALPN pop3', ['-alpn', 'pop3'], true],
      ['ALPN of other protocols, of which none is selected', ['-alpn', 'http/1.1,imap'], true],
    ] as const)('%s', async ([, options, isTaken]) => {
      const port = bridge.port(tls === 'stls' ? STLS : TLS);
      const { stdout } = await opensslDialogue({ host: '127.0.0.1', port, tls, lines: ['CAPA', 'QUIT'], home: folder, options });
      expect(/^\+OK capabilities follow$/m.test(stdout)).toBe(isTaken);
    });

    test('a client that does not trust the certificate is told of in plain words', async () => {
      const port = bridge.port(tls === 'stls' ? STLS : TLS);
      const before = bridge.events('tls-failed').length;
      const { stdout } = await opensslDialogue({
        host: '127.0.0.1',
        port,
        tls,
        lines: ['QUIT'],
        home: folder,
        options: ['-verify_return_error'],
      });
      expect(stdout).not.toMatch(/^\+OK bye/m);
      const { error } = await bridge.event('tls-failed', before + 1);
      expect(error).toEqual({ message: 'the client does not trust the certificate' });
    });

    test('a client that asks to renegotiate is cut off; the others are not', async () => {
      const other = await PopDialogue.connect(bridge.port());
      const plain = connect(bridge.port(tls === 'stls' ? STLS : TLS), '127.0.0.1');
      if (tls === 'stls') {
        await once(plain, 'data');
        plain.write('STLS\r\n');
        await once(plain, 'data');
      }
      const client = connectTls({ socket: plain, rejectUnauthorized: false, maxVersion: 'TLSv1.2' });
      await once(client, 'secureConnect');
      let heard = '';
      client.on('data', (chunk: Buffer) => (heard += chunk.toString()));
      client.write('CAPA\r\n');
      await until(() => heard.includes('\r\n.\r\n'));
      heard = '';
      const ended = once(plain, 'close');
      const refused = new Promise<string>((resolve) => void client.once('error', ({ message }) => resolve(message)));
      const done = new Promise<string>((resolve) => {
        client.renegotiate({ rejectUnauthorized: false }, (error) => resolve(error === null ? 'done' : error.message));
      });
      client.write('NOOP\r\n');
      expect(await Promise.race([refused, done])).toMatch(/no renegotiation|ECONNRESET/);
      await ended;
      expect(heard).toBe('');
      expect(await other.command('NOOP')).toMatch(/^-ERR/);
      other.close();
    });
  });

  describe('legacy = true', () => {
    const LEGACY = 0;
    const MODERN = 1;
    let legacy: BridgeProcess;
    let old: Server;
    let own: typeof certificate;
    let handshakes = 0;

    beforeAll(async () => {
      own = await makeCertificates(mkdtempSync(join(folder, 'legacy-')));
      const server = {
        key: readFileSync(certificate.key),
        cert: readFileSync(certificate.certificate),
        minVersion: 'TLSv1',
        maxVersion: 'TLSv1.1',
        ciphers: 'DEFAULT@SECLEVEL=0',
      } as const;
      old = createServer(server, () => (handshakes += 1)).listen(0, '127.0.0.1');
      await once(old, 'listening');
      const listen = ['[[listen]]', 'address = "127.0.0.1:0"', 'security = "tls"'];
      const text = [
        '[upstream]',
        'host = "127.0.0.1"',
        `port = ${(old.address() as AddressInfo).port}`,
        `ca_file = "${certificate.ca}"`,
        '[tls]',
        `certificate_file = "${certificate.certificate}"`,
        `key_file = "${certificate.key}"`,
        ...listen,
        'legacy = true',
        `certificate_file = "${own.certificate}"`,
        `key_file = "${own.key}"`,
        ...listen,
      ].join('\n');
      legacy = await BridgeProcess.start({ config: text });
    });

    afterAll(async () => {
      await legacy[Symbol.asyncDispose]();
      old.close();
    });

    const said = async (listener: number, lines: readonly string[], options: readonly string[], ca?: string): Promise<string> => {
      const port = legacy.port(listener);
      const end = await opensslDialogue({ host: '127.0.0.1', port, tls: 'implicit', lines, home: folder, options, ...(ca && { ca }) });
      return end.stdout;
    };

    test('takes TLS 1.0 on that address alone, and is warned of', async () => {
      expect(await said(LEGACY, ['QUIT'], OLD)).toMatch(/^\+OK POP3 server ready/);
      expect(await said(MODERN, ['QUIT'], OLD)).toBe('');
      expect(await said(MODERN, ['QUIT'], [])).toMatch(/^\+OK POP3 server ready/);
      await legacy.event('legacy-tls');
      expect(legacy.events('legacy-tls')).toHaveLength(1);
      await until(() => legacy.events('session-end').length === 3);
      const failed = await legacy.event('tls-failed');
      expect(failed['error']).toEqual({ message: 'the client offers no TLS version that this address accepts' });
      expect(legacy.events('tls-failed').map((line) => line['tls'])).toEqual([undefined]);
      const marked = legacy.events('session-end').map((line) => line['tls']);
      expect(marked.filter((mark) => mark === 'legacy')).toHaveLength(1);
      const versions = legacy.events('session-end').map((line) => `${String(line['tls'])} ${String(line['tlsVersion'])}`);
      expect(versions.sort()).toEqual(['legacy TLSv1', 'undefined TLSv1.3', 'undefined none']);
    });

    test('shows the certificate of that address, and no other address does', async () => {
      expect(await said(LEGACY, ['QUIT'], [], own.ca)).toMatch(/^\+OK/);
      expect(await said(LEGACY, ['QUIT'], [], certificate.ca)).toBe('');
      expect(await said(MODERN, ['QUIT'], [], own.ca)).toBe('');
    });

    test('changes nothing on the way to the server: one that has TLS 1.1 alone is refused, whichever way the client came', async () => {
      for (const [listener, options] of [
        [LEGACY, OLD],
        [MODERN, []],
      ] as const)
        expect(await said(listener, ['USER alice', 'PASS secret', 'QUIT'], options)).toMatch(/^-ERR \[SYS\/(?:TEMP|PERM)\] /m);
      expect(handshakes).toBe(0);
    });
  });

  test('a certificate that was written anew is taken up without a word to the daemon, behind STLS too; a broken one is not', async () => {
    const next = await makeCertificates(mkdtempSync(join(folder, 'rewritten-')));
    const saidTo = async (ca: string): Promise<string[]> => {
      const asked = ([STLS, TLS] as const).map((listener) => {
        const tls = listener === STLS ? 'stls' : 'implicit';
        return opensslDialogue({ host: '127.0.0.1', port: bridge.port(listener), tls, lines: ['CAPA', 'QUIT'], home: folder, ca });
      });
      return (await Promise.all(asked)).map(({ stdout }) => /^\+OK capabilities.*$/m.exec(stdout)?.[0] ?? '');
    };
    const TAKEN = Array.from({ length: 2 }, () => '+OK capabilities follow');
    await copyFile(next.ca, certificate.key);
    await time.pass(bridge, 6);
    expect(await saidTo(certificate.ca)).toEqual(TAKEN);
    await bridge.event('certificate-failed');
    await copyFile(next.key, certificate.key);
    await copyFile(next.certificate, certificate.certificate);
    await time.pass(bridge, 6);
    expect(await saidTo(next.ca)).toEqual(TAKEN);
    expect(await saidTo(certificate.ca)).toEqual(['', '']);
    await copyFile(next.ca, certificate.ca);
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
