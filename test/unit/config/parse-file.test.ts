import { describe, expect, test } from 'vitest';
import { parseTemplate } from '../../../src/maildrop/unique-id.ts';
import { LATER_KEYS } from '../../../src/config/not-built-yet.ts';
import { faultsOf, parseText, upstreamOf } from './parse.ts';

const POPBRIDGE_IDS = parseTemplate('popbridge');
const MINIMAL = '[upstream]\nhost = "imap.example.com"\n';
const HASH = '$scrypt$ln=14,r=8,p=5$yrHVz3TBcA9vYHk2Wn1oXQ$Hb1vDUkAUdTzW3rJYbqQ0cV4o8q6hJ1wW0m6n2rJm3E';
const PIN = 'AB:'.repeat(31) + 'CD';

test('host alone is a configuration; everything else has its default', () => {
  expect(parseText(MINIMAL)).toEqual({
    faults: [],
    references: [],
    upstream: {
      upstream: {
        preset: '',
        id: 'mail',
        file: 'mail.toml',
        name: 'mail',
        host: 'imap.example.com',
        port: 993,
        security: 'tls',
        username: '{user}',
        caFile: undefined,
        certificateSha256: undefined,
        clientId: true,
        commandTimeoutMs: 45_000,
        connectionsPerAccount: 1,
        lingerMs: 300_000,
      },
      listen: [
        {
          name: '127.0.0.1:1110',
          host: '127.0.0.1',
          port: 1110,
          security: 'none',
          certificateFile: undefined,
          keyFile: undefined,
          legacy: false,
          allowCleartextLogin: false,
          allow: [],
        },
      ],
      login: { mode: 'upstream', domains: [], default: false, delayMs: 0 },
      accounts: [],
      views: new Map([
        [
          '',
          {
            maildrop: {
              folders: ['INBOX'],
              show: 'all',
              sinceSeconds: 0,
              newest: 0,
              sizes: 'learn',
              lock: 'exclusive',
              uniqueId: POPBRIDGE_IDS,
            },
            retrieve: { markSeen: 'on-retrieve' },
            delete: { action: 'trash', folder: undefined, afterSeconds: 0, when: 'any-view', verify: true },
          },
        ],
      ]),
    },
    process: {
      store: { url: 'sqlite:' },
      secrets: { keyFile: undefined },
      limits: {
        sessions: 2000,
        sessionsPerAddress: 100,
        sessionsPerUser: 10,
        loginFailures: 5,
        loginTimeoutMs: 60_000,
        writeTimeoutMs: 120_000,
        idleTimeoutMs: 600_000,
        messageOctets: 0,
        messages: 2_000_000,
        bodyCacheOctets: 64 * 1024 * 1024,
        readAheadOctets: 4 * 1024 * 1024,
      },
      log: { level: 'info', format: 'auto' },
    },
  });
});

test('values are taken over in the form that the program uses', () => {
  const config = upstreamOf(`
    [upstream]
    id = "home"
    host = "IMAP.Example.com"
    security = "starttls"
    username = "{local}+{domain}"
    ca_file = "ca.pem"
    certificate_sha256 = "${PIN}"
    client_id = false
    command_timeout = "500ms"
    [[listen]]
    address = "[::1]:0"
    allow = ["::1", "10.0.0.0/8"]
    [[listen]]
    address = "[::1]:0"
    security = "tls"
    certificate_file = "/own/cert.pem"
    key_file = "own.key"
    [tls]
    certificate_file = "tls/cert.pem"
    key_file = "tls/key.pem"
    [login]
    domains = ["Example.COM"]
    delay = "1m"
    [maildrop]
    folders = ["inbox"]
    sizes = "trust"
    [delete]
    action = "move"
    folder = "Old mail"`);
  expect(config.upstream).toMatchObject({
    id: 'home',
    host: 'imap.example.com',
    port: 143,
    caFile: '/etc/popbridge/ca.pem',
    certificateSha256: 'ab'.repeat(31) + 'cd',
    commandTimeoutMs: 500,
  });
  expect(config.listen).toMatchObject([
    {
      name: '[::1]:0',
      host: '::1',
      security: 'starttls',
      certificateFile: '/etc/popbridge/tls/cert.pem',
      keyFile: '/etc/popbridge/tls/key.pem',
    },
    { name: '[::1]:0#2', host: '::1', security: 'tls', certificateFile: '/own/cert.pem', keyFile: '/etc/popbridge/own.key' },
  ]);
  expect(config.login).toEqual({ mode: 'upstream', domains: ['example.com'], default: false, delayMs: 60_000 });
  const view = config.views.get('');
  expect(view?.maildrop).toEqual({
    folders: ['INBOX'],
    show: 'all',
    sinceSeconds: 0,
    newest: 0,
    sizes: 'trust',
    lock: 'exclusive',
    uniqueId: POPBRIDGE_IDS,
  });
  expect(view?.delete).toEqual({ action: 'move', folder: 'Old mail', afterSeconds: 0, when: 'any-view', verify: true });
});

test('files that are named are listed with their keys, keys as secrets', () => {
  const { references } = parseText(
    `${MINIMAL}ca_file = "ca.pem"\n[[listen]]\n[[listen]]\naddress = "[::1]:1"\ncertificate_file = "c"\nkey_file = "/k"`,
  );
  expect(references).toEqual([
    { file: 'mail.toml', key: 'upstream.ca_file', path: '/etc/popbridge/ca.pem', isSecret: false },
    { file: 'mail.toml', key: 'listen[1].certificate_file', path: '/etc/popbridge/c', isSecret: false },
    { file: 'mail.toml', key: 'listen[1].key_file', path: '/k', isSecret: true },
  ]);
});

test('a path of sqlite: starts from the folder of the file', () => {
  expect(parseText(`${MINIMAL}[store]\nurl = "sqlite:map.db"`).process.store.url).toBe('sqlite:/etc/popbridge/map.db');
  expect(parseText(`${MINIMAL}[store]\nurl = "sqlite:/var/map.db"`).process.store.url).toBe('sqlite:/var/map.db');
  expect(parseText(`${MINIMAL}[store]\nurl = "memory:"`).process.store.url).toBe('memory:');
});

describe('one fault', () => {
  const upstream = (line: string): string => `${MINIMAL}${line}`;
  const cases: [string, string][] = [
    ['', 'upstream: missing; give at least [upstream] with host'],
    ['upstream = 3', 'upstream: is a number; must be a table'],
    ['[upstream]', 'upstream.host: missing; give the name of the IMAP server'],
    ['[upstream]\nhost = ""', 'upstream.host: is empty; give the name of the IMAP server'],
    ['[upstream]\nhost = 3', 'upstream.host: is a number; must be a string'],
    [
      '[upstream]\nhost = "imaps://a.example"',
      'upstream.host: "imaps://a.example" is a URL; give the name alone, and security and port in keys of their own',
    ],
    ['[upstream]\nhost = "a.example:993"', 'upstream.host: "a.example:993" holds a port; give it in the key port'],
    ['[upstream]\nhost = "a b"', 'upstream.host: "a b" is no host; give a name or an IP address'],
    [upstream('hots = "a"'), 'upstream.hots: unknown key; did you mean "host"?'],
    ['[upstrem]\n' + MINIMAL, 'upstrem: unknown key; did you mean "upstream"?'],
    [`${MINIMAL}[retrieve]\ncolour = 1`, 'retrieve.colour: unknown key; known here: mark_seen'],
    [`${MINIMAL}[retrieve]\n"a\\nb.c" = 1`, 'retrieve."a\\nb.c": unknown key; known here: mark_seen'],
    [upstream('port = 0'), 'upstream.port: 0 is too small; at least 1'],
    [upstream('port = 65536'), 'upstream.port: 65536 is too big; at most 65535'],
    [upstream('port = 1.5'), 'upstream.port: is the number 1.5; must be a whole number'],
    [upstream('port = "993"'), 'upstream.port: is a string; must be a number'],
    [upstream('port = 2026-01-01'), 'upstream.port: is a date; must be a number'],
    [upstream('client_id = "yes"'), 'upstream.client_id: is a string; must be true or false'],
    [upstream('security = "ssl"'), 'upstream.security: "ssl" is not allowed; must be one of "tls", "starttls", "none"'],
    [
      upstream('security = "none"'),
      'upstream.security: "none" would send passwords in clear to imap.example.com; must be "tls" or "starttls", or set allow_cleartext = true',
    ],
    [
      '[upstream]\nhost = "::1"\nsecurity = "none"\nca_file = "ca.pem"',
      'upstream.ca_file: has no use with security = "none"; leave it out, or use "tls" or "starttls"',
    ],
    [
      upstream('username = "alice"'),
      'upstream.username: "alice" is no user name; it needs {user}, {local} or {domain} at least once, and no other braces',
    ],
    [
      upstream('username = "{user}{x}"'),
      'upstream.username: "{user}{x}" is no user name; it needs {user}, {local} or {domain} at least once, and no other braces',
    ],
    [
      upstream('certificate_sha256 = "abc"'),
      'upstream.certificate_sha256: "abc" is no SHA-256 fingerprint; give 64 hex digits, with colons or without',
    ],
    [
      upstream('command_timeout = "45"'),
      'upstream.command_timeout: "45" is no duration; write a whole number and a unit (ms, s, m, h, d), such as "45s"',
    ],
    [upstream('command_timeout = "0s"'), 'upstream.command_timeout: "0s" is too short; at least "1ms"'],
    [upstream('command_timeout = "30d"'), 'upstream.command_timeout: "30d" is too long; at most "24d"'],
    [upstream('id = "a\\u0000b"'), 'upstream.id: "a\\u0000b" holds control characters; none are allowed'],
    [`listen = {}\n${MINIMAL}`, 'listen: is a table; must be an array'],
    [
      `${MINIMAL}[[listen]]\naddress = "1110"`,
      'listen[0].address: "1110" is no address to listen on; write host:port or [::1]:port, with 0.0.0.0 or [::] for every address',
    ],
    [`${MINIMAL}[[listen]]\n[[listen]]`, 'listen[1].address: 127.0.0.1:1110 is listened on twice; leave one out'],
    [
      `${MINIMAL}[[listen]]\nallow = ["10.0.0.0/8", "lan"]`,
      'listen[0].allow[1]: "lan" is no address or network; write an IP address, or a network such as "192.168.1.0/24" or "fd00::/8"',
    ],
    [
      `${MINIMAL}[[listen]]\nsecurity = "tls"`,
      'listen[0].security: "tls" needs a certificate; give certificate_file and key_file, here or in [tls]',
    ],
    [`${MINIMAL}[[listen]]\nsecurity = "tls"\ncertificate_file = "c"`, 'listen[0].certificate_file: is set without key_file; give both'],
    [`${MINIMAL}[[listen]]\nkey_file = "k"`, 'listen[0].key_file: is set without certificate_file; give both'],
    [`${MINIMAL}[tls]\ncertificate_file = "c"`, 'tls.certificate_file: is set without key_file; give both'],
    [
      `${MINIMAL}[[listen]]\nsecurity = "none"\ncertificate_file = "c"\nkey_file = "k"`,
      'listen[0].certificate_file: has no use with security = "none"; leave it out, or use "starttls" or "tls"',
    ],
    [
      `${MINIMAL}[[listen]]\nlegacy = true`,
      'listen[0].legacy: is about TLS, and this address has none; set security to "starttls" or "tls", with a certificate',
    ],
    [
      `${MINIMAL}[[listen]]\naddress = "0.0.0.0:995"\nlegacy = true\ncertificate_file = "c"\nkey_file = "k"`,
      'listen[0].legacy: old TLS is allowed on loopback only, not on 0.0.0.0; set legacy_network = true if it must be',
    ],
    [`${MINIMAL}[login]\ndomains = ["a@b"]`, 'login.domains[0]: "a@b" is no domain; write the part after the @, such as "example.com"'],
    [`${MINIMAL}[login]\ndomains = ["a.example", "A.example"]`, 'login.domains[1]: "a.example" is named twice; leave one out'],
    [`${MINIMAL}[maildrop]\nfolders = []`, 'maildrop.folders: is empty; name one folder'],
    [`${MINIMAL}[maildrop]\nfolders = [""]`, 'maildrop.folders[0]: is empty; give the name of a folder'],
    [`${MINIMAL}[maildrop]\nfolders = ["a\\tb"]`, 'maildrop.folders[0]: "a\\tb" holds control characters; none are allowed'],
    [`${MINIMAL}[maildrop]\nfolders = ""`, 'maildrop.folders: is a string; must be an array'],
    [
      `${MINIMAL}[log]\nlevel = "inof"`,
      'log.level: "inof" is not allowed; must be one of "debug", "info", "warn", "error"; did you mean "info"?',
    ],
    [`${MINIMAL}[maildrop]\nfolders = "INBOX"`, 'maildrop.folders: is a string; must be an array'],
    [`${MINIMAL}[maildrop]\nshow = "new"`, 'maildrop.show: "new" is not allowed; must be one of "all", "unseen"'],
    [
      `${MINIMAL}[retrieve]\nmark_seen = "quit"`,
      'retrieve.mark_seen: "quit" is not allowed; must be one of "on-retrieve", "on-quit", "never"',
    ],
    [`${MINIMAL}[delete]\naction = "move"`, 'delete.folder: is missing; action = "move" needs the folder to move to'],
    [`${MINIMAL}[delete]\naction = "flag"\nfolder = "Trash"`, 'delete.folder: has no use with action = "flag"; leave it out'],
    [`${MINIMAL}[delete]\nfolder = "Inbox"`, 'delete.folder: "Inbox" is the folder that clients see; deleted messages need another one'],
    [
      `${MINIMAL}[maildrop]\nfolders = ["a"]\n[delete]\naction = "move"\nfolder = "a"`,
      'delete.folder: "a" is the folder that clients see; deleted messages need another one',
    ],
    [
      `${MINIMAL}[maildrop]\nfolders = ["a\\\\*"]\n[delete]\naction = "move"\nfolder = "a*"`,
      'delete.folder: "a*" is the folder that clients see; deleted messages need another one',
    ],
    [`${MINIMAL}[limits]\nsessions = 0`, 'limits.sessions: 0 is too small; at least 1'],
    [`${MINIMAL}[limits]\nidle_timeout = "9m"`, 'limits.idle_timeout: "9m" is too short; at least "10m"'],
    [
      `${MINIMAL}[limits]\nmessage = "5"`,
      'limits.message: "5" is no size; write a whole number and a unit (B, kB, MB, GB, KiB, MiB, GiB), such as "64MiB"',
    ],
    [
      `${MINIMAL}[maildrop]\nunique_id = "{uidvalidity}{uid}"`,
      'maildrop.unique_id: "{uidvalidity}{uid}" makes no unique-ids: two messages could share an id; put "." or "-" after a field, or give it all digits, as {uid:08x}; must be "popbridge", "dovecot", "cyrus", "courier", "uw", "gmail", or a template such as "{uidvalidity}.{uid}"',
    ],
    [`${MINIMAL}[store]\nurl = "mysql:x"`, 'store.url: "mysql:x" is no store; must be "sqlite:", "sqlite:PATH" or "memory:"'],
    [`${MINIMAL}[log]\nlevel = "warning"`, 'log.level: "warning" is not allowed; must be one of "debug", "info", "warn", "error"'],
  ];

  test.each(cases)('%j', (toml, fault) => expect(faultsOf(toml)).toEqual([fault]));
});

test('what looks odd and is allowed', () => {
  const texts = [
    `${MINIMAL}security = "none"\nallow_cleartext = true`,
    '[upstream]\nhost = "localhost"\nsecurity = "none"',
    `${MINIMAL}[[listen]]\naddress = "0.0.0.0:995"\nlegacy = true\nlegacy_network = true\nsecurity = "tls"\n[tls]\ncertificate_file = "c"\nkey_file = "k"`,
    `${MINIMAL}[[listen]]\nsecurity = "none"\n[tls]\ncertificate_file = "c"\nkey_file = "k"`,
    `${MINIMAL}[delete]\naction = "archive"\nfolder = "inbox.old"`,
    `${MINIMAL}[maildrop]\nfolders = ["a"]\n[delete]\nfolder = "A"`,
    `${MINIMAL}[login]\nmode = "upstream"\n[maildrop]\nshow = "all"\nunique_id = "popbridge"\nlock = "exclusive"`,
    `${MINIMAL}[maildrop]\nunique_id = "cyrus"`,
    `${MINIMAL}[maildrop]\nunique_id = "old-{uid:X}.{uidvalidity:08x}"`,
  ];
  for (const toml of texts) expect(faultsOf(toml)).toEqual([]);
});

test('six faults come out at once, each on its own line', () => {
  const faults = faultsOf(`
    [upstream]
    hots = "imap.example.com"
    port = 0
    [[listen]]
    security = "tls"
    [delete]
    action = "move"
    [limits]
    idle_timeout = "1m"`);
  const keys = faults.map((fault) => fault.slice(0, fault.indexOf(':')));
  expect(keys).toEqual(['upstream.host', 'upstream.port', 'upstream.hots', 'limits.idle_timeout', 'listen[0].security', 'delete.folder']);
  for (const fault of faults) expect(fault).not.toMatch(/\n/);
});

test('no check of several keys speaks about a key that is itself faulty', () => {
  expect(faultsOf('[upstream]\nhost = "a b"\nsecurity = "none"')).toHaveLength(1);
  expect(faultsOf(`${MINIMAL}[delete]\naction = "mvoe"\nfolder = "INBOX"`)).toHaveLength(1);
  expect(faultsOf(`${MINIMAL}[[listen]]\nsecurity = "tls"\n[tls]\ncertificate_file = 3`)).toHaveLength(1);
});

describe('what is not built yet is refused by name', () => {
  const cases: [string, string][] = [
    [`${MINIMAL}[[listen]]\naddress = "socket:pop3"`, 'listen[0].address'],
    [`${MINIMAL}[[listen]]\n[[listen]]\naddress = "[::1]:1"\nproxy_protocol = false`, 'listen[1].proxy_protocol'],
    [`${MINIMAL}[[listen]]\ntrusted_proxies = []`, 'listen[0].trusted_proxies'],
    [`${MINIMAL}[store]\nurl = "postgres://db/mail"`, 'store.url'],
    [`${MINIMAL}[admin]\naddress = ""`, 'admin'],
  ];

  test.each(cases)('%j', (toml, start) => {
    const [fault, ...others] = faultsOf(toml);
    expect(others).toEqual([]);
    expect(`${fault}: `.startsWith(start.includes(': ') ? start : `${start}: `)).toBe(true);
    expect(fault).toMatch(/(is|are) not built yet; /);
  });

  test('every row of the table has a case here', () => {
    const tried = new Set(cases.map(([, start]) => start.replace(/:.*/, '').replace(/\[\d+\]/, '[]')));
    expect(LATER_KEYS.map(({ key }) => key).filter((key) => !tried.has(key))).toEqual([]);
  });
});

describe('tables in the wrong file', () => {
  test('those of the process belong in popbridge.toml', () => {
    const problem = 'is about the whole process; put it into popbridge.toml beside this file';
    expect(faultsOf(`${MINIMAL}[limits]\nsessions = 1\n[log]\n[store]`, 'upstream')).toEqual([
      `limits: ${problem}`,
      `log: ${problem}`,
      `store: ${problem}`,
    ]);
  });

  test('popbridge.toml holds nothing else', () => {
    expect(faultsOf('[log]\nlevel = "debug"', 'process')).toEqual([]);
    const [fault, ...others] = faultsOf(MINIMAL, 'process');
    expect(others).toEqual([]);
    expect(fault).toBe(
      'upstream: is about one upstream; popbridge.toml holds only store, secrets, limits, log, put it into a file of its own',
    );
  });
});

describe('accounts', () => {
  const ACCOUNTS = `${MINIMAL}[login]\nmode = "accounts"\n`;
  const ONE = `[[account]]\nuser = "Alice@EXAMPLE.com"\npassword_hashes = ["${HASH}"]\n`;

  test('are taken over with what they log in upstream with', () => {
    const { accounts, login } = upstreamOf(
      `[upstream]\nhost = "a"\nusername = "{local}"\n[login]\nmode = "accounts"
      ${ONE}upstream_password_file = "pw"
      [[account]]\nuser = "bob"\npassword_hashes = ["${HASH}"]\nupstream_user = "robert"\nupstream_password_command = ["pass", "bob"]`,
    );
    expect(login.mode).toBe('accounts');
    expect(accounts).toEqual([
      { user: 'Alice@example.com', hashes: [HASH], upstreamUser: 'Alice', source: { kind: 'file', path: '/etc/popbridge/pw' } },
      { user: 'bob', hashes: [HASH], upstreamUser: 'robert', source: { kind: 'command', command: ['pass', 'bob'] } },
    ]);
  });

  const SOURCES = 'upstream_password_command, upstream_credential, oauth = true';
  const cases: [string, string[]][] = [
    [
      `${MINIMAL}${ONE}upstream_credential = "a"`,
      ['account: has no use with login.mode = "upstream"; set mode = "accounts" in [login], or leave the accounts out'],
    ],
    [`${ACCOUNTS}${ONE}`, [`account[0].upstream_password_file: is missing; give it, or one of ${SOURCES}`]],
    [
      `${ACCOUNTS}${ONE}upstream_password_file = "a"\nupstream_credential = "b"`,
      ['account[0].upstream_credential: is set beside upstream_password_file; give one source of upstream credentials'],
    ],
    [
      `${ACCOUNTS}[[account]]\nuser = "a"\nupstream_credential = "b"`,
      ['account[0].password_hashes: is empty; give one per device, as "popbridge account hash" prints it'],
    ],
    [
      `${ACCOUNTS}${ONE}upstream_credential = "a"\n${ONE.replace('EXAMPLE', 'example')}upstream_credential = "a"`,
      ['account[1].user: "Alice@example.com" is declared twice; leave one out'],
    ],
    [
      `${ACCOUNTS}[[account]]\nuser = "a"\npassword_hashes = ["correct horse"]\nupstream_credential = "b"`,
      [
        'account[0].password_hashes[0]: is no password hash; write what "popbridge account hash" prints, such as "$scrypt$ln=14,r=8,p=5$…$…"',
      ],
    ],
    [
      `${ACCOUNTS}${ONE}upstream_password_command = ["", "x"]`,
      ['account[0].upstream_password_command: names no program; write ["PROGRAM", "ARGUMENT", …]'],
    ],
    [`${ACCOUNTS}[[account]]\nuser = ""`, ['account[0].user: is empty; give the user name that POP3 clients type']],
    [
      `${ACCOUNTS}${ONE}upstream_passwrd_file = "a"`,
      ['account[0].upstream_passwrd_file: unknown key; did you mean "upstream_password_file"?'],
    ],
  ];

  test.each(cases)('%s', (toml, expected) => {
    expect(faultsOf(toml).slice(0, expected.length)).toEqual(expected);
  });

  test.each([`${ACCOUNTS}[[account]]`, `${ACCOUNTS}[[account]]\nuser = 7`])('a fault is reported, and nothing breaks: %s', (toml) => {
    expect(faultsOf(toml)).toEqual([expect.stringMatching(/^account\[0\]\.user: /)]);
  });
});

describe('views', () => {
  const VIEW = `${MINIMAL}[views.phone]\n`;
  const cases: [string, string[]][] = [
    [`${VIEW}acton = "hide"`, ['views.phone.acton: unknown key; did you mean "action"?']],
    [`${VIEW}action = "move"`, ['views.phone.folder: is missing; action = "move" needs the folder to move to']],
    [`${VIEW}action = "hide"\nfolder = "Old"`, ['views.phone.folder: has no use with action = "hide"; leave it out']],
    [`${MINIMAL}[delete]\naction = "move"\nfolder = "Old"\nafter = "14d"\n[views.phone]\naction = "hide"`, []],
    [
      `${MINIMAL}[maildrop]\nunique_id = "dovecot"\n[views.phone]\nfolders = ["INBOX", "Lists"]`,
      [
        'views.phone.folders: need a unique_id of the view\'s own: that of [maildrop] could give messages of two folders the same unique-id; must hold {folder}, as "popbridge" does, or name one folder',
      ],
    ],
    [
      `${MINIMAL}[maildrop]\nunique_id = "cyrus"\nfolders = ["*"]`,
      [
        'maildrop.unique_id: could give messages of two folders the same unique-id; must hold {folder}, as "popbridge" does, or name one folder',
      ],
    ],
    [
      `${MINIMAL}[views."a/b"]`,
      ['views."a/b": "a/b" is no name for a view; 1 to 64 characters without "/", spaces and control characters'],
    ],
    [`${MINIMAL}[views.__proto__]`, ['views.__proto__: is no name for a view; choose another']],
    [`${MINIMAL}[delete]\nwhen = "all-views"`, ['delete.when: "all-views" needs views; add tables [views.NAME], or use "any-view"']],
    [
      `${MINIMAL}[delete]\naction = "hide"\nafter = "1d"`,
      ['delete.after: has no use with action = "hide": nothing is ever removed; leave it out'],
    ],
    [`${MINIMAL}[maildrop]\nfolders = ["A", "A"]`, ['maildrop.folders: "A" is named twice; leave one out']],
    [
      `${MINIMAL}[maildrop]\nsince = "soon"`,
      ['maildrop.since: "soon" is no age; write a whole number and a unit (ms, s, m, h, d), such as "30d", or "" for any age'],
    ],
  ];

  test.each(cases)('%j', (toml, faults) => expect(faultsOf(toml)).toEqual(faults));

  test('take what they do not say from the tables of the file', () => {
    const { views } = upstreamOf(
      `${MINIMAL}[maildrop]\nnewest = 5\n[delete]\naction = "expunge"\n[views.phone]\nsince = "30d"\nmark_seen = "never"`,
    );
    expect([...views.keys()]).toEqual(['', 'phone']);
    expect(views.get('phone')).toMatchObject({
      maildrop: { newest: 5, sinceSeconds: 30 * 86_400 },
      retrieve: { markSeen: 'never' },
      delete: { action: 'expunge' },
    });
    expect(views.get('')?.maildrop.sinceSeconds).toBe(0);
  });
});

describe('views, of a file that has them', () => {
  const cases: [string, string[]][] = [
    ['[delete]\nwhen = "all-views"', ['delete.when: "all-views" needs views; add tables [views.NAME], or use "any-view"']],
    [
      '[delete]\naction = "move"\n[views.laptop]\nshow = "unseen"',
      ['delete.folder: is missing; action = "move" needs the folder to move to'],
    ],
    [
      '[delete]\naction = "move"\nfolder = "Old"\n[views.laptop]\nfolder = "Inbox"',
      ['views.laptop.folder: "Inbox" is the folder that clients see; deleted messages need another one'],
    ],
    [
      '[delete]\nfolder = "Old"\n[views.laptop]\nfolders = ["Old"]',
      ['delete.folder: "Old" is the folder that clients see; deleted messages need another one'],
    ],
    ['[delete]\nfolder = "Old"\n[views.laptop]\naction = "flag"', []],
    [
      '[views.laptop]\naction = "hide"\nafter = "1d"',
      ['views.laptop.after: has no use with action = "hide": nothing is ever removed; leave it out'],
    ],
    ['[delete]\nafter = "1d"\n[views.laptop]\naction = "hide"', []],
    ['[delete]\naction = "hide"\nafter = "1d"', ['delete.after: has no use with action = "hide": nothing is ever removed; leave it out']],
    [
      '[maildrop]\nfolders = ["INBOX", "Lists"]\nunique_id = "dovecot"',
      [
        'maildrop.unique_id: could give messages of two folders the same unique-id; must hold {folder}, as "popbridge" does, or name one folder',
      ],
    ],
    [
      '[maildrop]\nfolders = ["Lists/*"]\nunique_id = "dovecot"',
      [
        'maildrop.unique_id: could give messages of two folders the same unique-id; must hold {folder}, as "popbridge" does, or name one folder',
      ],
    ],
    [
      '[maildrop]\nunique_id = "dovecot"\n[views.all]\nfolders = ["*"]',
      [
        'views.all.folders: need a unique_id of the view\'s own: that of [maildrop] could give messages of two folders the same unique-id; must hold {folder}, as "popbridge" does, or name one folder',
      ],
    ],
    [
      '[maildrop]\nfolders = ["*"]\n[views.old]\nunique_id = "cyrus"',
      [
        'views.old.unique_id: could give messages of two folders the same unique-id; must hold {folder}, as "popbridge" does, or name one folder',
      ],
    ],
    ['[maildrop]\nfolders = ["INBOX", "a", "inbox"]', ['maildrop.folders: "INBOX" is named twice; leave one out']],
    ['[views.laptop]\nfolders = ["a", "a"]', ['views.laptop.folders: "a" is named twice; leave one out']],
    ['[views.laptop]\nfolders = []', ['views.laptop.folders: is empty; name one folder']],
    ['[views.laptop]\nshow = "new"', ['views.laptop.show: "new" is not allowed; must be one of "all", "unseen"']],
    ['[views.laptop]\nnewest = -1', ['views.laptop.newest: -1 is too small; at least 0']],
    ['[views]\nlaptop = 3', ['views.laptop: is a number; must be a table']],
    // Said once, though every view takes the key from there.
    [
      '[delete]\naction = "move"\n[views.a]\n[views.b]\n[views.c]',
      ['delete.folder: is missing; action = "move" needs the folder to move to'],
    ],
  ];

  test.each(cases)('%j', (toml, faults) => expect(faultsOf(`${MINIMAL}${toml}`)).toEqual(faults));

  test('a folder that the action of a view needs is missing in the view', () => {
    expect(faultsOf(`${MINIMAL}[views.laptop]\naction = "move"`)).toEqual([
      'views.laptop.folder: is missing; action = "move" needs the folder to move to',
    ]);
  });

  test('an unknown key in a view is named with the one that was meant', () => {
    expect(faultsOf(`${MINIMAL}[views.laptop]\nactoin = "hide"`)).toEqual(['views.laptop.actoin: unknown key; did you mean "action"?']);
  });

  test.each(['a/b', 'a b', '', 'a\\tb', 'x'.repeat(65)])('"%s" is no name of one', (name) => {
    const [fault, ...others] = faultsOf(`${MINIMAL}[views."${name}"]\nshow = "all"`);
    expect(others).toEqual([]);
    expect(fault).toMatch(/^views.*is no name for a view; 1 to 64 characters/);
  });

  test('what looks odd and is allowed', () => {
    const texts = [
      '[views.a]',
      '[delete]\nwhen = "all-views"\n[views.a]',
      '[views."B\u00fcro.2"]\nshow = "unseen"',
      '[maildrop]\nfolders = ["INBOX", "Lists"]\nunique_id = "gmail"',
      '[maildrop]\nfolders = ["*"]\nunique_id = "{folder:x}.{uidvalidity}.{uid}"',
      '[maildrop]\nunique_id = "cyrus"\n[views.a]\nfolders = ["Other"]',
      '[delete]\naction = "move"\nfolder = "Old"\n[views.a]\naction = "hide"\nfolder = ""',
    ];
    for (const toml of texts) expect(faultsOf(MINIMAL + toml)).toEqual([]);
  });

  test('take what they do not say from the tables of the file, which come first', () => {
    const { views } = upstreamOf(`${MINIMAL}
      [maildrop]
      newest = 10
      since = "30d"
      [retrieve]
      mark_seen = "never"
      [delete]
      after = "7d"
      when = "all-views"
      [views.phone]
      newest = 5
      mark_seen = "on-quit"
      [views.laptop]
      folders = ["INBOX", "Lists/*"]
      action = "archive"
      after = "0d"`);
    expect([...views.keys()]).toEqual(['', 'phone', 'laptop']);
    expect(views.get('phone')).toMatchObject({
      maildrop: { folders: ['INBOX'], newest: 5, sinceSeconds: 30 * 24 * 60 * 60 },
      retrieve: { markSeen: 'on-quit' },
      delete: { action: 'trash', afterSeconds: 7 * 24 * 60 * 60, when: 'all-views' },
    });
    expect(views.get('laptop')).toMatchObject({
      maildrop: { folders: ['INBOX', 'Lists/*'], newest: 10 },
      retrieve: { markSeen: 'never' },
      delete: { action: 'archive', afterSeconds: 0 },
    });
  });
});
