import { describe, expect, test } from 'vitest';
import { presetNamed, presetOfDomain, presetOfHost, PRESETS } from '../../../src/config/presets/presets.ts';
import { faultsOf, upstreamOf } from './parse.ts';

const ACCOUNTS = '[login]\nmode = "accounts"\n';

describe('every preset', () => {
  test.each(PRESETS.map((preset) => [preset.name, preset] as const))('%s is a configuration that says what it has to', (name, preset) => {
    const host = preset.tables.upstream.host === undefined ? '\nhost = "imap.example.com"' : '';
    expect(faultsOf(`[upstream]\npreset = "${name}"${host}`)).toEqual([]);
    expect(preset.title).not.toBe('');
    for (const hint of preset.hints) expect(hint).toMatch(/^\S.{4,160}\S$/);
    for (const domain of preset.domains) expect(presetOfDomain(domain.toUpperCase())).toBe(preset);
  });

  test('is found by its server too, for domains of customers, where it is a provider with one', () => {
    expect(presetOfHost('OUTLOOK.office365.com.')?.name).toBe('outlook');
    expect(presetOfHost('imap.fastmail.com')?.name).toBe('fastmail');
    expect([presetOfHost('imap.example.com'), presetOfHost('127.0.0.1')]).toEqual([undefined, undefined]);
  });

  test('has a name of its own, and domains that no other has', () => {
    expect(new Set(PRESETS.map(({ name }) => name)).size).toBe(PRESETS.length);
    const domains = PRESETS.flatMap((preset) => preset.domains);
    expect(new Set(domains).size).toBe(domains.length);
  });

  test.each(PRESETS.filter(({ oauth }) => oauth !== undefined).map(({ name }) => [name]))('%s names endpoints by https alone', (name) => {
    const oauth = presetNamed(name)?.oauth;
    for (const url of [oauth?.issuer, oauth?.authorization, oauth?.token, oauth?.device ?? 'https://x']) {
      expect(URL.parse(url ?? '')?.protocol).toBe('https:');
    }
    const tenant = oauth?.token.includes('{tenant}') === true ? 'tenant = "my tenant"' : '';
    const { oauth: config } = upstreamOf(`[upstream]\npreset = "${name}"\n${ACCOUNTS}[oauth]\nclient_id = "mine"\n${tenant}`);
    expect(JSON.stringify(config)).not.toContain('{tenant}');
    expect(config).toMatchObject({ clientId: 'mine', flow: 'code', scopes: oauth?.scopes });
  });
});

describe('a preset', () => {
  test('stands where the file says nothing else', () => {
    const bridge = upstreamOf('[upstream]\npreset = "proton-bridge"').upstream;
    expect(bridge).toMatchObject({ host: '127.0.0.1', port: 1143, security: 'starttls', commandTimeoutMs: 120_000 });
    const own = upstreamOf('[upstream]\npreset = "proton-bridge"\nhost = "10.0.0.1"\nport = 143\ncommand_timeout = "10s"').upstream;
    expect(own).toMatchObject({ host: '10.0.0.1', port: 143, security: 'starttls', commandTimeoutMs: 10_000 });
    expect(upstreamOf('[upstream]\npreset = "icloud"').upstream).toMatchObject({
      host: 'imap.mail.me.com',
      port: 993,
      username: '{local}',
    });
    expect(upstreamOf('[upstream]\npreset = "gmail"\n[delete]\naction = "expunge"').views.get('')?.delete.action).toBe('expunge');
  });

  test.each([
    ['[upstream]\npreset = "gmial"', /^upstream\.preset: "gmial" /],
    ['[upstream]\npreset = "yahoo"\nconnections_per_account = 6', /^upstream\.connections_per_account: .* must be 1 to 5/],
    ['[upstream]\npreset = 7\nhost = "a"', /^upstream\.preset: /],
    ['[upstream]\npreset = "dovecot"', /^upstream\.host: missing; /],
    ['[upstream]\npreset = "gmail"\n[delete]\naction = 7', /^delete\.action: /],
    ['delete = 7\n[upstream]\npreset = "gmail"', /^delete: /],
  ])('that does not fit is one fault: %s', (toml, fault) => {
    expect(faultsOf(toml)[0]).toMatch(fault);
  });
});

describe('[oauth]', () => {
  const GMAIL = `[upstream]\npreset = "gmail"\n${ACCOUNTS}[oauth]\nclient_id = "mine"\n`;
  const OWN = `[upstream]\nhost = "a"\n${ACCOUNTS}[oauth]\nclient_id = "mine"\n`;

  test('takes what the preset knows, or an issuer of its own', () => {
    expect(
      upstreamOf('[upstream]\npreset = "outlook"\n[login]\nmode = "accounts"\n[oauth]\nclient_id = "x"\nflow = "device"').oauth,
    ).toEqual({
      clientId: 'x',
      clientSecretFile: undefined,
      flow: 'device',
      scopes: ['https://outlook.office.com/IMAP.AccessAsUser.All', 'offline_access'],
      issuer: 'https://login.microsoftonline.com/common/v2.0',
      endpoints: {
        authorization: 'https://login.microsoftonline.com/common/oauth2/v2.0/authorize',
        token: 'https://login.microsoftonline.com/common/oauth2/v2.0/token',
        device: 'https://login.microsoftonline.com/common/oauth2/v2.0/devicecode',
      },
      redirectHost: 'localhost',
      parameters: {},
    });
    const service = `[upstream]\npreset = "outlook"\n${ACCOUNTS}[oauth]\nclient_id = "x"\nflow = "client-credentials"\nclient_secret_file = "s"`;
    expect(upstreamOf(service).oauth).toMatchObject({
      scopes: ['https://outlook.office365.com/.default'],
      clientSecretFile: '/etc/popbridge/s',
    });
    expect(upstreamOf(`${OWN}issuer = "https://login.example.com/realm"\nscopes = ["mail"]`).oauth).toMatchObject({
      issuer: 'https://login.example.com/realm',
      endpoints: undefined,
      scopes: ['mail'],
    });
    // Of the preset only the endpoints are the issuer's.
    expect(upstreamOf(`${GMAIL}issuer = "https://login.example.com"`).oauth).toMatchObject({
      issuer: 'https://login.example.com',
      endpoints: undefined,
      scopes: ['https://mail.google.com/'],
      parameters: { access_type: 'offline', prompt: 'consent' },
    });
  });

  test.each([
    [
      GMAIL.replace(ACCOUNTS, ''),
      'oauth: needs local accounts, as a POP3 client can not sign in; set mode = "accounts" in [login], or leave the table out',
    ],
    [GMAIL.replace('client_id = "mine"', ''), 'oauth.client_id: is missing; give the id of your own client registration at the provider'],
    [OWN, 'oauth.issuer: is missing; give it, or an upstream.preset that knows the provider (popbridge presets)'],
    [`${GMAIL}flow = "device"`, 'oauth.flow: "device" is not given by gmail for mail; must be "code" or "paste"'],
    [
      `${GMAIL}flow = "client-credentials"\nclient_secret_file = "x"`,
      'oauth.flow: "client-credentials" is not given by gmail; must be "code" or "paste"',
    ],
    [`${GMAIL}tenant = "consumers"`, 'oauth.tenant: has no use but with the preset "outlook"; leave it out'],
    [`${OWN}issuer = "https://a"\ntenant = "consumers"`, 'oauth.tenant: has no use but with the preset "outlook"; leave it out'],
    [
      `${OWN}issuer = "https://a"\nflow = "client-credentials"`,
      'oauth.client_secret_file: is missing; flow = "client-credentials" needs it',
    ],
    [
      `${OWN}issuer = "http://login.example.com"`,
      'oauth.issuer: "http://login.example.com" is no provider; write its URL, such as "https://login.example.com" (http:// is for loopback hosts only)',
    ],
    [
      `${ACCOUNTS}[upstream]\nhost = "a"\n[[account]]\nuser = "a"\npassword_hashes = ["$scrypt$ln=14,r=8,p=5$yrHVz3TBcA9vYHk2Wn1oXQ$Hb1vDUkAUdTzW3rJYbqQ0cV4o8q6hJ1wW0m6n2rJm3E"]\noauth = true`,
      'account[0].oauth: needs the table [oauth] with your client registration',
    ],
  ])('%s', (toml, fault) => {
    expect(faultsOf(toml)).toEqual([fault]);
  });

  test('may ask a provider on loopback without TLS', () => {
    expect(faultsOf(`${OWN}issuer = "http://127.0.0.1:8080"`)).toEqual([]);
    expect(faultsOf(`${OWN}issuer = "http://[::1]:8080/realm"`)).toEqual([]);
  });
});
