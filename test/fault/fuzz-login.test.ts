/**
 * Octets that nobody meant, before anybody is logged in: in the greeting, in CAPABILITY, in the answer to STARTTLS, and in that to AUTHENTICATE. No password
 * goes where it must not, the client hears whose fault it is, and the next session is fine. A long run is asked for by `FUZZ_RUNS`.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { allowInLog } from '../support/bridge-process.ts';
import { BridgeSite } from '../support/bridge-site.ts';
import { fuzzRuns, holds } from '../support/holds.ts';
import type { ImapRule } from '../support/imap-server/script.ts';
import { makeCertificates } from '../support/peers/certificates.ts';
import { patience, patienceText } from '../support/patience.ts';
import { PopDialogue } from '../support/pop-dialogue.ts';
import { passwordsIn } from '../support/secrets-used.ts';

// Octets at random may be any failure of the server.
allowInLog('login-failed', 'upstream-failed');

const USUAL_RUNS = 25;
const LONGEST = { timeout: patience(60_000 + fuzzRuns(USUAL_RUNS) * 5_000) };
const PASSWORD = 'secret';
const ANSWER = /^(?:\+OK|-ERR \[(?:SYS\/TEMP|SYS\/PERM|AUTH)\])(?: [ -~]+)?$/;
/** A refused password is not sent again for a while: every trial has a user of its own, also those that look for a smaller exception. */
const USERS = Array.from({ length: 4 * fuzzRuns(USUAL_RUNS) + 200 }, (_, index) => `user${index}`);

const folder = mkdtempSync(join(tmpdir(), 'popbridge-fuzz-login-'));
let site: BridgeSite;

beforeAll(async () => {
  const { ca, key, certificate } = await makeCertificates(folder);
  const tls = { mode: 'starttls', key: readFileSync(key, 'utf8'), cert: readFileSync(certificate, 'utf8') } as const;
  const users = Object.fromEntries(['alice', ...USERS].map((user) => [user, PASSWORD]));
  site = await BridgeSite.start({
    server: { tls, users, folders: [{ path: 'INBOX' }] },
    security: 'starttls',
    upstream: [`ca_file = "${ca}"`],
    commandTimeout: patienceText(2_000),
    tables: '[limits]\nlogin_failures = 1000000',
  });
  site.deliver('INBOX', 'one', 'two');
});

afterAll(async () => {
  await site[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});

type Phase = 'greeting' | 'CAPABILITY' | 'STARTTLS' | 'CAPABILITY over TLS' | 'AUTHENTICATE';

interface Trial {
  readonly phase: Phase;
  readonly lines: readonly string[];
  readonly end: '\r\n' | '\n' | '';
  /** The true answer follows, or the connection closes. */
  readonly next: 'continue' | 'close';
}

const said = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.constantFrom(
      '* OK hi',
      '* PREAUTH hi',
      '* PREAUTH [CAPABILITY IMAP4rev1 AUTH=PLAIN] hi',
      '* BYE [UNAVAILABLE] later',
      '* BYE [REFERRAL imap://evil.example.com/] there',
      '* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR] hi',
      '* CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR',
      '* CAPABILITY IMAP4rev1 STARTTLS LOGINDISABLED',
      '* CAPABILITY',
      '* NO [ALERT] +OK you are in',
    ),
  },
  {
    weight: 4,
    arbitrary: fc.constantFrom(
      '$TAG OK',
      '$TAG OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] done',
      '$TAG NO',
      '$TAG NO [AUTHENTICATIONFAILED] no',
      '$TAG NO [UNAVAILABLE] later',
      '$TAG BAD',
      '+ ',
      '+ AGFsaWNl',
      '1 OK',
      '2 OK',
      '3 NO',
    ),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom('* OK {5}', '{3}', '* CAPABILITY {99999}', '*', '\0', '"', '* OK [', `* OK ${'x'.repeat(3_000)}`),
  },
  fc.uint8Array({ maxLength: 30 }).map((octets) => Buffer.from(octets).toString('latin1')),
);
const trial: fc.Arbitrary<Trial> = fc.record({
  phase: fc.constantFrom<Phase>('greeting', 'CAPABILITY', 'STARTTLS', 'CAPABILITY over TLS', 'AUTHENTICATE'),
  lines: fc.array(said, { minLength: 1, maxLength: 4 }),
  end: fc.constantFrom('\r\n', '\r\n', '\r\n', '\r\n', '\n', ''),
  next: fc.constantFrom('continue', 'close'),
});
/** What has fooled clients of others: no TLS needed, or said to be there; answers to what was not asked yet; a challenge in place of an answer. */
const FOOLED = (
  [
    ['greeting', '* PREAUTH hi', 'continue'],
    ['greeting', '* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR] hi', 'continue'],
    ['greeting', '+ ', 'continue'],
    ['CAPABILITY', '* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\n$TAG OK', 'continue'],
    ['CAPABILITY', '$TAG OK', 'continue'],
    ['CAPABILITY', '$TAG OK\r\n2 NO\r\n3 NO\r\n4 NO', 'continue'],
    ['STARTTLS', '2 NO\r\n3 NO\r\n4 NO', 'continue'],
    ['CAPABILITY over TLS', '$TAG OK\r\n3 NO\r\n* OK {5}', 'continue'],
    ['STARTTLS', '$TAG NO', 'close'],
    ['STARTTLS', '$TAG BAD', 'continue'],
    ['STARTTLS', '$TAG OK\r\n$TAG OK\r\n+ ', 'continue'],
    ['STARTTLS', '+ ', 'close'],
    ['CAPABILITY over TLS', '* CAPABILITY IMAP4rev1 LOGINDISABLED\r\n$TAG OK', 'close'],
    ['AUTHENTICATE', '$TAG OK', 'close'],
    ['AUTHENTICATE', '$TAG NO [AUTHENTICATIONFAILED] no', 'close'],
    ['AUTHENTICATE', '+ \r\n+ \r\n+ ', 'close'],
    ['AUTHENTICATE', '* BYE [UNAVAILABLE] later', 'close'],
    ['AUTHENTICATE', '$TAG OKAY', 'close'],
    // The true answer is the rest of that line.
    ['AUTHENTICATE', '$TAG OK', 'continue', ''],
  ] as const
).map(([phase, line, next, end]): [Trial] => [{ phase, lines: [line], end: end ?? '\r\n', next }]);

const RULES: Readonly<Record<Exclude<Phase, 'greeting'>, (event: Parameters<ImapRule>[0]) => boolean>> = {
  CAPABILITY: ({ verb, session }) => verb === 'CAPABILITY' && !session.isSecured,
  STARTTLS: ({ verb }) => verb === 'STARTTLS',
  'CAPABILITY over TLS': ({ verb, session }) => verb === 'CAPABILITY' && session.isSecured,
  AUTHENTICATE: ({ verb }) => verb === 'AUTHENTICATE' || verb === 'LOGIN',
};

/** Makes the server say that once. Gives what tells whether it did. */
function arm({ phase, lines, end, next }: Trial): () => boolean {
  const raw = Buffer.from(lines.join('\r\n') + end, 'latin1');
  let hasSaid = phase === 'greeting';
  if (phase === 'greeting') {
    site.imap.setGreeting({ raw, next });
  } else {
    // With capabilities in the greeting nobody asks for them.
    site.imap.setGreeting(phase === 'CAPABILITY' ? '* OK hi' : undefined);
    site.imap.setScript((event) => {
      if (hasSaid || !RULES[phase](event)) return undefined;
      hasSaid = true;
      return { raw, next };
    });
  }
  return () => {
    site.imap.setGreeting(undefined);
    site.imap.setScript(undefined);
    return hasSaid;
  };
}

test(
  'from servers that nobody has logged in to: no password in clear, [AUTH] only where it was refused, and the next session is fine',
  LONGEST,
  async () => {
    const told = new Map<string, number>();
    const { ids } = await site.glance();
    let next = 0;
    await holds(
      fc.asyncProperty(trial, async (one) => {
        const user = USERS[(next += 1) % USERS.length] ?? '';
        const disarm = arm(one);
        const logins = site.imap.logins;
        const client = await PopDialogue.connect(site.bridge.port());
        await client.command(`USER ${user}`);
        const answer = await client.command(`PASS ${PASSWORD}`);
        expect(disarm()).toBe(true);

        expect(answer).toMatch(ANSWER);
        expect(passwordsIn(site.imap.heardInClear, ['alice', user])).toEqual([]);
        if (answer.startsWith('+OK')) {
          expect(site.imap.logins).toBeGreaterThan(logins);
          expect(await client.command('STAT')).toBe('+OK 0 0');
        }
        if (answer.startsWith('-ERR [AUTH]')) {
          // Over TLS it is the server itself that says so, be it too early.
          expect(['AUTHENTICATE', 'CAPABILITY over TLS']).toContain(one.phase);
          expect(one.lines.join('\r\n')).toMatch(one.phase === 'AUTHENTICATE' ? /(?:\$TAG|\d) NO/ : /\d NO/);
        }
        client.close();
        expect((await site.glance()).ids).toEqual(ids);
        const code = /^\+OK|\[.*?\]/.exec(answer)?.[0] ?? answer;
        told.set(code, (told.get(code) ?? 0) + 1);
      }),
      { usual: USUAL_RUNS, examples: FOOLED },
    );
    // Of each kind there was something.
    for (const code of ['+OK', '[SYS/TEMP]', '[AUTH]']) expect(told.get(code), code).toBeGreaterThan(0);
    expect(passwordsIn(site.imap.dropped, ['alice', ...USERS.slice(0, next)])).toEqual([]);
  },
);
