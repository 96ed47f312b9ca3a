import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createSecureContext } from 'node:tls';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CredentialsError, UpstreamError } from '../../../src/errors.ts';
import { readOldPop3, type OldMessage, type OldPop3Endpoint } from '../../../src/upstream/old-pop3.ts';
import { makeCertificates, type Certificates } from '../../support/peers/certificates.ts';
import { describeWithPeers } from '../../support/peers/peers.ts';
import { OldServer, type Answer, type OldServerScript } from './old-pop3-server.ts';

/** Never reached where all is well. */
const PATIENCE_MS = 10_000;
const IMPATIENCE_MS = 60;
const LOGIN = { user: 'alice', password: 'secret' };

/** Two messages, the second with a header line that was dot-stuffed and a folded Message-ID. */
const ANSWERS: Readonly<Record<string, Answer>> = {
  USER: '+OK\r\n',
  PASS: '+OK logged in\r\n',
  CAPA: '+OK\r\nTOP\r\nUIDL\r\n.\r\n',
  UIDL: '+OK\r\n1 id-1\r\n2 id-2\r\n.\r\n',
  LIST: '+OK 2 messages\r\n1 100\r\n2 200\r\n.\r\n',
  'TOP 1 0': '+OK\r\nSubject: one\r\nMessage-ID: <one@example.com>\r\n\r\n.\r\n',
  'TOP 2 0': '+OK\r\n..hidden: x\r\nMessage-Id:\r\n <two@example.com>\r\n\r\n.\r\n',
  QUIT: '+OK bye\r\n',
};
const MESSAGES: readonly OldMessage[] = [
  { uniqueId: 'id-1', octets: 100, messageId: '<one@example.com>' },
  { uniqueId: 'id-2', octets: 200, messageId: '<two@example.com>' },
];

function endpoint(port: number, fields: Partial<OldPop3Endpoint> = {}): OldPop3Endpoint {
  return { host: '127.0.0.1', port, security: 'none', secureContext: undefined, timeoutMs: PATIENCE_MS, ...fields };
}

const started = (answers: Readonly<Record<string, Answer>> = {}, fields: Partial<OldServerScript> = {}): Promise<OldServer> =>
  OldServer.start({ answers: { ...ANSWERS, ...answers }, ...fields });

const read = (server: OldServer, fields: Partial<OldPop3Endpoint> = {}, login = LOGIN): Promise<OldMessage[]> =>
  readOldPop3(endpoint(server.port, fields), login, () => {});

/** What reading from a server with those answers fails with: its class and its kind. */
async function failure(
  answers: Readonly<Record<string, Answer>>,
  fields: Partial<OldServerScript> = {},
  timeoutMs = PATIENCE_MS,
): Promise<string> {
  await using server = await started(answers, fields);
  const error = await read(server, { timeoutMs }).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (error instanceof CredentialsError) return 'credentials';
  return error instanceof UpstreamError ? error.kind : String(error);
}

describe('from an old server is read which unique-id it gave to which message', () => {
  test('with a command at a time; nothing is retrieved, nothing is deleted', async () => {
    await using server = await started();
    const progress: [number, number][] = [];
    expect(await readOldPop3(endpoint(server.port), LOGIN, (done, total) => progress.push([done, total]))).toEqual(MESSAGES);
    expect(server.commands).toEqual(['USER alice', 'PASS secret', 'CAPA', 'UIDL', 'LIST', 'TOP 1 0', 'TOP 2 0', 'QUIT']);
    expect(progress).toEqual([
      [0, 2],
      [1, 2],
    ]);
  });

  test('with commands sent ahead, where it takes that', async () => {
    await using server = await started({ CAPA: '+OK\r\nTOP\r\npipelining\r\n.\r\n' });
    expect(await read(server)).toEqual(MESSAGES);
    expect([server.commands.length, server.chunks]).toEqual([8, 7]);
  });

  test.each([50, 51, 120])('of %i messages, fifty commands ahead', async (count) => {
    const numbers = Array.from({ length: count }, (_, index) => index + 1);
    const rows = (row: (number: number) => string): string => `+OK\r\n${numbers.map((number) => `${row(number)}\r\n`).join('')}.\r\n`;
    await using server = await started({
      CAPA: '+OK\r\nPIPELINING\r\n.\r\n',
      UIDL: rows((number) => `${number} id-${number}`),
      LIST: rows((number) => `${number} ${number}`),
      ...Object.fromEntries(numbers.map((number) => [`TOP ${number} 0`, `+OK\r\nMessage-ID: <${number}>\r\n\r\n.\r\n`])),
    });
    expect(await read(server)).toEqual(numbers.map((number) => ({ uniqueId: `id-${number}`, octets: number, messageId: `<${number}>` })));
  });

  test.each([false, true])('when every octet comes for itself (PIPELINING: %s)', async (canPipeline) => {
    await using server = await started(canPipeline ? { CAPA: '+OK\r\nPIPELINING\r\n.\r\n' } : {}, { isOctetByOctet: true });
    expect(await read(server)).toEqual(MESSAGES);
  });

  test('where its lines end with LF alone', async () => {
    const bare = Object.fromEntries(
      Object.entries(ANSWERS).map(([command, answer]) => [command, typeof answer === 'string' ? answer.replaceAll('\r\n', '\n') : answer]),
    );
    await using server = await started(bare, { greeting: '+OK\n' });
    expect(await read(server)).toEqual(MESSAGES);
  });

  test('of an empty maildrop', async () => {
    await using server = await started({ UIDL: '+OK\r\n.\r\n', LIST: '+OK\r\n.\r\n' });
    expect(await read(server)).toEqual([]);
  });

  test('without CAPA', async () => {
    await using server = await started({ CAPA: '-ERR\r\n' });
    expect(await read(server)).toEqual(MESSAGES);
  });

  test('without TOP: then without a Message-ID, after one refusal', async () => {
    await using server = await started({ 'TOP 1 0': '-ERR\r\n', 'TOP 2 0': '-ERR\r\n' });
    expect(await read(server)).toEqual(MESSAGES.map((message) => ({ ...message, messageId: undefined })));
    expect(server.commands.filter((command) => command.startsWith('TOP'))).toEqual(['TOP 1 0']);
  });

  test('where one header is refused, or holds no Message-ID', async () => {
    await using server = await started({ 'TOP 2 0': '-ERR gone\r\n' });
    expect((await read(server)).map(({ messageId }) => messageId)).toEqual(['<one@example.com>', undefined]);
    await using other = await started({ 'TOP 1 0': '+OK\r\nSubject: x\r\n\r\n.\r\n' });
    expect((await read(other)).map(({ messageId }) => messageId)).toEqual([undefined, '<two@example.com>']);
  });

  // BUG: old-pop3.ts readMessageIds: without PIPELINING one refusal of the first message is taken for a server without TOP.
  test.fails('where the header of the first message alone is refused', async () => {
    await using server = await started({ 'TOP 1 0': '-ERR unreadable\r\n' });
    expect((await read(server)).map(({ messageId }) => messageId)).toEqual([undefined, '<two@example.com>']);
  });

  test('where QUIT is answered by the end of the connection', async () => {
    await using server = await started({ QUIT: { text: '', and: 'cut' } });
    expect(await read(server)).toEqual(MESSAGES);
  });
});

describe('an old server that', () => {
  test.each<readonly [string, Readonly<Record<string, Answer>>, string]>([
    ['refuses the password by its response code', { PASS: '-ERR [AUTH] no\r\n' }, 'credentials'],
    ['refuses the password without one', { PASS: '-ERR no\r\n' }, 'credentials'],
    ['refuses the user', { USER: '-ERR who?\r\n' }, 'credentials'],
    ['can not say whether the password is right', { PASS: '-ERR [SYS/TEMP] later\r\n' }, 'refused'],
    ['has the maildrop open for another', { PASS: '-ERR [IN-USE]\r\n' }, 'refused'],
    ['wants a pause between logins', { PASS: '-ERR [LOGIN-DELAY]\r\n' }, 'refused'],
    ['has no UIDL', { UIDL: '-ERR\r\n' }, 'refused'],
    ['refuses LIST', { LIST: '-ERR\r\n' }, 'refused'],
    ['answers with something else', { USER: 'OK\r\n' }, 'protocol'],
    ['gives the same number twice', { UIDL: '+OK\r\n1 a\r\n1 b\r\n.\r\n' }, 'protocol'],
    ['gives the same unique-id twice', { UIDL: '+OK\r\n1 a\r\n2 a\r\n.\r\n' }, 'protocol'],
    ['gives a unique-id that is none', { UIDL: '+OK\r\n1 a\r\n2 \u00e9\r\n.\r\n' }, 'protocol'],
    ['gives no unique-id for a message', { UIDL: '+OK\r\n1 a\r\n2\r\n.\r\n' }, 'protocol'],
    ['gives a size that is none', { LIST: '+OK\r\n1 100\r\n2 big\r\n.\r\n' }, 'protocol'],
    ['lists a message that UIDL has not', { LIST: '+OK\r\n1 100\r\n2 200\r\n3 300\r\n.\r\n' }, 'protocol'],
    ['does not list a message that UIDL has', { LIST: '+OK\r\n1 100\r\n.\r\n' }, 'protocol'],
    ['lists other messages than UIDL', { LIST: '+OK\r\n1 100\r\n3 200\r\n.\r\n' }, 'protocol'],
    ['is gone after the greeting', { USER: { text: '', and: 'cut' } }, 'unreachable'],
    ['is gone in the middle of UIDL', { UIDL: { text: '+OK\r\n1 id-1\r\n', and: 'cut' } }, 'unreachable'],
    ['is gone in the middle of a line of UIDL', { UIDL: { text: '+OK\r\n1 id-1\r\n2 id', and: 'cut' } }, 'unreachable'],
    ['is gone before the last line of UIDL has its end', { UIDL: { text: '+OK\r\n1 id-1\r\n.', and: 'cut' } }, 'unreachable'],
    ['is gone in the middle of LIST', { LIST: { text: '+OK\r\n1 100\r\n', and: 'cut' } }, 'unreachable'],
    ['is gone in the middle of a header', { 'TOP 2 0': { text: '+OK\r\nMessage-ID: <t', and: 'cut' } }, 'unreachable'],
  ])('%s', async (_, answers, kind) => expect(await failure(answers)).toBe(kind));

  test('does not greet', async () => {
    expect(await failure({}, { greeting: '-ERR too many\r\n' })).toBe('refused');
    expect(await failure({}, { greeting: { text: '', and: 'cut' } })).toBe('unreachable');
    expect(await failure({}, { greeting: '220 smtp.example.com\r\n' })).toBe('protocol');
  });

  test.each([
    ['a status', 'USER', '+OK '],
    ['a listing', 'UIDL', '+OK\r\n1 '],
    ['a header', 'TOP', '+OK\r\nSubject: '],
  ])('never ends a line of %s', async (_, command, start) => {
    const { [`${command} 1 0`]: __, ...others } = ANSWERS;
    await using server = await OldServer.start({
      answers: { ...others, [command]: { text: start + 'x'.repeat(200_000), and: 'silence' } },
    });
    await expect(read(server)).rejects.toMatchObject({ kind: 'protocol' });
  });

  test.each([
    ['greeting', {}, { greeting: { text: '', and: 'silence' } }],
    ['login', { PASS: { text: '', and: 'silence' } }, {}],
    ['a listing', { UIDL: { text: '+OK\r\n1 id-1\r\n', and: 'silence' } }, {}],
  ] as const)('says nothing more in the middle of the %s: after the time limit', async (_, answers, fields) => {
    expect(await failure(answers, fields, IMPATIENCE_MS)).toBe('timeout');
  });

  test('is not there', async () => {
    const { port } = await (async () => {
      await using server = await started();
      return { port: server.port };
    })();
    await expect(readOldPop3(endpoint(port), LOGIN, () => {})).rejects.toMatchObject({ kind: 'unreachable' });
  });
});

test.each(['sec\r\nret', 'sec\0ret', 'sec\u007fret', '\t'])(
  'a password with control characters, %j, is refused before anything is sent',
  async (password) => {
    await using server = await started();
    await expect(read(server, {}, { user: 'alice', password })).rejects.toBeInstanceOf(CredentialsError);
    await expect(read(server, {}, { user: password, password: 'x' })).rejects.toBeInstanceOf(CredentialsError);
    expect(server.connections).toBe(0);
  },
);

test('a password reaches the server as it is, with spaces and in UTF-8', async () => {
  await using server = await started();
  await read(server, {}, { user: 'alice', password: ' p\u00e4ss  word ' });
  expect(Buffer.from(server.commands[1] ?? '', 'latin1').toString('utf8')).toBe('PASS  p\u00e4ss  word ');
});

test('no error tells the password', async () => {
  await using server = await started({ PASS: '-ERR secret is wrong\r\n' });
  await expect(read(server)).rejects.not.toThrow(/secret/);
});

describe('STLS', () => {
  test.each([
    ['refused: nothing is sent in clear', { STLS: '-ERR\r\n' }],
    ['answered with more than it may: somebody put it there', { STLS: '+OK\r\n+OK logged in\r\n' }],
  ])('%s', async (_, answers) => {
    await using server = await started(answers);
    await expect(read(server, { security: 'starttls' })).rejects.toMatchObject({ kind: 'tls' });
    expect(server.commands).toEqual(['STLS']);
  });

  test('answered, and followed by something else than TLS', async () => {
    await using server = await started({ STLS: '+OK\r\n' });
    const reading = read(server, { host: 'localhost', security: 'starttls', timeoutMs: IMPATIENCE_MS });
    await expect(reading).rejects.toBeInstanceOf(UpstreamError);
    expect(server.commands.join()).not.toContain('secret');
  });
});

test('a server without TLS where TLS is wanted: nothing is sent in clear', async () => {
  await using server = await started();
  await expect(read(server, { host: 'localhost', security: 'tls', timeoutMs: 500 })).rejects.toMatchObject({ kind: 'tls' });
  expect(server.commands.join()).not.toContain('secret');
});

describeWithPeers(['openssl'], 'an old server with a certificate', () => {
  let folder: string;
  let certificates: Certificates;
  let tls: { readonly key: Buffer; readonly cert: Buffer };

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'popbridge-old-pop3-'));
    certificates = await makeCertificates(folder);
    tls = { key: readFileSync(certificates.key), cert: readFileSync(certificates.certificate) };
  });

  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  const trusted = (): Partial<OldPop3Endpoint> => ({
    secureContext: createSecureContext({ ca: readFileSync(certificates.ca) }),
    host: 'localhost',
  });

  test.each(['tls', 'starttls'] as const)('is read from over %s', async (security) => {
    await using server = await started({ STLS: '+OK\r\n' }, { tls: { ...tls, isImplicit: security === 'tls' } });
    expect(await read(server, { ...trusted(), security })).toEqual(MESSAGES);
    expect(server.commands.slice(0, 2)).toEqual(security === 'tls' ? ['USER alice', 'PASS secret'] : ['STLS', 'USER alice']);
  });

  test.each(['tls', 'starttls'] as const)(
    'is not trusted where nobody vouches for it, over %s: the password is not sent',
    async (security) => {
      await using server = await started({ STLS: '+OK\r\n' }, { tls: { ...tls, isImplicit: security === 'tls' } });
      await expect(read(server, { security, host: 'localhost' })).rejects.toMatchObject({ kind: 'tls', temporary: false });
      expect(server.commands.filter((command) => command !== 'STLS')).toEqual([]);
    },
  );

  // BUG: old-pop3.ts open() gives the host as servername also where it is an IP address (RFC 6066 section 3): Node warns on stderr, once.
  test.fails('is known by its IP address, without a warning', async () => {
    const warnings: string[] = [];
    const note = (warning: Error): void => void warnings.push(warning.message);
    process.on('warning', note);
    await using server = await started({}, { tls: { ...tls, isImplicit: true } });
    expect(await read(server, { ...trusted(), host: '127.0.0.1', security: 'tls' })).toEqual(MESSAGES);
    await new Promise((resolve) => void setImmediate(resolve));
    process.off('warning', note);
    expect(warnings).toEqual([]);
  });

  test('that says nothing more after STLS fails after the time limit', async () => {
    await using server = await started({ STLS: '+OK\r\n', PASS: { text: '', and: 'silence' } }, { tls });
    await expect(read(server, { ...trusted(), security: 'starttls', timeoutMs: 300 })).rejects.toMatchObject({ kind: 'timeout' });
  });
});
