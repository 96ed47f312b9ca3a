/** What no transcript can show: clients that vanish, silence, shutdown. */
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { createSecureContext } from 'node:tls';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { FakeClock } from '../../support/fake-clock.ts';
import { openFakeMaildrop, type FakeMaildropOptions, type FakeTraces } from '../../support/fake-maildrop.ts';
import { until as eventually } from '../../support/until.ts';
import { MaildropLocks } from '../../../src/daemon/maildrop-lock.ts';
import { Connection } from '../../../src/daemon/connection.ts';
import type { SessionSummary } from '../../../src/daemon/session-tally.ts';

interface Open {
  readonly connection: Connection;
  readonly client: Socket;
  readonly traces: FakeTraces;
  readonly received: () => string;
  /** Waits until the client has that, or the end of everything. */
  readonly until: (text: string) => Promise<void>;
  readonly ended: Promise<SessionSummary>;
  /** How the connection's start went. */
  readonly started: Promise<unknown>;
}

const LOGIN = 'USER alice\r\nPASS wonderland\r\n';
const READY = 'maildrop locked and ready\r\n';
const MESSAGE = { octets: Buffer.from(`H: h\r\n\r\n${'x'.repeat(70)}\r\n`) };

describe('a connection', () => {
  let clock: FakeClock;
  let server: Server;

  beforeEach(async () => {
    clock = new FakeClock();
    server = createServer({ allowHalfOpen: true, pauseOnConnect: true });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
  });

  afterEach(() => {
    server.close();
  });

  /** `beforeStart` sees the server's socket before the connection begins. */
  async function open(
    beforeStart: (socket: Socket) => void = () => {},
    isImplicitTls = false,
    maildrop: Partial<FakeMaildropOptions> = {},
  ): Promise<Open> {
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('no port');
    const accepted = once(server, 'connection') as Promise<[Socket]>;
    const client = connect({ host: '127.0.0.1', port: address.port, allowHalfOpen: true });
    const [socket] = await accepted;
    socket.on('error', () => socket.destroy());
    const { loggedIn, traces } = openFakeMaildrop({ messages: [MESSAGE, MESSAGE], clock, ...maildrop });
    const ended = Promise.withResolvers<SessionSummary>();
    const connection = new Connection({
      socket,
      clock,
      policy: { offersTls: false, allowsCleartextLogin: true, loginDelaySeconds: undefined, implementation: 'popbridge-test' },
      secureContext: () => createSecureContext(),
      isImplicitTls,
      timeouts: { loginMs: 60_000, idleMs: 600_000, writeMs: 120_000 },
      logIn: () => Promise.resolve(loggedIn),
      log: { error: () => {}, tlsFailed: () => {}, refused: () => {}, end: ended.resolve },
      onEnd: () => {},
    });
    let text = '';
    let wake = (): void => {};
    const over = new AbortController();
    client.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1');
      wake();
    });
    for (const event of ['end', 'close', 'error']) {
      client.on(event, () => {
        over.abort();
        wake();
      });
    }
    const until = async (wanted: string): Promise<void> => {
      while (!text.includes(wanted) && !over.signal.aborted) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    };
    beforeStart(socket);
    const started = connection.start().then(
      () => undefined,
      (error: unknown) => error,
    );
    return { connection, client, traces, received: () => text, until, ended: ended.promise, started };
  }

  async function openLoggedIn(): Promise<Open> {
    const opened = await open();
    opened.client.write(LOGIN);
    await opened.until(READY);
    return opened;
  }

  test('whose client left before the greeting ends quietly: no rejection that would stop the daemon', async () => {
    const { started, ended } = await open((socket) => socket.destroy());
    expect(await started).toBeUndefined();
    expect((await ended).outcome).toBe('lost');
  });

  test('before login ends after its time, also while a client that reads nothing is being answered', async () => {
    const { client, connection, ended } = await open();
    client.pause();
    client.write('CAPA\r\n'.repeat(200_000));
    await new Promise((resolve) => setImmediate(resolve));
    expect(connection.isBeforeLogin).toBe(true);
    await clock.advance(60_000);
    expect((await ended).outcome).toBe('login timeout');
  });

  test('that is silent before login is closed without a word after the login timeout', async () => {
    const { until, received, ended } = await open();
    await until('ready');
    await clock.advance(60_000);
    expect((await ended).outcome).toBe('login timeout');
    expect(received()).toBe('+OK POP3 server ready\r\n');
  });

  test('that is silent after login is closed without a word and without UPDATE after ten minutes (RFC 1939 section 3)', async () => {
    const { client, until, received, traces, ended } = await openLoggedIn();
    client.write('DELE 1\r\n');
    await until('deleted\r\n');
    await clock.advance(599_000);
    client.write('NOOP\r\n');
    await until('+OK\r\n');
    await clock.advance(599_999);
    const before = received();
    await clock.advance(1);
    expect((await ended).outcome).toBe('idle');
    expect([received(), traces.removed, traces.releases]).toEqual([before, [], 1]);
  });

  test('whose octets never become a command is as silent as one that sends none', async () => {
    const { connection, client, traces, ended } = await openLoggedIn();
    for (let minute = 0; minute < 2; minute += 1) {
      await clock.advance(60_000);
      client.write('N');
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    expect(connection.isStale).toBe(true);
    await clock.advance(480_000);
    expect((await ended).outcome).toBe('idle');
    expect(traces.releases).toBe(1);
  });

  test('may be taken over once it is silent for two minutes, and then deletes nothing', async () => {
    const { connection, client, until, traces, ended } = await openLoggedIn();
    client.write('DELE 1\r\n');
    await until('deleted\r\n');
    await clock.advance(119_000);
    expect(connection.isStale).toBe(false);
    await clock.advance(1_000);
    expect(connection.isStale).toBe(true);
    connection.evict();
    expect((await ended).outcome).toBe('taken over');
    expect([traces.removed, traces.releases]).toEqual([[], 1]);
  });

  test('whose QUIT was answered is not taken over while \\Seen is being stored: its outcome stays, and the lock waits', async () => {
    const stored = Promise.withResolvers<void>();
    let socket: Socket | undefined;
    const options = { markSeen: 'on-retrieve', changesAfter: stored.promise } as const;
    const { connection, client, until, traces, ended } = await open((accepted) => (socket = accepted), false, options);
    client.write(`${LOGIN}RETR 1\r\nQUIT\r\n`);
    await until('bye\r\n');
    client.destroy();
    await eventually(() => socket?.destroyed === true);
    const locks = new MaildropLocks(clock);
    const release = await locks.acquire('maildrop', connection, new AbortController().signal);
    const next = locks.acquire('maildrop', { isStale: false, evict: () => {} }, new AbortController().signal);
    connection.evict();
    expect([traces.seen, traces.releases]).toEqual([[], 0]);
    stored.resolve();
    expect((await ended).outcome).toBe('QUIT');
    expect([traces.seen, traces.releases]).toEqual([[101], 1]);
    release();
    (await next)();
  });

  test('whose QUIT was read is not cut by whoever wants its maildrop: it deletes what was marked, and its client hears so', async () => {
    const removed = Promise.withResolvers<void>();
    const { connection, client, until, received, traces, ended } = await open(undefined, false, { changesAfter: removed.promise });
    client.write(`${LOGIN}DELE 1\r\nQUIT\r\n`);
    await eventually(() => traces.journalEntries === 1);
    expect(connection.isStale).toBe(false);
    connection.evict();
    removed.resolve();
    await until('bye\r\n');
    client.end();
    expect((await ended).outcome).toBe('QUIT');
    expect([received().slice(-9), traces.removed]).toEqual(['+OK bye\r\n', [101]]);
  });

  test('whose client has left is not taken over either: how it ended is known', async () => {
    const stored = Promise.withResolvers<void>();
    let socket: Socket | undefined;
    const options = { markSeen: 'on-retrieve', changesAfter: stored.promise } as const;
    const { connection, client, until, ended } = await open((accepted) => (socket = accepted), false, options);
    client.write(`${LOGIN}RETR 1\r\n`);
    await until('\r\n.\r\n');
    client.destroy();
    await eventually(() => socket?.destroyed === true);
    connection.evict();
    stored.resolve();
    expect((await ended).outcome).toBe('no QUIT');
  });

  test('is told of a shutdown while it waits for a command, and deletes nothing', async () => {
    const { connection, client, until, received, traces, ended } = await openLoggedIn();
    client.write('DELE 1\r\n');
    await until('deleted\r\n');
    connection.shutdown();
    await until('shutting down\r\n');
    client.end();
    expect((await ended).outcome).toBe('shutdown');
    expect(received()).toMatch(/\r\n-ERR \[SYS\/TEMP\] shutting down\r\n$/);
    expect([traces.removed, traces.releases]).toEqual([[], 1]);
  });

  test('on a TLS port is cut by a shutdown in the midst of its handshake, and makes room where room is needed', async () => {
    const shutDown = await open(undefined, true);
    expect(shutDown.connection.isBeforeLogin).toBe(true);
    shutDown.connection.shutdown();
    expect((await shutDown.ended).outcome).toBe('shutdown');
    const displaced = await open(undefined, true);
    displaced.connection.displace('-ERR no room\r\n');
    expect((await displaced.ended).outcome).toBe('displaced');
    expect([shutDown.received(), displaced.received()]).toEqual(['', '']);
  });

  test('that has to make room is told why while it waits for a command, and cut without a word while it is answered', async () => {
    const waiting = await open();
    await waiting.until('ready\r\n');
    waiting.connection.displace('-ERR no room\r\n');
    await waiting.until('room\r\n');
    expect(waiting.received()).toBe('+OK POP3 server ready\r\n-ERR no room\r\n');
    let server: Socket | undefined;
    const answered = await open((socket) => {
      server = socket;
    });
    answered.client.pause();
    answered.client.write('CAPA\r\n'.repeat(200_000));
    await eventually(() => (server?.writableLength ?? 0) > 0);
    answered.connection.displace('-ERR no room\r\n');
    for (const { ended } of [waiting, answered]) expect((await ended).outcome).toBe('displaced');
    answered.client.resume();
    await answered.until('-ERR');
    expect(answered.received()).not.toContain('-ERR');
  });

  test('that is lost deletes nothing and gives back the lock', async () => {
    const { client, until, traces, ended } = await openLoggedIn();
    client.write('DELE 1\r\n');
    await until('deleted\r\n');
    client.resetAndDestroy();
    expect((await ended).outcome).toBe('no QUIT');
    expect([traces.removed, traces.releases]).toEqual([[], 1]);
  });

  test('deletes what was marked once QUIT is read, also where the client is gone by then', async () => {
    const { client, until, traces, ended } = await openLoggedIn();
    client.write('DELE 1\r\n');
    await until('deleted\r\n');
    client.write('QUIT\r\n', () => client.destroy());
    expect((await ended).deleted.count).toBe(1);
    expect([traces.removed, traces.openJournalEntries, traces.releases]).toEqual([[101], 0, 1]);
  });

  test('answers commands that came together together, and each in its turn', async () => {
    let writes = 0;
    const { client, received, until } = await open((socket) => {
      const write = socket.write.bind(socket);
      socket.write = ((...given: Parameters<typeof write>) => {
        writes += 1;
        return write(...given);
      }) as typeof write;
    });
    client.write(LOGIN);
    await until(READY);
    const before = { writes, octets: received().length };
    client.write(`${'NOOP\r\n'.repeat(100)}DELE 1\r\nSTAT\r\nLIST\r\n`);
    await until('2 80\r\n.\r\n');
    const last = ['+OK message 1 deleted', '+OK 1 80', '+OK 1 messages (80 octets)', '2 80', '.', ''];
    expect(received().slice(before.octets)).toBe('+OK\r\n'.repeat(100) + last.join('\r\n'));
    expect(writes - before.writes).toBe(1);
  });

  test('counts what was retrieved in its summary', async () => {
    const { client, until, ended } = await openLoggedIn();
    client.write('RETR 1\r\nTOP 2 0\r\nQUIT\r\n');
    await until('bye\r\n');
    client.end();
    expect(await ended).toMatchObject({ outcome: 'QUIT', retrieved: { count: 1, octets: 80 }, tops: { count: 1, octets: 8 } });
  });

  test('whose client never begins TLS is cut off after 15 seconds', async () => {
    const { client, ended, received } = await open(() => {}, true);
    await clock.advance(14_999);
    expect(client.destroyed).toBe(false);
    await clock.advance(1);
    expect((await ended).outcome).not.toBe('QUIT');
    expect(received()).toBe('');
  });
});
