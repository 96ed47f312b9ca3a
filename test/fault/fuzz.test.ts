/**
 * Octets that nobody meant, from either side, on the built program: it answers with errors or hangs up, and goes on serving everybody else. A long run is
 * asked for by `FUZZ_RUNS` (`npm run fuzz`).
 */
import fc from 'fast-check';
import { connect } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { allowInLog } from '../support/bridge-process.ts';
import { BridgeSite } from '../support/bridge-site.ts';

// Octets at random may be any failure of the server.
allowInLog('delete-failed', 'login-failed', 'map-rematched', 'only-flagged', 'seen-failed', 'session-error', 'upstream-failed');

const RUNS = Number(process.env['FUZZ_RUNS'] ?? 60);
const LONGEST = { timeout: 60_000 + RUNS * 3_000 };
const PATIENCE_MS = 20_000;
const OURS = /^(?:\+OK|-ERR)(?: [ -~]*)?$/;

let site: BridgeSite;

beforeAll(async () => {
  const tables = '[limits]\nlogin_failures = 1000000\nsessions_per_address = 1000';
  site = await BridgeSite.start({ tables });
  site.deliver('INBOX', 'one', 'two', 'three');
});

afterAll(async () => {
  await site[Symbol.asyncDispose]();
});

const word = fc.constantFrom(
  'USER alice',
  'PASS secret',
  'STAT',
  'LIST',
  'UIDL',
  'RETR 1',
  'TOP 2 0',
  'NOOP',
  'RSET',
  'CAPA',
  'LAST',
  'XYZZY',
  'AUTH PLAIN',
);
const noise = fc.oneof(
  fc.uint8Array({ maxLength: 40 }).map((octets) => Buffer.from(octets)),
  fc
    .constantFrom(
      '\r\n',
      '\n',
      '\r',
      '\0',
      '.\r\n',
      '=\r\n',
      '*\r\n',
      'RETR 99999999999999999999\r\n',
      'STLS\r\n',
      `${'A'.repeat(600)}\r\n`,
    )
    .map((text) => Buffer.from(text)),
);
/** Never DELE: what is there at the end is what was there at the beginning. */
const fromClient = fc.array(fc.oneof({ weight: 2, arbitrary: word.map((line) => Buffer.from(`${line}\r\n`)) }, noise), {
  minLength: 1,
  maxLength: 14,
});

test('from clients: every answer is one, and the mail is there afterwards', LONGEST, async () => {
  await fc.assert(
    fc.asyncProperty(fromClient, fc.boolean(), async (pieces, isCut) => {
      const answer = await sent(site.bridge.port(), pieces, isCut);
      const [first = ''] = answer.split('\r\n');
      if (!isCut) expect(first).toMatch(OURS);
      expect(answer).not.toContain('evil');
    }),
    { numRuns: RUNS },
  );
  expect((await site.look()).subjects).toEqual(['one', 'two', 'three']);
});

/** What servers say, whole and in pieces that fit nowhere. */
const said = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.constantFrom(
      '* 3 EXISTS',
      '* 2 EXPUNGE',
      '* SEARCH 1 2',
      '* ESEARCH (TAG "Z1") UID ALL 1:3',
      '* OK [UIDVALIDITY 1] x',
      '* BYE',
    ),
  },
  {
    weight: 3,
    arbitrary: fc.constantFrom(
      '* 1 FETCH (UID 1 RFC822.SIZE 20)',
      '* 2 FETCH (UID 2 BODY[] {5}\r\nevil!)',
      '* 1 FETCH (BODY[HEADER] NIL UID 3)',
    ),
  },
  {
    weight: 2,
    arbitrary: fc.constantFrom(
      '$TAG OK',
      '$TAG NO [ALERT] x',
      '$TAG BAD',
      '+ go',
      'Z1 OK done',
      '* 1 FETCH (UID',
      '{99999}',
      '* LIST () "/" {3}\r\nabc',
    ),
  },
  fc.uint8Array({ maxLength: 30 }).map((octets) => Buffer.from(octets).toString('latin1')),
);
const fromServer = fc.record({
  nth: fc.integer({ min: 1, max: 12 }),
  lines: fc.array(said, { minLength: 1, maxLength: 6 }),
  next: fc.constantFrom('continue' as const, 'close' as const),
});

test('from servers: a listing is right or an error, no message is another one, and the next session is fine', LONGEST, async () => {
  let sessions = 0;
  const { ids } = await site.look();
  await fc.assert(
    fc.asyncProperty(fromServer, async ({ nth, lines, next }) => {
      let seen = 0;
      const raw = Buffer.from(`${lines.join('\r\n')}\r\n`, 'latin1');
      // A password that was refused stays refused for a while.
      site.imap.setScript(({ verb }) => (verb !== 'AUTHENTICATE' && (seen += 1) === nth ? { raw, next } : undefined));
      const shown = await inTime(site.glance().catch(() => undefined));
      site.imap.setScript(undefined);
      if (shown !== undefined) sessions += 1;
      // News that the server made up may hide a message for a session; ids never change for it.
      for (const [subject, id] of Object.entries(shown?.ids ?? {})) if (subject in ids) expect(id).toBe(ids[subject]);
      expect((await inTime(site.glance())).ids).toEqual(ids);
    }),
    { numRuns: RUNS },
  );
  expect(sessions).toBeGreaterThan(0);
});

/** Sends the pieces, and QUIT where it does not hang up at once; gives all that was answered. */
function sent(port: number, pieces: readonly Buffer[], isCut: boolean): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const socket = connect(port, '127.0.0.1');
  let answer = '';
  socket.setTimeout(PATIENCE_MS, () => reject(new Error(`no end after ${JSON.stringify(answer.slice(-200))}`)));
  socket.on('data', (chunk: Buffer) => (answer += chunk.toString('latin1')));
  socket.on('error', () => {});
  socket.on('close', () => resolve(answer));
  for (const piece of pieces) socket.write(piece);
  if (isCut) socket.destroySoon();
  else socket.end('\r\n*\r\nQUIT\r\n');
  return promise.finally(() => socket.destroy());
}

function inTime<T>(work: Promise<T>): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error('a session hangs')), PATIENCE_MS);
  return Promise.race([work, late]).finally(() => clearTimeout(timer));
}
