/** The scripted IMAP server is what most tests believe in: proved here with imapflow, and octet by octet over a plain socket. */
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type FetchMessageObject, ImapFlow, type ImapFlowOptions } from 'imapflow';
import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import { ImapServer, type ImapServerOptions } from '../../support/imap-server.ts';
import type { Fault } from '../../support/imap-server/script.ts';
import { DEFAULT_CAPABILITIES } from '../../support/imap-server/settings.ts';

const EVERY_OCTET = Buffer.from(Array.from({ length: 256 }, (_, octet) => octet));
const SMALL = 'Subject: hello\r\nMessage-ID: <1@example.com>\r\n\r\nbody\r\n';
const MIB = 1024 * 1024;

const toDispose: AsyncDisposable[] = [];

afterEach(async () => {
  for (const each of toDispose.splice(0).reverse()) await each[Symbol.asyncDispose]();
});

async function startServer(options?: ImapServerOptions): Promise<ImapServer> {
  const server = await ImapServer.start(options);
  toDispose.push(server);
  return server;
}

async function connectFlow(server: ImapServer, options: Partial<ImapFlowOptions> = {}): Promise<ImapFlow> {
  const client = new ImapFlow({
    host: server.host,
    port: server.port,
    secure: false,
    doSTARTTLS: false,
    auth: { user: 'alice', pass: 'secret' },
    logger: false,
    disableAutoIdle: true,
    ...options,
  });
  client.on('error', () => undefined);
  toDispose.push({ [Symbol.asyncDispose]: async () => client.close() });
  await client.connect();
  return client;
}

async function openInbox(server: ImapServer, options?: Partial<ImapFlowOptions>): Promise<ImapFlow> {
  const client = await connectFlow(server, options);
  await client.mailboxOpen('INBOX');
  return client;
}

async function allRows(client: ImapFlow, range = '1:*'): Promise<FetchMessageObject[]> {
  return gather(client.fetch(range, { uid: true, flags: true, size: true, internalDate: true }, { uid: true }));
}

async function gather<Item>(items: AsyncIterable<Item>): Promise<Item[]> {
  const gathered: Item[] = [];
  for await (const item of items) gathered.push(item);
  return gathered;
}

/** Waits for what happens in this process, a turn of the event loop at a time. */
async function eventually(holds: () => boolean): Promise<void> {
  while (!holds()) await nextTurn();
}

async function nextTurn(): Promise<void> {
  await new Promise(setImmediate);
}

/** A client that knows octets only. */
class Wire {
  received = Buffer.alloc(0);
  wasReset = false;
  readonly #socket: Socket;
  #isEnded = false;
  #news = Promise.withResolvers<void>();

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.on('data', (chunk: Buffer) => {
      this.received = Buffer.concat([this.received, chunk]);
      this.#tellNews();
    });
    socket.on('end', () => this.#end());
    socket.on('close', () => this.#end());
    socket.on('error', () => {
      this.wasReset = true;
    });
  }

  static async connect(server: ImapServer): Promise<Wire> {
    const socket = connect(server.port, server.host);
    const wire = new Wire(socket);
    toDispose.push({ [Symbol.asyncDispose]: async () => void socket.destroy() });
    await once(socket, 'connect');
    return wire;
  }

  static async loggedIn(server: ImapServer): Promise<Wire> {
    const wire = await Wire.connect(server);
    await wire.until('ready\r\n');
    await wire.dialogue('L LOGIN alice secret');
    return wire;
  }

  static async selected(server: ImapServer): Promise<Wire> {
    const wire = await Wire.loggedIn(server);
    await wire.dialogue('S SELECT INBOX');
    return wire;
  }

  send(octets: string | Buffer): void {
    this.#socket.write(octets);
  }

  halfClose(): void {
    this.#socket.end();
  }

  /** All received so far once it holds the text and ends a line, one character an octet; it is then forgotten. */
  async until(text: string | RegExp): Promise<string> {
    for (;;) {
      const received = this.received.toString('latin1');
      if (received.endsWith('\r\n') && (typeof text === 'string' ? received.includes(text) : text.test(received))) {
        this.received = Buffer.alloc(0);
        return received;
      }
      if (this.#isEnded) throw new Error(`ended after ${JSON.stringify(received)}`);
      await this.#news.promise;
    }
  }

  /** What came, unread, until the server ended the connection. */
  async ended(): Promise<string> {
    while (!this.#isEnded) await this.#news.promise;
    return this.received.toString('latin1');
  }

  /** Sends a tagged command and tells the answer to it. */
  async dialogue(command: string): Promise<string> {
    this.send(`${command}\r\n`);
    return this.until(new RegExp(`(^|\r\n)${command.slice(0, command.indexOf(' '))} [^\r\n]*\r\n$`));
  }

  #end(): void {
    this.#isEnded = true;
    this.#tellNews();
  }

  #tellNews(): void {
    this.#news.resolve();
    this.#news = Promise.withResolvers();
  }
}

describe('with imapflow', () => {
  test('logs in, sends ID and finds the folders with their special uses', async () => {
    const server = await startServer();
    const client = await connectFlow(server);
    const folders = await client.list();
    expect(folders.map(({ path, specialUse }) => [path, specialUse])).toEqual([
      ['INBOX', '\\Inbox'],
      ['Sent', '\\Sent'],
      ['Drafts', '\\Drafts'],
      ['Trash', '\\Trash'],
    ]);
    expect(client.serverInfo).toEqual({ name: 'scripted-imap-server' });
    expect(server).toMatchObject({ connections: 1, openConnections: 1, logins: 1 });
    expect(server.commands.filter((command) => !command.startsWith('ID '))).toEqual([
      'AUTHENTICATE PLAIN',
      'NAMESPACE',
      'ENABLE CONDSTORE',
      'LIST "" "*"',
      'LSUB "" "*"',
    ]);
    expect(server.commands.join('\n')).not.toMatch(/secret|AGFsaWNlAHNlY3JldA/);
  });

  test.each(['LOGIN', 'AUTH=PLAIN'])('refuses a wrong password (%s)', async (loginMethod) => {
    const server = await startServer();
    const auth = { user: 'alice', pass: 'wrong', loginMethod };
    await expect(connectFlow(server, { auth })).rejects.toMatchObject({
      authenticationFailed: true,
      serverResponseCode: 'AUTHENTICATIONFAILED',
    });
    expect(server.logins).toBe(0);
    expect(server.commands.join('\n')).not.toContain('wrong');
  });

  test('opens a mailbox and tells its counts', async () => {
    const server = await startServer();
    server.mailbox('INBOX').append(SMALL, { flags: ['\\seen', '$Own'] });
    server.mailbox('INBOX').append(SMALL);
    server.mailbox('INBOX').permitsUidNotSticky = true;
    const client = await connectFlow(server);
    const opened = await client.mailboxOpen('inbox');
    expect(opened).toMatchObject({ path: 'INBOX', exists: 2, uidNext: 3, readOnly: false, unseen: 2 });
    expect(opened.uidValidity).toBe(BigInt(server.mailbox('INBOX').uidValidity));
    expect(await client.status('INBOX', { messages: true, unseen: true, uidNext: true })).toMatchObject({
      messages: 2,
      unseen: 1,
      uidNext: 3,
    });
  });

  test('lists messages with flags, dates and sizes, a lie included', async () => {
    const server = await startServer({ clock: () => new Date('2026-03-04T05:06:07Z') });
    const inbox = server.mailbox('INBOX');
    inbox.append(SMALL, { flags: ['\\Flagged'], internalDate: new Date('2001-02-03T04:05:06Z') });
    inbox.append(SMALL, { declaredSize: 9 });
    const rows = await allRows(await openInbox(server));
    expect(rows.map(({ uid, size, flags, internalDate }) => [uid, size, [...(flags ?? [])], internalDate])).toEqual([
      [1, SMALL.length, ['\\Flagged'], new Date('2001-02-03T04:05:06Z')],
      [2, 9, [], new Date('2026-03-04T05:06:07Z')],
    ]);
  });

  test('gives the octets of a message exactly, whole, in part and as a download, and leaves it unseen', async () => {
    const server = await startServer();
    const raw = Buffer.concat([Buffer.from('Subject: all\n\r\n'), EVERY_OCTET, Buffer.from('\r\n.\r\n{3}\r\n')]);
    const uid = server.mailbox('INBOX').append(raw);
    const client = await openInbox(server);
    const whole = await client.fetchOne(String(uid), { source: true }, { uid: true });
    const part = await client.fetchOne(String(uid), { source: { start: 10, maxLength: 100 } }, { uid: true });
    const beyond = await client.fetchOne(String(uid), { source: { start: 10_000, maxLength: 5 } }, { uid: true });
    expect([whole, part, beyond].map((row) => (row === false ? undefined : row.source))).toEqual([
      raw,
      raw.subarray(10, 110),
      Buffer.alloc(0),
    ]);
    const download = await client.download(String(uid), undefined, { uid: true, chunkSize: 50 });
    if (!('content' in download) || download.content === undefined) throw new Error('nothing to download');
    expect(Buffer.concat(await gather<Buffer>(download.content))).toEqual(raw);
    expect(server.mailbox('INBOX').messages[0]?.flags).toEqual([]);
    expect(await client.fetchOne('99', { source: true }, { uid: true })).toBe(false);
  });

  test('gives header, chosen fields, text and structures', async () => {
    const server = await startServer();
    server.mailbox('INBOX').append('Subject: a\r\n folded\r\nTo: b\r\n\r\nbody\r\n');
    const client = await openInbox(server);
    const query = { headers: ['subject'], bodyParts: ['TEXT', '7'], envelope: true, bodyStructure: true };
    const row = await client.fetchOne('1', query);
    if (row === false) throw new Error('no row');
    expect(row.headers?.toString()).toBe('Subject: a\r\n folded\r\n\r\n');
    expect(row.bodyParts?.get('text')?.toString()).toBe('body\r\n');
    expect(row.bodyStructure).toMatchObject({ type: 'text/plain', size: 6 });
  });

  test.each([
    ['everything', { all: true }, [1, 3, 4]],
    ['a set of UIDs', { uid: '3:*' }, [3, 4]],
    ['seen', { seen: true }, [3]],
    ['unseen', { seen: false }, [1, 4]],
    ['deleted', { deleted: true }, [4]],
    ['undeleted', { deleted: false }, [1, 3]],
    ['since a date', { since: new Date('2026-01-02') }, [3, 4]],
    ['before a date', { before: new Date('2026-01-02') }, [1]],
    ['a header', { header: { 'Message-ID': '<THREE@' } }, [3]],
    ['two keys', { seen: false, deleted: false }, [1]],
    ['a negation', { not: { seen: true } }, [1, 4]],
    ['alternatives', { or: [{ seen: true }, { deleted: true }] }, [3, 4]],
    ['sizes', { larger: 100 }, [4]],
    ['nothing', { uid: '50' }, []],
  ])('searches for %s', async (_name, query, uids) => {
    const server = await startServer();
    const inbox = server.mailbox('INBOX');
    inbox.append(SMALL, { internalDate: new Date('2026-01-01T23:59:59Z') });
    inbox.append(SMALL);
    inbox.append('Message-ID:\r\n <three@example.com>\r\n\r\n', { flags: ['\\Seen'], internalDate: new Date('2026-01-02T00:00:00Z') });
    inbox.append(SMALL, { flags: ['\\Deleted'], declaredSize: 101, internalDate: new Date('2026-02-01T00:00:00Z') });
    inbox.expunge(2);
    expect(await (await openInbox(server)).search(query, { uid: true })).toEqual(uids);
  });

  test('answers a search by its RETURN options, and plainly without ESEARCH', async () => {
    const server = await startServer();
    for (let count = 0; count < 5; count += 1) server.mailbox('INBOX').append(SMALL);
    server.mailbox('INBOX').expunge(4);
    const client = await openInbox(server);
    const found = await client.search({ all: true }, { uid: true, returnOptions: ['ALL', 'COUNT', 'MIN', 'MAX'] });
    expect(found).toMatchObject({ all: '1:3,5', count: 4, min: 1, max: 5 });
    expect(server.commands.at(-1)).toBe('UID SEARCH RETURN (ALL COUNT MIN MAX) ALL');
  });

  test('changes flags', async () => {
    const server = await startServer();
    server.mailbox('INBOX').append(SMALL);
    server.mailbox('INBOX').append(SMALL);
    const client = await openInbox(server);
    expect(await client.messageFlagsAdd('1:2', ['\\Seen', '\\Flagged'], { uid: true, silent: true })).toBe(true);
    expect(await client.messageFlagsRemove('2', ['\\Seen'], { uid: true })).toBe(true);
    expect(server.mailbox('INBOX').messages.map(({ flags }) => flags)).toEqual([['\\Seen', '\\Flagged'], ['\\Flagged']]);
  });

  test('copies and moves, and tells the new UIDs', async () => {
    const server = await startServer();
    const inbox = server.mailbox('INBOX');
    for (let count = 0; count < 4; count += 1) inbox.append(`${SMALL}${count}`, { flags: ['\\Seen'] });
    server.mailbox('Trash').append('old');
    const client = await openInbox(server);
    const copied = await client.messageCopy('1,3', 'Sent', { uid: true });
    const moved = await client.messageMove('2:3', 'Trash', { uid: true });
    expect(copied && copied.uidMap).toEqual(
      new Map([
        [1, 1],
        [3, 2],
      ]),
    );
    expect(moved && moved.uidMap).toEqual(
      new Map([
        [2, 2],
        [3, 3],
      ]),
    );
    expect(inbox.messages.map(({ uid }) => uid)).toEqual([1, 4]);
    expect(server.mailbox('Trash').messages.map(({ raw }) => raw.toString())).toEqual(['old', `${SMALL}1`, `${SMALL}2`]);
    expect(client.mailbox && client.mailbox.exists).toBe(2);
    expect(await client.messageMove('1', 'Nowhere', { uid: true })).toBe(false);
  });

  test('expunges only the UIDs named, leaving those marked by another client', async () => {
    const server = await startServer();
    const inbox = server.mailbox('INBOX');
    inbox.append(SMALL);
    inbox.append(SMALL, { flags: ['\\Deleted'] });
    const client = await openInbox(server);
    expect(await client.messageDelete('1', { uid: true })).toBe(true);
    expect(inbox.messages.map(({ uid }) => uid)).toEqual([2]);
    expect(server.commands.slice(-2)).toEqual(['UID STORE 1 +FLAGS (\\Deleted)', 'UID EXPUNGE 1']);
  });

  test('appends a message with flags and date', async () => {
    const server = await startServer();
    const client = await openInbox(server);
    const appended = await client.append('Sent', Buffer.concat([EVERY_OCTET, EVERY_OCTET]), ['\\Seen'], new Date('2020-02-29T12:34:56Z'));
    expect(appended).toMatchObject({ destination: 'Sent', uid: 1 });
    expect(server.mailbox('Sent').messages).toMatchObject([
      { uid: 1, raw: Buffer.concat([EVERY_OCTET, EVERY_OCTET]), flags: ['\\Seen'], internalDate: new Date('2020-02-29T12:34:56Z') },
    ]);
  });

  test('tells an idling client at once what others do', async () => {
    const server = await startServer();
    const inbox = server.mailbox('INBOX');
    inbox.append(SMALL);
    const client = await openInbox(server);
    const idling = client.idle();
    await eventually(() => server.commands.at(-1) === 'IDLE');
    const exists = once(client, 'exists');
    inbox.append(SMALL);
    expect(await exists).toMatchObject([{ count: 2, prevCount: 1 }]);
    const flags = once(client, 'flags');
    inbox.setFlags(1, ['\\Flagged']);
    expect(await flags).toMatchObject([{ uid: 1, flags: new Set(['\\Flagged']) }]);
    const expunged = once(client, 'expunge');
    inbox.expunge(1);
    expect(await expunged).toMatchObject([{ seq: 1 }]);
    await client.noop();
    await idling;
    expect(server.commands.slice(-3)).toEqual(['IDLE', 'DONE', 'NOOP']);
  });

  test("tells of another client's expunge with the next command, and gives no row for the message", async () => {
    const server = await startServer();
    for (let count = 0; count < 3; count += 1) server.mailbox('INBOX').append(SMALL);
    const client = await openInbox(server);
    const gone: number[] = [];
    client.on('expunge', ({ seq }) => gone.push(seq ?? 0));
    server.mailbox('INBOX').expunge(1);
    server.mailbox('INBOX').expunge(3);
    expect((await allRows(client)).map(({ uid }) => uid)).toEqual([2]);
    expect(gone).toEqual([3, 1]);
  });

  test('keeps users apart, and makes, renames and deletes their folders', async () => {
    const server = await startServer({ users: { alice: 'secret', bob: 'grün' }, folders: [{ path: 'Archive', specialUse: '\\Archive' }] });
    server.mailbox('INBOX', 'bob').append(SMALL);
    const client = await openInbox(server, { auth: { user: 'bob', pass: 'grün' } });
    expect(client.mailbox && client.mailbox.exists).toBe(1);
    expect(server.mailbox('INBOX').messages).toEqual([]);
    await client.mailboxCreate('Lists/News');
    await client.mailboxRename('Lists', 'Groups').catch(() => undefined);
    await client.mailboxRename('Lists/News', 'Groups/News');
    await client.mailboxUnsubscribe('Groups/News');
    expect((await client.list()).map(({ path, subscribed }) => [path, subscribed])).toEqual([
      ['INBOX', true],
      ['Archive', true],
      ['Groups', undefined],
      ['Groups/News', undefined],
    ]);
    await client.mailboxDelete('Groups/News');
    expect((await client.list()).map(({ path }) => path)).toEqual(['INBOX', 'Archive']);
  });

  test('refuses every change to a read-only mailbox', async () => {
    const server = await startServer();
    server.mailbox('INBOX').append(SMALL, { flags: ['\\Deleted'] });
    server.mailbox('INBOX').readOnly = true;
    const client = await openInbox(server);
    expect(client.mailbox && client.mailbox.readOnly).toBe(true);
    expect(await client.messageFlagsAdd('1', ['\\Seen'], { uid: true })).toBe(false);
    expect(await client.messageMove('1', 'Trash', { uid: true })).toBe(false);
    await client.mailboxClose();
    expect(server.mailbox('INBOX').messages).toHaveLength(1);
  });

  test('renumbers a mailbox under a greater UIDVALIDITY and sends its sessions away', async () => {
    const server = await startServer();
    const inbox = server.mailbox('INBOX');
    for (let count = 0; count < 3; count += 1) inbox.append(`${count}`);
    inbox.expunge(1);
    const before = inbox.uidValidity;
    const client = await openInbox(server);
    inbox.resetUidValidity();
    await expect(allRows(client)).rejects.toMatchObject({ code: 'NoConnection' });
    const again = await openInbox(server);
    expect(again.mailbox && again.mailbox.uidValidity).toBe(BigInt(before + 1));
    expect(inbox.messages.map(({ uid, raw }) => [uid, raw.toString()])).toEqual([
      [1, '1'],
      [2, '2'],
    ]);
    expect(inbox.uidNext).toBe(3);
  });

  test('streams a message of 25 MiB', async () => {
    const server = await startServer();
    const raw = Buffer.alloc(25 * MIB, 'large mail\r\n');
    server.mailbox('INBOX').append(raw);
    const row = await (await openInbox(server)).fetchOne('1', { source: true });
    expect(row !== false && row.source?.equals(raw)).toBe(true);
  });

  test('lists 20,000 messages', async () => {
    const server = await startServer();
    for (let count = 0; count < 20_000; count += 1) server.mailbox('INBOX').append('x');
    expect(await allRows(await openInbox(server))).toHaveLength(20_000);
  });

  test('is sufficient without any extension', async () => {
    const server = await startServer({ capabilities: ['IMAP4rev1'] });
    const inbox = server.mailbox('INBOX');
    inbox.append(SMALL);
    inbox.append(SMALL);
    const client = await openInbox(server);
    expect((await client.list()).map(({ flags }) => flags.size)).toEqual([0, 0, 0, 0]);
    expect(await client.search({ all: true }, { uid: true, returnOptions: ['ALL'] })).toEqual({ all: '1:2' });
    expect(server.commands.at(-1)).toBe('UID SEARCH ALL');
    expect(await client.messageCopy('1', 'Sent', { uid: true })).not.toHaveProperty('uidMap');
    expect(await client.messageMove('1', 'Trash', { uid: true })).toBeTruthy();
    expect(server.commands.slice(-3)).toEqual(['UID COPY 1 Trash', 'UID STORE 1 +FLAGS.SILENT (\\Deleted)', 'EXPUNGE']);
    expect(inbox.messages).toHaveLength(1);
  });
});

describe('over TLS', () => {
  let key: string;
  let cert: string;

  beforeAll(async () => {
    const folder = await mkdtemp(join(tmpdir(), 'imap-server-'));
    const [keyFile, certFile] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
    const request = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'];
    const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=IP:127.0.0.1', '-keyout', keyFile, '-out', certFile];
    await promisify(execFile)('openssl', [...request, ...subject]);
    [key, cert] = await Promise.all([readFile(keyFile, 'utf8'), readFile(certFile, 'utf8')]);
    await rm(folder, { recursive: true });
  });

  test('serves TLS from the first octet', async () => {
    const server = await startServer({ tls: { key, cert, mode: 'implicit' } });
    const raw = Buffer.alloc(3 * MIB, EVERY_OCTET);
    server.mailbox('INBOX').append(raw);
    const client = await openInbox(server, { secure: true, tls: { ca: cert } });
    const row = await client.fetchOne('1', { source: true });
    expect(row !== false && row.source?.equals(raw)).toBe(true);
    await client.logout();
    expect(server.commands).not.toContain('STARTTLS');
  });

  test('changes to TLS on STARTTLS and asks for it before a login', async () => {
    const server = await startServer({ tls: { key, cert, mode: 'starttls', requireTls: true } });
    const wire = await Wire.connect(server);
    expect(await wire.until('ready\r\n')).toMatch(/STARTTLS LOGINDISABLED\] ready/);
    expect(await wire.dialogue('a LOGIN alice secret')).toBe('a NO [PRIVACYREQUIRED] TLS is required before authentication.\r\n');
    const secured: boolean[] = [];
    server.setScript(({ session }) => void secured.push(session.isSecured));
    const client = await openInbox(server, { doSTARTTLS: true, tls: { ca: cert } });
    expect(client.secureConnection).toBe(true);
    expect(client.capabilities.has('STARTTLS')).toBe(false);
    expect(secured.slice(0, 2)).toEqual([false, true]);
    await client.logout();
  });

  test('drops plain octets sent behind STARTTLS', async () => {
    const server = await startServer({ tls: { key, cert, mode: 'starttls' } });
    const wire = await Wire.connect(server);
    await wire.until('ready\r\n');
    wire.send('a STARTTLS\r\nb NOOP\r\n');
    await wire.until('a OK');
    server.dropConnections();
    await wire.ended();
    expect(server.commands).toEqual(['STARTTLS']);
  });

  test('drops secured connections too', async () => {
    const server = await startServer({ tls: { key, cert, mode: 'implicit' } });
    const client = await openInbox(server, { secure: true, tls: { ca: cert } });
    const { promise: closed, resolve } = Promise.withResolvers<void>();
    client.once('close', resolve);
    server.dropConnections();
    await closed;
    await eventually(() => server.openConnections === 0);
  });
});

describe('on the wire', () => {
  test('takes user and password as atoms, quoted strings, literals and non-synchronizing literals', async () => {
    const server = await startServer({ users: { 'a"l\\': 'p w' } });
    const wire = await Wire.connect(server);
    await wire.until('ready\r\n');
    wire.send('a LOGIN {4}\r\n');
    await wire.until('+ OK\r\n');
    wire.send('a"l\\ {3}\r\n');
    await wire.until('+ OK\r\n');
    wire.send('p w\r\n');
    expect(await wire.until('\r\n')).toMatch(/^a OK \[CAPABILITY IMAP4rev1 [^\]]*UNSELECT CHILDREN\] Logged in/);
    const again = await Wire.connect(server);
    await again.until('ready\r\n');
    again.send('a LOGIN {4+}\r\na"l\\ {3+}\r\np w\r\n');
    expect(await again.until('\r\n')).toContain('a OK');
    const quoted = await Wire.connect(server);
    await quoted.until('ready\r\n');
    expect(await quoted.dialogue('a LOGIN "a\\"l\\\\" "p w"')).toContain('a OK');
    expect(server.commands).toEqual(['LOGIN a"l\\ ***', 'LOGIN a"l\\ ***', 'LOGIN a"l\\ ***']);
    expect(server.logins).toBe(3);
  });

  test.each([
    ['with an initial response', 'a AUTHENTICATE PLAIN AGFsaWNlAHNlY3JldA==', 'a OK'],
    ['of another identity', `a AUTHENTICATE PLAIN ${Buffer.from('bob\0alice\0secret').toString('base64')}`, 'a NO [AUTHORIZATIONFAILED]'],
    ['of garbage', 'a AUTHENTICATE PLAIN AAAA', 'a BAD Invalid response.'],
    ['by an unknown mechanism', 'a AUTHENTICATE CRAM-MD5', 'a NO'],
  ])('judges AUTHENTICATE %s', async (_name, command, answer) => {
    const wire = await Wire.connect(await startServer());
    await wire.until('ready\r\n');
    expect(await wire.dialogue(command)).toContain(answer);
  });

  test('asks for the response of AUTHENTICATE PLAIN and lets the client cancel', async () => {
    const wire = await Wire.connect(await startServer());
    await wire.until('ready\r\n');
    wire.send('a AUTHENTICATE PLAIN\r\n');
    expect(await wire.until('\r\n')).toBe('+ \r\n');
    wire.send('*\r\n');
    expect(await wire.until('\r\n')).toBe('a BAD Authentication cancelled.\r\n');
    wire.send('b AUTHENTICATE PLAIN\r\n');
    await wire.until('+ \r\n');
    wire.send('AGFsaWNlAHNlY3JldA==\r\n');
    expect(await wire.until('\r\n')).toContain('b OK');
  });

  test('answers pipelined commands in order, though the client is done writing', async () => {
    const server = await startServer();
    server.mailbox('INBOX').append(SMALL);
    const wire = await Wire.connect(server);
    wire.send('a LOGIN alice secret\r\nb SELECT INBOX\r\nc UID FETCH 1 (BODY.PEEK[])\r\nd UID FETCH 1 (FLAGS)\r\ne LOGOUT\r\n');
    wire.halfClose();
    const answer = await wire.ended();
    expect([...answer.matchAll(/^([a-z]) OK/gm)].map((match) => match[1])).toEqual(['a', 'b', 'c', 'd', 'e']);
    expect(answer).toContain(`* 1 FETCH (UID 1 BODY[] {${SMALL.length}}\r\n${SMALL})\r\nc OK Fetch completed.\r\n`);
    expect(answer).toContain('* BYE Logging out\r\ne OK');
  });

  test('does not mind where the octets of commands and literals are cut', async () => {
    const server = await startServer();
    const dialogue = Buffer.concat([
      Buffer.from('a LOGIN {5+}\r\nalice "secret"\r\nb APPEND Sent (\\Seen) {256+}\r\n'),
      EVERY_OCTET,
      Buffer.from('\r\nc STATUS Sent (MESSAGES)\r\nd LOGOUT\r\n'),
    ]);
    for (let cut = 1; cut < dialogue.length; cut += 1) {
      const wire = await Wire.connect(server);
      wire.send(dialogue.subarray(0, cut));
      await nextTurn();
      wire.send(dialogue.subarray(cut));
      expect(await wire.ended()).toMatch(/a OK.*b OK \[APPENDUID.*\* STATUS "Sent" \(MESSAGES \d+\)\r\nc OK.*d OK/s);
    }
    const byOctet = await Wire.connect(server);
    for (const octet of dialogue) {
      byOctet.send(Buffer.from([octet]));
      await nextTurn();
    }
    expect(await byOctet.ended()).toContain('d OK');
    expect(server.mailbox('Sent').messages.every(({ raw }) => raw.equals(EVERY_OCTET))).toBe(true);
    expect(server.mailbox('Sent').messages).toHaveLength(dialogue.length);
  });

  test.each([
    ['x FROB', 'x BAD Unknown command'],
    ['x UID NOOP', 'x BAD Unknown command'],
    ['x FETCH 1', 'x BAD Missing argument'],
    ['x FETCH 1 (FROB)', 'x BAD Unknown FETCH item FROB'],
    ['x FETCH 1 BODY[', 'x BAD Missing ]'],
    ['x FETCH 2 FLAGS', 'x BAD Invalid message sequence number'],
    ['x FETCH 0 FLAGS', 'x BAD Invalid message set'],
    ['x NOOP now', 'x BAD Unexpected extra arguments'],
    ['x SELECT "INBOX', 'x BAD Missing "'],
    ['x SEARCH (ALL', 'x BAD Missing )'],
    ['x SEARCH ALL)', 'x BAD Unexpected )'],
    ['x SEARCH SINCE yesterday', 'x BAD Invalid date'],
    ['x LOGIN alice secret', 'x BAD Already authenticated.'],
    ['x STARTTLS', 'x BAD Already authenticated.'],
    ['x SELECT Nowhere', "x NO [NONEXISTENT] Mailbox doesn't exist"],
    ['x UID COPY 1 Nowhere', "x NO [TRYCREATE] Mailbox doesn't exist"],
    ['x CREATE INBOX', 'x NO [ALREADYEXISTS] Mailbox already exists'],
  ])('answers %s with %s and goes on', async (command, answer) => {
    const server = await startServer();
    server.mailbox('INBOX').append(SMALL);
    const wire = await Wire.selected(server);
    expect(await wire.dialogue(command)).toBe(`${answer}\r\n`);
    expect(await wire.dialogue('y NOOP')).toBe('y OK NOOP completed.\r\n');
  });

  test('wants a tag, a login and a mailbox first', async () => {
    const wire = await Wire.connect(await startServer());
    await wire.until('ready\r\n');
    wire.send('\r\n');
    expect(await wire.until('\r\n')).toBe('* BAD Command expected\r\n');
    expect(await wire.dialogue('a SELECT INBOX')).toBe('a BAD Not authenticated.\r\n');
    await wire.dialogue('b LOGIN alice secret');
    expect(await wire.dialogue('c UID FETCH 1 FLAGS')).toBe('c BAD No mailbox selected.\r\n');
  });

  test.each([
    ['UIDPLUS', 'UID EXPUNGE 1'],
    ['MOVE', 'UID MOVE 1 Trash'],
    ['MOVE', 'MOVE 1 Trash'],
    ['IDLE', 'IDLE'],
    ['ID', 'ID NIL'],
    ['ENABLE', 'ENABLE CONDSTORE'],
    ['UNSELECT', 'UNSELECT'],
    ['NAMESPACE', 'NAMESPACE'],
    ['ESEARCH', 'SEARCH RETURN (COUNT) ALL'],
    ['SPECIAL-USE', 'LIST "" * RETURN (SPECIAL-USE)'],
  ])('without %s knows no %s', async (capability, command) => {
    const capabilities = DEFAULT_CAPABILITIES.filter((each) => each !== capability);
    const server = await startServer({ capabilities });
    server.mailbox('INBOX').append(SMALL);
    expect(await (await Wire.selected(server)).dialogue(`x ${command}`)).toMatch(/^x BAD /);
  });

  test('without LITERAL+ knows no non-synchronizing literal, without SASL-IR no initial response', async () => {
    const wire = await Wire.connect(await startServer({ capabilities: ['IMAP4rev1', 'AUTH=PLAIN'] }));
    await wire.until('ready\r\n');
    expect(await wire.dialogue('a LOGIN {5+}')).toMatch(/^a BAD /);
    expect(await wire.dialogue('b AUTHENTICATE PLAIN AGFsaWNlAHNlY3JldA==')).toMatch(/^b BAD /);
  });

  test.each([
    ['"" *', ['INBOX', 'A', 'A/B', 'A/B/C']],
    ['"" %', ['INBOX', 'A']],
    ['A/ %', ['A/B']],
    ['"" "A/*"', ['A/B', 'A/B/C']],
    ['"" inbox', ['INBOX']],
    ['"" "a"', []],
    ['"" (INBOX "A/B")', ['INBOX', 'A/B']],
  ])('lists %s', async (pattern, paths) => {
    const wire = await Wire.loggedIn(await startServer({ folders: [{ path: 'A/B' }, { path: 'A/B/C' }] }));
    const answer = await wire.dialogue(`x LIST ${pattern}`);
    expect([...answer.matchAll(/^\* LIST \(.*\) "\/" "(.*)"\r$/gm)].map((match) => match[1])).toEqual(paths);
  });

  test('lists attributes of folders, levels without a mailbox and the delimiter', async () => {
    const wire = await Wire.loggedIn(await startServer({ folders: [{ path: 'Old/Bin "1"', specialUse: '\\Trash' }] }));
    expect(await wire.dialogue('x LIST "" *')).toBe(
      [
        '* LIST (\\HasNoChildren) "/" "INBOX"',
        '* LIST (\\Noselect \\HasChildren) "/" "Old"',
        '* LIST (\\HasNoChildren \\Trash) "/" "Old/Bin \\"1\\""',
        'x OK List completed.\r\n',
      ].join('\r\n'),
    );
    expect(await wire.dialogue('y LIST (SPECIAL-USE) "" *')).not.toContain('INBOX');
    expect(await wire.dialogue('z LIST "" ""')).toBe('* LIST (\\Noselect) "/" ""\r\nz OK List completed.\r\n');
    expect(await wire.dialogue('w LSUB "" *')).toContain('* LSUB () "/" "INBOX"\r\n');
  });

  test('selects a mailbox in full, EXAMINE without a right to change', async () => {
    const server = await startServer({ clock: () => new Date(1_000_000) });
    server.mailbox('INBOX').append(SMALL);
    const wire = await Wire.loggedIn(server);
    const lines = (await wire.dialogue('x SELECT INBOX')).split('\r\n');
    expect(lines).toEqual([
      '* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft)',
      '* OK [PERMANENTFLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft \\*)] Flags permitted.',
      '* 1 EXISTS',
      '* 0 RECENT',
      '* OK [UNSEEN 1] First unseen.',
      '* OK [UIDVALIDITY 1001] UIDs valid',
      '* OK [UIDNEXT 2] Predicted next UID',
      'x OK [READ-WRITE] Select completed.',
      '',
    ]);
    expect(await wire.dialogue('y EXAMINE INBOX')).toMatch(/PERMANENTFLAGS \(\)[^]*y OK \[READ-ONLY\]/);
    expect(await wire.dialogue('z FETCH 1 BODY[TEXT]')).toBe('* 1 FETCH (BODY[TEXT] {6}\r\nbody\r\n)\r\nz OK Fetch completed.\r\n');
    expect(await wire.dialogue('w EXPUNGE')).toBe('w NO [READ-ONLY] Mailbox is read-only\r\n');
  });

  test('marks a message as seen when its body is read without PEEK, and tells so', async () => {
    const server = await startServer();
    for (let count = 0; count < 3; count += 1) server.mailbox('INBOX').append('A: b\r\n\r\nc');
    const wire = await Wire.selected(server);
    expect(await wire.dialogue('x FETCH 1 (BODY[TEXT]<0.9>)')).toBe(
      '* 1 FETCH (BODY[TEXT]<0> {1}\r\nc FLAGS (\\Seen))\r\nx OK Fetch completed.\r\n',
    );
    expect(await wire.dialogue('y FETCH 2 (RFC822.HEADER UID)')).toBe(
      '* 2 FETCH (RFC822.HEADER {8}\r\nA: b\r\n\r\n UID 2)\r\ny OK Fetch completed.\r\n',
    );
    expect(await wire.dialogue('z FETCH 3 (RFC822 FLAGS)')).toContain('* 3 FETCH (RFC822 {9}\r\nA: b\r\n\r\nc FLAGS (\\Seen))');
    expect(await wire.dialogue('v FETCH 2 FAST')).toMatch(/^\* 2 FETCH \(FLAGS \(\) INTERNALDATE "[^"]+" RFC822.SIZE 9\)\r\n/);
    expect(server.mailbox('INBOX').messages.map(({ flags }) => flags.length)).toEqual([1, 0, 1]);
  });

  test.each([
    ['A: b\r\n\r\n', 'A: b\r\n\r\n', ''],
    ['A: b\n\nc', 'A: b\n\n', 'c'],
    ['A: b\r\n', 'A: b\r\n', ''],
    ['A: b', 'A: b', ''],
    ['\r\nc', '\r\n', 'c'],
    ['', '', ''],
  ])('splits %j into header and text', async (raw, header, text) => {
    const server = await startServer();
    server.mailbox('INBOX').append(raw);
    expect(await (await Wire.selected(server)).dialogue('x FETCH 1 (BODY.PEEK[HEADER] BODY.PEEK[TEXT])')).toBe(
      `* 1 FETCH (BODY[HEADER] {${header.length}}\r\n${header} BODY[TEXT] {${text.length}}\r\n${text})\r\nx OK Fetch completed.\r\n`,
    );
  });

  test.each([
    ['1:*', [1, 3, 5]],
    ['*', [5]],
    ['9:*', [5]],
    ['*:4', [5]],
    ['2', []],
    ['5,1,1:2', [1, 5]],
  ])('resolves the UID set %s', async (set, uids) => {
    const server = await startServer();
    for (let count = 0; count < 5; count += 1) server.mailbox('INBOX').append(SMALL);
    server.mailbox('INBOX').expunge(2);
    server.mailbox('INBOX').expunge(4);
    const answer = await (await Wire.selected(server)).dialogue(`x UID FETCH ${set} FLAGS`);
    expect([...answer.matchAll(/UID (\d+)/g)].map((match) => Number(match[1]))).toEqual(uids);
  });

  test('tells no EXPUNGE during FETCH, STORE and SEARCH by sequence number', async () => {
    const server = await startServer();
    const inbox = server.mailbox('INBOX');
    for (let count = 0; count < 3; count += 1) inbox.append(SMALL);
    const wire = await Wire.selected(server);
    inbox.expunge(1);
    inbox.append(SMALL);
    expect(await wire.dialogue('a FETCH 1:2 FLAGS')).toBe(
      '* 2 FETCH (FLAGS ())\r\n* 4 EXISTS\r\n* 0 RECENT\r\na NO [EXPUNGEISSUED] Some of the requested messages no longer exist.\r\n',
    );
    expect(await wire.dialogue('b STORE 2 +FLAGS (\\Seen)')).toBe('* 2 FETCH (FLAGS (\\Seen))\r\nb OK Store completed.\r\n');
    expect(await wire.dialogue('c SEARCH ALL')).toBe('* SEARCH 2 3 4\r\nc OK Search completed.\r\n');
    expect(await wire.dialogue('d UID SEARCH ALL')).toBe('* SEARCH 2 3 4\r\n* 1 EXPUNGE\r\nd OK Search completed.\r\n');
    expect(await wire.dialogue('e SEARCH ALL')).toBe('* SEARCH 1 2 3\r\ne OK Search completed.\r\n');
  });

  test('tells flags changed by another session, not those it changed itself', async () => {
    const server = await startServer();
    server.mailbox('INBOX').append(SMALL);
    const [one, other] = [await Wire.selected(server), await Wire.selected(server)];
    expect(await one.dialogue('x UID STORE 1 FLAGS.SILENT (\\flagged Own)')).toBe('x OK Store completed.\r\n');
    expect(await other.dialogue('x NOOP')).toBe('* 1 FETCH (UID 1 FLAGS (\\Flagged Own))\r\nx OK NOOP completed.\r\n');
    expect(await one.dialogue('y UID MOVE 1 Trash')).toMatch(/^\* OK \[COPYUID \d+ 1 1\] Moved UIDs\.\r\n\* 1 EXPUNGE\r\ny OK/);
    expect(await other.dialogue('y NOOP')).toBe('* 1 EXPUNGE\r\ny OK NOOP completed.\r\n');
  });

  test('CLOSE removes what is marked as deleted and tells nothing, UNSELECT removes nothing', async () => {
    const server = await startServer();
    server.mailbox('INBOX').append(SMALL, { flags: ['\\Deleted'] });
    const wire = await Wire.selected(server);
    expect(await wire.dialogue('x UNSELECT')).toBe('x OK Unselect completed.\r\n');
    expect(server.mailbox('INBOX').messages).toHaveLength(1);
    await wire.dialogue('y SELECT INBOX');
    expect(await wire.dialogue('z CLOSE')).toBe('z OK Close completed.\r\n');
    expect(server.mailbox('INBOX').messages).toHaveLength(0);
  });

  test('ends a session that sends an endless line', async () => {
    const wire = await Wire.connect(await startServer());
    await wire.until('ready\r\n');
    wire.send(Buffer.alloc(70_000, 'x'));
    expect(await wire.ended()).toBe('* BYE Too long command line\r\n');
  });
});

describe('by its script', () => {
  const onFetch =
    (fault: Fault) =>
    ({ verb }: { verb: string }): Fault | undefined =>
      verb === 'UID FETCH' ? fault : undefined;

  async function fetching(fault: Fault): Promise<{ server: ImapServer; wire: Wire }> {
    const server = await startServer({ script: onFetch(fault) });
    for (let count = 0; count < 3; count += 1) server.mailbox('INBOX').append('body');
    const wire = await Wire.selected(server);
    wire.send('x UID FETCH 1:* BODY.PEEK[]\r\n');
    return { server, wire };
  }

  const rows = (count: number): string =>
    Array.from({ length: count }, (_, index) => `* ${index + 1} FETCH (UID ${index + 1} BODY[] {4}\r\nbody)\r\n`).join('');

  test('answers instead of running the command', async () => {
    const { wire } = await fetching({ reply: 'NO [UNAVAILABLE] später', untagged: ['* OK [ALERT] soon', '* OK really'] });
    expect(Buffer.from(await wire.until('x NO'), 'latin1').toString()).toBe(
      '* OK [ALERT] soon\r\n* OK really\r\nx NO [UNAVAILABLE] später\r\n',
    );
    expect(await wire.dialogue('y NOOP')).toContain('y OK');
  });

  test('sends raw octets as the whole answer, and before the true one', async () => {
    const { wire, server } = await fetching({ raw: '* 1 FETCH (UID 1 BODY[] "quoted")\r\n$TAG OK done\r\n' });
    expect(await wire.until('x OK')).toBe('* 1 FETCH (UID 1 BODY[] "quoted")\r\nx OK done\r\n');
    server.setScript(onFetch({ raw: Buffer.from('* 9 EXISTS\r\n'), next: 'continue' }));
    expect(await wire.dialogue('y UID FETCH 1 BODY.PEEK[]')).toBe(`* 9 EXISTS\r\n${rows(1)}y OK Fetch completed.\r\n`);
  });

  test.each([
    [{ raw: '* 1 FETCH (BODY[] {9}\r\nhal', next: 'close' }, '* 1 FETCH (BODY[] {9}\r\nhal'],
    [{ close: true }, ''],
    [{ bye: 'Session expired' }, '* BYE Session expired\r\n'],
    [{ runThen: 'close' }, ''],
    [{ cutAfter: 0 }, ''],
    [{ cutAfter: 40 }, rows(2).slice(0, 40)],
  ] satisfies [Fault, string][])('closes the connection on %j', async (fault, sent) => {
    const { wire, server } = await fetching(fault);
    expect(await wire.ended()).toBe(sent);
    await eventually(() => server.openConnections === 0);
  });

  test.each([
    [{ hang: true }, ''],
    [{ runThen: 'hang' }, ''],
    [{ raw: 'half', next: 'hang' }, 'half'],
  ] satisfies [Fault, string][])('falls silent for ever on %j, and close() ends it', async (fault, sent) => {
    const { wire, server } = await fetching(fault);
    wire.send('y NOOP\r\n');
    const other = await Wire.selected(server);
    await other.dialogue('z NOOP');
    expect(wire.received.toString()).toBe(sent);
    expect(server.commands.filter((command) => command === 'NOOP')).toHaveLength(1);
    expect(server.openConnections).toBe(2);
  });

  test('runs a command and loses or replaces its answer', async () => {
    const server = await startServer({ script: [() => undefined, ({ verb }) => (verb === 'EXPUNGE' ? { runThen: 'close' } : undefined)] });
    server.mailbox('INBOX').append(SMALL, { flags: ['\\Deleted'] });
    const lost = await Wire.selected(server);
    lost.send('x EXPUNGE\r\n');
    expect(await lost.ended()).toBe('');
    expect(server.mailbox('INBOX').messages).toEqual([]);

    server.mailbox('INBOX').append(SMALL, { flags: ['\\Deleted'] });
    server.setScript(({ verb }) => (verb === 'EXPUNGE' ? { runThen: 'reply', reply: 'NO [SERVERBUG] oops' } : undefined));
    const other = await Wire.selected(server);
    expect(await other.dialogue('x EXPUNGE')).toBe('* 1 EXPUNGE\r\nx NO [SERVERBUG] oops\r\n');
    expect(server.mailbox('INBOX').messages).toEqual([]);
  });

  test('loses the answer of a command that asks for more, though not the question', async () => {
    const server = await startServer({ script: ({ verb }) => (verb === 'AUTHENTICATE' ? { runThen: 'close' } : undefined) });
    const wire = await Wire.connect(server);
    await wire.until('ready\r\n');
    wire.send('x AUTHENTICATE PLAIN\r\n');
    expect(await wire.until('\r\n')).toBe('+ \r\n');
    wire.send('AGFsaWNlAHNlY3JldA==\r\n');
    expect(await wire.ended()).toBe('');
    expect(server.logins).toBe(1);
  });

  test('does not cut an answer that is shorter', async () => {
    const { wire } = await fetching({ cutAfter: 10_000 });
    expect(await wire.until('x OK')).toBe(`${rows(3)}x OK Fetch completed.\r\n`);
    expect(await wire.dialogue('y NOOP')).toContain('y OK');
  });

  test('cuts a large body inside', async () => {
    const server = await startServer({ script: onFetch({ cutAfter: 200_000 }) });
    server.mailbox('INBOX').append(Buffer.alloc(MIB, 'x'));
    const wire = await Wire.selected(server);
    wire.send('x UID FETCH 1 BODY.PEEK[]\r\n');
    expect((await wire.ended()).length).toBe(200_000);
  });

  test('tells otherwise what a command found, though not the octets of messages', async () => {
    const { wire, server } = await fetching({ rewrite: (text) => text.replaceAll(/UID |body/g, '$&1') });
    expect(await wire.until('x OK')).toBe(`${rows(3).replaceAll('UID ', 'UID 1')}x OK Fetch completed.\r\n`);
    server.setScript(undefined);
    expect(await wire.dialogue('y UID FETCH 1 BODY.PEEK[]')).toBe(`${rows(1)}y OK Fetch completed.\r\n`);
  });

  test('answers late', async () => {
    const started = performance.now();
    const { wire } = await fetching({ delayMs: 60 });
    await wire.until('x OK');
    expect(performance.now() - started).toBeGreaterThan(50);
  });

  test('leaves out the last rows, or the bodies', async () => {
    const { wire, server } = await fetching({ omitRows: 2 });
    expect(await wire.until('x OK')).toBe(`${rows(1)}x OK Fetch completed.\r\n`);
    server.setScript(onFetch({ emptyBody: true }));
    expect(await wire.dialogue('y UID FETCH 1 BODY.PEEK[]')).toBe('* 1 FETCH (UID 1)\r\ny OK Fetch completed.\r\n');
    server.setScript(onFetch({ emptyBody: 'NIL' }));
    expect(await wire.dialogue('z UID FETCH 1 BODY.PEEK[]')).toBe('* 1 FETCH (UID 1 BODY[] NIL)\r\nz OK Fetch completed.\r\n');
    server.setScript(undefined);
    expect(await wire.dialogue('w UID FETCH 1 BODY.PEEK[]')).toBe(`${rows(1)}w OK Fetch completed.\r\n`);
  });

  test('tells a rule all about the command and its session', async () => {
    const seen: unknown[] = [];
    const server = await startServer({ script: (event) => void seen.push(event) });
    await Wire.selected(server);
    const wire = await Wire.selected(server);
    await wire.dialogue('x uid search all');
    expect(seen.slice(2)).toEqual([
      {
        connection: 2,
        session: { phase: 'not-authenticated', user: undefined, mailbox: undefined, isSecured: false },
        tag: 'L',
        verb: 'LOGIN',
        command: 'LOGIN alice ***',
        count: 2,
      },
      {
        connection: 2,
        session: { phase: 'authenticated', user: 'alice', mailbox: undefined, isSecured: false },
        tag: 'S',
        verb: 'SELECT',
        command: 'SELECT INBOX',
        count: 2,
      },
      {
        connection: 2,
        session: { phase: 'selected', user: 'alice', mailbox: 'INBOX', isSecured: false },
        tag: 'x',
        verb: 'UID SEARCH',
        command: 'UID SEARCH all',
        count: 1,
      },
    ]);
  });

  test('greets with any text', async () => {
    const preauth = await Wire.connect(await startServer({ greeting: '* PREAUTH hi' }));
    await preauth.until('* PREAUTH hi\r\n');
    expect(await preauth.dialogue('x STATUS INBOX (MESSAGES)')).toContain('* STATUS "INBOX" (MESSAGES 0)');
    const bye = await Wire.connect(await startServer({ greeting: '* BYE overloaded' }));
    expect(await bye.ended()).toBe('* BYE overloaded\r\n');
    const close = await Wire.connect(await startServer({ greeting: 'close' }));
    expect(await close.ended()).toBe('');
    const silent = await startServer({ greeting: 'hang' });
    await expect(connectFlow(silent, { greetingTimeout: 50 })).rejects.toMatchObject({ code: 'GREETING_TIMEOUT' });
  });

  test('drops all connections and takes new ones', async () => {
    const server = await startServer();
    const [one, other] = [await Wire.selected(server), await Wire.loggedIn(server)];
    server.dropConnections();
    await Promise.all([one.ended(), other.ended()]);
    expect([one.wasReset, other.wasReset]).toEqual([true, true]);
    await Wire.selected(server);
    expect(server).toMatchObject({ connections: 3, openConnections: 1 });
  });

  test('close() tells of a rule that threw', async () => {
    const server = await ImapServer.start({
      script: () => {
        throw new Error('broken rule');
      },
    });
    const wire = await Wire.connect(server);
    wire.send('x NOOP\r\n');
    await wire.ended();
    await expect(server.close()).rejects.toThrow('broken rule');
  });
});
