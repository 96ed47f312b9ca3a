/** A faulty or hostile upstream: what the client sees, and what holds afterwards (SECURITY.md, fault matrix). */
import { X509Certificate } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { beforeAll, describe, expect, test } from 'vitest';
import { bridgeConfig } from '../support/bridge-config.ts';
import { allowInLog, BridgeProcess } from '../support/bridge-process.ts';
import { endsWithEachTest, sharedByTests } from '../support/ends-with-tests.ts';
import { ImapServer, type ImapServerOptions } from '../support/imap-server.ts';
import type { Fault, ImapRule, ImapScript } from '../support/imap-server/script.ts';
import { makeCertificates, type Certificates } from '../support/peers/certificates.ts';
import { patienceText } from '../support/patience.ts';
import { PopDialogue } from '../support/pop-dialogue.ts';
import { passwordsIn } from '../support/secrets-used.ts';
import type { Bridge, SiteConfig } from '../support/shared-bridge.ts';
import { until } from '../support/until.ts';

allowInLog(
  'delete-failed',
  'login-failed',
  'map-rebuilt',
  'map-rematched',
  'messages-unlistable',
  'only-flagged',
  'save-failed',
  'session-error',
  'upstream-failed',
);

const USER = 'alice';
const PASSWORD = 'secret';
const WITHOUT_MOVE = ['IMAP4rev1', 'SASL-IR', 'AUTH=PLAIN', 'UIDPLUS', 'SPECIAL-USE'];
const PLAIN_3501 = ['IMAP4rev1', 'AUTH=PLAIN'];

let certificates: Certificates;
const open = endsWithEachTest();
const shared = sharedByTests();

beforeAll(async () => {
  certificates = await makeCertificates(mkdtempSync(join(tmpdir(), 'popbridge-fault-')));
  return () => rmSync(join(certificates.ca, '..'), { recursive: true, force: true });
});

interface Setup extends Partial<SiteConfig> {
  readonly server?: ImapServerOptions;
  readonly messages?: number;
}

interface Site<Daemon extends Bridge = Bridge> {
  readonly imap: ImapServer;
  readonly bridge: Daemon;
}

/** A server with messages "1", "2", …, and a bridge before it. */
async function site({ server, messages, ...config }: Setup = {}): Promise<Site> {
  const imap = await mailServer({ server, messages });
  const bridge = await shared.add(before(imap, config));
  open.push(bridge);
  return { imap, bridge };
}

/** The same with a daemon of its own, to be stopped, or to be looked into. */
async function siteOfItsOwn({ server, messages, ...config }: Setup = {}): Promise<Site<BridgeProcess>> {
  const imap = await mailServer({ server, messages });
  const bridge = await BridgeProcess.start({ config: bridgeConfig(before(imap, config)) });
  open.push(bridge);
  return { imap, bridge };
}

async function mailServer({
  server = {},
  messages = 3,
}: {
  readonly server: ImapServerOptions | undefined;
  readonly messages: number | undefined;
}): Promise<ImapServer> {
  const imap = await ImapServer.start({ users: { [USER]: PASSWORD }, ...server });
  open.push(imap);
  for (let index = 1; index <= messages; index += 1) imap.mailbox('INBOX').append(`Subject: ${index}\r\n\r\nbody ${index}\r\n`);
  return imap;
}

function before(imap: ImapServer, config: Partial<SiteConfig>): SiteConfig {
  return {
    imapPort: imap.port,
    ...config,
    upstream: [`command_timeout = "${patienceText(2_000)}"`, 'linger = "0s"', ...(config.upstream ?? [])],
  };
}

async function login(bridge: Bridge, password = PASSWORD): Promise<string> {
  const client = await PopDialogue.connect(bridge.port());
  await client.command(`USER ${USER}`);
  const answer = await client.command(`PASS ${password}`);
  client.close();
  return answer;
}

async function session(bridge: Bridge): Promise<PopDialogue> {
  const client = await PopDialogue.connect(bridge.port());
  await client.login(USER, PASSWORD);
  return client;
}

/** A fault for every command that begins so. */
const on = (beginning: string, fault: Fault, times = Number.POSITIVE_INFINITY): ImapRule => {
  let left = times;
  return ({ command }) => {
    if (!command.startsWith(beginning) || left <= 0) return undefined;
    left -= 1;
    return fault;
  };
};

/** A fault for every attempt to log in, whatever the way. */
const atLogin = (fault: Fault): ImapRule[] => [on('LOGIN', fault), on('AUTHENTICATE', fault)];

/** How many attempts to log in the server saw, whatever the way. */
const logins = (imap: ImapServer): number => imap.commands.filter((command) => /^(?:AUTHENTICATE|LOGIN)/.test(command)).length;

/** A fault for every command that lists messages. */
const listing = (fault: Fault): ImapRule => {
  return ({ command }) => (command.includes('RFC822.SIZE') ? fault : undefined);
};

/** All that is on disk of maildrops, by table. */
function storedMap(bridge: BridgeProcess): Map<string, unknown[]> {
  using database = new DatabaseSync(join(bridge.folder, 'state', 'popbridge.sqlite'), { readOnly: true });
  return new Map(
    ['maildrop', 'mailbox', 'segment', 'identity', 'gone_message', 'spent', 'epoch', 'journal'].map((table) => [
      table,
      database.prepare(`SELECT * FROM ${table}`).all(),
    ]),
  );
}

const subjects = (imap: ImapServer, path = 'INBOX'): string[] =>
  imap.mailbox(path).messages.map(({ raw }) => /^Subject: (.*)\r$/m.exec(raw.toString())?.[1] ?? '');

describe('a login that fails', () => {
  const AUTH = '-ERR [AUTH] user name or password refused';
  const refusals: readonly (readonly [string, string])[] = [
    ['NO [AUTHENTICATIONFAILED] Authentication failed.', AUTH],
    ['NO Invalid credentials', AUTH],
    ['NO [AUTHORIZATIONFAILED] no', AUTH],
    ['NO [EXPIRED] password expired', AUTH],
    ['NO [WEBALERT https://example.com/] Log in via your web browser', AUTH],
    ['NO [UNAVAILABLE] Maximum number of connections from user+IP exceeded', '-ERR [SYS/TEMP]'],
    ['NO [ALERT] Too many simultaneous connections. (Failure)', '-ERR [SYS/TEMP]'],
    ['NO [ALERT] LOGIN DENIED -- TOO MANY FAILURES', '-ERR [SYS/TEMP]'],
    ['NO [INUSE] locked', '-ERR [SYS/TEMP]'],
    ['NO [LIMIT] too much', '-ERR [SYS/TEMP]'],
    ['NO [SERVERBUG] oops', '-ERR [SYS/TEMP]'],
    ['NO [OVERQUOTA] Account exceeded command or bandwidth limits', '-ERR [SYS/TEMP]'],
    [
      'BAD Request is throttled. Suggested Backoff Time: 1500 milliseconds',
      '-ERR [SYS/TEMP] mail server is throttling, try later (in 2 s)',
    ],
    ['NO [PRIVACYREQUIRED] use TLS', '-ERR [SYS/PERM]'],
    ['NO [CONTACTADMIN] call us', '-ERR [SYS/PERM]'],
    ['BAD User is authenticated but not connected.', '-ERR [SYS/PERM]'],
  ];

  test.for(refusals)('answered "%s" gives %s', async ([reply, expected]) => {
    const { bridge } = await site({ server: { script: atLogin({ reply }) } });
    const answer = await login(bridge);
    expect(answer.startsWith(expected), answer).toBe(true);
  });

  test.for([
    ['a BYE greeting', { greeting: '* BYE overloaded' }],
    ['no greeting', { greeting: 'hang' }],
    ['a close at once', { greeting: 'close' }],
    ['a PREAUTH greeting', { greeting: '* PREAUTH welcome' }],
    ['a login that never ends', { script: atLogin({ hang: true }) }],
    ['a BYE at login', { script: atLogin({ bye: 'too busy' }) }],
  ] as const)('by %s is temporary, never [AUTH]', async ([, server]) => {
    const { bridge, imap } = await site({ server });
    expect(await login(bridge)).toMatch(/^-ERR \[SYS\/TEMP\] /);
    // The server was told of a mechanism, and no password was sent before it asked for one.
    const isAsked = 'script' in server;
    expect(logins(imap)).toBe(isAsked ? 1 : 0);
    expect(passwordsIn(imap.dropped)).toEqual([]);
  });

  test.for([
    ['open sesame', 'open sesame'],
    ['p"ss\\wörd', 'p\\"ss\\\\wörd'],
    ['p"ss\\wörd', 'p"ss\\wörd'],
    ['kurz', Buffer.from('\0alice\0kurz').toString('base64')],
    ['langes Passwort', Buffer.from('langes Passwort').toString('base64')],
    ['xyz', 'xyz'],
  ] as const)('by a server that repeats the password (%s as %s) does not bring it into the log', async ([password, repeated]) => {
    const { bridge } = await site({
      server: { script: atLogin({ reply: `NO [AUTHENTICATIONFAILED] ${'.'.repeat(290)} ${repeated}` }) },
    });
    expect(await login(bridge, password)).toMatch(/\[AUTH\]/);
    const text = JSON.stringify(await bridge.event('login-failed'));
    expect(text).toContain('[secre');
    const printable = repeated.replace(/[^\x20-\x7e]+/g, ' ');
    for (const piece of [repeated, printable, printable.slice(0, 9)])
      expect(text.replaceAll('[secret', '')).not.toContain(JSON.stringify(piece).slice(1, -1));
  });

  test('to a server that is down is temporary; the log names the reason once, and the map on disk is untouched', async () => {
    const { bridge, imap } = await siteOfItsOwn();
    const listed = async (): Promise<string[]> => {
      const client = await session(bridge);
      const ids = await client.multi('UIDL');
      expect(await client.command('QUIT')).toBe('+OK bye');
      await until(() => imap.openConnections === 0);
      return ids;
    };
    await listed();
    // From now on the ids follow from nothing but what is stored.
    imap.mailbox('INBOX').resetUidValidity();
    const ids = await listed();
    const map = storedMap(bridge);
    expect(map.get('segment')).toHaveLength(1);
    const lines = bridge.log.length;
    await imap.goDown();
    expect(await login(bridge)).toBe('-ERR [SYS/TEMP] mail server cannot be reached');
    await bridge.event('login-failed');
    const logged = bridge.log.slice(lines).filter(({ level }) => level === 'warn' || level === 'error');
    // What is wrong with the server, and whom it kept out.
    const reason = { code: 'UPSTREAM_UNREACHABLE', message: expect.stringContaining(`ECONNREFUSED 127.0.0.1:${imap.port}`) };
    expect(logged).toMatchObject([
      { event: 'upstream-failed', upstream: 'test', error: reason },
      { event: 'login-failed', user: USER, error: reason },
    ]);
    expect(storedMap(bridge)).toEqual(map);
    await imap.comeBack();
    expect(await listed()).toEqual(ids);
  });

  test('with a password refused before does not reach the upstream again; another one does', async () => {
    const { bridge, imap } = await site();
    expect(await login(bridge, 'stale')).toMatch(/\[AUTH\]/);
    const before = logins(imap);
    expect(await login(bridge, 'stale')).toMatch(/\[AUTH\]/);
    expect(logins(imap)).toBe(before);
    expect(await login(bridge)).toMatch(/^\+OK/);
    expect(await login(bridge, 'stale')).toMatch(/\[AUTH\]/);
    expect(logins(imap)).toBe(before + 1);
  });
});

describe('a login that is refused without a response code', () => {
  test('by a server that took the password before is temporary, and works as soon as the server does', async () => {
    const { bridge, imap } = await site();
    expect(await login(bridge)).toMatch(/^\+OK/);
    imap.setScript(atLogin({ reply: 'NO LOGIN failed' }));
    expect(await login(bridge)).toBe('-ERR [SYS/TEMP] mail server refused the request');
    expect(await login(bridge)).toBe('-ERR [SYS/TEMP] mail server refused the request');
    expect(await login(bridge, 'mistyped')).toBe('-ERR [AUTH] user name or password refused');
    imap.setScript(undefined);
    expect(await login(bridge)).toMatch(/^\+OK/);
    imap.setScript(atLogin({ reply: 'NO [AUTHENTICATIONFAILED] changed' }));
    expect(await login(bridge)).toBe('-ERR [AUTH] user name or password refused');
  });

  test.for(['NO System error', 'NO LDAP server is down', 'NO Server unavailable', 'NO account is in maintenance mode'])(
    'with words of trouble (%s) puts no pause on the password',
    async (reply) => {
      const { bridge, imap } = await site({ server: { script: atLogin({ reply }) } });
      expect(await login(bridge)).toBe('-ERR [SYS/TEMP] mail server refused the request');
      imap.setScript(undefined);
      expect(await login(bridge)).toMatch(/^\+OK/);
    },
  );

  test.for(['NO no mechanism available', 'NO cleartext logins disabled', 'NO Account is disabled'])(
    'with words that only an administrator can act on (%s) is permanent, and puts no pause on the password either',
    async (reply) => {
      const { bridge, imap } = await site({ server: { script: atLogin({ reply }) } });
      expect(await login(bridge)).toMatch(/^-ERR \[SYS\/PERM\] /);
      imap.setScript(undefined);
      expect(await login(bridge)).toMatch(/^\+OK/);
    },
  );
});

describe('a way to log in that the server refuses', () => {
  test('is replaced by the other one, and later logins take that at once', async () => {
    const { bridge, imap } = await site({ server: { script: on('AUTHENTICATE', { reply: 'NO [CANNOT] use LOGIN' }) } });
    expect(await login(bridge)).toMatch(/^\+OK/);
    expect(await login(bridge)).toMatch(/^\+OK/);
    const tried = imap.commands.filter((command) => /^(?:LOGIN|AUTHENTICATE)/.test(command));
    expect(tried).toEqual(['AUTHENTICATE PLAIN', 'LOGIN alice ***', 'LOGIN alice ***']);
  });
});

describe('TLS to the upstream', () => {
  const tls = (mode: 'implicit' | 'starttls'): NonNullable<ImapServerOptions['tls']> => ({
    mode,
    key: readFileSync(certificates.key, 'utf8'),
    cert: readFileSync(certificates.certificate, 'utf8'),
  });

  test.for(['tls', 'starttls'] as const)(
    'an unknown certificate is refused for good (%s); with ca_file or its pin it is taken',
    async (security) => {
      const server = { tls: tls(security === 'tls' ? 'implicit' : 'starttls') };
      const { bridge, imap } = await site({ server, security });
      expect(await login(bridge)).toMatch(/^-ERR \[SYS\/PERM\] /);
      expect(imap.commands.filter((command) => /^(LOGIN|AUTHENTICATE)/.test(command))).toEqual([]);
      const shown = fingerprint().replaceAll(':', '').toLowerCase();
      expect(JSON.stringify(await bridge.event('upstream-failed'))).toContain(`the certificate has SHA-256 ${shown}: if, and only if, `);
      const trusting = await site({ server, security, upstream: [`ca_file = "${certificates.ca}"`] });
      expect(await login(trusting.bridge)).toMatch(/^\+OK/);
      const pinned = await site({ server, security, upstream: [`certificate_sha256 = "${fingerprint()}"`] });
      expect(await login(pinned.bridge)).toMatch(/^\+OK/);
      const wrongPin = await site({ server, security, upstream: [`certificate_sha256 = "${'0'.repeat(64)}"`] });
      expect(await login(wrongPin.bridge)).toMatch(/^-ERR \[SYS\/PERM\] /);
    },
  );

  const startTls: readonly (readonly [string, Pick<ImapServerOptions, 'script' | 'greeting'> & { readonly tls?: true }])[] = [
    ['not offered', {}],
    ['refused', { tls: true, script: on('STARTTLS', { reply: 'NO not now' }) }],
    ['BAD', { tls: true, script: on('STARTTLS', { reply: 'BAD what?' }) }],
    ['answered with more than OK', { tls: true, script: on('STARTTLS', { raw: '$TAG OK go\r\n* 3 EXISTS\r\n', next: 'hang' }) }],
    ['preceded by PREAUTH', { tls: true, greeting: '* PREAUTH hi' }],
  ];

  test.for(startTls)('STARTTLS %s: no password is sent, and it is temporary', async ([, { tls: hasTls, ...options }]) => {
    const { bridge, imap } = await site({ server: { ...options, ...(hasTls && { tls: tls('starttls') }) }, security: 'starttls' });
    expect(await login(bridge)).toMatch(/^-ERR \[SYS\/TEMP\] /);
    expect(imap.commands.filter((command) => /^(LOGIN|AUTHENTICATE)/.test(command))).toEqual([]);
  });
});

describe('an upstream that is spared (CONTRACT section 5.7)', () => {
  test('sees at most five wrong passwords of an account, also from clients that hang up before the answer', async () => {
    const { bridge, imap } = await site({ server: { script: atLogin({ delayMs: 100 }) } });
    for (let guess = 1; guess <= 8; guess += 1) {
      const client = await PopDialogue.connect(bridge.port());
      await client.command(`USER ${USER}`);
      client.send(`PASS guess ${guess}\r\n`);
      const before = bridge.events('login-failed').length;
      await until(() => logins(imap) === Math.min(guess, 5));
      client.socket.resetAndDestroy();
      await until(() => bridge.events('login-failed').length > before);
    }
    expect(logins(imap)).toBe(5);
  });

  test('is not asked again before the pause it wanted is over, whatever command met it', async () => {
    const { bridge, imap } = await site();
    const throttles = on('UID FETCH', { reply: 'BAD Request is throttled. Suggested Backoff Time: 299961 milliseconds' });
    const client = await session(bridge);
    imap.setScript(throttles);
    expect(await client.command('RETR 1')).toBe('-ERR [SYS/TEMP] mail server is throttling, try later (in 300 s)');
    imap.setScript(undefined);
    const before = imap.commands.length;
    expect(await client.command('RETR 2')).toMatch(/^-ERR \[SYS\/TEMP\] mail server is throttling/);
    client.close();
    expect(await login(bridge)).toMatch(/^-ERR \[SYS\/TEMP\] mail server is throttling/);
    expect(imap.commands.slice(before)).toEqual([]);
  });

  test('that throttles the listing is not asked again either', async () => {
    const { bridge, imap } = await site({ server: { script: on('SELECT', { reply: 'NO [THROTTLED] slow down' }) } });
    expect(await login(bridge)).toMatch(/^-ERR \[SYS\/TEMP\] mail server is throttling/);
    imap.setScript(undefined);
    expect(await login(bridge)).toMatch(/^-ERR \[SYS\/TEMP\] mail server is throttling/);
    expect(logins(imap)).toBe(1);
  });

  const PAUSE = 'BAD Request is throttled. Suggested Backoff Time: 299961 milliseconds';

  test.for([
    ['MOVE at QUIT', on('UID MOVE', { reply: PAUSE }), 'QUIT'],
    ['FETCH on a fresh connection', [on('UID FETCH', { close: true }, 1), on('UID FETCH', { reply: PAUSE })], 'RETR 2'],
    ['SELECT on a fresh connection', [on('UID FETCH', { close: true }, 1), on('SELECT', { reply: 'NO [THROTTLED] slow down' })], 'RETR 2'],
  ] as const)('gets its pause also after %s', async ([, script, command]) => {
    const { bridge, imap } = await site();
    const client = await session(bridge);
    await client.command('DELE 1');
    imap.setScript(script);
    expect(await client.command(command)).toMatch(/^-ERR \[SYS\/TEMP\] /);
    client.close();
    imap.setScript(undefined);
    const before = imap.commands.length;
    expect(await login(bridge)).toMatch(/^-ERR \[SYS\/TEMP\] mail server is throttling/);
    expect(imap.commands.slice(before)).toEqual([]);
  });

  test('and does not answer in time is not asked twice for one command', async () => {
    const { bridge, imap } = await site();
    const client = await session(bridge);
    imap.setScript(on('UID FETCH', { hang: true }));
    expect(await client.command('RETR 1')).toMatch(/^-ERR \[SYS\/TEMP\] /);
    expect(imap.commands.filter((command) => command.includes('BODY'))).toHaveLength(1);
    imap.setScript(undefined);
    expect((await client.retrieve(1)).toString()).toContain('body 1');
  });

  test('and whose password changed meanwhile hears the old one once', async () => {
    const { bridge, imap } = await site();
    const client = await session(bridge);
    imap.setScript(atLogin({ reply: 'NO [AUTHENTICATIONFAILED] changed' }));
    imap.dropConnections();
    const before = logins(imap);
    for (const number of [1, 2, 3]) expect(await client.command(`RETR ${number}`)).toMatch(/^-ERR \[SYS\/TEMP\] /);
    expect(logins(imap) - before).toBe(1);
    await client.command('DELE 1');
    expect(await client.command('QUIT')).toBe('-ERR [SYS/TEMP] 1 of 1 messages not deleted');
  });
});

/** Whether a command asks for the rows of several messages, or of that one. */
function isAskedFor(uid: number, command: string): boolean {
  const [, set] = /^(?:UID )?FETCH (\S+) .*SIZE/.exec(command) ?? [];
  return set !== undefined && (set === String(uid) || !/^\d+$/.test(set));
}

describe('a listing that fails', () => {
  test.for([
    ['SELECT is refused', on('SELECT', { reply: 'NO [SERVERBUG] no' }), '-ERR [SYS/TEMP]'],
    ['the mailbox does not exist', on('SELECT', { reply: 'NO [NONEXISTENT] no such mailbox' }), '-ERR [SYS/PERM]'],
    ['SELECT is unsafe', on('SELECT', { reply: 'NO SELECT Unsafe Login. Please contact us' }), '-ERR [SYS/PERM]'],
    ['SELECT never ends', on('SELECT', { hang: true }), '-ERR [SYS/TEMP]'],
    ['no row comes', listing({ omitRows: 3 }), '-ERR [SYS/TEMP]'],
    ['a row has no UID', listing({ raw: '* 1 FETCH (RFC822.SIZE 20 UID 0)\r\n$TAG OK done\r\n' }), '-ERR [SYS/TEMP]'],
    ['SEARCH gives UID 0', on('UID SEARCH', { raw: '* SEARCH 0 1 2\r\n$TAG OK done\r\n' }), '-ERR [SYS/PERM]'],
    ['the server closes', listing({ close: true }), '-ERR [SYS/TEMP]'],
    ['the server says BYE', listing({ bye: 'restarting' }), '-ERR [SYS/TEMP]'],
    ['FETCH never ends', listing({ hang: true }), '-ERR [SYS/TEMP]'],
  ] as const)('because %s is an error, never a short maildrop', async ([, script, expected]) => {
    const { bridge, imap } = await site({ server: { script } });
    const answer = await login(bridge);
    expect(answer.startsWith(expected), answer).toBe(true);
    imap.setScript(undefined);
    const client = await session(bridge);
    expect(await client.multi('UIDL')).toHaveLength(3);
  });

  test.for([
    ['a row never comes', listing({ omitRows: 1 })],
    [
      'a row is there three times, and the others never',
      listing({ raw: `${'* 1 FETCH (UID 1 RFC822.SIZE 20)\r\n'.repeat(3)}$TAG OK done\r\n` }),
    ],
    ['SEARCH is refused', on('UID SEARCH', { reply: 'NO [UNAVAILABLE] no' })],
    ['SEARCH gives a number that is none', on('UID SEARCH', { raw: '* SEARCH 1 2x\r\n$TAG OK done\r\n' })],
    ['SEARCH gives nothing', on('UID SEARCH', { raw: '$TAG OK done\r\n' })],
    [
      'a message cannot be listed',
      ({ command }: { readonly command: string }) => (isAskedFor(2, command) ? { reply: 'NO no' } : undefined),
    ],
  ] as const)('is whole all the same where %s', async ([, script]) => {
    const { bridge } = await site({ server: { script } });
    const client = await session(bridge);
    expect(await client.multi('UIDL')).toHaveLength(3);
    expect((await client.retrieve(2)).toString()).toContain('body 2');
  });

  test('once only is tried again, and nobody notices', async () => {
    const { bridge } = await site({ server: { script: on('FETCH', { omitRows: 2 }, 1) } });
    const client = await session(bridge);
    expect(await client.multi('UIDL')).toHaveLength(3);
  });
});

describe('a message that fails', () => {
  test.for([
    ['without a body', { emptyBody: true }],
    ['with NIL for a body', { emptyBody: 'NIL' }],
    ['answered NO', { reply: 'NO [UNAVAILABLE] UID FETCH Server error' }],
    ['answered BAD', { reply: 'BAD no' }],
  ] as const)('%s gives [SYS/TEMP], and the others can be read', async ([, fault]) => {
    const { bridge, imap } = await site();
    const client = await session(bridge);
    imap.setScript(on('UID FETCH 2 ', fault));
    expect(await client.command('RETR 2')).toMatch(/^-ERR \[SYS\/TEMP\] /);
    expect((await client.retrieve(3)).toString()).toContain('body 3');
    expect(await client.command('QUIT')).toBe('+OK bye');
  });

  test('in the middle ends the connection without a final dot', async () => {
    const { bridge, imap } = await site({ messages: 0 });
    imap.mailbox('INBOX').append(`Subject: big\r\n\r\n${'x'.repeat(78)}\r\n`.repeat(60_000));
    const client = await session(bridge);
    imap.setScript(on('UID FETCH', { cutAfter: 2_500_000 }));
    expect(await client.command('RETR 1')).toMatch(/^\+OK/);
    const rest = await client.closed();
    expect(rest.length).toBeGreaterThan(100_000);
    expect(rest.subarray(-5).toString()).not.toBe('\r\n.\r\n');
    expect(imap.mailbox('INBOX').messages[0]?.flags).not.toContain('\\Seen');
  });

  test('within which the server drops the connection is read in windows the next time', async () => {
    const { bridge, imap } = await site({ messages: 0 });
    const whole = `Subject: big\r\n\r\n${`${'x'.repeat(78)}\r\n`.repeat(60_000)}`;
    imap.mailbox('INBOX').append(whole);
    imap.setScript(({ command }) => (command.endsWith('[])') ? { cutAfter: 2_000_000 } : undefined));
    const client = await session(bridge);
    client.send('RETR 1\r\n');
    expect((await client.closed()).toString()).not.toContain('\r\n.\r\n');
    expect((await (await session(bridge)).retrieve(1)).toString() === whole).toBe(true);
  });

  /** The session in which a message is read in windows, because it broke off before. */
  const sessionInWindows = async ({ bridge, imap }: Site): Promise<PopDialogue> => {
    const client = await session(bridge);
    imap.setScript(({ command }) => (command.endsWith('[])') ? { cutAfter: 200_000 } : undefined));
    client.send('RETR 1\r\n');
    await client.closed();
    imap.setScript(undefined);
    return session(bridge);
  };

  const windowAt = (offset: number, fault: Fault): ImapScript => {
    return ({ command }) => (command.includes(`]<${offset}.`) ? fault : undefined);
  };
  const MIB = 1024 * 1024;

  test.for([
    ['no row', { raw: '$TAG OK done\r\n' }],
    ['NIL', { emptyBody: 'NIL' }],
    ['a row without the body', { emptyBody: true }],
    ['a row of flags only', { raw: '* 1 FETCH (UID 1 FLAGS (\\Seen))\r\n$TAG OK done\r\n' }],
    ['"no longer exist"', { reply: 'NO [EXPUNGEISSUED] Some of the requested messages no longer exist.' }],
    ['the octets of another window', { raw: '* 1 FETCH (UID 1 BODY[]<0> "Subject: big")\r\n$TAG OK done\r\n' }],
    ['the octets of another message', { raw: '* 1 FETCH (UID 7 BODY[]<1048576> "x")\r\n$TAG OK done\r\n' }],
    ['an early end', { raw: '* 1 FETCH (UID 1 BODY[]<1048576> "")\r\n$TAG OK done\r\n' }],
  ] as const)('after its first window, by %s, is cut: half a message never ends with a dot', async ([, fault]) => {
    const { bridge, imap } = await site({ messages: 0 });
    imap.mailbox('INBOX').append(`Subject: big\r\n\r\n${`${'x'.repeat(78)}\r\n`.repeat(60_000)}`);
    const client = await sessionInWindows({ bridge, imap });
    imap.setScript(windowAt(MIB, fault));
    expect(await client.command('RETR 1')).toMatch(/^\+OK/);
    expect((await client.closed()).subarray(-5).toString()).not.toBe('\r\n.\r\n');
    imap.setScript(undefined);
    expect(imap.mailbox('INBOX').messages[0]?.flags).not.toContain('\\Seen');
    const again = await session(bridge);
    expect(await again.retrieve(1)).toHaveLength(16 + 80 * 60_000);
  });

  test('to be described at its very end by nothing at all is whole: the server had promised no more', async () => {
    const { bridge, imap } = await site({ messages: 0 });
    const whole = `Subject: big\r\n\r\n${'x'.repeat(2 * MIB - 18)}\r\n`;
    imap.mailbox('INBOX').append(whole);
    const client = await sessionInWindows({ bridge, imap });
    for (const fault of [{ raw: '$TAG OK done\r\n' }, { emptyBody: 'NIL' }, { reply: 'NO beyond the end' }] as const) {
      imap.setScript(windowAt(2 * MIB, fault));
      expect((await client.retrieve(1)).toString() === whole, JSON.stringify(fault)).toBe(true);
    }
  });

  test.for([
    [1_000, 'TOP 1 5'],
    [MIB - 5, 'RETR 1'],
    [MIB + 500_000, 'RETR 1'],
  ] as const)(
    'of %i octets, from a server that ignores partial FETCH, echoes it and overstates sizes, comes once',
    async ([size, command]) => {
      const { bridge, imap } = await site({ messages: 0 });
      const whole = `Subject: once\r\n\r\n${'x'.repeat(size - 19)}\r\n`;
      imap.mailbox('INBOX').append(whole, { declaredSize: size + 8 });
      imap.setScript(({ command: asked }) => {
        const [, span] = /\[\](<[\d.]+>)/.exec(asked) ?? [];
        return span === undefined
          ? undefined
          : { raw: `* 1 FETCH (UID 1 BODY[]${span} {${whole.length}}\r\n${whole})\r\n$TAG OK done\r\n` };
      });
      const client = await session(bridge);
      expect((await client.multi(command)).join('\r\n')).toBe(whole.trimEnd());
    },
  );

  test('of windows that the server fills in part, and then not at all, is cut', async () => {
    const { bridge, imap } = await site({ messages: 0 });
    const raw = `Subject: big\r\n\r\n${`${'x'.repeat(78)}\r\n`.repeat(60_000)}`;
    imap.mailbox('INBOX').append(raw);
    const client = await sessionInWindows({ bridge, imap });
    imap.setScript(({ command }) => {
      const from = Number(/\[\]<(\d+)\./.exec(command)?.[1]);
      const part = raw.slice(from, from + MIB / 2);
      return from >= MIB
        ? { raw: '$TAG OK done\r\n' }
        : { raw: `* 1 FETCH (UID 1 BODY[]<${from}> {${part.length}}\r\n${part})\r\n$TAG OK done\r\n` };
    });
    expect(await client.command('RETR 1')).toMatch(/^\+OK/);
    expect((await client.closed()).subarray(-5).toString()).not.toBe('\r\n.\r\n');
  });

  test('of exactly one window, from a server that ignores partial FETCH and marks nothing, comes once', async () => {
    const { bridge, imap } = await site({ messages: 0 });
    const whole = `Subject: once\r\n\r\n${'x'.repeat(MIB / 16 - 19)}\r\n`;
    imap.mailbox('INBOX').append(whole);
    imap.setScript(({ command }) =>
      command.includes('[]<') ? { raw: `* 1 FETCH (UID 1 BODY[] {${whole.length}}\r\n${whole})\r\n$TAG OK done\r\n` } : undefined,
    );
    expect((await (await session(bridge)).multi('TOP 1 5')).join('\r\n')).toBe(whole.trimEnd());
  });

  test.for([20_000 * 80 + 3, 2 * 1024 * 1024 - 16])(
    'larger for POP3 than for the server (%i octets) is read the second time too',
    async (size) => {
      const { bridge, imap } = await site({ messages: 0 });
      const raw = `Subject: big\r\n\r\n${'x'.repeat(size)}`;
      imap.mailbox('INBOX').append(raw);
      imap.setScript(({ command }) => (command.includes(`<${raw.length}.`) ? { reply: 'NO beyond the end' } : undefined));
      for (let times = 0; times < 2; times += 1) {
        const client = await session(bridge);
        expect(await client.retrieve(1)).toHaveLength(raw.length + 2);
        await client.command('QUIT');
      }
    },
  );

  test('in its header only, for TOP, is cut from the beginning of the message instead', async () => {
    const { bridge, imap } = await site();
    const client = await session(bridge);
    for (const fault of [
      { emptyBody: 'NIL' },
      { raw: '* 2 FETCH (UID 2 BODY[HEADER] "")\r\n$TAG OK done\r\n' },
      { raw: '* 2 FETCH (UID 2 BODY[HEADER] {11}\r\nSubject: 2\r)\r\n$TAG OK done\r\n' },
    ] as const) {
      imap.setScript(({ command }) => (command.includes('HEADER') ? fault : undefined));
      expect(await client.multi('TOP 2 0')).toEqual(['Subject: 2', '']);
    }
    imap.setScript(on('UID FETCH', { emptyBody: 'NIL' }));
    expect(await client.command('TOP 2 0')).toMatch(/^-ERR \[SYS\/TEMP\] /);
  });

  test('because the connection was lost is read on a new one, once', async () => {
    const { bridge, imap } = await site();
    const client = await session(bridge);
    const uniqueIds = await client.multi('UIDL');
    for (const [command, expected] of [
      ['TOP 3 0', 'Subject: 3\r\n\r\n'],
      ['RETR 2', 'Subject: 2\r\n\r\nbody 2\r\n'],
      ['TOP 1 1', 'Subject: 1\r\n\r\nbody 1\r\n'],
    ] as const) {
      const before = imap.connections;
      imap.dropConnections();
      expect((await client.multiOctets(command)).toString(), command).toBe(expected);
      expect(imap.connections, command).toBe(before + 1);
      expect(await client.multi('UIDL')).toEqual(uniqueIds);
    }
    await client.command('DELE 1');
    imap.dropConnections();
    expect(await client.command('QUIT')).toBe('+OK bye');
    expect(subjects(imap)).toEqual(['2', '3']);
  });

  test('because the server drops the connection each time is -ERR, for TOP as for RETR; the snapshot stays, and the others can be read', async () => {
    const { bridge, imap } = await site();
    const client = await session(bridge);
    const before = [await client.multi('UIDL'), await client.multi('LIST')];
    for (const command of ['TOP 2 0', 'RETR 2']) {
      imap.setScript(on('UID FETCH 2 ', { close: true }));
      expect(await client.command(command), command).toMatch(/^-ERR \[SYS\/TEMP\] /);
      imap.setScript(undefined);
      expect([await client.multi('UIDL'), await client.multi('LIST')], command).toEqual(before);
      expect((await client.retrieve(3)).toString()).toContain('body 3');
    }
    expect((await client.retrieve(2)).toString()).toContain('body 2');
    expect(await client.command('QUIT')).toBe('+OK bye');
  });

  test('because somebody else removed it is -ERR, its number stays, and QUIT with it marked is +OK', async () => {
    const { bridge, imap } = await site({ messages: 5 });
    const client = await session(bridge);
    const rows = await client.multi('UIDL');
    for (const number of [2, 4]) expect(await client.command(`DELE ${number}`)).toMatch(/^\+OK/);
    // One that is marked, and one that is not.
    for (const uid of [2, 3]) imap.mailbox('INBOX').expunge(uid);
    for (const command of ['RETR 3', 'TOP 3 0']) expect(await client.command(command), command).toMatch(/^-ERR /);
    expect(await client.multi('UIDL')).toEqual([0, 2, 4].map((index) => rows[index]));
    expect((await client.retrieve(5)).toString()).toContain('body 5');
    expect(await client.command('QUIT')).toBe('+OK bye');
    expect([subjects(imap), subjects(imap, 'Trash')]).toEqual([['1', '5'], ['4']]);
    await bridge.event('session-end');
    expect(bridge.events('delete-failed')).toEqual([]);
    const next = await session(bridge);
    expect((await next.multi('UIDL')).map((line) => line.slice(2))).toEqual([0, 4].map((index) => rows[index]?.slice(2)));
  });

  test.for(['RETR 2', 'QUIT'])('leaves no connection behind when %s and a waiting \\Seen need a new one at once', async (command) => {
    const { bridge, imap } = await site();
    const client = await session(bridge);
    await client.retrieve(1);
    imap.dropConnections();
    imap.setScript(atLogin({ delayMs: 700 }));
    await until(() => imap.connections === 2);
    client.send(`${command}\r\nQUIT\r\n`);
    await bridge.event('session-end');
    await until(() => imap.openConnections === 0);
    expect(imap.connections).toBe(2);
    expect(imap.mailbox('INBOX').messages[0]?.flags).toContain('\\Seen');
  });

  test('on a new connection is not read, and nothing deleted, where UIDVALIDITY has changed', async () => {
    const { bridge, imap } = await site();
    const client = await session(bridge);
    await client.command('DELE 1');
    imap.mailbox('INBOX').resetUidValidity();
    imap.dropConnections();
    expect(await client.command('RETR 2')).toMatch(/^-ERR \[SYS\/TEMP\] /);
    expect(await client.command('QUIT')).toBe('-ERR [SYS/TEMP] 1 of 1 messages not deleted');
    expect(subjects(imap)).toEqual(['1', '2', '3']);
  });

  test('whose size the server understates or overstates arrives whole', async () => {
    const { bridge, imap } = await site({ messages: 0 });
    const big = `Subject: liar\r\n\r\n${'y'.repeat(98)}\r\n`.repeat(1) + `${'z'.repeat(98)}\r\n`.repeat(30_000);
    for (const declaredSize of [10, 500, 2_000_000, 9_000_000]) imap.mailbox('INBOX').append(big, { declaredSize });
    const client = await session(bridge);
    for (const number of [1, 2, 3, 4]) expect((await client.retrieve(number)).toString() === big, `message ${number}`).toBe(true);
  });
});

describe('QUIT with deletions', () => {
  async function quitWith(setup: Setup, script: ImapScript): Promise<Site & { readonly answer: string }> {
    const running = await site(setup);
    const client = await session(running.bridge);
    await client.command('DELE 2');
    running.imap.setScript(script);
    const answer = await client.command('QUIT');
    running.imap.setScript(undefined);
    return { ...running, answer };
  }

  test('refused by the server tells so, and the message is shown again', async () => {
    const { answer, imap, bridge } = await quitWith({}, on('UID MOVE', { reply: 'NO [OVERQUOTA] Trash is full' }));
    expect(answer).toBe('-ERR [SYS/TEMP] 1 of 1 messages not deleted');
    expect(subjects(imap)).toEqual(['1', '2', '3']);
    expect(await (await session(bridge)).multi('UIDL')).toHaveLength(3);
  });

  test.for([
    ['CREATE', {}],
    ['UID MOVE', {}],
    ['UID COPY', { capabilities: WITHOUT_MOVE }],
  ] as const)('refused by a full mailbox at %s tells so, and the next login reads its mail', async ([command, server]) => {
    const folders = command === 'CREATE' ? [{ path: 'INBOX' }] : [{ path: 'INBOX' }, { path: 'Trash', specialUse: '\\Trash' }];
    const { imap, bridge } = await site({ server: { ...server, folders } });
    imap.setScript(on(command, { reply: 'NO [OVERQUOTA] Quota exceeded' }));
    for (let times = 0; times < 2; times += 1) {
      const client = await session(bridge);
      expect(await client.multi('UIDL')).toHaveLength(3);
      await client.command('DELE 2');
      expect(await client.command('QUIT')).toBe('-ERR [SYS/TEMP] 1 of 1 messages not deleted');
    }
    expect(subjects(imap)).toEqual(['1', '2', '3']);
  });

  test('on a connection that has to be made anew is done though SIGTERM comes meanwhile', async () => {
    const { imap, bridge } = await siteOfItsOwn();
    const client = await session(bridge);
    await client.command('DELE 2');
    imap.dropConnections();
    imap.setScript(atLogin({ delayMs: 500 }));
    client.send('QUIT\r\n');
    await until(() => imap.connections === 2);
    bridge.kill('SIGTERM');
    expect(await client.line()).toBe('+OK bye');
    expect(subjects(imap)).toEqual(['1', '3']);
  });

  test('said to be done but not done is found out', async () => {
    const { answer } = await quitWith({}, on('UID MOVE', { reply: 'OK sure' }));
    expect(answer).toBe('-ERR [SYS/TEMP] 1 of 1 messages not deleted');
  });

  test.for([
    ['MOVE was done, its answer lost', {}, on('UID MOVE', { runThen: 'close' })],
    ['MOVE never came through', {}, on('UID MOVE', { close: true })],
    ['MOVE hangs', {}, on('UID MOVE', { hang: true })],
    ['UID EXPUNGE was lost', { server: { capabilities: WITHOUT_MOVE } }, on('UID EXPUNGE', { close: true })],
    ['\\Deleted was stored, its answer lost', { server: { capabilities: WITHOUT_MOVE } }, on('UID STORE', { runThen: 'close' })],
  ] as const)('where %s: the outcome is unknown, stays hidden, and is brought about at the next login, once', async ([, setup, script]) => {
    const { answer, imap, bridge } = await quitWith(setup, script);
    expect(answer).toBe('-ERR [SYS/TEMP] 1 messages to delete, outcome unknown');
    const client = await session(bridge);
    expect(await client.multi('UIDL')).toHaveLength(2);
    await client.command('QUIT');
    expect(subjects(imap)).toEqual(['1', '3']);
    expect(subjects(imap, 'Trash')).toEqual(['2']);
  });

  test('interrupted while copying is undone: the message is shown again, and not copied twice', async () => {
    const { answer, imap, bridge } = await quitWith({ server: { capabilities: WITHOUT_MOVE } }, on('UID COPY', { runThen: 'close' }));
    expect(answer).toBe('-ERR [SYS/TEMP] 1 messages to delete, outcome unknown');
    expect(await (await session(bridge)).multi('UIDL')).toHaveLength(3);
    expect(subjects(imap, 'Trash')).toEqual(['2']);
    expect((await bridge.event('delete-failed', 2))['outcome']).toBe('undone');
  });

  test('is finished after kill -9 of the daemon, by UID under the same UIDVALIDITY only', async () => {
    const { imap, bridge } = await siteOfItsOwn();
    const client = await session(bridge);
    await client.command('DELE 2');
    imap.setScript(on('UID MOVE', { hang: true }));
    client.send('QUIT\r\n');
    await until(() => imap.commands.some((command) => command.startsWith('UID MOVE')));
    await bridge.stop('SIGKILL');
    imap.setScript(undefined);
    const again = await BridgeProcess.start({ folder: bridge.folder, config: bridgeConfig({ imapPort: imap.port }) });
    open.push(again);
    expect(await (await session(again)).multi('UIDL')).toHaveLength(2);
    expect(subjects(imap, 'Trash')).toEqual(['2']);
  });

  test('left over from before a UIDVALIDITY change touches nothing', async () => {
    const { imap, bridge } = await quitWith({}, on('UID MOVE', { close: true }));
    imap.mailbox('INBOX').resetUidValidity();
    expect(await (await session(bridge)).multi('UIDL')).toHaveLength(3);
    expect(subjects(imap)).toEqual(['1', '2', '3']);
    expect((await bridge.event('delete-failed', 2))['outcome']).toBe('abandoned');
  });
});

describe('state on disk that fails', () => {
  const sqlite = (bridge: BridgeProcess): DatabaseSync => new DatabaseSync(join(bridge.folder, 'state', 'popbridge.sqlite'));

  test('a UID map that makes no sense is made anew, with the same unique-ids', async () => {
    const { bridge, imap } = await siteOfItsOwn();
    const client = await session(bridge);
    const uniqueIds = await client.multi('UIDL');
    await client.command('QUIT');
    await bridge.event('session-end');
    await bridge.stop();
    const database = sqlite(bridge);
    database.exec("UPDATE segment SET rows = x'ff'");
    database.close();
    const again = await BridgeProcess.start({ folder: bridge.folder, config: bridgeConfig({ imapPort: imap.port }) });
    open.push(again);
    expect(await (await session(again)).multi('UIDL')).toEqual(uniqueIds);
    await again.event('map-rebuilt');
    expect(again.events('map-rebuilt')).toHaveLength(1);
  });

  test('a journal that cannot be written at QUIT leaves every message where it is, and says so', async () => {
    const { bridge, imap } = await siteOfItsOwn();
    const client = await session(bridge);
    await client.command('DELE 1');
    const database = sqlite(bridge);
    database.exec("CREATE TRIGGER full BEFORE INSERT ON journal BEGIN SELECT RAISE(ABORT, 'disk full'); END");
    expect(await client.command('QUIT')).toBe('-ERR [SYS/TEMP] 1 of 1 messages not deleted');
    database.exec('DROP TRIGGER full');
    database.close();
    expect(subjects(imap)).toEqual(['1', '2', '3']);
    expect(await (await session(bridge)).multi('UIDL')).toHaveLength(3);
  });

  test('a journal that can not be struck out is no reason to keep its user from reading mail', async () => {
    const { bridge, imap } = await siteOfItsOwn();
    const client = await session(bridge);
    await client.command('DELE 1');
    const database = sqlite(bridge);
    database.exec("CREATE TRIGGER full BEFORE DELETE ON journal BEGIN SELECT RAISE(ABORT, 'disk full'); END");
    expect(await client.command('QUIT')).toBe('-ERR [SYS/TEMP] 1 messages to delete, outcome unknown');
    for (let times = 0; times < 2; times += 1) {
      const next = await session(bridge);
      expect(await next.multi('UIDL')).toHaveLength(2);
      expect(await next.command('QUIT')).toBe('+OK bye');
    }
    await bridge.event('save-failed');
    expect(bridge.events('save-failed').length).toBeGreaterThan(0);
    database.exec('DROP TRIGGER full');
    await (await session(bridge)).command('QUIT');
    expect(database.prepare('SELECT count(*) AS entries FROM journal').get()).toEqual({ entries: 0 });
    database.close();
    expect([subjects(imap), subjects(imap, 'Trash')]).toEqual([['2', '3'], ['1']]);
  });
});

describe('what a server cannot do', () => {
  test('with neither MOVE nor UIDPLUS messages are only flagged, never expunged; QUIT is +OK and the log warns', async () => {
    const { bridge, imap } = await site({ server: { capabilities: PLAIN_3501 } });
    imap.mailbox('INBOX').setFlags(1, ['\\Deleted']);
    const client = await session(bridge);
    expect(await client.command('STAT')).toMatch(/^\+OK 2 /);
    await client.command('DELE 2');
    expect(await client.command('QUIT')).toBe('+OK bye');
    expect(imap.mailbox('INBOX').messages.map(({ flags }) => [...flags])).toEqual([['\\Deleted'], [], ['\\Deleted']]);
    expect(imap.commands.filter((command) => /EXPUNGE|CLOSE/.test(command))).toEqual([]);
    await bridge.event('login');
    expect(bridge.events('login')[0]?.['limits']).toHaveLength(1);
    await bridge.event('only-flagged');
    expect(bridge.events('only-flagged')).toHaveLength(1);
  });

  test.for([WITHOUT_MOVE, [...PLAIN_3501, 'MOVE'], PLAIN_3501])('no bare EXPUNGE is ever sent (%j)', async (capabilities) => {
    const { bridge, imap } = await site({ server: { capabilities } });
    imap.mailbox('INBOX').setFlags(1, ['\\Deleted']);
    const client = await session(bridge);
    await client.command('DELE 1');
    await client.command('QUIT');
    expect(subjects(imap)).toContain('1');
    expect(imap.commands.filter((command) => /^(EXPUNGE|CLOSE)/.test(command))).toEqual([]);
  });

  test('MOVE that is announced and not supported is done by COPY and UID EXPUNGE', async () => {
    const { bridge, imap } = await site();
    imap.setScript(on('UID MOVE', { reply: 'NO MOVE extension not supported' }));
    const client = await session(bridge);
    await client.command('DELE 2');
    expect(await client.command('QUIT')).toBe('+OK bye');
    expect([subjects(imap), subjects(imap, 'Trash')]).toEqual([['1', '3'], ['2']]);
  });

  test('a search result whose ranges span messages that are gone shortens and lengthens no list, and hides no deletion', async () => {
    const { bridge, imap } = await site();
    await (await session(bridge)).command('QUIT');
    imap.mailbox('INBOX').append('Subject: 4\r\n\r\nbody 4\r\n');
    imap.mailbox('INBOX').expunge(2);
    // UW's server names runs of messages, whatever UIDs lie between them.
    imap.setScript(({ verb, command, tag }) => {
      if (verb !== 'UID SEARCH' || !command.includes('RETURN')) return undefined;
      const found = command.endsWith(' ALL') ? '1:4' : undefined;
      if (found === undefined) return undefined;
      const count = command.includes('COUNT') ? ' COUNT 3' : '';
      return { reply: 'OK Search completed.', untagged: `* ESEARCH (TAG "${tag}") UID ALL ${found}${count}` };
    });
    const client = await session(bridge);
    expect(await client.multi('LIST')).toHaveLength(3);
    await client.command('DELE 2');
    expect(await client.command('QUIT')).toBe('+OK bye');
    expect(subjects(imap)).toEqual(['1', '4']);
  });

  test('without a Trash folder one is created', async () => {
    const { bridge, imap } = await site({ server: { folders: [{ path: 'INBOX' }] } });
    const client = await session(bridge);
    await client.command('DELE 1');
    expect(await client.command('QUIT')).toBe('+OK bye');
    expect(subjects(imap, 'Trash')).toEqual(['1']);
  });

  test('a localised Trash is found by its special use, or else by its name', async () => {
    for (const folders of [
      [{ path: 'INBOX' }, { path: 'Corbeille', specialUse: '\\Trash' }, { path: 'Trash' }],
      [{ path: 'INBOX' }, { path: 'Papierkorb' }],
    ]) {
      const { bridge, imap } = await site({ server: { folders } });
      const client = await session(bridge);
      await client.command('DELE 1');
      expect(await client.command('QUIT')).toBe('+OK bye');
      expect(subjects(imap, folders[1]?.path)).toEqual(['1']);
    }
  });

  test("another user's Trash, however it is marked or named, is not ours to fill", async () => {
    const foreign = [{ path: 'Other Users/bob/Trash', specialUse: '\\Trash' }, { path: 'Clients/Trash' }];
    const namespace = '* NAMESPACE (("" "/")) (("Other Users/" "/")) NIL';
    const script = on('NAMESPACE', { untagged: namespace, reply: 'OK done' });
    const { bridge, imap } = await site({ server: { folders: [{ path: 'INBOX' }, ...foreign], script } });
    const client = await session(bridge);
    await client.command('DELE 1');
    expect(await client.command('QUIT')).toBe('+OK bye');
    expect(subjects(imap, 'Trash')).toEqual(['1']);
    for (const { path } of foreign) expect(subjects(imap, path)).toEqual([]);
  });

  test('in a read-only mailbox DELE is refused for good, and reading works', async () => {
    const { bridge, imap } = await site();
    imap.mailbox('INBOX').readOnly = true;
    const client = await session(bridge);
    expect(await client.command('DELE 1')).toBe('-ERR [SYS/PERM] mailbox is read-only');
    expect((await client.retrieve(1)).toString()).toContain('body 1');
    expect(await client.command('QUIT')).toBe('+OK bye');
  });

  test('client_id = false keeps ID from a server that chokes on it', async () => {
    const silent = await site({ upstream: ['client_id = false'] });
    await (await session(silent.bridge)).command('QUIT');
    expect(silent.imap.commands.filter((command) => command.startsWith('ID'))).toEqual([]);
    const polite = await site();
    await (await session(polite.bridge)).command('QUIT');
    expect(polite.imap.commands.some((command) => command.startsWith('ID'))).toBe(true);
  });
});

describe('a listing', () => {
  const rows = (imap: ImapServer): string[] => imap.commands.filter((command) => command.includes('RFC822.SIZE'));

  test('is asked for together with the first SELECT, however many messages there are', async () => {
    const { bridge, imap } = await site({ messages: 2500 });
    const client = await session(bridge);
    expect(await client.multi('LIST')).toHaveLength(2500);
    expect(rows(imap)).toEqual(['UID FETCH 1:* (UID RFC822.SIZE INTERNALDATE)']);
    await client.command('QUIT');
    const before = imap.commands.length;
    await (await session(bridge)).command('QUIT');
    expect(imap.commands.slice(before).filter((command) => command.includes('RFC822.SIZE'))).toEqual([]);
  });
});

describe('what is asked for together with SELECT', () => {
  const ALL = 'UID FETCH 1:*';

  test.for([
    ['refused', on(ALL, { reply: 'NO [LIMIT] too many messages' })],
    ['not understood', on(ALL, { reply: 'BAD what' })],
    ['answered in part', on(ALL, { omitRows: 1_500 })],
    ['answered in part, and NO', on(ALL, { runThen: 'reply', reply: 'NO [LIMIT] no more' })],
    ['not known to the search', on('UID SEARCH', { reply: 'BAD what' }, 1)],
    ['denied', on('UID SEARCH', { reply: 'NO not now' }, 1)],
  ] as const)('and %s is asked for by itself, in parts', async ([, fault]) => {
    const { bridge, imap } = await site({ messages: 2500, server: { script: fault } });
    const client = await session(bridge);
    const listed = await client.multi('UIDL');
    expect(new Set(listed.map((line) => line.split(' ')[1])).size).toBe(2500);
    expect(imap.logins).toBe(1);
  });

  test.for(['went', 'came'] as const)('proves nothing where a message %s meanwhile', async (what) => {
    let isFirst = true;
    const { bridge, imap } = await site({
      server: {
        script: ({ command }) => {
          if (!isFirst || !command.startsWith(ALL)) return undefined;
          isFirst = false;
          if (what === 'went') imap.mailbox('INBOX').expunge(2);
          else imap.mailbox('INBOX').append('Subject: 4\r\n\r\nbody 4\r\n');
          return { delayMs: 20 };
        },
      },
    });
    const client = await session(bridge);
    const found: string[] = [];
    for (const line of await client.multi('LIST')) found.push((await client.multi(`RETR ${line.split(' ')[0]}`))[0] ?? '');
    expect(found).toEqual((what === 'went' ? [1, 3] : [1, 2, 3, 4]).map((number) => `Subject: ${number}`));
  });

  test('does not hurt where SELECT is refused', async () => {
    const { bridge, imap } = await site({ server: { script: on('SELECT', { reply: 'NO [UNAVAILABLE] later' }) } });
    expect(await login(bridge)).toMatch(/^-ERR \[SYS\/TEMP\]/);
    imap.setScript(undefined);
    expect(await (await session(bridge)).multi('LIST')).toHaveLength(3);
  });

  test('ends a login in time where no answer comes', async () => {
    const { bridge } = await site({ server: { script: on(ALL, { hang: true }) } });
    expect(await login(bridge)).toMatch(/^-ERR \[SYS\/TEMP\]/);
  });
});

describe('TOP', () => {
  test('asks for no more than it needs: the header, a beginning, or with more lines than there are octets the whole', async () => {
    const { bridge, imap } = await siteOfItsOwn({ messages: 0, tables: '[limits]\nread_ahead = "0B"\n' });
    imap.mailbox('INBOX').append(`Subject: long\r\n\r\n${`${'x'.repeat(78)}\r\n`.repeat(1_000)}`);
    const client = await session(bridge);
    const asked = async (command: string): Promise<string> => {
      const before = imap.commands.length;
      await client.multi(command);
      return imap.commands.slice(before).join(' | ');
    };
    expect(await asked('TOP 1 0')).toMatch(/^UID FETCH 1 \(UID BODY\.PEEK\[HEADER\]\)$/);
    expect(await asked('TOP 1 5')).toMatch(/^UID FETCH 1 \(UID BODY\.PEEK\[\]<0\.65536>\)$/);
    expect(await asked('TOP 1 99999999')).toMatch(/^UID FETCH 1 \(UID BODY\.PEEK\[\]\)$/);
    expect(imap.mailbox('INBOX').messages[0]?.flags).toEqual([]);
  });
});

describe('a poll of a mailbox seen before', () => {
  const poll = async (bridge: Bridge): Promise<string[]> => {
    const client = await session(bridge);
    const uniqueIds = await client.multi('UIDL');
    await client.command('QUIT');
    return uniqueIds;
  };
  const asked = async (imap: ImapServer, work: () => Promise<unknown>): Promise<string[]> => {
    const before = imap.commands.length;
    await work();
    return imap.commands.slice(before).filter((command) => /SEARCH|RFC822\.SIZE/.test(command));
  };

  test('asks for nothing but \\Deleted flags and what came, together with SELECT, where nothing came or went', async () => {
    const { bridge, imap } = await site();
    const uniqueIds = await poll(bridge);
    expect(await asked(imap, async () => expect(await poll(bridge)).toEqual(uniqueIds))).toEqual([
      'UID SEARCH RETURN (ALL) DELETED',
      'UID SEARCH RETURN (ALL) UID 1:*',
    ]);
  });

  test('asks for the rows of what came, and notices what went, also when both make up for each other', async () => {
    const { bridge, imap } = await site();
    const before = await poll(bridge);
    imap.mailbox('INBOX').expunge(2);
    imap.mailbox('INBOX').append('Subject: 4\r\n\r\n');
    let after: string[] = [];
    const commands = await asked(imap, async () => (after = await poll(bridge)));
    expect(commands.sort()).toEqual([
      expect.stringMatching(/^UID FETCH 3:4 /),
      'UID SEARCH RETURN (ALL COUNT) ALL',
      'UID SEARCH RETURN (ALL) DELETED',
      'UID SEARCH RETURN (ALL) UID 1:*',
    ]);
    expect(after.map((line) => line.slice(2))).toEqual([before[0]?.slice(2), before[2]?.slice(2), expect.stringMatching(/00000004$/)]);
  });

  test.for(['none', 1] as const)('takes no shortcut at a server whose UIDNEXT is %s', async (toldUidNext) => {
    const { bridge, imap } = await site();
    imap.mailbox('INBOX').toldUidNext = toldUidNext;
    expect(await poll(bridge)).toHaveLength(3);
    imap.mailbox('INBOX').expunge(1);
    imap.mailbox('INBOX').append('Subject: 4\r\n\r\n');
    expect((await poll(bridge)).at(-1)).toMatch(/00000004$/);
  });

  test('whose first listing outlived its client is served at once: the listing went on', async () => {
    const next = Promise.withResolvers<void>();
    const { bridge, imap } = await site({ server: { script: on('UID FETCH', { after: next.promise }, 1) } });
    const impatient = await PopDialogue.connect(bridge.port());
    await impatient.command(`USER ${USER}`);
    impatient.send(`PASS ${PASSWORD}\r\n`);
    await until(() => imap.commands.some((command) => command.startsWith('UID FETCH')));
    impatient.socket.resetAndDestroy();
    const commands = await asked(imap, async () => {
      const client = await PopDialogue.connect(bridge.port());
      // When the daemon greets it has noticed that the other one is gone.
      next.resolve();
      await client.login(USER, PASSWORD);
      expect(await client.multi('UIDL')).toHaveLength(3);
      await client.command('QUIT');
    });
    expect(commands.filter((command) => command.includes('FETCH'))).toEqual([]);
  });
});

describe('unique-ids (CONTRACT section 5.4)', () => {
  const mail = (name: string): string => `Subject: ${name}\r\nMessage-ID: <${name}@example.com>\r\n\r\nbody\r\n`;
  const names = ['one', 'two', 'three', 'four'];
  const arrival = (index: number): { readonly internalDate: Date } => ({ internalDate: new Date(Date.UTC(2026, 0, index + 1)) });

  /** Unique-ids by subject, after what this session leaves to be done is done. */
  async function shown({ bridge, imap }: Site): Promise<Record<string, string>> {
    const before = imap.commands.filter((command) => command === 'LOGOUT').length;
    const client = await session(bridge);
    const ids: Record<string, string> = {};
    for (const line of await client.multi('UIDL')) {
      const [number, id = ''] = line.split(' ');
      ids[(await client.multi(`TOP ${number} 0`))[0]?.replace('Subject: ', '') ?? ''] = id;
    }
    await client.command('QUIT');
    await until(() => imap.commands.filter((command) => command === 'LOGOUT').length > before);
    return ids;
  }

  async function siteWithMail(setup: Setup = {}): Promise<Site> {
    const running = await site({ messages: 0, ...setup });
    names.forEach((name, index) => running.imap.mailbox('INBOX').append(mail(name), arrival(index)));
    return running;
  }

  test('stay when UIDVALIDITY changes and the mailbox has its messages in another order', async () => {
    const running = await siteWithMail();
    const before = await shown(running);
    const inbox = running.imap.mailbox('INBOX');
    for (const uid of [1, 2, 3, 4]) inbox.expunge(uid);
    for (const index of [2, 0, 3, 1]) inbox.append(mail(names[index] ?? ''), arrival(index));
    inbox.append(mail('five'), arrival(4));
    inbox.resetUidValidity();
    const after = await shown(running);
    expect(after).toEqual({ ...before, five: expect.any(String) });
    expect(new Set(Object.values(after)).size).toBe(5);
    const told = { level: 'warn', folder: 'INBOX', messages: 5, kept: 4, ambiguous: 0, lost: 0 };
    // Once, however many sessions follow: also on a new connection.
    for (let sessions = 0; sessions < 3; sessions += 1) {
      expect(await shown(running)).toEqual(after);
      running.imap.dropConnections();
    }
    await running.bridge.event('map-rematched');
    expect(running.bridge.events('map-rematched')).toMatchObject([told]);
    inbox.resetUidValidity();
    for (let sessions = 0; sessions < 2; sessions += 1) expect(await shown(running)).toEqual(after);
    await running.bridge.event('map-rematched', 2);
    expect(running.bridge.events('map-rematched')).toMatchObject([told, { ...told, kept: 5 }]);
  });

  test('come back with a message that was moved away and back, or that the server did not list for a while', async () => {
    const running = await siteWithMail();
    const before = await shown(running);
    const inbox = running.imap.mailbox('INBOX');
    for (const uid of [2, 4]) inbox.expunge(uid);
    expect(Object.keys(await shown(running))).toEqual(['one', 'three']);
    inbox.append(mail('four'), arrival(3));
    inbox.append(mail('new'), arrival(9));
    inbox.append(mail('two'), arrival(1));
    const after = await shown(running);
    expect(after).toEqual({ ...before, new: expect.any(String) });
    // A second copy is another message, and gets an id of its own.
    inbox.append(mail('two'), arrival(1));
    const client = await session(running.bridge);
    const ids = (await client.multi('UIDL')).map((line) => line.split(' ')[1]);
    expect(new Set(ids).size).toBe(6);
  });

  test('are new for messages that nothing tells apart from others for certain', async () => {
    const running = await siteWithMail();
    const before = await shown(running);
    const inbox = running.imap.mailbox('INBOX');
    inbox.expunge(1);
    inbox.append(mail('one').replace('Subject: one', 'Subject: 1st'), arrival(7));
    inbox.append(mail('one').replace('Subject: one', 'Subject: 2nd'), arrival(8));
    inbox.append('Subject: nameless\r\n\r\n');
    inbox.resetUidValidity();
    const after = await shown(running);
    expect(after).toMatchObject({ two: before['two'], three: before['three'], four: before['four'] });
    for (const subject of ['1st', '2nd']) expect(Object.values(before)).not.toContain(after[subject]);
    expect(await shown(running)).toEqual(after);
    await running.bridge.event('map-rematched');
    expect(running.bridge.events('map-rematched')).toMatchObject([{ messages: 6, kept: 3, ambiguous: 2, lost: 1 }]);
  });

  test('are never given to another message, also where a backup brings back old UIDs under the same UIDVALIDITY', async () => {
    const running = await siteWithMail();
    const inbox = running.imap.mailbox('INBOX');
    const first = await shown(running);
    // The client takes one away; then the mailbox goes back to its first two messages, and its UIDs with it.
    const client = await session(running.bridge);
    await client.command('DELE 3');
    await client.command('QUIT');
    inbox.expunge(4);
    inbox.uidNext = 3;
    await shown(running);
    inbox.append(mail('other three'), arrival(20));
    inbox.append(mail('other four'), arrival(21));
    const after = await shown(running);
    expect(after).toMatchObject({ one: first['one'], two: first['two'] });
    const ids = [...Object.values(first), after['other three'], after['other four']];
    expect(new Set(ids).size).toBe(6);
    expect(await shown(running)).toEqual(after);
    // Back and forth between UIDVALIDITYs: what comes under the first one again is not what was there.
    inbox.resetUidValidity();
    await shown(running);
    inbox.uidValidity -= 1;
    inbox.append(mail('late'), arrival(30));
    const late = await shown(running);
    expect(Object.values(late)).toHaveLength(5);
    expect(new Set([...ids, late['late']]).size).toBe(7);
    expect(late).toMatchObject(after);
  });

  test('are found by arrival and size alone where the server refuses the headers; a Message-ID of megabytes harms nobody', async () => {
    const running = await siteWithMail();
    running.imap.mailbox('INBOX').append(`Subject: five\r\nMessage-ID: <${'x'.repeat(12_000_000)}>\r\n\r\n`, arrival(5));
    const before = await shown(running);
    running.imap.mailbox('INBOX').resetUidValidity();
    expect(await shown(running)).toEqual(before);
    running.imap.mailbox('INBOX').resetUidValidity();
    running.imap.setScript(({ command }) => (command.includes('HEADER.FIELDS') ? { reply: 'NO no' } : undefined));
    expect(await shown(running)).toEqual(before);
  });

  test('of messages that a client deleted are not given to what comes later', async () => {
    const running = await siteWithMail();
    const before = await shown(running);
    const client = await session(running.bridge);
    await client.command('DELE 1');
    await client.command('QUIT');
    running.imap.mailbox('INBOX').append(mail('one'), arrival(0));
    const after = await shown(running);
    expect(after['one']).not.toBe(before['one']);
    expect(after['two']).toBe(before['two']);
  });

  test('a login does not wait for the headers that are gathered after a session, nor cost a second connection', async () => {
    const running = await siteWithMail();
    running.imap.setScript(({ command }) => (command.includes('HEADER.FIELDS') ? { hang: true } : undefined));
    await (await session(running.bridge)).command('QUIT');
    await until(() => running.imap.commands.some((command) => command.includes('HEADER.FIELDS')));
    const client = await session(running.bridge);
    expect(await client.multi('UIDL')).toHaveLength(4);
    await until(() => running.imap.openConnections === 1);
  });
});

describe('a client that closes within RETR', () => {
  test('leaves no session behind', async () => {
    const { bridge, imap } = await site({ messages: 0 });
    imap.mailbox('INBOX').append(`Subject: big\r\n\r\n${`${'x'.repeat(98)}\r\n`.repeat(100_000)}`);
    const client = await session(bridge);
    client.send('RETR 1\r\n');
    await client.line();
    client.close();
    await bridge.event('session-end');
    expect(await login(bridge)).toMatch(/^\+OK/);
  });
});

function fingerprint(): string {
  return new X509Certificate(readFileSync(certificates.certificate)).fingerprint256;
}
