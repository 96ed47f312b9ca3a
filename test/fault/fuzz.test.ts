/**
 * Octets that nobody meant, from either side, on the built program: it answers with errors or hangs up, and goes on serving everybody else. A long run is
 * asked for by `FUZZ_RUNS` (`npm run fuzz`).
 */
import fc from 'fast-check';
import { connect } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { fuzzRuns, holds } from '../support/holds.ts';
import { allowInLog } from '../support/bridge-process.ts';
import { BridgeSite } from '../support/bridge-site.ts';
import { patience } from '../support/patience.ts';

// Octets at random may be any failure of the server.
allowInLog('delete-failed', 'login-failed', 'map-rematched', 'only-flagged', 'seen-failed', 'session-error', 'upstream-failed');

const USUAL_RUNS = 60;
const LONGEST = { timeout: patience(60_000 + fuzzRuns(USUAL_RUNS) * 3_000) };
const LONGEST_SESSION_MS = 20_000;
const STATUS = /^(?:\+OK|-ERR)(?: [ -~]*)?$/;
const CHALLENGE = /^\+ [A-Za-z0-9+/=]*$/;
const SUBJECTS = ['one', 'two', 'three'];
/** What stands in answers of several lines: rows of LIST and UIDL, the messages that there are, capabilities. */
const ROW =
  /^(?:\d+ \d+|\d+ [0-9a-f.]+|Subject: (?:one|two|three)|Message-ID: <(?:one|two|three)@example\.com>|body of (?:one|two|three)|[A-Z][A-Z-]*(?: [ -~]+)?|)$/;

let site: BridgeSite;

beforeAll(async () => {
  const tables = '[limits]\nlogin_failures = 1000000\nsessions_per_address = 1000';
  site = await BridgeSite.start({ tables });
  site.deliver('INBOX', ...SUBJECTS);
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

const leaving = fc.constantFrom<Leave>('QUIT', 'QUIT', 'close', 'reset');
const LOGIN = ['USER alice', 'PASS secret'];
/** Who reset before the greeting once stopped the daemon; the others broke servers of others. */
const OF_CLIENTS = (
  [
    [[], 'reset'],
    [['STLS', ...LOGIN], 'QUIT'],
    [
      [
        'AUTH',
        'AUTH ',
        'auth plain =',
        'AUTH PLAIN',
        '*',
        'AUTH PLAIN',
        'AGFsaWNlAHNlY3JldA',
        'AUTH PLAIN AGFsaWNlAHNlY3JldA==',
        'AUTH LOGIN',
      ],
      'QUIT',
    ],
    [[...LOGIN, 'LIST 0', 'TOP 1', 'TOP 1 -1', 'RETR 1 2', 'UIDL 4294967297', 'TOP 1 99999999999999999999', 'RETR 3'], 'QUIT'],
    [Array.from({ length: 25 }, () => 'XYZZY'), 'QUIT'],
    [[...LOGIN, 'RETR 1', 'RETR 2', 'RETR 3', 'QUIT', 'LIST'], 'QUIT'],
    [[...LOGIN, 'RETR 1', 'RETR 2'], 'reset'],
    [[...LOGIN, 'PASS secret', ...LOGIN, 'CAPA', 'STLS', 'RSET', 'LAST'], 'QUIT'],
  ] as const
).map(([lines, leave]): [Buffer[], Leave] => [lines.map((line) => Buffer.from(`${line}\r\n`)), leave]);

test('from clients: every line of every answer is one, and the mail is there afterwards', LONGEST, async () => {
  let answered = 0;
  await holds(
    fc.asyncProperty(fromClient, leaving, async (pieces, leave) => {
      const answer = await sent(site.bridge.port(), pieces, leave);
      const { statuses, stray } = answersIn(answer, leave === 'QUIT');
      expect(stray).toEqual([]);
      // The greeting, and no more than one for each line; an answer that was begun is ended.
      const lines =
        Buffer.concat([...pieces])
          .toString('latin1')
          .split('\n').length + 2;
      expect(statuses.length).toBeLessThanOrEqual(1 + lines);
      if (leave === 'QUIT') expect(statuses[0]).toMatch(/^\+OK/);
      answered += statuses.length;
    }),
    { usual: USUAL_RUNS, examples: OF_CLIENTS },
  );
  expect(answered).toBeGreaterThan(2 * fuzzRuns(USUAL_RUNS));
  expect((await site.look()).subjects).toEqual(SUBJECTS);
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
interface Said {
  readonly nth: number;
  readonly lines: readonly string[];
  readonly next: 'continue' | 'close';
}

const fromServer: fc.Arbitrary<Said> = fc.record({
  nth: fc.integer({ min: 1, max: 12 }),
  lines: fc.array(said, { minLength: 1, maxLength: 6 }),
  next: fc.constantFrom('continue' as const, 'close' as const),
});
/** Two bodies in a row, a literal that is not what it was said to be, more messages than there can be, numbers that go back: at each command. */
const OF_SERVERS = [
  ['* 2 FETCH (UID 2 BODY[] {5}\r\nevil! BODY[] {5}\r\nevil!)'],
  ['* 2 FETCH (UID 2 BODY[HEADER] {3}\r\nevil!)'],
  ['* 4294967295 EXISTS'],
  ['* OK [UIDNEXT 1] x', '* OK [UIDVALIDITY 1] x', '* 0 EXISTS'],
].flatMap((lines) => [2, 3, 4, 6].map((nth): [Said] => [{ nth, lines, next: 'continue' }]));

test('from servers: a listing is right or an error, no message is another one, and the next session is fine', LONGEST, async () => {
  let [sessions, seen] = [0, 0];
  const { ids } = await site.look();
  await holds(
    fc.asyncProperty(fromServer, async ({ nth, lines, next }) => {
      let commands = 0;
      const raw = Buffer.from(`${lines.join('\r\n')}\r\n`, 'latin1');
      // A password that was refused stays refused for a while.
      site.imap.setScript(({ verb }) => (verb !== 'AUTHENTICATE' && (commands += 1) === nth ? { raw, next } : undefined));
      const shown = await inTime(site.glance().catch(() => undefined));
      site.imap.setScript(undefined);
      if (shown !== undefined) sessions += 1;
      // News that the server made up may hide a message for a session; ids never change for it.
      expect(ids).toMatchObject(shown?.ids ?? {});
      seen += Object.keys(shown?.ids ?? {}).length;
      expect((await inTime(site.glance())).ids).toEqual(ids);
    }),
    { usual: USUAL_RUNS, examples: OF_SERVERS },
  );
  expect(sessions).toBeGreaterThan(fuzzRuns(USUAL_RUNS) / 4);
  expect(seen).toBeGreaterThan(2 * sessions);
});

interface Answers {
  readonly statuses: readonly string[];
  /** Lines that are no answer and no part of one. */
  readonly stray: readonly string[];
}

/** Takes an answer apart; what was cut may end anywhere. */
function answersIn(answer: string, isWhole: boolean): Answers {
  const lines = answer.split('\r\n');
  const rest = lines.pop() ?? '';
  const statuses: string[] = [];
  const stray: string[] = [];
  let [follows, isOpen] = [false, false];
  for (const line of lines) {
    if (isOpen && line === '.') {
      isOpen = false;
    } else if (!isOpen && (STATUS.test(line) || CHALLENGE.test(line))) {
      statuses.push(line);
      follows = line.startsWith('+OK');
    } else {
      // Several lines begin behind +OK, and nowhere else.
      if (!ROW.test(line) || !(isOpen || follows)) stray.push(line);
      [follows, isOpen] = [false, true];
    }
  }
  if (isWhole && (isOpen || rest !== '')) stray.push(`no end: ${rest}`);
  return { statuses, stray };
}

type Leave = 'QUIT' | 'close' | 'reset';

/** Sends the pieces, and QUIT where it does not hang up; gives all that was answered. */
function sent(port: number, pieces: readonly Buffer[], leave: Leave): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const socket = connect(port, '127.0.0.1');
  let answer = '';
  socket.setTimeout(patience(LONGEST_SESSION_MS), () => reject(new Error(`no end after ${JSON.stringify(answer.slice(-200))}`)));
  socket.on('data', (chunk: Buffer) => (answer += chunk.toString('latin1')));
  socket.on('error', () => {});
  socket.on('close', () => resolve(answer));
  for (const piece of pieces) socket.write(piece);
  if (leave === 'QUIT') socket.end('\r\n*\r\nQUIT\r\n');
  else if (leave === 'close') socket.destroySoon();
  else socket.once('connect', () => socket.resetAndDestroy());
  return promise.finally(() => socket.destroy());
}

function inTime<T>(work: Promise<T>): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error('a session hangs')), patience(LONGEST_SESSION_MS));
  return Promise.race([work, late]).finally(() => clearTimeout(timer));
}
