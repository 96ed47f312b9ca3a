/** Messages of many gigabytes, by what the server says of them, and mailboxes of 200,000 messages. */
import { describe, expect, test } from 'vitest';
import { cpuMs } from '../bench/process-usage.ts';
import { allowInLog } from '../support/bridge-process.ts';
import { BridgeSite } from '../support/bridge-site.ts';
import { ImapServer } from '../support/imap-server.ts';
import { patience } from '../support/patience.ts';
import { PopDialogue } from '../support/pop-dialogue.ts';

allowInLog('login-failed');

const GIB = 1024 ** 3;
const MESSAGES = 200_000;

describe('sizes that no 32 bits hold', () => {
  const claimed = [10 * GIB, 2 ** 31, 2 ** 32, 2 ** 48];

  const siteWith = async (sizes: readonly number[], tables = ''): Promise<BridgeSite> => {
    const site = await BridgeSite.start({ tables });
    for (const declaredSize of sizes) site.imap.mailbox('INBOX').append('Subject: short\r\n\r\nall there is\r\n', { declaredSize });
    return site;
  };

  test('are listed and summed to the octet', async () => {
    await using site = await siteWith(claimed);
    const client = await site.open();
    expect(await client.command('STAT')).toBe(`+OK 4 ${10 * GIB + 2 ** 31 + 2 ** 32 + 2 ** 48}`);
    expect(await client.multi('LIST')).toEqual(claimed.map((octets, index) => `${index + 1} ${octets}`));
    expect(await client.command('LIST 1')).toBe(`+OK 1 ${10 * GIB}`);
    await client.command('QUIT');
  });

  test('never decide where a message ends', async () => {
    await using site = await siteWith([10 * GIB, 2]);
    const client = await site.open();
    for (const message of [1, 2]) expect((await client.retrieve(message)).toString()).toBe('Subject: short\r\n\r\nall there is\r\n');
    await client.command('QUIT');
  });

  test('are held against limits.message before anything is asked of the server', async () => {
    await using site = await siteWith([10 * GIB, 31], '[limits]\nmessage = "1MiB"');
    const client = await site.open();
    expect(await client.command('RETR 1')).toMatch(/^-ERR \[SYS\/PERM\] /);
    expect((await client.retrieve(2)).toString()).toContain('all there is');
    await client.command('QUIT');
    expect(site.imap.commands.filter((command) => /^UID FETCH 1 .*BODY/.test(command))).toEqual([]);
  });

  test('beyond what a number holds are not known, and the message can be read', async () => {
    await using site = await siteWith([31]);
    site.imap.setScript(({ command }) =>
      command.includes('RFC822.SIZE')
        ? { raw: '* 1 FETCH (UID 1 RFC822.SIZE 18446744073709551615 INTERNALDATE "23-Nov-2026 10:00:00 +0000")\r\n$TAG OK done\r\n' }
        : undefined,
    );
    const client = await site.open();
    expect(await client.multi('LIST')).toEqual(['1 0']);
    expect((await client.retrieve(1)).toString()).toContain('all there is');
    await client.command('QUIT');
  });
});

describe('a mailbox of 200,000 messages', () => {
  test(
    'is listed whole, one line a message, looked at again as it was, and costs a message what it costs in a smaller one',
    async () => {
      const imap = await ImapServer.start({ users: { alice: 'secret', bob: 'secret' } });
      const raw = Buffer.from('Subject: one of many\r\n\r\nbody\r\n');
      for (let index = 0; index < MESSAGES; index += 1) imap.mailbox('INBOX', 'alice').append(raw);
      for (let index = 0; index < MESSAGES / 4; index += 1) imap.mailbox('INBOX', 'bob').append(raw);
      await using site = await BridgeSite.start({ imap });
      const listing = async (user: string, messages: number): Promise<{ sizes: string[]; ids: string[] }> => {
        const client = await PopDialogue.connect(site.bridge.port());
        await client.login(user, 'secret');
        expect(await client.command('STAT')).toBe(`+OK ${messages} ${messages * raw.length}`);
        const listed = { sizes: await client.multi('LIST'), ids: await client.multi('UIDL') };
        await client.command('QUIT');
        return listed;
      };
      const started = cpuMs(site.bridge.pid);
      await listing('bob', MESSAGES / 4);
      const smaller = cpuMs(site.bridge.pid) - started;
      const first = await listing('alice', MESSAGES);
      // Four times as much is to be done; sixteen times would be too much.
      expect(cpuMs(site.bridge.pid) - started - smaller).toBeLessThan(10 * smaller);
      expect(first.sizes).toHaveLength(MESSAGES);
      expect(first.sizes.at(-1)).toBe(`${MESSAGES} ${raw.length}`);
      expect(new Set(first.ids.map((line) => line.split(' ')[1])).size).toBe(MESSAGES);
      const asked = imap.commands.length;
      expect(await listing('alice', MESSAGES)).toEqual(first);
      // Not a row is asked for again.
      expect(imap.commands.slice(asked).filter((command) => command.includes('RFC822.SIZE'))).toEqual([]);
    },
    patience(120_000),
  );
});
