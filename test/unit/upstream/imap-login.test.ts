/** A way to log in that the server refuses is replaced by another one, once; the password is never judged twice. */
import { once } from 'node:events';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { describe, expect, test } from 'vitest';
import { systemClock } from '../../../src/clock.ts';
import { CredentialsError, UpstreamError } from '../../../src/errors.ts';
import { logIn } from '../../../src/upstream/imap-login.ts';
import { ServerHabits, type LoginWay } from '../../../src/upstream/server-habits.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { ImapServer } from '../../support/imap-server.ts';
import type { Fault, ImapRule } from '../../support/imap-server/script.ts';
import { plainEndpoint } from '../../support/plain-endpoint.ts';
import { until } from '../../support/until.ts';

const { signal } = new AbortController();
const WITH_PLAIN = ['IMAP4rev1', 'SASL-IR', 'AUTH=PLAIN'];
/** Logs in, and leaves. What the server got, or what came of it. */
async function attempt(imap: ImapServer, habits: ServerHabits, password = 'secret', isToken = false): Promise<unknown> {
  const from = imap.commands.length;
  const parts = { endpoint: plainEndpoint(imap.port, 20_000), clock: systemClock, habits };
  const login = { user: 'alice', password, isToken };
  const failure = await logIn(parts, login, systemClock.monotonic() + 20_000, signal).then(
    (client) => client.destroy(),
    (error: unknown) => error,
  );
  await until(() => imap.openConnections === 0);
  return failure ?? imap.commands.slice(from).filter((command) => /^(?:LOGIN|AUTHENTICATE)/.test(command));
}

function attempts(imap: ImapServer): number {
  return imap.commands.filter((command) => /^(?:LOGIN|AUTHENTICATE)/.test(command)).length;
}

const on = (verb: string, fault: Fault): ImapRule => {
  return (event) => (event.verb === verb ? fault : undefined);
};

const OF_THE_WAY: readonly Fault[] = [
  { reply: 'BAD unknown command' },
  { reply: 'NO [CANNOT] unsupported authentication mechanism' },
  { reply: 'NO mechanism not available' },
  { reply: 'NO authentication disabled' },
  { raw: '$TAG BAD what?\r\n', next: 'close' },
];

/** As of a wrong password. */
const OF_THE_PASSWORD: readonly Fault[] = [
  { reply: 'NO [AUTHENTICATIONFAILED] no such mechanism for you' },
  { reply: 'NO LOGIN failed' },
  { reply: 'NO' },
  { reply: 'BAD invalid credentials' },
];

const OF_SOMETHING_ELSE: readonly Fault[] = [
  { reply: 'NO System error' },
  { reply: 'NO [UNAVAILABLE] mechanism not available' },
  { reply: 'NO [CONTACTADMIN] call us' },
  { reply: 'NO [ALERT] Too many simultaneous connections' },
  { reply: 'BAD Request is throttled. Suggested Backoff Time: 1500 milliseconds' },
  { bye: 'mechanism not available' },
  { close: true },
];

/** The server hears the password, and calls it wrong whatever it is. */
const JUDGES_WRONG: Fault = { runThen: 'reply', reply: 'NO [AUTHENTICATIONFAILED] Authentication failed' };

const serve = (script?: ImapRule | readonly ImapRule[], capabilities = WITH_PLAIN): Promise<ImapServer> => {
  return ImapServer.start({ users: { alice: 'secret' }, capabilities, ...(script === undefined ? {} : { script }) });
};

function provenBy(way: LoginWay): ServerHabits {
  const habits = new ServerHabits();
  habits.noteSuccess(way, []);
  return habits;
}

describe('before any way is proven, a login', () => {
  test('goes by AUTHENTICATE PLAIN, and the password waits until the server asks for it; later ones take one step', async () => {
    await using imap = await serve();
    const habits = new ServerHabits();
    expect(await attempt(imap, habits)).toEqual(['AUTHENTICATE PLAIN']);
    expect(await attempt(imap, habits)).toEqual(['AUTHENTICATE PLAIN ***']);
    expect(imap.connections).toBe(2);
  });

  test.for([...OF_THE_WAY, ...OF_THE_PASSWORD])(
    'goes by LOGIN where AUTHENTICATE PLAIN is refused before the password was sent (%j), and so does the next one, at once',
    async (fault) => {
      await using imap = await serve(on('AUTHENTICATE', fault));
      const habits = new ServerHabits();
      expect(await attempt(imap, habits)).toEqual(['AUTHENTICATE PLAIN', 'LOGIN alice ***']);
      expect(await attempt(imap, habits)).toEqual(['LOGIN alice ***']);
      expect(imap.connections).toBe(3);
    },
  );

  test.for(OF_THE_PASSWORD)('is not called wrong where there is no other way (%j)', async (fault) => {
    await using imap = await serve(on('AUTHENTICATE', fault), [...WITH_PLAIN, 'LOGINDISABLED']);
    expect(await attempt(imap, new ServerHabits())).toMatchObject({ code: 'UPSTREAM_REFUSED' });
    expect(attempts(imap)).toBe(1);
  });

  test.for(OF_SOMETHING_ELSE)('that is refused for another reason (%j) is not tried in another way', async (fault) => {
    await using imap = await serve(on('AUTHENTICATE', fault));
    expect(await attempt(imap, new ServerHabits())).toBeInstanceOf(Error);
    expect([attempts(imap), imap.connections]).toEqual([1, 1]);
  });

  test('whose password was judged wrong ends there, and the next one begins with the next way', async () => {
    await using imap = await serve(on('AUTHENTICATE', JUDGES_WRONG));
    const habits = new ServerHabits();
    expect(await attempt(imap, habits)).toMatchObject({ code: 'AUTH_REFUSED', isCoded: true });
    expect(imap.connections).toBe(1);
    expect(await attempt(imap, habits)).toEqual(['LOGIN alice ***']);
    expect(await attempt(imap, habits, 'wrong')).toMatchObject({ code: 'AUTH_REFUSED' });
    expect(await attempt(imap, habits)).toEqual(['LOGIN alice ***']);
    expect(imap.connections).toBe(4);
  });

  test('takes the ways in turn as long as each finds the password wrong', async () => {
    await using imap = await serve();
    const habits = new ServerHabits();
    for (let time = 0; time < 3; time += 1) expect(await attempt(imap, habits, 'wrong')).toMatchObject({ code: 'AUTH_REFUSED' });
    expect(imap.commands.filter((command) => command !== 'CAPABILITY')).toEqual([
      'AUTHENTICATE PLAIN',
      'LOGIN alice ***',
      'AUTHENTICATE PLAIN',
    ]);
  });

  test('whose second way finds the password wrong says so, and proves neither', async () => {
    await using imap = await serve(on('AUTHENTICATE', { reply: 'BAD what?' }));
    const habits = new ServerHabits();
    expect(await attempt(imap, habits, 'wrong')).toMatchObject({ code: 'AUTH_REFUSED', isCoded: true });
    expect(attempts(imap)).toBe(2);
    imap.setScript(undefined);
    expect(await attempt(imap, habits)).toEqual(['AUTHENTICATE PLAIN']);
  });

  test('ends after every way was refused once', async () => {
    const script = ['LOGIN', 'AUTHENTICATE'].map((verb) => on(verb, { reply: 'NO mechanism not available' }));
    await using imap = await serve(script, [...WITH_PLAIN, 'AUTH=LOGIN']);
    expect(await attempt(imap, new ServerHabits())).toMatchObject({ code: 'UPSTREAM_FORBIDDEN' });
    expect(imap.commands.filter((command) => command !== 'CAPABILITY')).toEqual([
      'AUTHENTICATE PLAIN',
      'LOGIN alice ***',
      'AUTHENTICATE LOGIN',
    ]);
  });
});

describe.for([
  ['AUTH=PLAIN', 'AUTHENTICATE', 'AUTHENTICATE PLAIN ***', 'LOGIN alice ***'],
  ['LOGIN', 'LOGIN', 'LOGIN alice ***', 'AUTHENTICATE PLAIN'],
] as const)('once %s is proven, a login', ([proven, verb, first, second]) => {
  test.for(OF_THE_WAY)('whose way is refused (%j) goes by the other one, and the next one at once', async (fault) => {
    await using imap = await serve(on(verb, fault));
    const habits = provenBy(proven);
    expect(await attempt(imap, habits)).toEqual([first, second]);
    expect(imap.connections).toBe(2);
    const [next] = (await attempt(imap, habits)) as string[];
    expect(next?.replace(' ***', '')).toBe(second.replace(' ***', ''));
    expect(imap.connections).toBe(3);
  });

  test.for([...OF_THE_PASSWORD, ...OF_SOMETHING_ELSE])(
    'that is refused for another reason (%j) is not tried in another way, then or later',
    async (fault) => {
      await using imap = await serve(on(verb, fault));
      const habits = provenBy(proven);
      for (const times of [1, 2]) {
        expect(await attempt(imap, habits)).toBeInstanceOf(Error);
        expect([attempts(imap), imap.connections]).toEqual([times, times]);
      }
      imap.setScript(undefined);
      expect(await attempt(imap, habits)).toEqual([first]);
    },
  );
});

test('LOGIN is not tried where the server announces LOGINDISABLED, were it proven', async () => {
  await using imap = await serve(undefined, [...WITH_PLAIN, 'LOGINDISABLED']);
  expect(await attempt(imap, provenBy('LOGIN'))).toEqual(['AUTHENTICATE PLAIN']);
});

test.for([false, true])('a server that says OK before it was sent the password has not checked it (token: %j)', async (isToken) => {
  const script = on('AUTHENTICATE', { reply: 'OK come in' });
  await using imap = await serve(script, ['IMAP4rev1', 'AUTH=PLAIN', 'AUTH=XOAUTH2']);
  const habits = new ServerHabits();
  expect(await attempt(imap, habits, 'secret', isToken)).toMatchObject({ code: 'UPSTREAM_REFUSED' });
  expect(habits.isProven('AUTH=PLAIN')).toBe(false);
  expect(attempts(imap)).toBe(1);
});

test('a token is offered once: no other way is tried with it', async () => {
  const capabilities = ['IMAP4rev1', 'SASL-IR', 'AUTH=XOAUTH2', 'AUTH=PLAIN'];
  await using imap = await ImapServer.start({
    users: { alice: 'a token' },
    capabilities,
    script: on('AUTHENTICATE', { reply: 'NO mechanism not available' }),
  });
  expect(await attempt(imap, new ServerHabits(), 'a token', true)).toMatchObject({ code: 'UPSTREAM_FORBIDDEN' });
  expect(imap.commands.filter((command) => /^(?:LOGIN|AUTHENTICATE)/.test(command))).toEqual(['AUTHENTICATE XOAUTH2 ***']);
});

test.for(['a\0b', 'a\rb', 'a\nb', 'secret\r\n2 LOGOUT'])('a password %j goes nowhere, and nor does such a name', async (text) => {
  await using imap = await ImapServer.start({ users: { alice: 'secret' } });
  expect(await attempt(imap, new ServerHabits(), text)).toBeInstanceOf(CredentialsError);
  const parts = { endpoint: plainEndpoint(imap.port, 20_000), clock: systemClock, habits: new ServerHabits() };
  await expect(logIn(parts, { user: text, password: 'secret' }, Infinity, signal)).rejects.toBeInstanceOf(CredentialsError);
  expect(imap.connections).toBe(0);
});

describe('a server that is played by hand', () => {
  interface Played extends AsyncDisposable {
    readonly port: number;
    readonly sockets: Socket[];
    heard(): string;
  }

  async function play(greeting: string): Promise<Played> {
    const sockets: Socket[] = [];
    let heard = '';
    const server: Server = createServer((socket) => {
      sockets.push(socket);
      socket.on('error', () => {});
      socket.on('data', (chunk: Buffer) => (heard += chunk.toString('latin1')));
      socket.write(greeting);
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return {
      port: (server.address() as AddressInfo).port,
      sockets,
      heard: () => heard,
      [Symbol.asyncDispose]: async () => {
        for (const socket of sockets) socket.destroy();
        server.close();
      },
    };
  }

  const tagOf = (command: string, heard: string): string => new RegExp(`^(\\S+) ${command}`, 'm').exec(heard)?.[1] ?? '';

  test('gets the second attempt within the time of the login, and no more', async () => {
    await using server = await play('* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN] hi\r\n');
    const clock = new FakeClock();
    const parts = { endpoint: plainEndpoint(server.port, 45_000), clock, habits: new ServerHabits() };
    const outcome = logIn(parts, { user: 'alice', password: 'secret' }, 45_000, signal).catch((error: unknown) => error);
    await until(() => server.heard().includes('AUTHENTICATE'));
    await clock.advance(30_000);
    server.sockets[0]?.write(`${tagOf('AUTHENTICATE', server.heard())} BAD what?\r\n`);
    await until(() => server.heard().includes('LOGIN'));
    await clock.advance(14_900);
    expect(server.sockets[1]?.destroyed).toBe(false);
    await clock.advance(100);
    expect(await outcome).toMatchObject({ kind: 'timeout' });
  });

  test.for(['* BYE Invalid user or password\r\n', '* BYE [AUTHENTICATIONFAILED] no\r\n', '* OK hi\r\n* BYE no such user\r\n'])(
    'has not judged a password where its greeting is %j',
    async (greeting) => {
      await using server = await play(greeting);
      const parts = { endpoint: plainEndpoint(server.port, 20_000), clock: systemClock, habits: new ServerHabits() };
      const outcome = logIn(parts, { user: 'alice', password: 'secret' }, systemClock.monotonic() + 20_000, signal);
      await expect(outcome).rejects.toBeInstanceOf(UpstreamError);
      expect(server.heard()).not.toContain('secret');
    },
  );

  test.for(['+ \r\n', '+\r\n', '+ go ahead\r\n', '+ Go ahead.\r\n', '+ R28=\r\n'])('may word its challenge as %j', async (challenge) => {
    await using server = await play('* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN] hi\r\n');
    const parts = { endpoint: plainEndpoint(server.port, 20_000), clock: systemClock, habits: new ServerHabits() };
    const outcome = logIn(parts, { user: 'alice', password: 'secret' }, systemClock.monotonic() + 20_000, signal);
    await until(() => server.heard().includes('AUTHENTICATE PLAIN\r\n'));
    server.sockets[0]?.write(challenge);
    await until(() => server.heard().includes(Buffer.from('\0alice\0secret').toString('base64')));
    server.sockets[0]?.write(`${tagOf('AUTHENTICATE', server.heard())} OK [CAPABILITY IMAP4rev1] in\r\n`);
    (await outcome).destroy();
  });
});
