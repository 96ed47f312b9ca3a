/**
 * One message that a server cannot list, or gives nothing of, shuts nobody out: all others are served, it keeps its place and its unique-id, and no
 * client is given anything in its stead.
 */
import { describe, expect, test } from 'vitest';
import { allowInLog } from '../support/bridge-process.ts';
import { BridgeSite, type BridgeSiteSetup } from '../support/bridge-site.ts';
import { endsWithEachTest, sharedByTests } from '../support/ends-with-tests.ts';
import { DEFAULT_CAPABILITIES } from '../support/imap-server/settings.ts';
import type { Fault, ImapRule } from '../support/imap-server/script.ts';
import type { PopDialogue } from '../support/pop-dialogue.ts';
import type { Bridge } from '../support/shared-bridge.ts';

allowInLog('login-failed', 'upstream-failed', 'session-error', 'delete-failed', 'messages-unlistable');

type Site = BridgeSite<Bridge>;

const SUBJECTS = ['one', 'two', 'three', 'four', 'five', 'six', 'seven'];
const BAD = 3;

const shared = sharedByTests();
const open = endsWithEachTest();

/** Seven messages in INBOX, whose UIDs are their numbers. */
async function site(setup: Omit<BridgeSiteSetup, 'imap'> = {}): Promise<Site> {
  const it = await BridgeSite.startIn(shared, setup);
  open.push(it);
  it.deliver('INBOX', ...SUBJECTS);
  return it;
}

/** Whether a set such as 1:2,5:* names that number. */
function names(set: string, number: number): boolean {
  return set.split(',').some((range) => {
    const [from, to = from] = range.split(':').map((end) => (end === '*' ? Infinity : Number(end)));
    return Math.min(from ?? 0, to ?? 0) <= number && number <= Math.max(from ?? 0, to ?? 0);
  });
}

/** Meets every FETCH in which that message is, whatever it asks for. */
const meets = (fault: Fault, number = BAD): ImapRule => {
  return ({ command }) => {
    const set = /^(?:UID )?FETCH (\S+) /.exec(command)?.[1];
    return set !== undefined && names(set, number) ? fault : undefined;
  };
};

/** Unique-ids by message-number, and what RETR says: a subject, or the error. */
async function everything(client: PopDialogue): Promise<{ readonly ids: string[]; readonly texts: string[] }> {
  const ids = (await client.multi('UIDL')).map((line) => line.split(' ')[1] ?? '');
  const texts: string[] = [];
  for (const [index] of ids.entries()) {
    const status = await client.command(`RETR ${index + 1}`);
    texts.push(status.startsWith('+OK') ? (/^Subject: (.*)\r$/m.exec((await client.untilEnd()).toString())?.[1] ?? '') : status);
  }
  return { ids, texts };
}

const others = (texts: readonly string[]): string[] => texts.filter((_, index) => index !== BAD - 1);
const WITHOUT_BAD = others(SUBJECTS);

describe.each([
  ['NO', { reply: 'NO cannot read that' }],
  ['BAD', { reply: 'BAD internal error' }],
  ['BYE', { bye: 'internal error' }],
  ['nothing, as it closes the connection', { close: true }],
] as const)('a message over which the server says %s', (_, fault) => {
  test('keeps its number at a first login; the others are served, and it is an error', async () => {
    const it = await site();
    it.imap.setScript(meets(fault));
    const client = await it.open();
    const { ids, texts } = await everything(client);
    expect(new Set(ids).size).toBe(SUBJECTS.length);
    expect(others(texts)).toEqual(WITHOUT_BAD);
    expect(texts[BAD - 1]).toMatch(/^-ERR \[SYS\/(?:TEMP|PERM)\] [ -~]+$/);
    await client.command('QUIT');
  });

  test('keeps its number and its unique-id from one login to the next, and when it can be read again', async () => {
    const it = await site();
    it.imap.setScript(meets(fault));
    const first = await it.open();
    const ids = await first.multi('UIDL');
    await first.command('QUIT');
    const second = await it.open();
    expect(await second.multi('UIDL')).toEqual(ids);
    await second.command('QUIT');
    it.imap.setScript(undefined);
    const third = await it.open();
    expect(await third.multi('UIDL')).toEqual(ids);
    expect((await third.retrieve(BAD)).toString()).toContain('Subject: three');
    await third.command('QUIT');
  });

  test('does not keep the others from being deleted, nor is it deleted itself', async () => {
    const it = await site();
    it.imap.setScript(meets(fault));
    const client = await it.open();
    await client.command('DELE 2');
    await client.command('DELE 5');
    expect(await client.command('QUIT')).toBe('+OK bye');
    expect(it.upstream()).toEqual(SUBJECTS.filter((subject) => subject !== 'two' && subject !== 'five'));
  });

  test('is no reason to look at the others again when it comes as a new one', async () => {
    const it = await site();
    const { ids } = await it.look();
    it.deliver('INBOX', 'eight', 'nine');
    it.imap.setScript(meets(fault, 8));
    const client = await it.open();
    const lines = await client.multi('UIDL');
    expect(lines).toHaveLength(SUBJECTS.length + 2);
    expect(lines.slice(0, SUBJECTS.length).map((line) => line.split(' ')[1])).toEqual(SUBJECTS.map((subject) => ids[subject]));
    expect((await client.retrieve(9)).toString()).toContain('Subject: nine');
    await client.command('QUIT');
  });
});

test('a message over which the server closes the connection costs its user some connections once, and later logins none', async () => {
  const it = await site();
  it.imap.setScript(meets({ close: true }));
  await (await it.open()).command('QUIT');
  const before = it.imap.connections;
  expect(before).toBeLessThanOrEqual(12);
  await (await it.open()).command('QUIT');
  expect(it.imap.connections).toBe(before + 1);
});

test('a server that closes the connection over every message is an error, after a few connections', async () => {
  const it = await site();
  it.imap.setScript(({ command }) => (/^(?:UID )?FETCH /.test(command) ? { close: true } : undefined));
  await expect(it.open()).rejects.toThrow(/^login: -ERR \[SYS\/TEMP\]/);
  expect(it.imap.connections).toBeLessThanOrEqual(10);
  it.imap.setScript(undefined);
  expect((await it.look()).subjects).toEqual(SUBJECTS);
});

test('a server that leaves out the row of one message each time keeps nobody from the others', async () => {
  const it = await site();
  const leavesOut: ImapRule = ({ command }) => {
    const set = /^(?:UID )?FETCH (\S+) .*RFC822\.SIZE/.exec(command)?.[1];
    return set !== undefined && names(set, 7) ? { omitRows: 1 } : undefined;
  };
  it.imap.setScript(leavesOut);
  const { texts } = await everything(await it.open());
  expect(texts).toEqual(SUBJECTS);
});

describe('a message of which the server gives an empty body', () => {
  const EMPTY = 'Subject: empty\r\n\r\nbody\r\n';
  /** RETR gets nothing; SELECT and the rows are as told. */
  const givesNothing = (raw: string, connection?: number): ImapRule => {
    return (event) => {
      if (!/^UID FETCH \S+ .*BODY\.PEEK\[/.test(event.command) || (connection !== undefined && event.connection !== connection))
        return undefined;
      return { raw: `* 1 FETCH (UID 1 ${raw})\r\n$TAG OK done\r\n` };
    };
  };
  const sizes = (size: string): ImapRule => {
    return ({ command }) =>
      command.includes('RFC822.SIZE') ? { rewrite: (text) => text.replace(/RFC822\.SIZE .*/, `RFC822.SIZE ${size}`) } : undefined;
  };
  async function one(raw = EMPTY): Promise<Site> {
    const it = await BridgeSite.startIn(shared);
    open.push(it);
    it.imap.mailbox('INBOX').append(raw);
    return it;
  }

  test.each([
    ['SIZE NIL', 'NIL', 'BODY[] ""'],
    ['SIZE NIL, a literal', 'NIL', 'BODY[] {0}\r\n'],
    ['a size that is not 0', '26', 'BODY[] ""'],
    ['a size that is not 0, a literal', '26', 'BODY[] {0}\r\n'],
    ['SIZE 0 on one connection alone', '0', 'BODY[] ""'],
  ] as const)('with %s is an error, and stays where it is when the client deletes what it got', async (_, size, body) => {
    const it = await one();
    it.imap.setScript([givesNothing(body, 1), sizes(size)]);
    const client = await it.open();
    const answer = await client.command('RETR 1');
    expect(answer).toMatch(/^-ERR \[SYS\/(?:TEMP|PERM)\] [ -~]+$/);
    await client.command('QUIT');
    expect(it.upstream()).toEqual(['empty']);
  });

  test.each(['NIL', '26'] as const)('with size %s is an error also where every connection gives nothing', async (size) => {
    const it = await one();
    it.imap.setScript([givesNothing('BODY[] ""'), sizes(size)]);
    const client = await it.open();
    expect(await client.command('RETR 1')).toMatch(/^-ERR /);
    expect(await client.command('TOP 1 5')).toMatch(/^-ERR /);
    await client.command('QUIT');
    expect(it.upstream()).toEqual(['empty']);
  });

  test('and size 0 is a message where a second connection says the same, and can be deleted', async () => {
    const it = await one('');
    const client = await it.open();
    expect((await client.retrieve(1)).toString()).toBe('\r\n');
    expect(it.imap.connections).toBe(2);
    await client.command('DELE 1');
    expect(await client.command('QUIT')).toBe('+OK bye');
    expect(it.imap.mailbox('INBOX').messages).toEqual([]);
  });
});

test('what is left of a mailbox whose every row is refused is an error, not an empty maildrop', async () => {
  const it = await site({ server: { capabilities: DEFAULT_CAPABILITIES } });
  it.imap.setScript(({ command }) => (/^(?:UID )?FETCH .*RFC822\.SIZE/.test(command) ? { reply: 'NO internal error' } : undefined));
  await expect(it.open()).rejects.toThrow(/^login: -ERR \[SYS\/TEMP\]/);
  it.imap.setScript(undefined);
  expect((await it.look()).subjects).toEqual(SUBJECTS);
});
