/**
 * Our commands against imapflow's own: the same mailboxes are read through both, and every octet has to be the same. imapflow reads one
 * message at a time and knows nothing of what was read ahead.
 */
import fc from 'fast-check';
import { ImapFlow } from 'imapflow';
import { expect, test } from 'vitest';
import { isUid, type Uid } from '../../src/maildrop/numbers.ts';
import { BodyCache } from '../../src/upstream/body-cache.ts';
import { ImapflowUpstream } from '../../src/upstream/imapflow-upstream.ts';
import { NOTHING_KNOWN, type MessagePart, type UpcomingMessage, type UpstreamMailbox } from '../../src/upstream/upstream.ts';
import { systemClock } from '../../src/clock.ts';
import { ImapServer } from '../support/imap-server.ts';
import { Cyrus } from '../support/peers/cyrus.ts';
import { Dovecot } from '../support/peers/dovecot.ts';
import { describeWithPeers } from '../support/peers/peers.ts';
import { sha256 } from '../support/sha256.ts';
import { plainEndpoint } from '../support/plain-endpoint.ts';
import { patience } from '../support/patience.ts';

const PASSWORD = 'secret';
const USER = 'alice';
const never = new AbortController().signal;
const PARTS = ['whole', 'header', 'beginning'] as const;
const HEADER = 'From: a@example.com\r\nSubject: odd\r\n\r\n';

/** What mail may look like; servers may refuse or mend some of it, which is the same for both paths. */
const ODD: readonly string[] = [
  `${HEADER}plain\r\n`,
  'Subject: header alone\r\n\r\n',
  'Subject: no blank line\r\n',
  `${HEADER}.\r\n..\r\n.dot\r\n\r\n.\r\n`,
  `${HEADER}no end of line`,
  `${HEADER}${'x'.repeat(100_000)}\r\n`,
  `${HEADER}${'8 bit: \xe4\xf6\xfc \xff\r\n'.repeat(20)}`,
  `${HEADER}) FLAGS (\\Seen)\r\nZ1 OK not an answer\r\n* 1 EXISTS\r\n{5}\r\n`,
  `Subject: long header\r\n${'X-Long: y\r\n'.repeat(9_000)}\r\nbody\r\n`,
  `${HEADER}${`${'z'.repeat(76)}\r\n`.repeat(30_000)}`,
  `${HEADER}${`${'w'.repeat(76)}\r\n`.repeat(4_000)}`,
  ...Array.from({ length: 60 }, (_, index) => `${HEADER}small ${index}\r\n${'.\r\n'.repeat(index)}`),
];

/** The octets of every message in that part, as hashes, as imapflow gives them. */
async function readByImapflow(port: number, part: MessagePart): Promise<Map<Uid, string>> {
  const flow = new ImapFlow({
    host: '127.0.0.1',
    port,
    secure: false,
    doSTARTTLS: false,
    auth: { user: USER, pass: PASSWORD },
    logger: false,
  });
  await flow.connect();
  try {
    await flow.mailboxOpen('INBOX');
    const found = new Map<Uid, string>();
    for await (const { uid, source } of flow.fetch('1:*', { uid: true, source: true })) {
      if (isUid(uid) && source !== undefined) found.set(uid, sha256(partOf(source, part)));
    }
    return found;
  } finally {
    await flow.logout();
  }
}

/** The octets of every message in that order and part, as hashes. */
async function readAll(port: number, part: MessagePart, arrange: (uids: readonly Uid[]) => readonly Uid[]): Promise<Map<Uid, string>> {
  const endpoint = plainEndpoint(port, 20_000);
  const budget = { sessionOctets: 256 * 1024, totalOctets: 64 * 1024 * 1024, used: 0 };
  const upstream = new ImapflowUpstream(endpoint, systemClock, { budget, bodies: new BodyCache(0) });
  const session = await upstream.login({ user: USER, password: PASSWORD }, never);
  try {
    const mailbox = await session.select('INBOX', never);
    const { added } = await mailbox.list(NOTHING_KNOWN, never);
    const octetsOf = new Map(added.uids.map((uid, index) => [uid, added.octets[index] ?? 0]));
    const found = new Map<Uid, string>();
    for (const uid of arrange(added.uids)) found.set(uid, await hashOf(mailbox, uid, part, octetsOf));
    mailbox.close();
    expect(budget.used).toBe(0);
    return found;
  } finally {
    await session.logout();
  }
}

async function hashOf(mailbox: UpstreamMailbox, uid: Uid, part: MessagePart, octetsOf: ReadonlyMap<Uid, number>): Promise<string> {
  const chunks: Uint8Array[] = [];
  let octets = 0;
  for await (const chunk of mailbox.fetch({ uid, octets: octetsOf.get(uid) ?? 0, part, ahead: () => after(uid, octetsOf) }, never)) {
    chunks.push(chunk);
    octets += chunk.length;
    // Of a beginning both paths give what they like, but at least so much.
    if (part === 'beginning' && octets >= 1_000) break;
  }
  return sha256(partOf(Buffer.concat(chunks), part));
}

function partOf(octets: Buffer, part: MessagePart): Buffer {
  if (part === 'beginning') return octets.subarray(0, 1_000);
  return part === 'header' ? headerOf(octets) : octets;
}

/** What stands before the first blank line: where a server gives no header, its message's beginning is read instead. */
function headerOf(octets: Buffer): Buffer {
  const end = octets.indexOf('\r\n\r\n');
  return end < 0 ? octets : octets.subarray(0, end);
}

function* after(uid: Uid, octetsOf: ReadonlyMap<Uid, number>): Generator<UpcomingMessage, void, void> {
  for (const [next, octets] of octetsOf) if (next > uid) yield { uid: next, octets };
}

const ORDERS: readonly (readonly [string, (uids: readonly Uid[]) => readonly Uid[]])[] = [
  ['in order', (uids) => uids],
  ['backwards', (uids) => uids.toReversed()],
  ['every third, then all', (uids) => [...uids.filter((_, index) => index % 3 === 0), ...uids]],
  ['in disorder', (uids) => fc.sample(fc.shuffledSubarray([...uids], { minLength: uids.length }), { seed: 7, numRuns: 1 })[0] ?? uids],
];

async function compare(port: number, messages: number): Promise<void> {
  for (const part of PARTS) {
    const expected = await readByImapflow(port, part);
    expect(expected.size).toBe(messages);
    for (const [order, arrange] of ORDERS) {
      const found = await readAll(port, part, arrange);
      for (const [uid, hash] of expected) expect(found.get(uid), `${part} of UID ${uid}, read ${order}`).toBe(hash);
    }
  }
}

test(
  'both paths give the same octets of a scripted server',
  async () => {
    await using imap = await ImapServer.start();
    for (const message of ODD) imap.mailbox('INBOX').append(Buffer.from(message, 'latin1'));
    await compare(imap.port, ODD.length);
  },
  patience(120_000),
);

describeWithPeers(['dovecot'], 'Dovecot', () => {
  test(
    'both paths give the same octets',
    async () => {
      await using dovecot = await Dovecot.start({ users: { [USER]: PASSWORD } });
      await dovecot.deliver(
        USER,
        [...ODD, `${HEADER}bare\nline\nfeeds\n`, `${HEADER}bare\rreturns\r\n`].map((message) => Buffer.from(message, 'latin1')),
      );
      await compare(dovecot.ports.imap, ODD.length + 2);
    },
    patience(120_000),
  );
});

describeWithPeers(['cyrus'], 'Cyrus', () => {
  test(
    'both paths give the same octets',
    async () => {
      await using cyrus = await Cyrus.start({ users: { [USER]: PASSWORD } });
      // Cyrus takes no mail without a header field, nor bare line feeds.
      const messages = ODD.filter((message) => message.includes('\r\n\r\n')).map((message) => Buffer.from(message, 'latin1'));
      await cyrus.deliver(USER, messages);
      await compare(cyrus.ports.imap, messages.length);
    },
    patience(120_000),
  );
});
