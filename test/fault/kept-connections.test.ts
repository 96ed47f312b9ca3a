/** Connections that stay after a session (CONTRACT section 5.7): quick, and never at the price of a stale listing or an unproven password. */
import { describe, expect, test } from 'vitest';
import { bridgeConfig } from '../support/bridge-config.ts';
import { allowInLog, BridgeProcess } from '../support/bridge-process.ts';
import { endsWithEachTest, sharedByTests } from '../support/ends-with-tests.ts';
import { ImapServer, type ImapServerOptions } from '../support/imap-server.ts';
import type { CommandEvent, Fault, ImapRule } from '../support/imap-server/script.ts';
import { DEFAULT_CAPABILITIES } from '../support/imap-server/settings.ts';
import { patienceText } from '../support/patience.ts';
import { PopDialogue } from '../support/pop-dialogue.ts';
import type { Bridge, SiteConfig } from '../support/shared-bridge.ts';
import { until } from '../support/until.ts';

allowInLog('login-failed', 'map-rematched', 'only-flagged');

const open = endsWithEachTest();
const shared = sharedByTests();

interface Setup extends Partial<SiteConfig> {
  readonly capabilities?: ImapServerOptions['capabilities'];
}

interface Site<Daemon extends Bridge = Bridge> {
  readonly imap: ImapServer;
  readonly bridge: Daemon;
}

async function site({ capabilities, ...config }: Setup = {}): Promise<Site> {
  const imap = await mailServer(capabilities);
  const bridge = await shared.add(before(imap, config));
  open.push(bridge);
  return { imap, bridge };
}

/** With a daemon of its own, to be stopped or sent a signal. */
async function siteOfItsOwn({ capabilities, ...config }: Setup = {}): Promise<Site<BridgeProcess>> {
  const imap = await mailServer(capabilities);
  const bridge = await BridgeProcess.start({ config: bridgeConfig(before(imap, config)) });
  open.push(bridge);
  return { imap, bridge };
}

async function mailServer(capabilities = DEFAULT_CAPABILITIES): Promise<ImapServer> {
  const imap = await ImapServer.start({ capabilities });
  open.push(imap);
  for (const number of [1, 2, 3]) imap.mailbox('INBOX').append(`Subject: ${number}\r\n\r\nbody ${number}\r\n`);
  return imap;
}

function before(imap: ImapServer, config: Partial<SiteConfig>): SiteConfig {
  return { imapPort: imap.port, ...config, upstream: [`command_timeout = "${patienceText(2_000)}"`, ...(config.upstream ?? [])] };
}

async function session({ bridge }: Site, user = 'alice', password = 'secret'): Promise<PopDialogue> {
  const client = await PopDialogue.connect(bridge.port());
  await client.login(user, password);
  return client;
}

/** The subjects that a client sees who logs in, looks, and leaves; when the session is over. */
async function poll(running: Site, user = 'alice'): Promise<string[]> {
  const ended = running.bridge.events('session-end').length;
  const client = await session(running, user);
  const subjects: string[] = [];
  for (const line of await client.multi('UIDL')) {
    subjects.push(/Subject: (.*)/.exec((await client.multi(`TOP ${line.split(' ')[0]} 0`)).join('\n'))?.[1] ?? '?');
  }
  expect(await client.command('QUIT')).toBe('+OK bye');
  await running.bridge.event('session-end', ended + 1);
  return subjects;
}

/** What the server is asked meanwhile. */
async function asked({ imap }: Site, work: () => Promise<unknown>): Promise<string[]> {
  const before = imap.commands.length;
  await work();
  return imap.commands.slice(before).filter((command) => !command.includes('HEADER'));
}

/** What a server says of a mailbox that was selected before, without any news of it. */
const withoutNews = (text: string): string => text.replace(/^\* \d+ (?:EXISTS|RECENT|EXPUNGE)\r\n/gm, '');

/** A server that tells of no flag that others have changed. */
const withoutNewFlags: ImapRule = ({ verb }) =>
  verb === 'NOOP' || verb === 'UID SEARCH' ? { rewrite: (text) => text.replace(/^\* \d+ FETCH .*\r\n/gm, '') } : undefined;

describe('a kept connection', () => {
  test('serves the next poll without a login and without SELECT', async () => {
    const running = await site();
    await poll(running);
    const commands = await asked(running, async () => expect(await poll(running)).toEqual(['1', '2', '3']));
    expect(commands.sort()).toEqual(['NOOP', 'UID SEARCH RETURN (ALL) OR (DELETED NOT UID 3) (UNDELETED UID 3:*)']);
    expect(running.imap.logins).toBe(1);
  });

  test('is asked by two searches about a large mailbox, in one round trip', async () => {
    const running = await site();
    for (let number = 4; number <= 2_001; number += 1) running.imap.mailbox('INBOX').append(`Subject: ${number}\r\n\r\n`);
    const count = async (): Promise<string> => {
      const client = await session(running);
      const stat = await client.command('STAT');
      await client.command('QUIT');
      return stat;
    };
    expect(await count()).toMatch(/^\+OK 2001 /);
    const commands = await asked(running, async () => expect(await count()).toMatch(/^\+OK 2001 /));
    expect(commands.sort()).toEqual(['NOOP', 'UID SEARCH RETURN (ALL) DELETED', 'UID SEARCH RETURN (ALL) UID 2001:*']);
  });

  test('shows what came though the server keeps silent about it', async () => {
    const running = await site();
    await poll(running);
    running.imap.setScript(({ verb }) => (verb === 'SELECT' ? undefined : { rewrite: withoutNews }));
    running.imap.mailbox('INBOX').append('Subject: 4\r\n\r\nbody 4\r\n');
    expect(await poll(running)).toEqual(['1', '2', '3', '4']);
    expect(running.imap.logins).toBe(1);
  });

  test('shows what came and went meanwhile, and what somebody flagged as deleted', async () => {
    const running = await site();
    await poll(running);
    running.imap.mailbox('INBOX').append('Subject: 4\r\n\r\nbody 4\r\n');
    expect(await poll(running)).toEqual(['1', '2', '3', '4']);
    running.imap.mailbox('INBOX').expunge(2);
    expect(await poll(running)).toEqual(['1', '3', '4']);
    running.imap.mailbox('INBOX').append('Subject: 5\r\n\r\nbody 5\r\n');
    running.imap.mailbox('INBOX').expunge(1);
    expect(await poll(running)).toEqual(['3', '4', '5']);
    running.imap.mailbox('INBOX').setFlags(3, ['\\Deleted']);
    expect(await poll(running)).toEqual(['4', '5']);
    running.imap.mailbox('INBOX').setFlags(3, []);
    expect(await poll(running)).toEqual(['3', '4', '5']);
    running.imap.mailbox('INBOX').setFlags(5, ['\\Deleted']);
    expect(await poll(running)).toEqual(['3', '4']);
    expect(running.imap.logins).toBe(1);
  });

  test('shows after QUIT what the session left there', async () => {
    const running = await site();
    const client = await session(running);
    await client.command('DELE 2');
    expect(await client.command('QUIT')).toBe('+OK bye');
    expect(await poll(running)).toEqual(['1', '3']);
    expect(running.imap.logins).toBe(1);
  });

  test('does not spare another password its proof', async () => {
    const running = await site();
    await poll(running);
    const client = await PopDialogue.connect(running.bridge.port());
    await client.command('USER alice');
    expect(await client.command('PASS guess')).toMatch(/^-ERR \[AUTH\]/);
    expect(running.imap.commands.filter((command) => command.startsWith('AUTHENTICATE'))).toHaveLength(2);
    expect(await poll(running)).toEqual(['1', '2', '3']);
    expect(running.imap.logins).toBe(1);
  });

  test.for([
    ['dropped', (imap: ImapServer) => imap.dropConnections()],
    ['answers NOOP with BYE', (imap: ImapServer) => imap.setScript(({ command }) => (command === 'NOOP' ? { bye: 'gone' } : undefined))],
    ['never answers', (imap: ImapServer) => once(imap, 'UID SEARCH', { hang: true })],
  ] as const)('that the server %s is replaced, and nobody notices', async ([, spoil]) => {
    const running = await site();
    await poll(running);
    spoil(running.imap);
    expect(await poll(running)).toEqual(['1', '2', '3']);
    expect(running.imap.logins).toBe(2);
  });

  test('that refuses a search is asked in another way, without a login', async () => {
    const running = await site();
    await poll(running);
    once(running.imap, 'UID SEARCH', { reply: 'NO [SERVERBUG] mailbox changed' });
    expect(await poll(running)).toEqual(['1', '2', '3']);
    expect(running.imap.logins).toBe(1);
  });

  describe.each([
    ['refuses them', (): Fault => ({ reply: 'BAD unknown key OR' })],
    ['takes them for AND', ({ tag }: CommandEvent): Fault => ({ untagged: `* ESEARCH (TAG "${tag}") UID`, reply: 'OK done' })],
    [
      'finds nothing by the first',
      ({ tag }: CommandEvent, highest: number): Fault => ({ untagged: `* ESEARCH (TAG "${tag}") UID ALL 3:${highest}`, reply: 'OK done' }),
    ],
  ] as const)('at a server that does not join keys by OR, but %s', (_, answer) => {
    async function siteWithoutOr(): Promise<Site> {
      const running = await site({ upstream: ['linger = "5m"'] });
      running.imap.setScript((event) => {
        if (event.command.includes(' OR ')) return answer(event, running.imap.mailbox('INBOX').uidNext - 1);
        return event.verb === 'SELECT' ? undefined : { rewrite: withoutNews };
      });
      return running;
    }

    test('shows what came, though the server does not tell of it', async () => {
      const running = await siteWithoutOr();
      expect(await poll(running)).toEqual(['1', '2', '3']);
      running.imap.mailbox('INBOX').append('Subject: 4\r\n\r\nbody 4\r\n');
      expect(await poll(running)).toEqual(['1', '2', '3', '4']);
      expect(running.imap.logins).toBe(1);
    });

    test('hides on and on what was deleted before', async () => {
      const running = await siteWithoutOr();
      running.imap.mailbox('INBOX').setFlags(1, ['\\Deleted']);
      for (let polls = 0; polls < 4; polls += 1) expect(await poll(running)).toEqual(['2', '3']);
      expect(running.imap.logins).toBe(1);
    });
  });

  test('at a server that takes OR for AND hides what somebody flags as deleted, though the server does not tell of it', async () => {
    const running = await site();
    await poll(running);
    running.imap.setScript((event) => {
      if (event.command.includes(' OR ')) return { untagged: `* ESEARCH (TAG "${event.tag}") UID`, reply: 'OK done' };
      return withoutNewFlags(event);
    });
    running.imap.mailbox('INBOX').setFlags(1, ['\\Deleted']);
    expect(await poll(running)).toEqual(['2', '3']);
  });

  test('at a server that answers the second half of OR alone hides what a session flagged, though the server does not tell of it', async () => {
    const running = await site({ tables: '[delete]\naction = "flag"' });
    running.imap.setScript((event) => {
      const { uidNext } = running.imap.mailbox('INBOX');
      if (event.command.includes(' OR ')) return { untagged: `* ESEARCH (TAG "${event.tag}") UID ALL ${uidNext - 1}`, reply: 'OK done' };
      return withoutNewFlags(event);
    });
    await poll(running);
    const client = await session(running);
    await client.command('DELE 1');
    expect(await client.command('QUIT')).toMatch(/^\+OK/);
    expect(await poll(running)).toEqual(['2', '3']);
    expect(await poll(running)).toEqual(['2', '3']);
  });

  test('that refuses keys joined by OR once and for all is asked without them, in one round trip', async () => {
    const running = await site();
    running.imap.setScript(({ command }) => (command.includes(' OR ') ? { reply: 'NO not now' } : undefined));
    for (let polls = 0; polls < 2; polls += 1) expect(await poll(running)).toEqual(['1', '2', '3']);
    const commands = await asked(running, async () => expect(await poll(running)).toEqual(['1', '2', '3']));
    expect(commands.sort()).toEqual(['NOOP', 'UID SEARCH RETURN (ALL) DELETED', 'UID SEARCH RETURN (ALL) UID 3:*']);
  });

  test.for([
    ['all', [1, 2, 3], []],
    ['the last', [3], ['1', '2']],
    ['the last two', [2, 3], ['1']],
  ] as const)('shows that %s went, though the server keeps silent about it', async ([, gone, left]) => {
    const running = await site();
    await poll(running);
    running.imap.setScript(({ verb }) => (verb === 'SELECT' ? undefined : { rewrite: withoutNews }));
    for (const uid of gone) running.imap.mailbox('INBOX').expunge(uid);
    expect(await poll(running)).toEqual(left);
  });

  test.for([1, 3])('hides message %s where somebody flags it as deleted and the server keeps silent about it', async (uid) => {
    const running = await site();
    await poll(running);
    running.imap.setScript(withoutNewFlags);
    running.imap.mailbox('INBOX').setFlags(uid, ['\\Deleted']);
    for (let polls = 0; polls < 3; polls += 1) expect(await poll(running)).toEqual(['1', '2', '3'].filter((one) => one !== String(uid)));
  });

  test('hides of what came meanwhile that which is flagged as deleted', async () => {
    const running = await site();
    await poll(running);
    running.imap.mailbox('INBOX').append('Subject: 4\r\n\r\nbody 4\r\n');
    running.imap.mailbox('INBOX').append('Subject: 5\r\n\r\nbody 5\r\n', { flags: ['\\Deleted'] });
    expect(await poll(running)).toEqual(['1', '2', '3', '4']);
  });

  test('notices at once that the mailbox is another one', async () => {
    const running = await site();
    await poll(running);
    const before = running.imap.commands.length;
    running.imap.mailbox('INBOX').resetUidValidity();
    running.imap.dropConnections();
    expect(await poll(running)).toEqual(['1', '2', '3']);
    expect(running.imap.commands.slice(before).some((command) => command.includes('RFC822.SIZE'))).toBe(true);
  });

  test('is left after its time, and told so', async () => {
    const running = await site({ upstream: ['linger = "1s"'] });
    await poll(running);
    expect(running.imap.openConnections).toBe(1);
    await until(() => running.imap.openConnections === 0);
    expect(running.imap.commands.at(-1)).toBe('LOGOUT');
    expect(await poll(running)).toEqual(['1', '2', '3']);
  });

  test.for(['SIGTERM', 'SIGHUP'] as const)('is left politely at %s', async (signal) => {
    const running = await siteOfItsOwn();
    await poll(running);
    running.bridge.kill(signal);
    await until(() => running.imap.openConnections === 0);
    expect(running.imap.commands.at(-1)).toBe('LOGOUT');
  });

  test('serves several views at a time: each sees its own', async () => {
    const running = await site({ tables: '[delete]\naction = "hide"\n[views.pc]\n[views.laptop]\n' });
    const pc = await session(running, 'alice/pc');
    const laptop = await session(running, 'alice/laptop');
    await pc.command('DELE 1');
    const bodies = [
      ...(await Promise.all([pc.retrieve(2), laptop.retrieve(1)])),
      ...(await Promise.all([pc.retrieve(3), laptop.retrieve(2)])),
    ];
    expect(bodies.map((body) => /body (\d)/.exec(body.toString())?.[1])).toEqual(['2', '1', '3', '2']);
    expect(await pc.command('QUIT')).toBe('+OK bye');
    expect(await laptop.command('QUIT')).toBe('+OK bye');
    expect(await poll(running, 'alice/pc')).toEqual(['2', '3']);
    expect(await poll(running, 'alice/laptop')).toEqual(['1', '2', '3']);
    expect([running.imap.logins, running.imap.connections]).toEqual([1, 1]);
  });

  test('serves views of different folders at a time, each folder selected when its turn comes', async () => {
    const running = await site({ tables: '[views.work]\nfolders = ["Sent"]\n' });
    for (const number of [1, 2]) running.imap.mailbox('Sent').append(`Subject: sent ${number}\r\n\r\nsent ${number}\r\n`);
    const inbox = await session(running);
    const work = await session(running, 'alice/work');
    for (const number of [1, 2]) {
      const [one, other] = await Promise.all([inbox.retrieve(number), work.retrieve(number)]);
      expect([one.toString(), other.toString()]).toEqual([
        expect.stringContaining(`body ${number}\r\n`),
        expect.stringContaining(`sent ${number}\r\n`),
      ]);
    }
    await work.command('DELE 1');
    expect(await Promise.all([inbox.command('QUIT'), work.command('QUIT')])).toEqual(['+OK bye', '+OK bye']);
    expect(running.imap.mailbox('Sent').messages).toHaveLength(1);
    expect(running.imap.mailbox('INBOX').messages).toHaveLength(3);
    expect(running.imap.connections).toBe(1);
  });
});

/** One fault for the next command that begins so. */
function once(imap: ImapServer, beginning: string, fault: Parameters<typeof reply>[0]): void {
  let left = 1;
  imap.setScript(({ command }) => (command.startsWith(beginning) && left-- > 0 ? fault : undefined));
}

function reply(fault: { readonly reply: string } | { readonly hang: true }): typeof fault {
  return fault;
}

describe('where sessions have views of their own (no CONDSTORE)', () => {
  const without = (...names: readonly string[]): readonly string[] => DEFAULT_CAPABILITIES.filter((name) => !names.includes(name));

  test.for([
    { how: 'a connection that stays holds no mailbox', capabilities: without('CONDSTORE'), logins: 1 },
    { how: 'none stays where a mailbox can not be let go of', capabilities: without('CONDSTORE', 'UNSELECT'), logins: 3 },
  ])('$how: what others do is seen and stays done', async ({ capabilities, logins }) => {
    const running = await siteOfItsOwn({ capabilities });
    const inbox = running.imap.mailbox('INBOX');
    inbox.keepsViews = true;
    await poll(running);
    const isLetGo = (): boolean =>
      running.imap.openConnections === 0 || running.imap.commands.findLastIndex((command) => command === 'UNSELECT') > lastFetch(running);
    await until(isLetGo);
    inbox.expunge(2);
    inbox.append('Subject: 4\r\n\r\nbody 4\r\n');
    expect(await poll(running)).toEqual(['1', '3', '4']);
    await until(isLetGo);
    expect(await poll(running)).toEqual(['1', '3', '4']);
    expect(running.imap.logins).toBe(logins);
    await running.bridge.stop();
    expect(inbox.messages.map(({ uid }) => uid)).toEqual([1, 3, 4]);
    expect(running.imap.commands.filter((command) => /^(?:CLOSE|EXPUNGE)/.test(command))).toEqual([]);
  });

  test.for([
    ['UNSELECT', 'UNSELECT', without('CONDSTORE', 'UIDPLUS', 'MOVE')],
    ['CHECK', 'CHECK', without('CONDSTORE', 'UIDPLUS', 'MOVE', 'UNSELECT')],
  ] as const)('QUIT is +OK only when flags are out of the view, by %s', async ([, command, capabilities]) => {
    const running = await site({ capabilities });
    const client = await session(running);
    await client.command('DELE 2');
    expect(await client.command('QUIT')).toBe('+OK bye');
    const stored = running.imap.commands.findIndex((one) => /^UID STORE 2 \+FLAGS\S* \(\\Deleted\)/.test(one));
    expect(running.imap.commands[stored + 1]).toBe(command);
  });
});

function lastFetch({ imap }: Site): number {
  return imap.commands.findLastIndex((command) => /FETCH|SELECT /.test(command));
}
