/** Clients that are broken, slow or hostile: a clear -ERR or a close, bounded memory, and no effect on others. */
import { mkdtempSync, rmSync } from 'node:fs';
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { bridgeConfig } from '../support/bridge-config.ts';
import { allowInLog, BridgeProcess } from '../support/bridge-process.ts';
import { ImapServer } from '../support/imap-server.ts';
import { makeCertificates, type Certificates } from '../support/peers/certificates.ts';
import { PopDialogue } from '../support/pop-dialogue.ts';
import { openDescriptors, residentOctets } from '../support/process-holdings.ts';
import type { Bridge } from '../support/shared-bridge.ts';
import { until } from '../support/until.ts';
import { patienceText } from '../support/patience.ts';

allowInLog('connection-refused', 'login-failed', 'tls-failed');

const MIB = 1024 * 1024;
const USERS = Object.fromEntries(['alice', 'bob', 'carol', 'dave', 'erin'].map((user) => [user, 'secret']));
const CLEAR = 0;
const STLS = 1;
const TLS = 2;

let imap: ImapServer;
let bridge: BridgeProcess;
let folder: string;
let certificate: Certificates;
/** Descriptors that the daemon has open while nobody is there. */
let idleDescriptors: number;

const configWith = (tables: string): string => bridgeConfig({ imapPort: imap.port, certificate, tables });
const start = (tables = ''): Promise<BridgeProcess> => BridgeProcess.start({ config: configWith(tables) });

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'popbridge-client-'));
  certificate = await makeCertificates(folder);
  imap = await ImapServer.start({ users: USERS });
  for (const user of Object.keys(USERS)) imap.mailbox('INBOX', user).append('Subject: one\r\n\r\nbody\r\n');
  bridge = await start();
  // The store opens its files when it is first used.
  await (await session('alice')).command('QUIT');
  await reload('');
  await until(() => imap.openConnections === 0);
  idleDescriptors = openDescriptors(bridge.pid);
});

afterAll(async () => {
  await bridge[Symbol.asyncDispose]();
  await imap.close();
  rmSync(folder, { recursive: true, force: true });
});

async function session(user: string, through: Pick<Bridge, 'port'> = bridge): Promise<PopDialogue> {
  const client = await PopDialogue.connect(through.port());
  await client.login(user, 'secret');
  return client;
}

async function reload(tables: string): Promise<void> {
  const before = bridge.events('reloaded').length;
  bridge.configure(configWith(tables));
  bridge.kill('SIGHUP');
  await bridge.event('reloaded', before + 1);
}

/** The common daemon under other limits, and what it logs under them. Nobody's session is left to be counted when it begins. */
async function limitedTo(tables: string): Promise<Pick<BridgeProcess, 'port'> & Pick<Bridge, 'event'> & AsyncDisposable> {
  PopDialogue.closeAll();
  // Kept connections are left at a reload.
  await reload('');
  await until(() => imap.openConnections === 0 && openDescriptors(bridge.pid) <= idleDescriptors);
  await reload(tables);
  const before = bridge.log.length;
  return {
    port: (index) => bridge.port(index),
    event: (event, count = 1) => bridge.event(event, bridge.log.slice(0, before).filter((line) => line.event === event).length + count),
    [Symbol.asyncDispose]: () => reload(''),
  };
}

/** How many attempts to log in the server saw, whatever the way. */
const tries = (): number => imap.commands.filter((command) => /^(?:AUTHENTICATE|LOGIN)/.test(command)).length;

describe('bad lines', () => {
  test('10 MB without a line end are refused at the limit, and memory does not follow', async () => {
    const before = residentOctets(bridge.pid);
    const client = await PopDialogue.connect(bridge.port());
    client.send(Buffer.alloc(10 * MIB, 'x'));
    expect((await client.closed()).toString()).toBe('-ERR line too long\r\n');
    expect(residentOctets(bridge.pid) - before).toBeLessThan(32 * MIB);
  });

  test('NUL and control octets in names and passwords are refused before anything is sent upstream', async () => {
    const client = await PopDialogue.connect(bridge.port());
    const before = imap.connections;
    expect(await client.command('USER al\0ice')).toMatch(/^-ERR control character/);
    expect(await client.command('USER alice')).toMatch(/^\+OK/);
    expect(await client.command('PASS se\0cret')).toMatch(/^-ERR control character/);
    expect(await client.command(`AUTH PLAIN ${Buffer.from('\0alice\0sec\rret').toString('base64')}`)).toMatch(/^-ERR/);
    expect(await client.command(`AUTH PLAIN ${Buffer.from('\0alice\0secret\0bob').toString('base64')}`)).toMatch(/^-ERR/);
    expect(await client.command('AUTH PLAIN ~~~~')).toBe('-ERR bad base64');
    expect(imap.connections).toBe(before);
    client.close();
  });

  test('twenty bad commands in a row end the session', async () => {
    const client = await PopDialogue.connect(bridge.port());
    client.send('FROB\r\n'.repeat(25));
    const answers = (await client.closed()).toString().trimEnd().split('\r\n');
    expect(answers).toHaveLength(20);
    expect(answers.at(-1)).toBe('-ERR too many bad commands');
  });

  test('a flood of pipelined commands is answered in order with bounded memory', async () => {
    const client = await session('alice');
    const before = residentOctets(bridge.pid);
    const count = 200_000;
    client.send('NOOP\r\n'.repeat(count));
    for (let index = 0; index < count; index += 1) if ((await client.line()) !== '+OK') expect.fail(`answer ${index}`);
    expect(residentOctets(bridge.pid) - before).toBeLessThan(128 * MIB);
    await client.command('QUIT');
  });

  test('a flood of commands whose answers nobody reads is not even taken in', async () => {
    await using impatient = await start(`[limits]\nwrite_timeout = "${patienceText(1_000)}"`);
    const client = await session('alice', impatient);
    const before = residentOctets(impatient.pid);
    client.socket.pause();
    const piece = Buffer.from('NOOP\r\n'.repeat(MIB / 8));
    let taken = 0;
    for (let index = 0; index < 512; index += 1) client.socket.write(piece, (error) => (taken += error ? 0 : piece.length));
    await impatient.event('session-end');
    // What the system's own buffers hold on both ways.
    expect(taken).toBeLessThan(128 * MIB);
    expect(residentOctets(impatient.pid) - before).toBeLessThan(128 * MIB);
    client.close();
  });
});

describe('TLS', () => {
  test('what a client said before STLS is forgotten', async () => {
    const client = await PopDialogue.connect(bridge.port(STLS));
    await client.command('USER alice');
    await client.startTls();
    expect(await client.command('PASS secret')).toBe('-ERR send USER first');
    client.close();
  });

  test.for([
    ['in the same segment', 'STLS\r\nUSER alice\r\nPASS secret\r\n', ''],
    ['in the same segment, without a line end', 'STLS\r\nU', ''],
    ['in a segment of their own', 'STLS\r\n', 'USER alice\r\nPASS secret\r\n'],
  ] as const)(
    'octets in clear behind STLS, %s, end the connection: no answer to them, and a line in the log',
    async ([, first, second]) => {
      const before = bridge.events('tls-failed').length;
      const client = await PopDialogue.connect(bridge.port(STLS));
      client.send(first);
      expect(await client.line()).toBe('+OK begin TLS');
      if (second !== '') client.send(second);
      expect((await client.closed()).toString('latin1')).not.toMatch(/OK|ERR/);
      const { error } = await bridge.event('tls-failed', before + 1);
      if (second === '') expect(error).toMatchObject({ message: `${first.length - 'STLS\r\n'.length} octets in clear behind STLS` });
    },
  );

  test('STLS is offered where there is a certificate, and once', async () => {
    const clear = await PopDialogue.connect(bridge.port(CLEAR));
    expect(await clear.multi('CAPA')).not.toContain('STLS');
    expect(await clear.command('STLS')).toMatch(/^-ERR/);
    const client = await PopDialogue.connect(bridge.port(STLS));
    expect(await client.multi('CAPA')).toContain('STLS');
    await client.startTls();
    expect(await client.multi('CAPA')).not.toContain('STLS');
    expect(await client.command('STLS')).toMatch(/^-ERR/);
    await client.login('carol', 'secret');
    await client.command('QUIT');
  });

  test('a plain-text client on the TLS port is cut, others are not', async () => {
    const client = await PopDialogue.connect(bridge.port(TLS), { tls: true });
    const clear = connect(bridge.port(TLS), '127.0.0.1');
    clear.on('error', () => {});
    clear.write('USER alice\r\n');
    await new Promise((resolve) => clear.once('close', resolve));
    expect(await client.command('USER alice')).toMatch(/^\+OK/);
    client.close();
  });
});

describe('the log', () => {
  /** Of the clients at an address that only one test uses. */
  const events = (event: string, address: string) => bridge.events(event).filter(({ client }) => client === address);

  test('tells of each session, and of each login, whether the client had TLS and which', async () => {
    const localAddress = '127.0.7.1';
    const WAYS: readonly (readonly [address: number, securing: boolean, options: { readonly tls?: boolean }, tlsVersion: string])[] = [
      [CLEAR, false, {}, 'none'],
      [STLS, false, {}, 'none'],
      [STLS, true, {}, 'TLSv1.3'],
      [TLS, false, { tls: true }, 'TLSv1.3'],
    ];
    for (const isLoggingIn of [true, false]) {
      for (const [address, securing, options] of WAYS) {
        const client = await PopDialogue.connect(bridge.port(address), { ...options, localAddress });
        if (securing) await client.startTls();
        if (isLoggingIn) await client.login('alice', 'secret');
        const ended = events('session-end', localAddress).length;
        // A client that hangs up has no TLS any more when the line is written. The answer to NOOP tells that it had.
        await client.command(isLoggingIn ? 'QUIT' : 'NOOP');
        client.close();
        await until(() => events('session-end', localAddress).length > ended);
      }
    }
    const versions = WAYS.map(([, , , tlsVersion]) => tlsVersion);
    expect(events('login', localAddress).map((line) => line['tlsVersion'])).toEqual(versions);
    expect(events('session-end', localAddress).map((line) => line['tlsVersion'])).toEqual([...versions, ...versions]);
  });

  test('tells of the version that the client chose, and of none where no handshake was done', async () => {
    const localAddress = '127.0.7.2';
    const open = (): Socket => connect({ port: bridge.port(TLS), host: '127.0.0.1', localAddress });
    const old = connectTls({ socket: open(), rejectUnauthorized: false, maxVersion: 'TLSv1.2' });
    await once(old, 'data');
    old.destroy();
    await until(() => events('session-end', localAddress).length > 0);
    expect(events('session-end', localAddress)[0]).toMatchObject({ tlsVersion: 'TLSv1.2' });
    const clear = open();
    clear.on('error', () => {});
    clear.write('USER alice\r\n');
    await until(() => events('session-end', localAddress).length > 1);
    expect(events('session-end', localAddress)[1]).toMatchObject({ tlsVersion: 'none' });
    clear.destroy();
  });
});

describe('ALPN (RFC 7301)', () => {
  const OFFERS: readonly (readonly [offered: readonly string[], selected: string | false])[] = [
    [['pop3'], 'pop3'],
    [['h2', 'pop3'], 'pop3'],
    [['h2', 'http/1.1'], false],
    [['pop3s'], false],
    [['imap', 'x'.repeat(255)], false],
  ];

  /** What was selected, and the first line the server says behind the handshake. */
  async function secured(socket: Socket, offered: readonly string[], say: string): Promise<readonly [string | false | null, string]> {
    const client = connectTls({ socket, rejectUnauthorized: false, ALPNProtocols: [...offered] });
    await once(client, 'secureConnect');
    const selected = client.alpnProtocol;
    if (say !== '') client.write(say);
    const [line] = (await once(client, 'data')) as [Buffer];
    client.destroy();
    return [selected, line.toString()];
  }

  test.for(OFFERS)('a client that offers %j gets %j, on a TLS address and behind STLS', async ([offered, selected]) => {
    const implicit = connect(bridge.port(TLS), '127.0.0.1');
    expect(await secured(implicit, offered, '')).toEqual([selected, '+OK POP3 server ready\r\n']);
    const client = await PopDialogue.connect(bridge.port(STLS));
    await client.command('STLS');
    client.socket.removeAllListeners();
    expect(await secured(client.socket, offered, 'NOOP\r\n')).toEqual([selected, '-ERR NOOP is not valid in this state\r\n']);
  });

  test('a client that is refused hears why, whatever it offers', async () => {
    await using limited = await limitedTo('[limits]\nsessions_per_address = 1');
    const first = await PopDialogue.connect(limited.port(TLS), { tls: true });
    // One without a login would make room.
    await first.login('alice', 'secret');
    for (const [offered, selected] of OFFERS) {
      const refused = connect(limited.port(TLS), '127.0.0.1');
      expect(await secured(refused, offered, '')).toEqual([selected, '-ERR [SYS/TEMP] too many sessions, try later\r\n']);
    }
    first.close();
  });

  test('a ClientHello may come in pieces', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    server.on('connection', (from) => {
      const to = connect(bridge.port(TLS), '127.0.0.1');
      for (const socket of [from, to]) socket.setNoDelay(true).on('error', () => {});
      to.on('data', (chunk) => from.write(chunk)).on('close', () => from.destroy());
      from.on('close', () => to.destroy());
      // Each octet of the first hundred leaves alone, when the one before has left.
      let sent: Promise<unknown> = Promise.resolve();
      from.on('data', (chunk) => {
        for (const piece of [...Array.from({ length: 100 }, (_, at) => chunk.subarray(at, at + 1)), chunk.subarray(100)]) {
          sent = sent.then(() => new Promise((resolve) => to.write(piece, () => setImmediate(resolve))));
        }
      });
    });
    const port = (server.address() as AddressInfo).port;
    for (const [offered, selected] of OFFERS) {
      expect(await secured(connect(port, '127.0.0.1'), offered, '')).toEqual([selected, '+OK POP3 server ready\r\n']);
    }
    server.close();
  });
});

describe('an HTTP request', () => {
  const REQUESTS = ['GET / HTTP/1.1', 'POST /?a=b HTTP/1.0', 'PRI * HTTP/2.0', 'DELE / HTTP/1.1', 'USER / HTTP/1.1'];
  const REST = '\r\nHost: mail.example.com\r\n\r\nUSER alice\r\nPASS secret\r\nRETR 1\r\n';

  /** From an address of its own: so many lines of each event are told of one in a minute. */
  async function told(address: number): Promise<void> {
    const localAddress = `127.0.6.${address + 1}`;
    const refused = bridge.events('connection-refused').length;
    for (const [place, request] of REQUESTS.entries()) {
      const client = await PopDialogue.connect(bridge.port(address), { tls: address === TLS, localAddress });
      if (address === STLS) await client.startTls();
      client.send(request + REST);
      expect((await client.closed()).toString()).toBe('');
      const event = await bridge.event('connection-refused', refused + place + 1);
      expect(event).toMatchObject({ level: 'warn', client: localAddress, reason: 'the client speaks HTTP' });
      client.close();
    }
    await until(() => bridge.events('session-end').filter(({ client }) => client === localAddress).length === REQUESTS.length);
    const told = bridge.events('connection-refused').slice(refused);
    expect(told).toHaveLength(REQUESTS.length);
  }

  test('is closed without an answer on an address in clear, and stands in the log', () => told(CLEAR));
  test('is closed without an answer on a TLS address', () => told(TLS));
  test('is closed without an answer behind STLS', () => told(STLS));
});

describe('limits', () => {
  test('too many sessions of one user get one line, and only who has the password; others are let in', async () => {
    await using limited = await limitedTo('[limits]\nsessions_per_user = 1\n[maildrop]\nlock = "shared"');
    const first = await session('alice', limited);
    const second = await PopDialogue.connect(limited.port());
    await second.command('USER alice');
    expect(await second.command('PASS wrong guess')).toMatch(/^-ERR \[AUTH\]/);
    await second.command('USER alice');
    expect(await second.command('PASS secret')).toBe('-ERR [SYS/TEMP] too many sessions, try later');
    await (await session('bob', limited)).command('QUIT');
    await first.command('QUIT');
    await limited.event('session-end', 2);
    await second.command('USER alice');
    expect(await second.command('PASS secret')).toMatch(/^\+OK/);
    await second.command('QUIT');
  });

  test('too many sessions from one address get one line, and places are given back', async () => {
    await using limited = await limitedTo('[limits]\nsessions_per_address = 2');
    const first = await session('alice', limited);
    const second = await session('bob', limited);
    const third = await PopDialogue.connect(limited.port());
    expect(third.greeting).toMatch(/^-ERR \[SYS\/TEMP\] too many sessions/);
    await first.command('QUIT');
    await until(async () => {
      const next = await PopDialogue.connect(limited.port());
      next.close();
      return next.greeting.startsWith('+OK');
    });
    second.close();
  });

  test('connections without a login do not lock their address out: the oldest of them makes room', async () => {
    await using limited = await start('[limits]\nsessions_per_address = 20\nlogin_failures = 1');
    const elsewhere = await PopDialogue.connect(limited.port(), { localAddress: '127.0.0.2' });
    const idle: PopDialogue[] = [];
    for (let index = 0; index < 10; index += 1) idle.push(await PopDialogue.connect(limited.port()));
    // Others wait for a login that is delayed.
    const waiting: PopDialogue[] = [];
    for (let index = 0; index < 12; index += 1) {
      const client = await PopDialogue.connect(limited.port());
      await client.command('USER carol');
      client.send(`PASS wrong guess ${index}\r\n`);
      waiting.push(client);
    }
    const line = '-ERR [SYS/TEMP] too many sessions, try later\r\n';
    for (const client of idle.slice(0, 2)) expect((await client.closed()).toString()).toBe(line);
    const newer: PopDialogue[] = [];
    for (let index = 0; index < 12; index += 1) newer.push(await PopDialogue.connect(limited.port()));
    expect(newer.map(({ greeting }) => greeting)).toEqual(Array(12).fill('+OK POP3 server ready'));
    expect(newer.map(({ isClosed }) => isClosed)).toEqual(Array(12).fill(false));
    expect(await elsewhere.command('USER alice')).toMatch(/^\+OK/);
    for (const client of [...idle, ...waiting, ...newer, elsewhere]) client.close();
  });

  test('on a TLS address a refused connection gets its line behind the handshake, and one that was displaced too', async () => {
    const line = '-ERR [SYS/TEMP] too many sessions, try later';
    await using limited = await limitedTo('[limits]\nsessions_per_address = 2\nsessions = 3');
    const loggedIn = await PopDialogue.connect(limited.port(TLS), { tls: true });
    await loggedIn.login('alice', 'secret');
    const idle = await PopDialogue.connect(limited.port(TLS), { tls: true });
    const other = { tls: true, localAddress: '127.0.0.2' };
    for (const expected of ['+OK POP3 server ready', '+OK POP3 server ready'])
      expect((await PopDialogue.connect(limited.port(TLS), other)).greeting).toBe(expected);
    expect((await idle.closed()).toString()).toBe(`${line}\r\n`);
    const second = await PopDialogue.connect(limited.port(TLS), { tls: true });
    await second.login('bob', 'secret');
    expect((await PopDialogue.connect(limited.port(TLS), { tls: true })).greeting).toBe(line);
    for (const client of [loggedIn, second]) await client.command('QUIT');
  });

  test('at the limit of sessions the oldest connection without a login makes room; with a login none does', async () => {
    await using limited = await limitedTo('[limits]\nsessions = 2');
    const loggedIn = await session('alice', limited);
    // An address without a login has few lines in the log each minute: no other test uses this one.
    const idle = await PopDialogue.connect(limited.port(), { localAddress: '127.0.7.3' });
    const other = await PopDialogue.connect(limited.port());
    expect((await idle.closed()).toString()).toBe('-ERR [SYS/TEMP] too many sessions, try later\r\n');
    expect((await limited.event('session-end'))['outcome']).toBe('displaced');
    await other.login('bob', 'secret');
    const refused = await PopDialogue.connect(limited.port());
    expect(refused.greeting).toBe('-ERR [SYS/TEMP] too many sessions, try later');
    for (const client of [loggedIn, other]) expect(await client.command('QUIT')).toBe('+OK bye');
  });

  test('a client that does not log in is cut off in time, however slowly it drips', async () => {
    await using hasty = await limitedTo(`[limits]\nlogin_timeout = "${patienceText(1_000)}"`);
    const client = await PopDialogue.connect(hasty.port(), { localAddress: '127.0.7.4' });
    const drip = setInterval(() => client.send('U'), 50);
    await client.closed();
    clearInterval(drip);
    expect((await hasty.event('session-end'))['outcome']).toBe('login timeout');
  });

  test('a client that never reads is cut off, at the cost of little memory', async () => {
    await using impatient = await start(`[limits]\nwrite_timeout = "${patienceText(1_000)}"`);
    imap.mailbox('INBOX', 'dave').append(`Subject: big\r\n\r\n${`${'x'.repeat(98)}\r\n`.repeat(200_000)}`);
    const before = residentOctets(impatient.pid);
    const client = await session('dave', impatient);
    client.socket.pause();
    for (let index = 0; index < 20; index += 1) client.send('RETR 2\r\n');
    await impatient.event('session-end');
    expect(residentOctets(impatient.pid) - before).toBeLessThan(64 * MIB);
    client.close();
  });

  test('a message of 25 MiB costs less memory than two of it', async () => {
    await using fresh = await start();
    const octets = 25 * MIB;
    imap.mailbox('INBOX', 'dave').append(`Subject: 25\r\n\r\n${`${'x'.repeat(98)}\r\n`.repeat(octets / 100)}`);
    const client = await session('dave', fresh);
    const last = (await client.multi('LIST')).length;
    const before = residentOctets(fresh.pid);
    expect((await client.retrieve(last)).length).toBeGreaterThan(octets - 100);
    expect(residentOctets(fresh.pid, 'most') - before).toBeLessThan(2 * octets);
    await client.command('QUIT');
  });

  test('a message above limits.message is refused for good, the others are given', async () => {
    await using small = await limitedTo('[limits]\nmessage = "1KiB"');
    imap.mailbox('INBOX', 'erin').append(`Subject: big\r\n\r\n${'x'.repeat(2000)}\r\n`);
    const client = await session('erin', small);
    expect(await client.command('RETR 2')).toMatch(/^-ERR \[SYS\/PERM\]/);
    expect((await client.retrieve(1)).toString()).toContain('Subject: one');
    await client.command('QUIT');
  });

  test('guesses beyond those that reach the server are answered ever later too, and end a session; the owner is let in', async () => {
    await using strict = await start('[limits]\nlogin_failures = 5');
    // A pause begins when the login before is let in to be tried, which is after it was sent.
    let sentBefore = 0;
    const guess = async (password: string): Promise<readonly [string, PopDialogue, number]> => {
      const client = await PopDialogue.connect(strict.port(), { localAddress: '127.0.5.1' });
      await client.command('USER erin');
      const since = sentBefore;
      sentBefore = performance.now();
      return [await client.command(`PASS ${password}`), client, performance.now() - since];
    };
    for (let index = 0; index < 5; index += 1) expect((await guess(`guess ${index}`))[0]).toMatch(/^-ERR \[AUTH\]/);
    const [sixth, , first] = await guess('guess 5');
    const [seventh, client, second] = await guess('guess 6');
    expect([sixth, seventh]).toEqual(Array.from({ length: 2 }, () => '-ERR [SYS/TEMP] too many refused logins, try later'));
    expect(first).toBeGreaterThan(900);
    // Each is twice the one before, whatever this machine adds to it.
    expect(second).toBeGreaterThan(1_900);
    client.close();
    const logins = tries();
    const third = guess('guess 7');
    await (await session('bob', strict)).command('QUIT');
    expect(tries()).toBe(logins + 1);
    (await third)[1].close();
  });

  test('guesses of clients that hang up are delayed all the same; other addresses are not, and nothing waits when the daemon stops', async () => {
    await using strict = await start('[limits]\nlogin_failures = 5');
    const before = tries();
    for (let index = 0; index < 100; index += 1) {
      const client = await PopDialogue.connect(strict.port(), { localAddress: '127.0.5.2' });
      await client.command(`USER nobody${index}`);
      await new Promise((resolve) => client.socket.write('PASS Summer2026\r\n', resolve));
      // The first ones are tried at once.
      if (index < 5) await until(() => tries() === before + index + 1);
      client.socket.resetAndDestroy();
    }
    await (await session('bob', strict)).command('QUIT');
    // Seven more would take two minutes.
    expect(tries() - before - 1).toBeLessThan(12);
    const waiting: Promise<string>[] = [];
    for (let index = 0; index < 12; index += 1) {
      const client = await PopDialogue.connect(strict.port(), { localAddress: '127.0.5.2' });
      await client.command('USER carol');
      waiting.push(client.command(`PASS wrong guess ${index}`));
    }
    // The daemon has read them all by the time it has answered another client that came later.
    await (await session('bob', strict)).command('QUIT');
    strict.kill('SIGTERM');
    expect((await Promise.all(waiting)).at(-1)).toBe('-ERR [SYS/TEMP] shutting down');
  });

  test('three refused logins end a session; further logins from one address are tried ever later', async () => {
    await using strict = await start('[limits]\nlogin_failures = 2');
    const client = await PopDialogue.connect(strict.port());
    const waited: number[] = [];
    for (const password of ['wrong1', 'wrong2', 'wrong3']) {
      await client.command('USER bob');
      const begun = performance.now();
      expect(await client.command(`PASS ${password}`)).toMatch(/^-ERR \[AUTH\]/);
      waited.push(performance.now() - begun);
    }
    await client.closed();
    expect(waited[2]).toBeGreaterThan(900);
  });
});

test('passwords that are words of the log blank no line of others', async () => {
  const words = { bob: 'login', carol: 'info', dave: 'test', erin: 'QUIT' };
  await using server = await ImapServer.start({ users: { ...words, alice: 'secret' } });
  await using quiet = await BridgeProcess.start({ config: bridgeConfig({ imapPort: server.port }) });
  const others: PopDialogue[] = [];
  for (const [user, word] of Object.entries(words)) {
    const client = await PopDialogue.connect(quiet.port());
    await client.login(user, word);
    others.push(client);
  }
  const alice = await session('alice', quiet);
  await alice.command('QUIT');
  await quiet.event('session-end');
  const hers = quiet.log.filter(({ user }) => user === 'alice');
  expect(hers).toMatchObject([
    { level: 'info', event: 'upstream-connected', upstream: 'test' },
    { level: 'info', event: 'login', upstream: 'test', client: '127.0.0.1' },
    { level: 'info', event: 'session-end', upstream: 'test', client: '127.0.0.1', outcome: 'QUIT' },
  ]);
  for (const client of others) await client.command('QUIT');
  await quiet.event('session-end', 5);
  expect(quiet.events('session-end').map(({ level, outcome }) => [level, outcome])).toEqual(
    others.concat(alice).map(() => ['info', 'QUIT']),
  );
});

describe('the maildrop lock', () => {
  test('a second login goes on as soon as the first session ends', async () => {
    const holder = await session('carol');
    const second = await PopDialogue.connect(bridge.port());
    await second.command('USER carol');
    const answer = second.command('PASS secret');
    await holder.command('QUIT');
    expect(await answer).toMatch(/^\+OK/);
    await second.command('QUIT');
  });
});

describe('where a login is taken', () => {
  test('an address that is not in `allow` gets one line and is closed', async () => {
    const config = bridgeConfig({ imapPort: imap.port })
      .replace('security = "none"\n', 'security = "none"\n')
      .replace('address = "127.0.0.1:0"\n', 'address = "127.0.0.1:0"\nallow = ["192.0.2.0/24"]\n');
    await using closed = await BridgeProcess.start({ config });
    const client = await PopDialogue.connect(closed.port());
    expect(client.greeting).toMatch(/^-ERR \[SYS\/PERM\]/);
    await client.closed();
  });

  test('users of two files that share an address go to their own upstream by domain; others are refused without a connection', async () => {
    await using other = await ImapServer.start({ users: { zoe: 'secret' } });
    other.mailbox('INBOX').append('Subject: of zoe\r\n\r\n\r\n');
    const file = (port: number, domain: string, address: string): string =>
      `[upstream]\nhost = "127.0.0.1"\nport = ${port}\nsecurity = "none"\nusername = "{local}"\n[[listen]]\naddress = "${address}"\n[login]\ndomains = ["${domain}"]\n`;
    const address = `127.0.0.1:${await freePort()}`;
    await using shared = await BridgeProcess.start({
      config: { one: file(imap.port, 'One.example', address), two: file(other.port, 'two.example', address) },
    });
    const zoe = await PopDialogue.connect(shared.port());
    await zoe.login('zoe@TWO.example', 'secret');
    expect((await zoe.retrieve(1)).toString()).toContain('of zoe');
    const alice = await PopDialogue.connect(shared.port());
    await alice.login('alice@one.example', 'secret');
    const before = imap.connections + other.connections;
    const nobody = await PopDialogue.connect(shared.port());
    await expect(nobody.login('alice@three.example', 'secret')).rejects.toThrow('[AUTH]');
    expect(imap.connections + other.connections).toBe(before);
    for (const client of [zoe, alice]) await client.command('QUIT');
    // Nor is it told by the answers to many guesses.
    let addresses = 0;
    const answers = async (user: string): Promise<string[]> => {
      const given: string[] = [];
      for (const password of ['guess 1', 'guess 1', 'guess 2', 'guess 3', 'guess 4', 'guess 5', 'guess 6']) {
        const client = await PopDialogue.connect(shared.port(), { localAddress: `127.0.6.${(addresses += 1)}` });
        await client.command(`USER ${user}`);
        given.push(await client.command(`PASS ${password}`));
        client.close();
      }
      return given;
    };
    const known = await answers('bob@one.example');
    expect(known.at(-1)).toMatch(/^-ERR \[SYS\/TEMP\] too many refused logins/);
    expect(await answers('bob@three.example')).toEqual(known);
  });
});

async function freePort(): Promise<number> {
  const probe = await ImapServer.start();
  await probe.close();
  return probe.port;
}
