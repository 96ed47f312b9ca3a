/** Sessions that share a connection: one whose client does not read must not keep the others from it for long. */
import { expect, test } from 'vitest';
import { BodyCache } from '../../src/upstream/body-cache.ts';
import { ImapflowUpstream } from '../../src/upstream/imapflow-upstream.ts';
import { NOTHING_KNOWN, type UpstreamMailbox, type UpstreamSession } from '../../src/upstream/upstream.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { ImapServer } from '../support/imap-server.ts';
import { asUid } from '../../src/maildrop/numbers.ts';
import { plainEndpoint } from '../support/plain-endpoint.ts';
import { until } from '../support/until.ts';

const MIB = 1024 * 1024;
const never = new AbortController().signal;
const BIG = Buffer.from(`Subject: big\r\n\r\n${`${'x'.repeat(78)}\r\n`.repeat(300_000)}`);

interface Shared {
  readonly clock: FakeClock;
  readonly imap: ImapServer;
  readonly slow: UpstreamMailbox;
  readonly other: UpstreamMailbox;
  readonly leaveOther: () => Promise<void> | undefined;
}

/** Two sessions on one connection to a server with a message of 24 MB and a small one. */
async function shared(totalOctets: number, stack: AsyncDisposableStack): Promise<Shared> {
  const imap = stack.use(await ImapServer.start());
  imap.mailbox('INBOX').append(BIG.toString());
  imap.mailbox('INBOX').append('Subject: small\r\n\r\nsmall\r\n');
  const clock = new FakeClock();
  const endpoint = plainEndpoint(imap.port, 600_000);
  const budget = { sessionOctets: MIB, totalOctets, used: 0 };
  const upstream = new ImapflowUpstream(endpoint, clock, { budget, bodies: new BodyCache(0), lingerMs: 60_000 });
  const login = { user: 'alice', password: 'secret' };
  const mailboxes: UpstreamMailbox[] = [];
  const sessions: UpstreamSession[] = [];
  for (let session = 0; session < 2; session += 1) {
    const opened = await upstream.login(login, never);
    stack.defer(() => opened.destroy());
    sessions.push(opened);
    const mailbox = await opened.select('INBOX', never);
    await mailbox.list(NOTHING_KNOWN, never);
    mailboxes.push(mailbox);
  }
  const [slow, other] = mailboxes;
  if (slow === undefined || other === undefined) throw new Error('two sessions');
  expect(imap.connections).toBe(1);
  return { clock, imap, slow, other, leaveOther: () => sessions[1]?.logout() };
}

async function whole(mailbox: UpstreamMailbox, uid: number, octets: number): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of mailbox.fetch({ uid: asUid(uid), octets, part: 'whole' }, never)) chunks.push(chunk);
  return Buffer.concat(chunks);
}

const turns = async (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Lets time pass until that is over, in steps: whatever has to come about first may take its time on a busy machine. */
async function untilSettled(work: Promise<unknown>, clock: FakeClock): Promise<void> {
  let isSettled = false;
  const settle = (): void => void (isSettled = true);
  void work.then(settle, settle);
  await until(async () => {
    await clock.advance(1_000);
    return isSettled;
  });
}

test('a client that stops reading holds the server back, and after half a minute gives way to who waits; its message comes whole', async () => {
  await using stack = new AsyncDisposableStack();
  const { clock, slow, other } = await shared(64 * MIB, stack);
  const reading = slow.fetch({ uid: asUid(1), octets: BIG.length, part: 'whole' }, never);
  const chunks = [(await reading.next()).value ?? Buffer.alloc(0)];
  let isThere = false;
  const small = whole(other, 2, 30).finally(() => (isThere = true));
  await turns(300);
  expect(isThere).toBe(false);
  await untilSettled(small, clock);
  expect((await small).toString()).toContain('small');
  for await (const chunk of reading) chunks.push(chunk);
  expect(Buffer.concat(chunks).equals(BIG)).toBe(true);
});

test('where there is no room for the rest of its message it alone is cut off, and its message never given as whole', async () => {
  await using stack = new AsyncDisposableStack();
  const { clock, slow, other } = await shared(8 * MIB, stack);
  const reading = slow.fetch({ uid: asUid(1), octets: BIG.length, part: 'whole' }, never);
  await reading.next();
  const small = whole(other, 2, 30).catch((error: unknown) => error);
  await untilSettled(small, clock);
  expect(String(await small)).toContain('small');
  const rest = (async () => {
    for await (const chunk of reading) void chunk;
  })();
  await expect(rest).rejects.toMatchObject({ kind: 'timeout' });
});

test('who leaves in the middle of a long message does not cut off others who wait for the connection', async () => {
  await using stack = new AsyncDisposableStack();
  const { imap, slow, other } = await shared(64 * MIB, stack);
  const reading = slow.fetch({ uid: asUid(1), octets: BIG.length, part: 'whole' }, never);
  await reading.next();
  const small = whole(other, 2, 30);
  await turns(50);
  await reading.return();
  slow.close();
  expect((await small).toString()).toContain('small');
  expect(imap.connections).toBe(1);
});

test('alone, it is not waited for: the connection ends', async () => {
  await using stack = new AsyncDisposableStack();
  const { imap, slow, leaveOther } = await shared(64 * MIB, stack);
  await leaveOther();
  const reading = slow.fetch({ uid: asUid(1), octets: BIG.length, part: 'whole' }, never);
  await reading.next();
  await reading.return();
  await until(() => imap.openConnections === 0);
});
