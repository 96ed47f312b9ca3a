import { describe, expect, test } from 'vitest';
import type { BridgeError } from '../../../src/errors.ts';
import { readOldPop3, type OldMessage } from '../../../src/upstream/old-pop3.ts';
import type { OldPop3Endpoint } from '../../../src/upstream/old-pop3-connection.ts';
import { pop3Script, ScriptedPop3, type Script, type ScriptedMessage } from '../../support/scripted-pop3.ts';
import { until } from '../../support/until.ts';
import { patience } from '../../support/patience.ts';

const LOGIN = { user: 'alice', password: 'secret word' };
/** Long where it must not matter on a busy machine, short where it is waited for. */
const TIMEOUT_MS = patience(10_000);
const SHORT_MS = 200;

const MESSAGES: readonly ScriptedMessage[] = [
  { uniqueId: 'a1', octets: 100, header: 'Subject: one\r\nMessage-ID: <one@example.com>\r\n\r\n' },
  { uniqueId: 'a2', octets: 200, header: '..dotted: x\r\nmessage-id:\r\n <two@example.com>\r\n\r\n' },
  { uniqueId: 'a3', octets: 300, header: 'To: none\r\n\r\n' },
];
const EXPECTED: readonly OldMessage[] = [
  { uniqueId: 'a1', octets: 100, messageId: '<one@example.com>' },
  { uniqueId: 'a2', octets: 200, messageId: '<two@example.com>' },
  { uniqueId: 'a3', octets: 300, messageId: undefined },
];
const withoutIds = EXPECTED.map((message) => ({ ...message, messageId: undefined }));

interface Reading {
  readonly endpoint?: Partial<OldPop3Endpoint>;
  readonly login?: typeof LOGIN;
  readonly signal?: AbortSignal;
  readonly onProgress?: (done: number, total: number) => void;
}

const hasty: Reading = { endpoint: { timeoutMs: SHORT_MS } };

function read(server: ScriptedPop3, { endpoint, login = LOGIN, signal, onProgress = () => {} }: Reading = {}): Promise<OldMessage[]> {
  const to: OldPop3Endpoint = { host: '127.0.0.1', port: server.port, security: 'none', timeoutMs: TIMEOUT_MS, ...endpoint };
  return readOldPop3(to, login, { onProgress, signal: signal ?? new AbortController().signal });
}

const failureOf = (reading: Promise<unknown>): Promise<BridgeError> =>
  reading.then(
    () => Promise.reject(new Error('it was read')),
    (error: BridgeError) => error,
  );

async function failure(script: Script, reading?: Reading): Promise<BridgeError> {
  await using server = await ScriptedPop3.start(script);
  return await failureOf(read(server, reading));
}

describe('an old server is read', () => {
  test('in batches where it has PIPELINING, and nothing is retrieved or deleted', async () => {
    const many = Array.from({ length: 250 }, (_, index) => ({
      uniqueId: `id${index}`,
      octets: index,
      header: `Message-ID: <${index}>\r\n\r\n`,
    }));
    await using server = await ScriptedPop3.start(pop3Script(many));
    const progress: number[] = [];
    const messages = await read(server, { onProgress: (done, total) => progress.push(done, total) });
    expect(messages).toEqual(many.map(({ uniqueId, octets }, index) => ({ uniqueId, octets, messageId: `<${index}>` })));
    expect(progress).toEqual([0, 250, 100, 250, 200, 250, 250, 250]);
    expect(server.mostAtOnce).toBeGreaterThan(50);
    const verbs = server.commands.map((command) => command.split(' ')[0]);
    expect(verbs.filter((verb) => verb !== 'TOP')).toEqual(['CAPA', 'USER', 'PASS', 'CAPA', 'UIDL', 'LIST', 'QUIT']);
    expect(server.commands.filter((command) => command.startsWith('TOP'))).toEqual(many.map((_, index) => `TOP ${index + 1} 0`));
  });

  test.for([
    ['without PIPELINING', { capabilities: ['TOP', 'UIDL'] }, 1],
    ['without CAPA', { different: { CAPA: '-ERR what?\r\n' } }, 1],
    ['with PIPELINING and without TOP in CAPA, once TOP was seen to work', { capabilities: ['PIPELINING'] }, 2],
    ['with capabilities in small letters, and arguments', { capabilities: ['top', 'pipelining x'] }, 3],
  ] as const)('%s: at most so many commands at once', async ([, options, mostAtOnce]) => {
    await using server = await ScriptedPop3.start(pop3Script(MESSAGES, options));
    expect(await read(server)).toEqual(EXPECTED);
    expect(server.mostAtOnce).toBe(mostAtOnce);
  });

  test.for([1, 2, 3, 7])('whatever comes in pieces of %i octets', async (octets) => {
    await using server = await ScriptedPop3.start(pop3Script(MESSAGES), { octets });
    expect(await read(server)).toEqual(EXPECTED);
  });

  test.for(['+OK\r\n', '-ERR not now\r\n'])(
    'as a client that takes headers in UTF-8 where it knows such (RFC 6856): Courier shows others a stand-in; answers %j',
    async (answer) => {
      await using server = await ScriptedPop3.start(
        pop3Script(MESSAGES, { capabilities: ['TOP', 'UTF8 USER'], different: { UTF8: answer } }),
      );
      expect(await read(server)).toEqual(EXPECTED);
      expect(server.commands.slice(0, 4)).toEqual(['CAPA', 'UTF8', 'USER alice', 'PASS secret word']);
    },
  );

  test('when it is empty', async () => {
    await using server = await ScriptedPop3.start(pop3Script([]));
    expect(await read(server)).toEqual([]);
    expect(server.commands.at(-1)).toBe('QUIT');
  });

  test('without Message-IDs where it has no TOP, which is asked for once', async () => {
    await using server = await ScriptedPop3.start(
      pop3Script(MESSAGES, { capabilities: ['PIPELINING'], different: { TOP: '-ERR unknown\r\n' } }),
    );
    const progress: number[] = [];
    expect(await read(server, { onProgress: (done) => progress.push(done) })).toEqual(withoutIds);
    expect(server.commands.filter((command) => command.startsWith('TOP'))).toEqual(['TOP 1 0']);
    expect(progress).toEqual([0, 3]);
  });

  test.for([
    ['the first', 'TOP 1 0', ['TOP', 'PIPELINING'], 0],
    ['a later', 'TOP 2 0', [], 1],
  ] as const)('without the Message-ID of %s message alone where it refuses that one', async ([, command, capabilities, index]) => {
    await using server = await ScriptedPop3.start(pop3Script(MESSAGES, { capabilities, different: { [command]: '-ERR damaged\r\n' } }));
    expect(await read(server)).toEqual(EXPECTED.map((message, at) => (at === index ? { ...message, messageId: undefined } : message)));
  });

  test('where it sends bodies too, whose Message-IDs are not taken', async () => {
    const message = { uniqueId: 'a', octets: 1, header: 'To: x\r\n\r\nMessage-ID: <of@another>\r\n'.repeat(50_000) };
    await using server = await ScriptedPop3.start(pop3Script([message, ...MESSAGES]));
    expect(await read(server)).toEqual([{ uniqueId: 'a', octets: 1, messageId: undefined }, ...EXPECTED]);
  });

  test('where a header has more than 1 MiB, of which only that is looked at', async () => {
    const filler = `X: ${'x'.repeat(70_000)}\r\n`.repeat(16);
    const late = { uniqueId: 'late', octets: 1, header: `${filler}Message-ID: <late>\r\n\r\n` };
    const early = { uniqueId: 'early', octets: 1, header: `Message-ID: <early>\r\n${filler}\r\n` };
    await using server = await ScriptedPop3.start(pop3Script([late, early, ...MESSAGES]));
    const messages = await read(server);
    expect(messages.map(({ messageId }) => messageId)).toEqual([undefined, '<early>', ...EXPECTED.map(({ messageId }) => messageId)]);
  });

  test('where a header holds a lone LF, a dot and a forged answer, which shift nothing', async () => {
    const forged = { uniqueId: 'a0', octets: 9, header: 'X: y\n.\n+OK\nMessage-ID: <forged>\n.\nTo: x\r\n\r\n' };
    await using server = await ScriptedPop3.start(pop3Script([forged, ...MESSAGES]));
    expect((await read(server)).slice(1)).toEqual(EXPECTED);
  });

  test.for([
    ['refuses', '-ERR no\r\n'],
    ['cuts off', { text: '', cut: true }],
    ['overhears', undefined],
    ['mumbles at', 'bye\r\n'],
  ] as const)('even if it %s QUIT', async ([, reaction]) => {
    await using server = await ScriptedPop3.start(pop3Script(MESSAGES, { different: { QUIT: reaction } }));
    expect(await read(server, reaction === undefined ? hasty : {})).toEqual(EXPECTED);
    await until(() => server.closed === 1);
  });

  test('with a password that holds a tab and other control characters, octet for octet', async () => {
    await using server = await ScriptedPop3.start(pop3Script([]));
    await read(server, { login: { user: 'a', password: '\ta\tb\x1b\x7f' } });
    expect(server.commands.slice(1, 3)).toEqual(['USER a', 'PASS \ta\tb\x1b\x7f']);
  });

  test('with a password in UTF-8', async () => {
    await using server = await ScriptedPop3.start(pop3Script([]));
    await read(server, { login: { user: 'a b', password: 'pässword' } });
    expect(server.commands.slice(1, 3)).toEqual(['USER a b', 'PASS p\xc3\xa4ssword']);
  });
});

describe('a login', () => {
  test.for([
    ['PASS', '-ERR [AUTH] no', 'AUTH_REFUSED'],
    ['USER', '-ERR [AUTH] no', 'AUTH_REFUSED'],
    ['PASS', '-ERR no', 'AUTH_REFUSED'],
    ['PASS', '-ERR', 'AUTH_REFUSED'],
    ['USER', '-ERR never heard of alice', 'AUTH_REFUSED'],
    ['PASS', '-ERR [SYS/TEMP] later', 'UPSTREAM_REFUSED'],
    ['USER', '-ERR [SYS/TEMP] bad password', 'UPSTREAM_REFUSED'],
    ['PASS', '-ERR [SYS/PERM] account is disabled', 'UPSTREAM_FORBIDDEN'],
    ['PASS', '-ERR [IN-USE] other session', 'UPSTREAM_REFUSED'],
    ['PASS', '-ERR [LOGIN-DELAY] minutes', 'UPSTREAM_THROTTLED'],
    ['PASS', '-ERR maildrop is locked by another session', 'UPSTREAM_REFUSED'],
    ['PASS', '-ERR too many simultaneous connections', 'UPSTREAM_REFUSED'],
    ['USER', '-ERR [AUTH] Plaintext authentication disallowed on non-secure (SSL/TLS) connections.', 'UPSTREAM_FORBIDDEN'],
  ] as const)('answered after %s with %s fails as %s', async ([command, line, code]) => {
    expect((await failure(pop3Script([], { different: { [command]: `${line}\r\n` } }))).code).toBe(code);
  });

  test('that fails does not repeat the password, nor what a terminal would obey', async () => {
    const { message } = await failure(pop3Script([], { different: { PASS: '-ERR bad "secret word"\x1b[2J\xff\r\n' } }));
    expect(message).toBe('the login was refused: bad "[secret]" [2J ');
  });

  test.for(['a\r\nDELE 1', 'a\nb', 'a\rb', 'a\0'])('with %j is refused before anything is sent', async (text) => {
    await using server = await ScriptedPop3.start(pop3Script(MESSAGES));
    for (const login of [
      { ...LOGIN, user: text },
      { ...LOGIN, password: text },
    ]) {
      expect((await failureOf(read(server, { login }))).code).toBe('AUTH_REFUSED');
    }
    expect([server.commands, server.closed]).toEqual([[], 0]);
  });
});

const STEPS: readonly string[] = ['', 'USER', 'PASS', 'CAPA', 'UIDL', 'LIST', 'TOP 1', 'TOP 3'];

describe('reading fails, and the connection is given up, where the server', () => {
  test.for(STEPS)('hangs up at %j', async (step) => {
    await using server = await ScriptedPop3.start(pop3Script(MESSAGES, { different: { [step]: { text: '', cut: true } } }));
    expect(await failureOf(read(server))).toMatchObject({
      kind: 'unreachable',
      message: expect.stringContaining('the server closed the connection'),
    });
    await until(() => server.closed === 1);
  });

  test.concurrent.for(STEPS)('falls silent at %j, after the time allowed', async (step) => {
    await using server = await ScriptedPop3.start(pop3Script(MESSAGES, { different: { [step]: undefined } }));
    expect(await failureOf(read(server, hasty))).toMatchObject({ kind: 'timeout' });
    await until(() => server.closed === 1);
  });

  test.for(STEPS.filter((step) => step !== ''))('speaks no POP3 at %j', async (step) => {
    expect(await failure(pop3Script(MESSAGES, { different: { [step]: '* BAD what?\r\n' } }))).toMatchObject({ kind: 'protocol' });
  });

  test.concurrent.for(STEPS)('sends an endless line at %j', async (step) => {
    const endless = `${step === '' ? '' : '+OK\r\n'}${'x'.repeat(8195)}`;
    const end = await failure(pop3Script(MESSAGES, { different: { [step]: endless } }), step.startsWith('TOP') ? hasty : {});
    // In a header there may be lines of any length: there it is the silence that ends it.
    expect(end).toMatchObject({ kind: step.startsWith('TOP') ? 'timeout' : 'protocol' });
  });

  test.for(['CAPA', 'UIDL', 'LIST', 'TOP 1', 'TOP 3'])('is cut off in the middle of %j', async (step) => {
    const reaction = { text: '+OK\r\n1 10\r\n.', cut: true } as const;
    expect(await failure(pop3Script(MESSAGES, { different: { [step]: reaction } }))).toMatchObject({ kind: 'unreachable' });
  });

  test.for([
    ['', '-ERR [SYS/TEMP] later', 'UPSTREAM_REFUSED'],
    ['', '-ERR [SYS/PERM] never', 'UPSTREAM_FORBIDDEN'],
    ['', '-ERR go away', 'UPSTREAM_REFUSED'],
    ['UIDL', '-ERR unknown', 'UPSTREAM_REFUSED'],
    ['UIDL', '-ERR [SYS/TEMP] later', 'UPSTREAM_REFUSED'],
    ['LIST', '-ERR [SYS/PERM] no', 'UPSTREAM_FORBIDDEN'],
    ['LIST', '-ERR', 'UPSTREAM_REFUSED'],
    ['TOP 1', '-ERR [SYS/TEMP] later', 'UPSTREAM_REFUSED'],
    ['TOP 3', '-ERR [SYS/TEMP] later', 'UPSTREAM_REFUSED'],
  ] as const)('answers %j with %s (%s)', async ([step, line, code]) => {
    expect((await failure(pop3Script(MESSAGES, { different: { [step]: `${line}\r\n` } }))).code).toBe(code);
  });

  test.for([
    ['lists other messages in LIST', { LIST: '+OK\r\n1 1\r\n.\r\n' }, 'incomplete'],
    ['gives an id twice', { UIDL: '+OK\r\n1 a\r\n2 a\r\n3 b\r\n.\r\n' }, 'protocol'],
    ['gives an id that can be none', { UIDL: '+OK\r\n1 a\r\n2 \xe4\r\n3 b\r\n.\r\n' }, 'protocol'],
    ['says more than it was asked', { UIDL: '+OK\r\n1 a\r\n.\r\n+OK\r\n' }, 'protocol'],
    ['says more than it was asked, at the end', { 'TOP 3': '+OK\r\n.\r\n+OK\r\n' }, 'protocol'],
    ['speaks before it is asked', { '': '+OK\r\n+OK\r\n' }, 'protocol'],
  ] as const)('%s', async ([, different, kind]) => {
    expect(await failure(pop3Script(MESSAGES, { different }))).toMatchObject({ kind });
  });

  test('is not there', async () => {
    const server = await ScriptedPop3.start(() => '');
    const { port } = server;
    await server[Symbol.asyncDispose]();
    const reading = readOldPop3({ host: '127.0.0.1', port, security: 'none', timeoutMs: TIMEOUT_MS }, LOGIN, {
      onProgress: () => {},
      signal: new AbortController().signal,
    });
    expect(await failureOf(reading)).toMatchObject({ kind: 'unreachable', message: expect.stringContaining('ECONNREFUSED') });
  });
});

describe('reading stops', () => {
  test('at once when the signal aborts', async () => {
    const abort = new AbortController();
    await using server = await ScriptedPop3.start(pop3Script(MESSAGES, { different: { 'TOP 2': undefined } }));
    const reading = failureOf(read(server, { signal: abort.signal, endpoint: { timeoutMs: 60_000 } }));
    await until(() => server.commands.includes('TOP 2 0'));
    abort.abort();
    expect(await reading).toMatchObject({ kind: 'unreachable', message: expect.stringContaining('cancelled') });
    await until(() => server.closed === 1);
  });

  test('before it connects when the signal has aborted', async () => {
    await using server = await ScriptedPop3.start(pop3Script(MESSAGES));
    expect(await failureOf(read(server, { signal: AbortSignal.abort() }))).toMatchObject({ kind: 'unreachable' });
    expect([server.commands, server.closed]).toEqual([[], 0]);
  });

  test('when who asked for it throws', async () => {
    await using server = await ScriptedPop3.start(pop3Script(MESSAGES));
    const onProgress = (): never => {
      throw new Error('mine');
    };
    await expect(read(server, { onProgress })).rejects.toThrow('mine');
    await until(() => server.closed === 1);
  });

  test('never while octets come, however slowly', async () => {
    const timeoutMs = patience(400);
    await using server = await ScriptedPop3.start(pop3Script(MESSAGES), { octets: 12, pauseMs: timeoutMs / 20 });
    const startedAt = Date.now();
    expect(await read(server, { endpoint: { timeoutMs } })).toEqual(EXPECTED);
    expect(Date.now() - startedAt).toBeGreaterThan(timeoutMs);
  });
});

describe('STLS', () => {
  test.for([
    ['is refused', '-ERR [SYS/PERM] no\r\n', 'forbidden'],
    ['is not known', '-ERR unknown\r\n', 'refused'],
    ['is agreed to with text in clear behind it', '+OK\r\n+OK injected\r\n', 'refused'],
    ['is agreed to with half a line in clear behind it', '+OK\r\n+', 'refused'],
    ['is agreed to and no handshake follows', '+OK\r\n', 'timeout'],
    ['is cut off', { text: '+OK\r\n', cut: true }, 'unreachable'],
  ] as const)('%s: nothing of the login is sent', async ([, reaction, kind]) => {
    await using server = await ScriptedPop3.start(pop3Script(MESSAGES, { different: { STLS: reaction } }));
    const endpoint = { security: 'starttls', timeoutMs: kind === 'timeout' ? SHORT_MS : TIMEOUT_MS } as const;
    expect(await failureOf(read(server, { endpoint }))).toMatchObject({ kind });
    expect(server.commands[0]).toBe('STLS');
    expect(server.commands.join('\n')).not.toMatch(/alice|secret/);
    await until(() => server.closed === 1);
  });

  test('of a server that speaks no TLS at once fails as no certificate matter', async () => {
    const failed = await failure(pop3Script(MESSAGES), { endpoint: { security: 'tls' } });
    expect(failed.code).toBe('UPSTREAM_REFUSED');
  });
});
