/** A way that a server refuses, though it announces it, has a second one, which is found once and remembered; what was copied is never copied again. */
import { describe, expect, test } from 'vitest';
import { allowInLog } from '../support/bridge-process.ts';
import { BridgeSite } from '../support/bridge-site.ts';
import { endsWithEachTest, sharedByTests } from '../support/ends-with-tests.ts';
import { ImapServer } from '../support/imap-server.ts';
import { DEFAULT_CAPABILITIES } from '../support/imap-server/settings.ts';
import type { ImapRule } from '../support/imap-server/script.ts';
import { patienceText } from '../support/patience.ts';
import { PopDialogue } from '../support/pop-dialogue.ts';
import { SerialProxy } from '../support/serial-proxy.ts';
import type { Bridge } from '../support/shared-bridge.ts';

allowInLog('delete-failed', 'only-flagged');

type Site = BridgeSite<Bridge>;

const SUBJECTS = ['one', 'two', 'three', 'four'];
const without = (...names: readonly string[]): readonly string[] => DEFAULT_CAPABILITIES.filter((name) => !names.includes(name));

const shared = sharedByTests();
const open = endsWithEachTest();

describe.each([
  ['refuses', patienceText(20_000)],
  // It takes a part of this time before a command is known to be lost.
  ['loses', '4s'],
] as const)('a server that %s what comes while another command is at work', (manner, timeout) => {
  async function serial(): Promise<{ readonly imap: ImapServer; readonly proxy: SerialProxy; readonly login: () => Promise<PopDialogue> }> {
    const imap = await ImapServer.start();
    open.push(imap);
    for (const subject of SUBJECTS) imap.mailbox('INBOX').append(`Subject: ${subject}\r\n\r\nbody of ${subject}\r\n`);
    const proxy = await SerialProxy.start(imap.port, manner);
    open.push(proxy);
    const upstream = [`command_timeout = "${timeout}"`, 'linger = "0s"'];
    const bridge = await shared.add({ imapPort: proxy.port, upstream });
    open.push(bridge);
    // The first SELECT takes until something else has come.
    imap.setScript(({ verb, count }) => (verb === 'SELECT' && count === 1 ? { after: proxy.firstRefusal } : undefined));
    const login = async (): Promise<PopDialogue> => {
      const client = await PopDialogue.connect(bridge.port());
      await client.login('alice', 'secret');
      return client;
    };
    return { imap, proxy, login };
  }

  test('serves a whole session, and from the next one on gets one command at a time', async () => {
    const { imap, proxy, login } = await serial();
    const first = await login();
    expect(await first.multi('LIST')).toHaveLength(4);
    for (const [index, subject] of SUBJECTS.entries()) expect((await first.retrieve(index + 1)).toString()).toContain(`body of ${subject}`);
    await first.command('DELE 2');
    expect(await first.command('QUIT')).toBe('+OK bye');
    expect(imap.mailbox('Trash').messages).toHaveLength(1);
    const refused = proxy.refused.length;
    expect(refused).toBeGreaterThan(0);
    const second = await login();
    expect(await second.multi('UIDL')).toHaveLength(3);
    for (const number of [1, 2, 3]) await second.retrieve(number);
    await second.command('DELE 1');
    expect(await second.command('QUIT')).toBe('+OK bye');
    expect(proxy.refused.slice(refused)).toEqual([]);
    expect(imap.mailbox('INBOX').messages.map(({ uid }) => uid)).toEqual([3, 4]);
  });
});

async function site(capabilities: readonly string[], script: ImapRule, tables = ''): Promise<Site> {
  const it = await BridgeSite.startIn(shared, { server: { capabilities, script }, tables });
  open.push(it);
  it.deliver('INBOX', ...SUBJECTS);
  return it;
}

const refuses = (answers: Readonly<Record<string, string>>): ImapRule => {
  return ({ verb }) => {
    const reply = answers[verb];
    return reply === undefined ? undefined : { reply };
  };
};
const sent = ({ imap }: Site, verb: string): string[] => imap.commands.filter((command) => command.startsWith(`${verb} `));
const flagged = ({ imap }: Site): number[] =>
  imap.mailbox('INBOX').messages.flatMap(({ uid, flags }) => (flags.includes('\\Deleted') ? [uid] : []));

describe.each([
  ['BAD', 'BAD Unknown command'],
  ['NO, as not supported', 'NO UID EXPUNGE is not supported'],
] as const)('UID EXPUNGE that is announced and answered %s', (_, reply) => {
  test('leaves what was copied flagged, says so, and copies nothing a second time', async () => {
    const it = await site(without('MOVE'), refuses({ 'UID EXPUNGE': reply }));
    expect(await it.delete('alice', 'two')).toBe('+OK bye');
    expect([flagged(it), it.upstream('Trash')]).toEqual([[2], ['two']]);
    expect(await it.bridge.event('only-flagged')).toMatchObject({ count: 1 });
    expect((await it.look()).subjects).toEqual(['one', 'three', 'four']);
    expect(sent(it, 'UID COPY')).toHaveLength(1);
    expect(it.upstream('Trash')).toEqual(['two']);
  });

  test('is not tried again: later deletions are flagged at once, copied nowhere, and the login says so', async () => {
    const it = await site(without('MOVE'), refuses({ 'UID EXPUNGE': reply }));
    await it.delete('alice', 'two');
    expect(await it.delete('alice', 'three')).toBe('+OK bye');
    expect([flagged(it), it.upstream('Trash')]).toEqual([[2, 3], ['two']]);
    expect([sent(it, 'UID COPY'), sent(it, 'UID EXPUNGE')].map(({ length }) => length)).toEqual([1, 1]);
    await it.bridge.event('only-flagged', 2);
    expect(it.bridge.events('login').at(-1)?.['limits']).toHaveLength(1);
  });

  test('leaves what was to be expunged flagged where nothing was copied', async () => {
    const it = await site(DEFAULT_CAPABILITIES, refuses({ 'UID EXPUNGE': reply }), '[delete]\naction = "expunge"\n');
    expect(await it.delete('alice', 'two')).toBe('+OK bye');
    expect(flagged(it)).toEqual([2]);
    expect(await it.bridge.event('only-flagged')).toMatchObject({ count: 1 });
  });
});

describe('UID EXPUNGE that is refused for a reason', () => {
  test('after a copy leaves the messages flagged, since they must not be copied again', async () => {
    const it = await site(without('MOVE'), refuses({ 'UID EXPUNGE': 'NO [NOPERM] not allowed' }));
    await it.delete('alice', 'two');
    expect([flagged(it), it.upstream('Trash')]).toEqual([[2], ['two']]);
    expect((await it.look()).subjects).toEqual(['one', 'three', 'four']);
    expect(sent(it, 'UID COPY')).toHaveLength(1);
  });

  test('without a copy leaves no message flagged, and says that it was not deleted', async () => {
    const it = await site(DEFAULT_CAPABILITIES, refuses({ 'UID EXPUNGE': 'NO [NOPERM] not allowed' }), '[delete]\naction = "expunge"\n');
    expect(await it.delete('alice', 'two')).toMatch(/^-ERR \[SYS\/PERM\] 1 of 1 messages not deleted$/);
    expect([flagged(it), it.upstream()]).toEqual([[], SUBJECTS]);
  });
});

describe('MOVE that is announced and refused', () => {
  test.each(['BAD Unknown command', 'NO MOVE is not implemented'])('by %s is done by COPY, and not tried again', async (reply) => {
    const it = await site(DEFAULT_CAPABILITIES, refuses({ 'UID MOVE': reply }));
    expect(await it.delete('alice', 'two')).toBe('+OK bye');
    expect(await it.delete('alice', 'three')).toBe('+OK bye');
    expect([it.upstream(), it.upstream('Trash')]).toEqual([
      ['one', 'four'],
      ['two', 'three'],
    ]);
    expect(sent(it, 'UID MOVE')).toHaveLength(1);
  });

  test('as UID EXPUNGE is: one copy, the rest is only flagged, and the log says so', async () => {
    const it = await site(DEFAULT_CAPABILITIES, refuses({ 'UID MOVE': 'BAD Unknown command', 'UID EXPUNGE': 'BAD Unknown command' }));
    expect(await it.delete('alice', 'two', 'three')).toBe('+OK bye');
    expect(await it.delete('alice', 'four')).toBe('+OK bye');
    expect([flagged(it), it.upstream('Trash')]).toEqual([
      [2, 3, 4],
      ['two', 'three'],
    ]);
    expect((await it.look()).subjects).toEqual(['one']);
    await it.bridge.event('only-flagged', 2);
    expect(['UID MOVE', 'UID COPY', 'UID EXPUNGE'].map((verb) => sent(it, verb).length)).toEqual([1, 1, 1]);
  });
});
