/**
 * What a server says of messages that nobody asked about is a claim and no more: nobody's mail is moved, expunged or flagged for it, and the client
 * of QUIT is never told that all is well.
 */
import { describe, expect, test } from 'vitest';
import { allowInLog } from '../support/bridge-process.ts';
import { BridgeSite } from '../support/bridge-site.ts';
import { endsWithEachTest, sharedByTests } from '../support/ends-with-tests.ts';
import { DEFAULT_CAPABILITIES } from '../support/imap-server/settings.ts';
import type { CommandEvent, Fault, ImapRule } from '../support/imap-server/script.ts';
import type { Bridge } from '../support/shared-bridge.ts';

allowInLog('delete-failed', 'only-flagged');

type Site = BridgeSite<Bridge>;

const SUBJECTS = ['one', 'two', 'three', 'four', 'five'];
const ALL = '1:5';
const UNKNOWN = '-ERR [SYS/TEMP] 1 messages to delete, outcome unknown';
const without = (...names: readonly string[]): readonly string[] => DEFAULT_CAPABILITIES.filter((name) => !names.includes(name));

const shared = sharedByTests();
const open = endsWithEachTest();

/** Five messages in INBOX. */
async function site(capabilities: readonly string[] = DEFAULT_CAPABILITIES, tables = ''): Promise<Site> {
  const it = await BridgeSite.startIn(shared, { server: { capabilities }, tables });
  open.push(it);
  it.deliver('INBOX', ...SUBJECTS);
  return it;
}

/** A session that marks these messages, in which the server goes by the script from QUIT on; gives the answer to QUIT. */
async function quitWith(it: Site, marked: readonly number[], script: ImapRule): Promise<string> {
  const client = await it.open();
  for (const number of marked) await client.command(`DELE ${number}`);
  it.imap.setScript(script);
  const answer = await client.command('QUIT');
  it.imap.setScript(undefined);
  return answer;
}

/** What SEARCH would say that found these UIDs. */
function found({ command, tag }: CommandEvent, uids: string): Fault {
  const [from = 0, to = 0] = uids.split(':').map(Number);
  const numbers = Array.from({ length: to - from + 1 }, (_, index) => from + index);
  const result = command.includes('RETURN')
    ? `* ESEARCH (TAG "${tag}") UID ALL ${uids} COUNT ${numbers.length}`
    : `* SEARCH ${numbers.join(' ')}`;
  return { untagged: result, reply: 'OK done' };
}

/** From the command of that verb on every search finds all messages; that command itself is met by the fault. */
function findsAllAfter(verb: string, fault: (event: CommandEvent) => Fault | undefined = () => undefined): ImapRule {
  let isAfter = false;
  return (event) => {
    if (event.verb === verb) {
      isAfter = true;
      return fault(event);
    }
    return isAfter && event.verb === 'UID SEARCH' ? found(event, ALL) : undefined;
  };
}

const flagsOf = (it: Site): string[] => it.imap.mailbox('INBOX').messages.map(({ flags }) => flags.join(' '));
const left = (...gone: readonly string[]): string[] => SUBJECTS.filter((subject) => !gone.includes(subject));

/** No text tells of more messages than there were to be deleted. */
function expectSensibleNumbers({ bridge }: Site): void {
  const text = JSON.stringify(bridge.log);
  for (const [, some, all] of text.matchAll(/(\d+) of (\d+) messages/g)) expect(Number(some)).toBeLessThanOrEqual(Number(all));
  for (const { failed, total } of bridge.events('delete-failed'))
    expect(Number(failed ?? 0)).toBeLessThanOrEqual(Number(total ?? Infinity));
}

describe('a search that names all messages after', () => {
  test.each([
    ['MOVE', 'UID MOVE', DEFAULT_CAPABILITIES, ''],
    ['MOVE, without ESEARCH', 'UID MOVE', without('ESEARCH'), ''],
    ['COPY, STORE and EXPUNGE', 'UID EXPUNGE', without('MOVE'), ''],
    ['STORE and EXPUNGE', 'UID EXPUNGE', DEFAULT_CAPABILITIES, '[delete]\naction = "expunge"\n'],
  ] as const)(
    '%s makes the outcome unknown, removes nothing else, and is looked into at the next login',
    async (_, verb, capabilities, tables) => {
      const it = await site(capabilities, tables);
      expect(await quitWith(it, [2], findsAllAfter(verb))).toBe(UNKNOWN);
      expect(it.upstream()).toEqual(left('two'));
      expect(await it.bridge.event('delete-failed')).toMatchObject({ outcome: 'unknown', total: 1, error: { code: 'UPSTREAM_PROTOCOL' } });
      expect((await it.look()).subjects).toEqual(left('two'));
      expect(it.upstream()).toEqual(left('two'));
      expectSensibleNumbers(it);
    },
  );

  test('a MOVE that was not done keeps the promise in the journal: the next login keeps it, and takes nothing else', async () => {
    const it = await site();
    expect(
      await quitWith(
        it,
        [2, 4],
        findsAllAfter('UID MOVE', () => ({ reply: 'OK done' })),
      ),
    ).toBe('-ERR [SYS/TEMP] 2 messages to delete, outcome unknown');
    expect(it.upstream()).toEqual(SUBJECTS);
    expect((await it.look()).subjects).toEqual(left('two', 'four'));
    expect([it.upstream(), it.upstream('Trash')]).toEqual([left('two', 'four'), ['two', 'four']]);
  });

  test('a MOVE in the journal is never followed by another one of what was not promised', async () => {
    const it = await site();
    expect(await quitWith(it, [2], ({ verb }) => (verb === 'UID MOVE' ? { close: true } : undefined))).toBe(UNKNOWN);
    const findsAll = findsAllAfter('UID MOVE');
    it.imap.setScript((event) => (/^UID (?:MOVE|SEARCH .*\bUID 2 )/.test(`${event.command} `) ? findsAll(event) : undefined));
    await it.glance();
    expect([it.upstream(), it.upstream('Trash')]).toEqual([left('two'), ['two']]);
    expect(it.imap.commands.filter((command) => command.startsWith('UID MOVE'))).toEqual(['UID MOVE 2 Trash', 'UID MOVE 2 Trash']);
  });

  test('\\Deleted was stored, where the server can do no more, makes the outcome unknown and flags nothing else', async () => {
    const it = await site(without('MOVE', 'UIDPLUS'));
    expect(await quitWith(it, [2], findsAllAfter('UID STORE'))).toBe(UNKNOWN);
    expect(flagsOf(it)).toEqual(['', '\\Deleted', '', '', '']);
    expectSensibleNumbers(it);
  });

  test('an EXPUNGE was refused takes \\Deleted from no message of others', async () => {
    const it = await site(DEFAULT_CAPABILITIES, '[delete]\naction = "expunge"\n');
    it.imap.mailbox('INBOX').setFlags(5, ['\\Deleted']);
    expect(
      await quitWith(
        it,
        [2],
        findsAllAfter('UID EXPUNGE', () => ({ reply: 'NO [NOPERM] not here' })),
      ),
    ).toBe(UNKNOWN);
    expect(flagsOf(it)[4]).toBe('\\Deleted');
    expect(it.imap.mailbox('INBOX').messages).toHaveLength(5);
  });
});

describe('COPYUID', () => {
  const copies = (source: string, inTrash: string): ImapRule => {
    return ({ verb }) => (verb === 'UID COPY' ? { runThen: 'reply', reply: `OK [COPYUID 7 ${source} ${inTrash}] done` } : undefined);
  };

  test('that names messages which were not to be copied makes the outcome unknown, and nothing is expunged', async () => {
    const it = await site(without('MOVE'));
    expect(await quitWith(it, [2], copies(ALL, ALL))).toBe(UNKNOWN);
    expect(it.imap.mailbox('INBOX').messages).toHaveLength(5);
    expect(flagsOf(it)).toEqual(['', '', '', '', '']);
    expect((await it.look()).subjects).toEqual(SUBJECTS);
    expect(it.upstream('Trash')).toEqual(['two']);
    expectSensibleNumbers(it);
  });

  test('that names only some of the messages lets only these be expunged', async () => {
    const it = await site(without('MOVE'));
    expect(await quitWith(it, [2, 3], copies('2', '1'))).toBe('-ERR [SYS/TEMP] 1 of 2 messages not deleted');
    expect(it.upstream()).toEqual(left('two'));
    expect((await it.look()).subjects).toEqual(left('two'));
  });
});

describe('what a server tells unasked', () => {
  test.each([
    ['EXPUNGE of all', '* 1 EXPUNGE\r\n'.repeat(5)],
    ['VANISHED of all', '* VANISHED 1:5\r\n'],
    ['\\Deleted of all', [1, 2, 3, 4, 5].map((uid) => `* ${uid} FETCH (UID ${uid} FLAGS (\\Deleted))\r\n`).join('')],
  ] as const)('with the answer to MOVE, %s, costs no other message its place or its unique-id', async (_, raw) => {
    const it = await site();
    const before = await it.look();
    const answer = await quitWith(it, [2], ({ verb }) => (verb === 'UID MOVE' ? { raw, next: 'continue' } : undefined));
    expect(answer).toBe('+OK bye');
    expect([it.upstream(), it.upstream('Trash')]).toEqual([left('two'), ['two']]);
    const { two: _two, ...others } = before.ids;
    expect((await it.look()).ids).toEqual(others);
  });

  test('as rows of all messages, when it is asked for one that is to be removed, removes that one alone', async () => {
    const it = await site();
    const strangers = SUBJECTS.map((_, index) => `* ${index + 1} FETCH (UID ${index + 1} RFC822.SIZE 1 FLAGS ())\r\n`).join('');
    const answer = await quitWith(it, [2], ({ verb }) => (verb === 'UID FETCH' ? { raw: strangers, next: 'continue' } : undefined));
    expect(answer).toBe('+OK bye');
    expect([it.upstream(), it.upstream('Trash')]).toEqual([left('two'), ['two']]);
  });

  test('as rows of all messages after a refusal is no reason to count more than were to be removed', async () => {
    const it = await site();
    let isRefused = false;
    const answer = await quitWith(it, [2], ({ verb, command }) => {
      if (verb === 'UID MOVE') {
        isRefused = true;
        return { reply: 'NO [OVERQUOTA] full' };
      }
      if (!isRefused) return undefined;
      if (verb === 'UID SEARCH') return { reply: 'OK none' };
      const rows = SUBJECTS.map((_, index) => `* ${index + 1} FETCH (UID ${index + 1} FLAGS ())\r\n`).join('');
      return command.startsWith('UID FETCH') ? { raw: rows, next: 'continue' } : undefined;
    });
    expect(answer).toBe('-ERR [SYS/TEMP] 1 of 1 messages not deleted');
    expect(it.upstream()).toEqual(SUBJECTS);
    expectSensibleNumbers(it);
  });
});
