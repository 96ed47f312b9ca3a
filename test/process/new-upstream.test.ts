/** `popbridge account add` of an address that no configuration file is for: a newcomer's first command. */
import { X509Certificate } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { RequestListener } from 'node:http';
import type { SrvRecord } from '../../src/accounts/discovery/discover.ts';
import { runBridge, type ProgramResult } from '../support/bridge-process.ts';
import { ImapServer } from '../support/imap-server.ts';
import { makeCertificates } from '../support/peers/certificates.ts';
import { describeWithPeers } from '../support/peers/peers.ts';
import { SmallInternet } from '../support/small-internet.ts';

let folder: string;
let config: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'popbridge-new-'));
  config = join(folder, 'config');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const add = (user: string, ...more: readonly string[]): Promise<ProgramResult> => addWithin({}, user, ...more);
const addWithin = (variables: Readonly<Record<string, string>>, user: string, ...more: readonly string[]): Promise<ProgramResult> =>
  runBridge(
    ['account', 'add', user, '--config', config, '--state', join(folder, 'state'), '--password-stdin', '--no-check', ...more],
    'of the provider 4711\nof this machine 4712\n',
    variables,
  );

describe('an address of a known provider', () => {
  test('gets a configuration file, which others of that provider then use', async () => {
    const added = await add('alice@gmail.com', '--yes');
    expect(added).toMatchObject({ code: 0, stdout: 'alice@gmail.com may log in with that app password (default)\n' });
    expect(added.stderr).toMatch(/^gmail\.com is Gmail and Google Workspace \(preset gmail\)/);
    expect(added.stderr).toContain(`${join(config, 'gmail.com.toml')} is written.\n`);
    expect(readFileSync(join(config, 'gmail.com.toml'), 'utf8')).toBe(
      [
        '# Written by "popbridge account add": a preset knows gmail.com.',
        '[upstream]',
        'preset = "gmail"',
        '',
        '[login]',
        'mode = "accounts"',
        'domains = ["gmail.com", "googlemail.com"]',
        '',
      ].join('\n'),
    );
    expect(await add('bob@googlemail.com')).toMatchObject({ code: 0, stderr: '' });
    expect((await runBridge(['check', '--config', config])).code).toBe(0);
  });

  test.for([
    ['126.com', 'netease-126'],
    ['gmx.com', 'gmx-com'],
  ] as const)('at %s is not taken for a neighbour of it', async ([domain, preset]) => {
    await add(`alice@${domain}`, '--yes');
    expect(readFileSync(join(config, `${domain}.toml`), 'utf8')).toContain(`preset = "${preset}"\n`);
  });

  test('may have a client registration with a secret in its file', async () => {
    const secret = join(folder, 'client-secret');
    writeFileSync(secret, 'the secret\n', { mode: 0o600 });
    const refused = await add('alice@gmail.com', '--yes', '--client-secret-file', secret);
    expect(refused).toMatchObject({ code: 64, stderr: expect.stringMatching(/--client-secret-file needs --client-id/) });
    // Nobody signs in here, where nobody answers.
    await add('alice@gmail.com', '--yes', '--no-oauth', '--client-id', 'mine', '--client-secret-file', secret);
    expect(readFileSync(join(config, 'gmail.com.toml'), 'utf8')).toMatch(
      `[oauth]\nclient_id = "mine"\nflow = "code"\nclient_secret_file = ${JSON.stringify(secret)}\n`,
    );
  });

  test('of another one gets a file of its own beside the first', async () => {
    await add('alice@gmail.com', '--yes');
    expect(await add('alice@icloud.com', '--yes')).toMatchObject({ code: 0 });
    expect(readdirSync(config).toSorted()).toEqual(['gmail.com.toml', 'icloud.com.toml']);
    const listed = await runBridge(['account', 'list', '--config', config, '--state', join(folder, 'state')]);
    expect(listed.stdout).toMatch(/gmail\.com +alice@gmail\.com/);
    expect(listed.stdout).toMatch(/icloud\.com +alice@icloud\.com +alice /);
  });

  test('that wants a sign-in needs a client registration', async () => {
    expect(await add('alice@outlook.com', '--yes')).toMatchObject({
      code: 64,
      stderr: expect.stringMatching(/needs --client-id, the id of your own client registration\n$/),
    });
    expect(() => readdirSync(config)).toThrow(/ENOENT/);
  });

  test('is not written without a word of the user', async () => {
    expect(await add('alice@gmail.com')).toMatchObject({ code: 64, stderr: expect.stringContaining('say --yes to have') });
    expect(() => readdirSync(config)).toThrow(/ENOENT/);
  });

  test('is written into the file that was named', async () => {
    config = join(folder, 'mail.toml');
    expect(await add('alice@gmail.com', '--yes')).toMatchObject({ code: 0 });
    expect(readFileSync(config, 'utf8')).toContain('preset = "gmail"');
  });

  test('leaves no file behind that does not go with the others', async () => {
    config = folder;
    const own = '[upstream]\nhost = "imap.example.com"\n[login]\nmode = "accounts"\ndomains = ["example.com", "gmail.com"]\n';
    writeFileSync(join(folder, 'own.toml'), own);
    const refused = await add('alice@googlemail.com', '--yes');
    expect(refused.code).toBe(78);
    expect(refused.stderr).toMatch(/login\.domains: "gmail\.com" is taken by/);
    expect(readdirSync(folder).filter((name) => name.endsWith('.toml'))).toEqual(['own.toml']);
  });
});

describeWithPeers(['openssl'], 'an address at a server of this machine that signs its own certificate', () => {
  const PRELOAD = fileURLToPath(new URL('../support/known-ports.cjs', import.meta.url));
  const addAt = (port: number): Promise<ProgramResult> =>
    runBridge(
      ['account', 'add', 'me@proton.me', '--config', config, '--state', join(folder, 'state'), '--password-stdin', '--yes'],
      'of the provider 4711\nof this machine 4712\n',
      { NODE_OPTIONS: `--require ${PRELOAD}`, KNOWN_PORTS: `1143 ${port}` },
    );

  test('gets a file with that certificate in it, which was looked at before any login', async () => {
    const { key, certificate } = await makeCertificates(folder);
    const tls = { mode: 'starttls', key: readFileSync(key, 'utf8'), cert: readFileSync(certificate, 'utf8') } as const;
    await using imap = await ImapServer.start({ users: { 'me@proton.me': 'of the provider 4711' }, tls });
    const shown = new X509Certificate(tls.cert).fingerprint256.replaceAll(':', '').toLowerCase();
    const added = await addAt(imap.port);
    expect(added).toMatchObject({ code: 0, stdout: 'me@proton.me may log in with that app password (default)\n' });
    expect(added.stderr).toContain(`the certificate at 127.0.0.1 port 1143 has SHA-256 ${shown}, and is pinned\n`);
    expect(readFileSync(join(config, 'proton.me.toml'), 'utf8')).toContain(
      `[upstream]\npreset = "proton-bridge"\ncertificate_sha256 = "${shown}"\n`,
    );
    expect(imap.connections).toBe(2);
    expect(imap.logins).toBe(1);
  });

  test('is told to start that server, where it does not run', async () => {
    const added = await addAt(1);
    expect(added.code).toBe(69);
    expect(added.stderr).toContain('nothing at 127.0.0.1 port 1143 shows a certificate now: start it first');
    expect(readFileSync(join(config, 'proton.me.toml'), 'utf8')).not.toContain('certificate_sha256');
  });
});

test('a user without a domain, where nothing is configured, is told what to give', async () => {
  expect(await add('alice')).toMatchObject({ code: 64, stderr: expect.stringContaining('give a whole address in place of alice') });
});

test('what is no domain is not looked for', async () => {
  expect(await add('alice@exam/ple', '--yes')).toMatchObject({ code: 64, stderr: expect.stringContaining('exam/ple is no domain') });
});

describeWithPeers(['openssl'], 'an address of an unknown domain', () => {
  const DOMAIN = 'example.test';
  const WELL_KNOWN = `${DOMAIN}/.well-known/autoconfig/mail/config-v1.1.xml`;
  const FIRST = `autoconfig.${DOMAIN}/mail/config-v1.1.xml`;
  let internet: SmallInternet;
  let certificates: string;

  beforeAll(async () => {
    certificates = mkdtempSync(join(tmpdir(), 'popbridge-new-'));
    internet = await SmallInternet.start(await makeCertificates(certificates, { names: `DNS:${DOMAIN},DNS:autoconfig.${DOMAIN}` }));
  });
  afterEach(() => {
    internet.pages.clear();
    internet.srv.clear();
  });
  afterAll(async () => {
    await internet[Symbol.asyncDispose]();
    rmSync(certificates, { recursive: true });
  });

  const addFound = (user = `alice@${DOMAIN}`): Promise<ProgramResult> => addWithin(internet.variables, user, '--yes');
  const written = (domain = DOMAIN): string => readFileSync(join(config, `${domain}.toml`), 'utf8');
  const autoconfig = (host: string): RequestListener => {
    const server = `<hostname>${host}</hostname><port>993</port><socketType>SSL</socketType><username>%EMAILLOCALPART%</username>`;
    return (_, response) =>
      response.end(
        `<clientConfig version="1.1"><emailProvider id="x"><incomingServer type="imap">${server}</incomingServer></emailProvider></clientConfig>`,
      );
  };
  const srv = (name: string): SrvRecord => ({ name, port: 1993, priority: 0, weight: 1 });
  const sentTo =
    (location: string): RequestListener =>
    (_, response) =>
      response.writeHead(301, { location }).end();

  test('gets the server that the domain publishes as autoconfig', async () => {
    internet.pages.set(FIRST, sentTo(`https://${WELL_KNOWN}`));
    internet.pages.set(WELL_KNOWN, autoconfig('imap.example.test'));
    internet.srv.set(`_imaps._tcp.${DOMAIN}`, srv('other.example.test'));
    const added = await addFound();
    expect(added).toMatchObject({ code: 0 });
    expect(added.stderr).toContain(`${DOMAIN}: the IMAP server is imap.example.test, port 993, tls (says https://autoconfig.${DOMAIN})\n`);
    expect(written()).toContain('host = "imap.example.test"\nport = 993\nsecurity = "tls"\nusername = "{local}"\n');
  });

  test('gets the server that its SRV record names, also where the domain is not ASCII', async () => {
    internet.srv.set('_imaps._tcp.xn--bcher-kva.test', srv('imap.example.test'));
    expect(await addFound('alice@b\u00fccher.test')).toMatchObject({ code: 0 });
    expect(written('b\u00fccher.test')).toContain('host = "imap.example.test"\nport = 1993\nsecurity = "tls"\nusername = "{user}"\n');
  });

  test.each<[string, RequestListener]>([
    ['sends away from https', sentTo(`http://${WELL_KNOWN}`)],
    ['sends in circles', sentTo(`https://${FIRST}`)],
    [
      'has no end',
      (_, response) => {
        const more = (): void => {
          while (response.write(' '.repeat(65_536)));
        };
        response.on('drain', more);
        more();
      },
    ],
    ['is none', (_, response) => response.end('<html>')],
    ['is of another host', autoconfig('imap.example.test/path')],
  ])('where an answer %s is found by the next that is asked', async (_, page) => {
    internet.pages.set(FIRST, page);
    internet.srv.set(`_imaps._tcp.${DOMAIN}`, srv('imap.example.test'));
    expect(await addFound()).toMatchObject({ code: 0, stderr: expect.stringContaining('(says the SRV record _imaps._tcp.example.test)') });
  });

  test('where a host shows a certificate for another name is not believed', async () => {
    internet.pages.set('autoconfig.other.test/mail/config-v1.1.xml', autoconfig('imap.other.test'));
    expect(await addFound('alice@other.test')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('nothing is known of other.test'),
    });
    expect(() => readdirSync(config)).toThrow(/ENOENT/);
  });
});
