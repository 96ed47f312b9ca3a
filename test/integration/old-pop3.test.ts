/** Reading an old POP3 server, on every kind of connection, against Dovecot's. */
import { readFile, rm, mkdtemp } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createServer } from 'node:tls';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readOldPop3, type OldMessage } from '../../src/upstream/old-pop3.ts';
import type { OldPop3Endpoint } from '../../src/upstream/old-pop3-connection.ts';
import { trustingContext } from '../../src/upstream/gated-transport.ts';
import { flagsIn } from '../support/imap-look.ts';
import { makeCertificates } from '../support/peers/certificates.ts';
import { Dovecot } from '../support/peers/dovecot.ts';
import { describeWithPeers } from '../support/peers/peers.ts';
import { PopDialogue } from '../support/pop-dialogue.ts';

const MESSAGES = 250;
const LOGIN = { user: 'alice', password: 'pass wörd" \\ 1' };
const SECURITIES = ['none', 'starttls', 'tls'] as const;

const messageIds = Array.from({ length: MESSAGES }, (_, index) => (index % 50 === 7 ? undefined : `<message-${index}@example.com>`));
const mail = messageIds.map((messageId, index) =>
  Buffer.from(
    [
      `X-Number: ${index}`,
      '.dotted: header',
      `X-Long: ${'x'.repeat(index * 10)}`,
      ...(messageId === undefined ? [] : [`Message-ID:`, ` ${messageId}`]),
      '',
      'Message-ID: <of-another@example.com>',
      '.',
      '',
    ].join('\r\n'),
  ),
);

describeWithPeers(['dovecot', 'openssl'], "Dovecot's POP3 server", () => {
  let dovecot: Dovecot;
  let folder: string;
  let ca: string;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'popbridge-old-pop3-'));
    dovecot = await Dovecot.start({ users: { [LOGIN.user]: LOGIN.password, bob: 'secret' } });
    await dovecot.deliver(LOGIN.user, mail);
    ca = await readFile(dovecot.ca, 'utf8');
  });

  afterAll(async () => {
    await dovecot[Symbol.asyncDispose]();
    await rm(folder, { recursive: true, force: true });
  });

  const endpoint = (security: OldPop3Endpoint['security']): OldPop3Endpoint => ({
    host: '127.0.0.1',
    port: security === 'tls' ? dovecot.ports.pop3s : dovecot.ports.pop3,
    security,
    secureContext: trustingContext(ca),
    timeoutMs: 10_000,
  });
  const read = (from: OldPop3Endpoint, login = LOGIN): Promise<OldMessage[]> =>
    readOldPop3(from, login, { onProgress: () => {}, signal: new AbortController().signal });

  test.for(SECURITIES)('is read whole, and left as it was (%s)', async (security) => {
    const messages = await read(endpoint(security));

    const client = await PopDialogue.connect(dovecot.ports.pop3);
    await client.login(LOGIN.user, LOGIN.password);
    const [uidl, list] = [await client.multi('UIDL'), await client.multi('LIST')];
    await client.command('QUIT');
    expect(messages.map(({ uniqueId }, index) => `${index + 1} ${uniqueId}`)).toEqual(uidl);
    expect(messages.map(({ octets }, index) => `${index + 1} ${octets}`)).toEqual(list);
    expect(messages.map(({ messageId }) => messageId)).toEqual(messageIds);

    await using look = await dovecot.imap(LOGIN.user);
    expect(await flagsIn(look, 'INBOX')).toEqual(messageIds.map(() => []));
  });

  test('is read by its name too, and when it is empty', async () => {
    expect(await read({ ...endpoint('tls'), host: 'localhost' }, { user: 'bob', password: 'secret' })).toEqual([]);
  });

  test.for(SECURITIES)('refuses a wrong password (%s)', async (security) => {
    await expect(read(endpoint(security), { ...LOGIN, password: 'wrong' })).rejects.toMatchObject({ code: 'AUTH_REFUSED' });
  });

  test.for(['starttls', 'tls'] as const)('gets no password where nobody we trust signed its certificate (%s)', async (security) => {
    const { secureContext: _, ...untrusting } = endpoint(security);
    await expect(read(untrusting)).rejects.toMatchObject({ code: 'UPSTREAM_TLS' });
  });

  test('gets no password where its certificate is made out to another', async () => {
    const files = await makeCertificates(folder);
    const received: Buffer[] = [];
    const server = createServer({ key: await readFile(files.key), cert: await readFile(files.certificate) }, (socket) => {
      socket.on('data', (chunk) => received.push(chunk)).on('error', () => {});
      socket.end('+OK\r\n');
    });
    server.on('tlsClientError', () => {});
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.2', resolve));
    const { port } = server.address() as AddressInfo;
    const secureContext = trustingContext(await readFile(files.ca, 'utf8'));
    const reading = read({ host: '127.0.0.2', port, security: 'tls', secureContext, timeoutMs: 10_000 });
    await expect(reading).rejects.toMatchObject({ code: 'UPSTREAM_TLS' });
    await new Promise((resolve) => server.close(resolve));
    expect(received).toEqual([]);
  });
});
