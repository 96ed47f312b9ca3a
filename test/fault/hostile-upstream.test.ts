/**
 * Servers, and whoever stands before them, that mean harm: everything of "Why TLS is better without STARTTLS" (USENIX Security 2021) against the way
 * upstream, and what a server can say once it is believed. The client sees an error with a code and a text of ours, or the truth; the next session is fine.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, test, type ExpectStatic } from 'vitest';
import { bridgeConfig } from '../support/bridge-config.ts';
import { allowInLog, BridgeProcess } from '../support/bridge-process.ts';
import { ImapServer, type ImapServerOptions } from '../support/imap-server.ts';
import type { Fault, ImapRule } from '../support/imap-server/script.ts';
import { makeCertificates, type Certificates } from '../support/peers/certificates.ts';
import { patience, patienceText } from '../support/patience.ts';
import { PopDialogue } from '../support/pop-dialogue.ts';
import { SharedBridge, type Bridge, type SiteConfig } from '../support/shared-bridge.ts';
import { passwordsIn } from '../support/secrets-used.ts';
import { residentOctets } from '../support/process-holdings.ts';

allowInLog('login-failed', 'messages-unlistable', 'upstream-failed');

const [USER, PASSWORD, MESSAGES] = ['alice', 'secret', 3];
const MIB = 1024 * 1024;
const OURS = /^-ERR \[(?:SYS\/TEMP|SYS\/PERM|AUTH)\] [ -~]+$/;
const EXPUNGED = '* 1 EXPUNGE\r\n'.repeat(MESSAGES);
const CREDENTIALS = /^(?:LOGIN|AUTHENTICATE)/;

const shared = new SharedBridge();
/** Of all certificates: the daemon reads them at every reload. */
const folders = mkdtempSync(join(tmpdir(), 'popbridge-hostile-'));
let certificates: Certificates;

beforeAll(async () => {
  certificates = await makeCertificates(folders);
});

afterAll(async () => {
  await shared[Symbol.asyncDispose]();
  rmSync(folders, { recursive: true });
});

class Site<Daemon extends Bridge = Bridge> implements AsyncDisposable {
  readonly imap: ImapServer;
  readonly bridge: Daemon;

  private constructor(imap: ImapServer, bridge: Daemon) {
    this.imap = imap;
    this.bridge = bridge;
  }

  static async start(server: ImapServerOptions, config: Partial<SiteConfig> = {}): Promise<Site> {
    const imap = await mailServer(server);
    return new Site(imap, await shared.add(before(imap, config)));
  }

  /** With a daemon of its own, whose whole log is looked at. */
  static async startAlone(server: ImapServerOptions): Promise<Site<BridgeProcess>> {
    const imap = await mailServer(server);
    return new Site(imap, await BridgeProcess.start({ config: bridgeConfig(before(imap)) }));
  }

  async pass(): Promise<{ readonly answer: string; readonly client: PopDialogue }> {
    const client = await PopDialogue.connect(this.bridge.port());
    await client.command(`USER ${USER}`);
    return { answer: await client.command(`PASS ${PASSWORD}`), client };
  }

  /** All is as it should be: the mail that is there, under the ids that follow from the true UIDVALIDITY. */
  async expectTruth(expected: ExpectStatic): Promise<void> {
    const { answer, client } = await this.pass();
    expected(answer).toMatch(/^\+OK/);
    const validity = this.imap.mailbox('INBOX').uidValidity.toString(16).padStart(8, '0');
    const ids = (await client.multi('UIDL')).map((line) => line.replace(/^\d+ [0-9a-f]{8}/, ''));
    expected(ids).toEqual([1, 2, 3].map((uid) => `.${validity}.${uid.toString(16).padStart(8, '0')}`));
    expected((await client.retrieve(2)).toString()).toContain('body 2');
    expected(await client.command('QUIT')).toBe('+OK bye');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.bridge[Symbol.asyncDispose]();
    await this.imap[Symbol.asyncDispose]();
  }
}

async function mailServer(options: ImapServerOptions): Promise<ImapServer> {
  const imap = await ImapServer.start({ users: { [USER]: PASSWORD }, ...options });
  for (let index = 1; index <= MESSAGES; index += 1) imap.mailbox('INBOX').append(`Subject: ${index}\r\n\r\nbody ${index}\r\n`);
  return imap;
}

/** Time enough for who shares the daemon with a flood on a slow machine. */
function before(imap: ImapServer, config: Partial<SiteConfig> = {}): SiteConfig {
  return {
    imapPort: imap.port,
    ...config,
    upstream: [`command_timeout = "${patienceText(6_000)}"`, 'linger = "0s"', ...(config.upstream ?? [])],
  };
}

const on = (beginning: string, fault: Fault): ImapRule => {
  return ({ command }) => (command.startsWith(beginning) ? fault : undefined);
};
/** As long as nothing is secured. */
const inClear = (beginning: string, fault: Fault): ImapRule => {
  return ({ command, session }) => (!session.isSecured && command.startsWith(beginning) ? fault : undefined);
};

describe.concurrent('a server whose certificate', () => {
  test.for([
    ['is for another name', { names: 'DNS:imap.example.org' }],
    ['has this name as its subject alone', { names: 'email:postmaster@example.com' }],
    ['has expired', { days: -1 }],
  ] as const)('%s is refused for good, before the password', async ([, faults], { expect: expected }) => {
    const folder = mkdtempSync(join(folders, 'faulty-'));
    const { ca, key, certificate } = await makeCertificates(folder, faults);
    for (const [security, mode] of [
      ['tls', 'implicit'],
      ['starttls', 'starttls'],
    ] as const) {
      const tls = { mode, key: readFileSync(key, 'utf8'), cert: readFileSync(certificate, 'utf8') };
      await using it = await Site.start({ tls }, { security, upstream: [`ca_file = "${ca}"`] });
      const { answer, client } = await it.pass();
      expected(answer).toMatch(/^-ERR \[SYS\/PERM\] [ -~]+$/);
      expected(it.imap.commands.filter((command) => CREDENTIALS.test(command))).toEqual([]);
      expected(JSON.stringify(await it.bridge.event('upstream-failed'))).toMatch(/certificate|altnames|alt names/i);
      client.close();
    }
  });
});

const serverTls = (mode: 'implicit' | 'starttls'): NonNullable<ImapServerOptions['tls']> => ({
  mode,
  key: readFileSync(certificates.key, 'utf8'),
  cert: readFileSync(certificates.certificate, 'utf8'),
});

describe.concurrent('between us and a server with STARTTLS', () => {
  const startTls = (options: Partial<ImapServerOptions>, isOffered = true, tables = ''): Promise<Site> => {
    const tls = serverTls('starttls');
    const config = { security: 'starttls', upstream: [`ca_file = "${certificates.ca}"`], tables } as const;
    return Site.start({ ...options, ...(isOffered ? { tls } : {}) }, config);
  };
  const injected = '* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\n* 666 EXISTS\r\n';

  test.for([
    ['stripped', undefined],
    ['refused', { script: inClear('STARTTLS', { reply: 'NO not now' }) }],
    ['not understood', { script: inClear('STARTTLS', { reply: 'BAD what?' }) }],
    ['answered by "go on"', { script: inClear('STARTTLS', { raw: '+ go on\r\n', next: 'hang' }) }],
    ['never answered', { script: inClear('STARTTLS', { hang: true }) }],
    ['answered OK, and then nothing', { script: inClear('STARTTLS', { raw: '$TAG OK go\r\n', next: 'hang' }) }],
    ['hidden by no CAPABILITY at all', { script: inClear('CAPABILITY', { reply: 'OK' }), greeting: '* OK hi' }],
    ['hidden by IMAP4 alone', { script: inClear('CAPABILITY', { raw: '* CAPABILITY IMAP4\r\n$TAG OK\r\n' }), greeting: '* OK hi' }],
    ['made needless by PREAUTH', { greeting: '* PREAUTH hi' }],
    ['made needless by PREAUTH with capabilities', { greeting: '* PREAUTH [CAPABILITY IMAP4rev1] hi' }],
    ['replaced by a referral', { greeting: '* BYE [REFERRAL imap://evil.example.com/] go there' }],
    ['answered with more octets behind OK', { script: inClear('STARTTLS', { raw: `$TAG OK go\r\n${injected}`, next: 'hang' }) }],
    ['answered with the beginning of more behind OK', { script: inClear('STARTTLS', { raw: '$TAG OK go\r\n* 6', next: 'hang' }) }],
    [
      'answered with an answer to the login behind OK',
      { script: inClear('STARTTLS', { raw: '$TAG OK go\r\n2 OK\r\n3 OK\r\n', next: 'hang' }) },
    ],
    ['answered twice', { script: inClear('STARTTLS', { raw: '$TAG OK go\r\n$TAG OK go\r\n', next: 'hang' }) }],
  ] as const)('STARTTLS %s: no password is sent, and it is temporary', async ([, options], { expect: expected }) => {
    await using it = await startTls(options ?? {}, options !== undefined);
    const { answer, client } = await it.pass();
    expected(answer).toMatch(/^-ERR \[SYS\/TEMP\] [ -~]+$/);
    expected(it.imap.commands.filter((command) => CREDENTIALS.test(command))).toEqual([]);
    expected(passwordsIn(it.imap.dropped)).toEqual([]);
    client.close();
  });

  test.for([
    ['CAPABILITY without AUTH', '* CAPABILITY IMAP4rev1 LOGINDISABLED\r\n'],
    ['EXISTS', '* 666 EXISTS\r\n* 0 RECENT\r\n'],
    ['UIDVALIDITY', '* OK [UIDVALIDITY 666] yes\r\n* OK [UIDNEXT 667] yes\r\n'],
    ['SEARCH', '* SEARCH 1 2 3\r\n* ESEARCH (TAG "3") UID ALL 1:3\r\n'],
    ['FETCH', '* 1 FETCH (UID 1 RFC822.SIZE 66 BODY[] {4}\r\nevil)\r\n'],
    ['EXPUNGE', '* 1 EXPUNGE\r\n* VANISHED 1:3\r\n'],
    ['LIST, STATUS and FLAGS', '* LIST () "/" evil\r\n* STATUS INBOX (MESSAGES 666)\r\n* FLAGS (\\Deleted)\r\n'],
  ] as const)('%s that came before TLS counts for nothing after it', async ([, raw], { expect: expected }) => {
    for (const command of ['CAPABILITY', 'STARTTLS']) {
      await using it = await startTls({ script: inClear(command, { raw, next: 'continue' }) });
      await it.expectTruth(expected);
    }
  });

  test.for([
    ['alone', { raw: '* PREAUTH hi\r\n', next: 'continue' }],
    ['with capabilities', { raw: '* PREAUTH [CAPABILITY IMAP4rev1 AUTH=PLAIN] hi\r\n', next: 'continue' }],
    ['with the answer that is waited for', { raw: '* preauth hi\r\n* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\n$TAG OK\r\n' }],
    ['in two pieces', { pieces: [Buffer.from('* PREAU'), Buffer.from('TH hi\r\n')] }],
  ] as const)('PREAUTH that comes behind the handshake, %s: no password is sent, and it is temporary', async ([, fault], context) => {
    const { expect: expected } = context;
    await using it = await startTls({ script: ({ session }) => (session.isSecured ? fault : undefined) });
    const { answer, client } = await it.pass();
    expected(answer).toMatch(/^-ERR \[SYS\/TEMP\] [ -~]+$/);
    expected(it.imap.commands.filter((command) => CREDENTIALS.test(command))).toEqual([]);
    expected(passwordsIn(it.imap.dropped)).toEqual([]);
    client.close();
  });

  test.for([
    ['AUTHENTICATE', 'NO'],
    ['AUTHENTICATE', 'BYE'],
    ['SELECT', 'NO'],
    ['LIST', 'NO'],
  ] as const)('a referral at %s (%s) is not followed', async ([command, kind], { expect: expected }) => {
    await using elsewhere = await ImapServer.start({ users: { [USER]: PASSWORD } });
    const referral = `[REFERRAL imap://127.0.0.1:${elsewhere.port}/] go there`;
    const script = on(command, kind === 'BYE' ? { raw: `* BYE ${referral}\r\n`, next: 'close' } : { reply: `NO ${referral}` });
    await using it = await startTls({ script }, true, '[maildrop]\nfolders = ["INBOX", "L*"]');
    const { answer, client } = await it.pass();
    expected(answer).toMatch(OURS);
    expected(elsewhere.connections).toBe(0);
    client.close();
    it.imap.setScript(undefined);
    await it.expectTruth(expected);
    expected(elsewhere.connections).toBe(0);
  });

  test('a referral told with the OK to a login is not followed either', async ({ expect: expected }) => {
    await using elsewhere = await ImapServer.start({ users: { [USER]: PASSWORD } });
    await using it = await startTls({
      script: on('AUTHENTICATE', { runThen: 'reply', reply: `OK [REFERRAL imap://127.0.0.1:${elsewhere.port}/] or there` }),
    });
    const { answer, client } = await it.pass();
    // It is the server that was meant, and it took the password.
    expected(answer).toMatch(/^\+OK /);
    expected(elsewhere.connections).toBe(0);
    client.close();
  });
});

describe.concurrent('a server whose certificate is good and who greets with PREAUTH', () => {
  test.for([
    ['tls', 'implicit'],
    ['starttls', 'starttls'],
  ] as const)('is refused (%s): nobody has proved whose mail that is, and no password is sent', async ([security, mode], context) => {
    const { expect: expected } = context;
    const config = { security, upstream: [`ca_file = "${certificates.ca}"`] };
    await using it = await Site.start({ tls: serverTls(mode), greeting: '* PREAUTH [CAPABILITY IMAP4rev1 STARTTLS] hi' }, config);
    const { answer, client } = await it.pass();
    expected(answer).toMatch(/^-ERR \[SYS\/TEMP\] [ -~]+$/);
    expected(it.imap.commands.filter((command) => CREDENTIALS.test(command) || command.startsWith('SELECT'))).toEqual([]);
    expected(passwordsIn(it.imap.dropped)).toEqual([]);
    client.close();
  });
});

describe.concurrent('a server that is believed', () => {
  const rows = (raw: string | Buffer, next: 'hang' | 'close' | 'continue' = 'continue'): ImapRule => {
    return ({ command }) => (command.includes('RFC822.SIZE') ? { raw, next } : undefined);
  };
  const all = (one: (uid: number) => string): string => [1, 2, 3].map(one).join('');
  const selected = (...lines: readonly string[]): ImapRule => {
    return on('SELECT', { raw: [...lines, '$TAG OK [READ-WRITE] done', ''].join('\r\n') });
  };

  test.for([
    ['gives no UIDVALIDITY', selected('* 3 EXISTS', '* OK [UIDNEXT 4] x')],
    ['gives UIDVALIDITY 0', selected('* 3 EXISTS', '* OK [UIDVALIDITY 0] x', '* OK [UIDNEXT 4] x')],
    ['gives a UIDVALIDITY of 33 bits', selected('* 3 EXISTS', '* OK [UIDVALIDITY 4294967296] x', '* OK [UIDNEXT 4] x')],
    ['gives a UIDVALIDITY that is none', selected('* 3 EXISTS', '* OK [UIDVALIDITY 12x] x', '* OK [UIDNEXT 4] x')],
    ['counts to 2^32 and has three', selected('* 4294967295 EXISTS', '* OK [UIDVALIDITY 7] x', '* OK [UIDNEXT 4] x')],
    ['has a UID of 33 bits', rows(`${all((uid) => `* ${uid} FETCH (UID ${4_294_967_295 + uid} RFC822.SIZE 20)\r\n`)}$TAG OK\r\n`)],
    ['has a UID of 16 digits', rows(`${all((uid) => `* ${uid} FETCH (UID 900719925474099${uid} RFC822.SIZE 20)\r\n`)}$TAG OK\r\n`)],
    ['has a negative UID', rows(`${all((uid) => `* ${uid} FETCH (UID -${uid} RFC822.SIZE 20)\r\n`)}$TAG OK\r\n`)],
    ['has the same UID thrice', rows(`${all((uid) => `* ${uid} FETCH (UID 1 RFC822.SIZE 20)\r\n`)}$TAG OK\r\n`)],
    ['announces a literal of 2^40', rows('* 1 FETCH (UID 1 BODY[] {1099511627776}\r\n', 'hang')],
    ['announces a literal of 10^20', rows('* 1 FETCH (UID 1 BODY[] {100000000000000000000}\r\n', 'hang')],
    ['sends a line without end', rows(Buffer.alloc(40 * MIB, 'x'), 'hang')],
    ['sends a row without end', rows(Buffer.concat([Buffer.from('* 1 FETCH (UID 1 '), Buffer.alloc(40 * MIB, '(')]), 'hang')],
    ['floods with lines', rows('* OK still here\r\n'.repeat(1_000_000), 'hang')],
    ['hangs up in a row', rows('* 1 FETCH (UID 1 RFC822.S', 'close')],
    ['answers to a tag of its own', rows('Z99 OK done\r\n', 'hang')],
    ['answers SEARCH with no numbers', on('UID SEARCH', { raw: '* SEARCH one two\r\n* ESEARCH (TAG "x") UID ALL 1:\r\n$TAG OK\r\n' })],
    ['finds messages up to 2^53', on('UID SEARCH', { raw: '* ESEARCH UID ALL 1:9007199254740992\r\n$TAG OK\r\n' })],
    ['finds four thousand million', on('UID SEARCH', { raw: '* ESEARCH UID ALL 1:4294967295\r\n$TAG OK\r\n' })],
  ] as const)(
    'and %s: an error of ours or the truth, and the next session is fine',
    { timeout: patience(60_000) },
    async ([, script], context) => {
      const { expect: expected } = context;
      await using it = await Site.start({ script });
      const { answer, client } = await it.pass();
      if (!answer.startsWith('+OK')) expected(answer).toMatch(OURS);
      else expected((await client.multi('UIDL')).length).toBe(MESSAGES);
      client.close();
      it.imap.setScript(undefined);
      await it.expectTruth(expected);
      expected(residentOctets(it.bridge.pid)).toBeLessThan(400 * MIB);
    },
  );

  test('and expunges all while it lists: they are gone where it said so before the mailbox was looked at, else all there', async ({
    expect: expected,
  }) => {
    await using it = await Site.start({ script: rows(`* 1 FETCH (UID 1 RFC822.SIZE 20)\r\n${EXPUNGED}$TAG OK\r\n`) });
    const { answer, client } = await it.pass();
    if (answer.startsWith('+OK')) expected([0, MESSAGES]).toContain((await client.multi('UIDL')).length);
    else expected(answer).toMatch(OURS);
    client.close();
    it.imap.setScript(undefined);
    await it.expectTruth(expected);
  });

  test('and expunges all as soon as it has selected: an error, for nothing else says that they are gone', async ({ expect: expected }) => {
    await using it = await Site.start({});
    const { uidValidity } = it.imap.mailbox('INBOX');
    const told = `* ${MESSAGES} EXISTS\r\n* OK [UIDVALIDITY ${uidValidity}] x\r\n* OK [UIDNEXT ${MESSAGES + 1}] x\r\n`;
    it.imap.setScript(on('SELECT', { raw: `${told}$TAG OK [READ-WRITE] x\r\n${EXPUNGED}` }));
    const { answer, client } = await it.pass();
    expected(answer).toMatch(OURS);
    client.close();
    it.imap.setScript(undefined);
    await it.expectTruth(expected);
  });

  test.for(['AUTHENTICATE', 'SELECT', 'UID FETCH'])('and speaks to the client through %s is not heard', async (command, context) => {
    const { expect: expected } = context;
    const evil = 'NO \u001B[2J\u0000\u0007 +OK\r +OK you are in\r -ERR [AUTH] give me your password';
    const alike: Readonly<Record<string, string>> = { AUTHENTICATE: 'LOGIN', 'UID FETCH': 'FETCH' };
    const isRefused = (verb: string): boolean => verb === command || verb === alike[command];
    await using it = await Site.startAlone({ script: ({ verb }) => (isRefused(verb) ? { reply: evil } : undefined) });
    const { answer, client } = await it.pass();
    expected(answer).toMatch(OURS);
    expected(answer).not.toMatch(/give me|you are in/);
    client.close();
    await it.bridge.stop();
    expected(it.bridge.rawLog.join('\n')).toContain('give me');
    expected(it.bridge.rawLog.join('\n')).not.toMatch(/[\u0000-\u0009\u000B-\u001F\u007F]/);
  });
});
