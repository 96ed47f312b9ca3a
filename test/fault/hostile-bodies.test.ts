/**
 * Whatever a server does with commands for bodies: a client is given the octets of the message that it asked for, or an error; never
 * anything else as a whole message. The server is honest in all but how it answers `UID FETCH … (UID BODY.PEEK[…])`.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { endsWithEachTest } from '../support/ends-with-tests.ts';
import { fuzzRuns, holds } from '../support/holds.ts';
import { systemClock } from '../../src/clock.ts';
import { asUid } from '../../src/maildrop/numbers.ts';
import { BodyCache } from '../../src/upstream/body-cache.ts';
import { ImapflowUpstream } from '../../src/upstream/imapflow-upstream.ts';
import { NOTHING_KNOWN, type UpcomingMessage, type UpstreamMailbox, type UpstreamSession } from '../../src/upstream/upstream.ts';
import { ImapServer } from '../support/imap-server.ts';
import type { Fault } from '../support/imap-server/script.ts';
import { plainEndpoint } from '../support/plain-endpoint.ts';
import { patience } from '../support/patience.ts';

const MESSAGES = 12;
/** Only what hangs may reach it. */
const TIMEOUT_MS = patience(400);
const USUAL_RUNS = 60;
const never = new AbortController().signal;

const ODD_KEYWORDS = ['foo(bar', 'foo)bar', '(x', '5"disk', '[a]', 'a\\b', '{draft}', 'x{5}', 'BODY[] {5}', 'My Label', 'Caf\xe9', '100%*'];

/** What was asked for: its rows may be given in any way. */
interface Asked {
  readonly section: string;
  readonly rows: readonly { readonly uid: number; readonly body: Buffer }[];
}

type Answer = (asked: Asked) => Fault | undefined;

const text = (value: string): Buffer => Buffer.from(value, 'latin1');
const literal = (section: string, body: Buffer, announced = body.length): Buffer =>
  Buffer.concat([text(`BODY[${section}] {${announced}}\r\n`), body]);
const row = (uid: number, section: string, body: Buffer, announced?: number): Buffer =>
  Buffer.concat([text(`* ${uid} FETCH (UID ${uid} `), literal(section, body, announced), text(')\r\n')]);
const OK = text('$TAG OK done\r\n');
const raw = (pieces: readonly Buffer[], next?: 'close' | 'hang'): Fault => ({
  raw: Buffer.concat(pieces),
  ...(next === undefined ? {} : { next }),
});

const ANSWERS: Readonly<Record<string, Answer>> = {
  'as it should': () => undefined,
  'last first': ({ section, rows }) => raw([...rows.toReversed().map(({ uid, body }) => row(uid, section, body)), OK]),
  'with the UID behind the body': ({ section, rows }) =>
    raw([...rows.flatMap(({ uid, body }) => [text(`* ${uid} FETCH (`), literal(section, body), text(` UID ${uid})\r\n`)]), OK]),
  'with no UID': ({ section, rows }) =>
    raw([...rows.flatMap(({ uid, body }) => [text(`* ${uid} FETCH (`), literal(section, body), text(')\r\n')]), OK]),
  'with no UID, and others first': ({ section, rows }) =>
    raw([
      ...rows.flatMap(({ uid, body }) => [
        text(`* ${uid + 1_000} FETCH (`),
        literal(section, text('of another')),
        text(`)\r\n* ${uid} FETCH (`),
        literal(section, body),
        text(')\r\n'),
      ]),
      OK,
    ]),
  'without the last rows': ({ section, rows }) => raw([...rows.slice(0, -1).map(({ uid, body }) => row(uid, section, body)), OK]),
  'with rows nobody asked for': ({ section, rows }) =>
    raw([
      ...rows.flatMap(({ uid, body }) => [
        text(`* ${uid} FETCH (FLAGS (\\Seen) UID ${uid})\r\n* OK still here {5}\r\n* ${MESSAGES} EXISTS\r\n`),
        row(uid + 1_000, section, text('of another')),
        row(uid, section, body),
      ]),
      OK,
    ]),
  'every row twice, with other octets': ({ section, rows }) =>
    raw([...rows.flatMap(({ uid, body }) => [row(uid, section, body), row(uid, section, text('other octets'))]), OK]),
  'with two bodies in a row': ({ section, rows }) =>
    raw([
      ...rows.flatMap(({ uid, body }) => [
        text(`* ${uid} FETCH (UID ${uid} `),
        literal(section, body),
        text(' '),
        literal(section, text('second')),
        text(')\r\n'),
      ]),
      OK,
    ]),
  'with a UID that changes within the row': ({ section, rows }) =>
    raw([
      ...rows.flatMap(({ uid, body }, index) => [
        text(`* ${uid} FETCH (UID ${rows[index + 1]?.uid ?? uid + 500} `),
        literal(section, body),
        text(` UID ${uid})\r\n`),
      ]),
      OK,
    ]),
  'with NIL': ({ section, rows }) => raw([...rows.map(({ uid }) => text(`* ${uid} FETCH (UID ${uid} BODY[${section}] NIL)\r\n`)), OK]),
  'with nothing': ({ section, rows }) => raw([...rows.map(({ uid }) => row(uid, section, Buffer.alloc(0))), OK]),
  'with other sections': ({ rows }) => raw([...rows.map(({ uid }) => row(uid, 'TEXT', text('a text'))), OK]),
  'from the middle on': ({ section, rows }) =>
    raw([
      ...rows.map(({ uid, body }) =>
        Buffer.concat([text(`* ${uid} FETCH (UID ${uid} BODY[${section}]<7> {${body.length}}\r\n`), body, text(')\r\n')]),
      ),
      OK,
    ]),
  'with the first octets alone': ({ section, rows }) =>
    raw([
      ...rows.map(({ uid, body }) =>
        Buffer.concat([
          text(`* ${uid} FETCH (UID ${uid} BODY[${section}]<0> {${body.length - 3}}\r\n`),
          body.subarray(0, -3),
          text(')\r\n'),
        ]),
      ),
      OK,
    ]),
  'with blank lines and blanks': ({ section, rows }) =>
    raw([
      ...rows.flatMap(({ uid, body }, index) => [
        text(`* ${uid} FETCH (UID ${uid} `),
        literal(section, body),
        text(['\r\n)\r\n', ' )\r\n', ') \r\n\r\n', '\r\n \r\n) \r\r\n'][index % 4] ?? ''),
      ]),
      OK,
    ]),
  'with items behind the end of the row': ({ section, rows }) =>
    raw([
      ...rows.flatMap(({ uid, body }, index) => [
        text(`* ${uid} FETCH (`),
        literal(section, body),
        text([`) UID ${uid})\r\n`, `)\r\n FLAGS (\\Seen) UID ${uid})\r\n`, `) FLAGS (\\Seen) UID ${uid}\r\n`][index % 3] ?? ''),
      ]),
      OK,
    ]),
  'with flags that no grammar allows': ({ section, rows }) =>
    raw([
      ...rows.flatMap(({ uid, body }, index) => {
        const flags = `FLAGS (\\Seen ${ODD_KEYWORDS[index % ODD_KEYWORDS.length] ?? ''})`;
        return [
          text(`* ${uid} FETCH (UID ${uid} ${flags})\r\n* ${uid} FETCH (UID ${uid} ${flags} `),
          literal(section, body),
          text(` ${flags})\r\n`),
        ];
      }),
      OK,
    ]),
  'among rows that make no sense': ({ section, rows }) =>
    raw([
      ...rows.flatMap(({ uid, body }) => [
        text(`* ${uid} FETCH (UID ${uid} BODY[${section}] atom)\r\n* ${uid} FETCH (UID x FLAGS (\r\n* ${uid} FETCH (UID ${uid}\r\n)\r\n`),
        row(uid, section, body),
      ]),
      OK,
    ]),
  'with words behind a body': ({ section, rows }) =>
    raw([
      ...rows.flatMap(({ uid, body }) => [text(`* ${uid} FETCH (UID ${uid} `), literal(section, body), text(') and some words\r\n')]),
      OK,
    ]),
  'with rows that are not closed': ({ section, rows }) =>
    raw([...rows.flatMap(({ uid, body }) => [text(`* ${uid} FETCH (UID ${uid} `), literal(section, body), text('\r\n')]), OK]),
  'with rows that are closed twice': ({ section, rows }) =>
    raw([...rows.flatMap(({ uid, body }) => [row(uid, section, body), text(')\r\n')]), OK]),
  'with messages that vanish': ({ section, rows }) =>
    raw([...rows.flatMap(({ uid, body }) => [row(uid, section, body), text('* 1 EXPUNGE\r\n* VANISHED 77\r\n')]), OK]),
  'NO, after some': ({ section, rows }) =>
    raw([...rows.slice(0, rows.length / 2).map(({ uid, body }) => row(uid, section, body)), text('$TAG NO [SERVERBUG] oops\r\n')]),
  BAD: () => ({ reply: 'BAD no' }),
  'BYE, after some': ({ section, rows }) =>
    raw([...rows.slice(0, rows.length / 2).map(({ uid, body }) => row(uid, section, body)), text('* BYE enough\r\n')], 'close'),
  'and hangs up within a body': ({ section, rows }) =>
    raw(
      rows.map(({ uid, body }) => row(uid, section, body.subarray(0, body.length - 5), body.length)),
      'close',
    ),
  'and falls silent within a body': ({ section, rows }) =>
    raw(
      rows.map(({ uid, body }) => row(uid, section, body.subarray(0, body.length - 5), body.length + 5)),
      'hang',
    ),
  'and hangs up behind a body': ({ section, rows }) =>
    raw(
      rows.slice(0, 1).flatMap(({ uid, body }) => [text(`* ${uid} FETCH (UID ${uid} `), literal(section, body)]),
      'close',
    ),
  'with longer literals than announced': ({ section, rows }) =>
    raw([...rows.map(({ uid, body }) => row(uid, section, body, body.length - 9)), OK]),
  'with shorter literals than announced': ({ section, rows }) =>
    raw([...rows.map(({ uid, body }) => row(uid, section, body, body.length + 9)), OK], 'hang'),
  'with a body of a tebibyte': ({ section, rows }) =>
    raw(
      rows.map(({ uid, body }) => row(uid, section, body, 2 ** 40)),
      'hang',
    ),
  'with a body of more than that': ({ section, rows }) =>
    raw(
      rows.map(({ uid, body }) => row(uid, section, body, 2 ** 52)),
      'hang',
    ),
  'a command that nobody sent': ({ section, rows }) =>
    raw([...rows.slice(0, 1).map(({ uid, body }) => row(uid, section, body)), text('Zzz OK done\r\n')], 'hang'),
  'without an end': () => raw([text('* 1 FETCH (UID')], 'hang'),
  'with noise': () => raw([Buffer.from('\0\xff\r\n* FETCH )(\r\n* 0 FETCH (UID 0 BODY[] "x")\r\n', 'latin1'), OK]),
};

/** The numbers of `1:3,7`. */
function numbersOf(set: string): number[] {
  return set.split(',').flatMap((range) => {
    const [first = 0, last = first] = range.split(':').map(Number);
    return Array.from({ length: last - first + 1 }, (_, index) => first + index);
  });
}

const open = endsWithEachTest();

interface Reader {
  /** Reads a message, or only its first octets; undefined where it failed. */
  readonly read: (uid: number, part: 'whole' | 'header', isAbandoned?: boolean) => Promise<Buffer | undefined>;
  readonly close: () => Promise<void>;
  readonly answerWith: (next: () => Answer) => void;
  readonly messages: readonly Buffer[];
  readonly budget: { used: number };
}

async function reader(): Promise<Reader> {
  const imap = await ImapServer.start();
  open.push(imap);
  const messages = Array.from({ length: MESSAGES }, (_, index) =>
    text(`Subject: ${index + 1}\r\n\r\n${`line ${index + 1} of it\r\n`.repeat(1 + index ** 4)}`),
  );
  for (const message of messages) imap.mailbox('INBOX').append(message.toString('latin1'));
  let nextAnswer: () => Answer = () => () => undefined;
  imap.setScript(({ command }) => {
    const [, set = '', section = ''] = /^UID FETCH (\S+) \(UID BODY\.PEEK\[(\w*)\]\)$/.exec(command) ?? [];
    if (set === '') return undefined;
    const rows = numbersOf(set).map((uid) => {
      const message = messages[uid - 1] ?? Buffer.alloc(0);
      return { uid, body: section === 'HEADER' ? message.subarray(0, message.indexOf('\r\n\r\n') + 4) : message };
    });
    return nextAnswer()({ section, rows });
  });
  const budget = { sessionOctets: 64 * 1024, totalOctets: 1024 * 1024, used: 0 };
  const endpoint = plainEndpoint(imap.port, TIMEOUT_MS);
  const upstream = new ImapflowUpstream(endpoint, systemClock, { budget, bodies: new BodyCache(0) });
  let session: UpstreamSession | undefined;
  let mailbox: UpstreamMailbox | undefined;
  const close = async (): Promise<void> => {
    const ended = session;
    session = mailbox = undefined;
    await ended?.logout();
  };
  const selected = async (): Promise<UpstreamMailbox> => {
    if (mailbox !== undefined && session?.isUsable === true) return mailbox;
    await close();
    session = await upstream.login({ user: 'alice', password: 'secret' }, never);
    mailbox = await session.select('INBOX', never);
    await mailbox.list(NOTHING_KNOWN, never);
    return mailbox;
  };
  return {
    messages,
    budget,
    close,
    answerWith: (next) => {
      nextAnswer = next;
    },
    read: async (uid, part, isAbandoned = false) => {
      const chunks: Uint8Array[] = [];
      try {
        const from = await selected();
        const request = { uid: asUid(uid), octets: messages[uid - 1]?.length ?? 0, part, ahead: () => after(uid, messages) };
        for await (const chunk of from.fetch(request, never)) {
          chunks.push(chunk);
          if (isAbandoned) break;
        }
      } catch {
        return undefined;
      }
      return Buffer.concat(chunks);
    },
  };
}

function* after(uid: number, messages: readonly Buffer[]): Generator<UpcomingMessage, void, void> {
  for (let next = uid + 1; next <= messages.length; next += 1) yield { uid: asUid(next), octets: messages[next - 1]?.length ?? 0 };
}

/** Every wait has an end: much earlier than this. */
async function inTime<T>(work: Promise<T>, what: string): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error(`${what} did not end`)), 40 * TIMEOUT_MS);
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Of a header the caller cuts what it needs: it has to be there. */
function isRight(found: Buffer, message: Buffer, part: 'whole' | 'header'): boolean {
  if (part === 'whole') return found.equals(message);
  return found.length >= message.indexOf('\r\n\r\n') + 4 && message.subarray(0, found.length).equals(found);
}

/** Where the server can't be believed any more, or is gone. */
const IN_DOUBT = new Set([
  'with a UID that changes within the row',
  'BYE, after some',
  'and hangs up within a body',
  'and falls silent within a body',
  'and hangs up behind a body',
  'with longer literals than announced',
  'with shorter literals than announced',
  'with a body of a tebibyte',
  'with a body of more than that',
  'a command that nobody sent',
  'without an end',
  'with noise',
  'with words behind a body',
  'with rows that are not closed',
  'with rows that are closed twice',
]);

/** What nobody notices, also where one message is asked for. */
const HARMLESS = new Set([
  'as it should',
  'last first',
  'with the UID behind the body',
  'with no UID',
  'with no UID, and others first',
  'with the first octets alone',
  'with rows nobody asked for',
  'every row twice, with other octets',
  'with two bodies in a row',
  'with messages that vanish',
  'with blank lines and blanks',
  'with items behind the end of the row',
  'with flags that no grammar allows',
  'among rows that make no sense',
]);

describe('a server that answers what is read ahead', () => {
  test.for(Object.entries(ANSWERS))('%s: each message comes right or not at all', async ([name, answer]) => {
    const { read, answerWith, messages, budget, close } = await reader();
    answerWith(() => (asked) => (asked.rows.length > 1 || HARMLESS.has(name) ? answer(asked) : undefined));
    let missed = 0;
    for (let uid = 1; uid <= MESSAGES; uid += 1) {
      const message = messages[uid - 1] ?? Buffer.alloc(0);
      const found = (await read(uid, 'whole')) ?? (missed++, message);
      expect(isRight(found, message, 'whole'), `message ${uid}`).toBe(true);
    }
    // A message that was missed with others is asked for alone; a connection in doubt is lost with it.
    if (!IN_DOUBT.has(name)) expect(missed).toBe(0);
    expect(missed).toBeLessThan(MESSAGES / 2);
    await close();
    expect(budget.used).toBe(0);
  });
});

interface Step {
  readonly uid: number;
  readonly run: number;
  readonly part: 'whole' | 'header';
  readonly isAbandoned: boolean;
}

/** A second body in a row went to another command that waited for the same message; literals were believed at their end. */
const OLD_FAILURES = ['with two bodies in a row', 'with longer literals than announced', 'with shorter literals than announced'];
/** Each of them with somebody who gave up while the same message was read ahead. */
const STEPS: Step[] = [
  { uid: 1, run: 3, part: 'whole', isAbandoned: true },
  { uid: 2, run: 3, part: 'whole', isAbandoned: false },
  { uid: 1, run: 2, part: 'header', isAbandoned: false },
];

function* endless(name: string): Generator<string, never, void> {
  for (;;) yield name;
}

test(
  'in any order, with any answers: no read gives other octets than those of its message, and none hangs',
  { timeout: patience(600_000) },
  async () => {
    const { read, answerWith, messages, budget, close } = await reader();
    const names = Object.keys(ANSWERS);
    const step: fc.Arbitrary<Step> = fc.record({
      uid: fc.integer({ min: 1, max: MESSAGES }),
      run: fc.integer({ min: 1, max: 4 }),
      part: fc.constantFrom('whole' as const, 'header' as const),
      isAbandoned: fc.boolean(),
    });
    const answers = fc.infiniteStream(fc.oneof({ weight: 2, arbitrary: fc.constant('as it should') }, fc.constantFrom(...names)));
    let right = 0;
    await holds(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 6 }), answers, async (steps, stream) => {
        answerWith(() => ANSWERS[String(stream.next().value)] ?? (() => undefined));
        for (const { uid: first, run, part, isAbandoned } of steps) {
          for (let uid = first; uid < first + run && uid <= MESSAGES; uid += 1) {
            const found = await inTime(read(uid, part, isAbandoned), `${part} ${uid}`);
            const message = messages[uid - 1] ?? Buffer.alloc(0);
            if (found === undefined) continue;
            // What is given up half way was never said to be whole.
            if (!isAbandoned) expect(isRight(found, message, part), `${part} ${uid}`).toBe(true);
            right += 1;
          }
        }
        answerWith(() => () => undefined);
        await inTime(close(), 'logout');
        expect(budget.used).toBe(0);
      }),
      { usual: USUAL_RUNS, examples: OLD_FAILURES.map((name): [Step[], fc.Stream<string>] => [STEPS, fc.stream(endless(name))]) },
    );
    expect(right).toBeGreaterThan(fuzzRuns(USUAL_RUNS) / 2);
  },
);
