/** Clients of one maildrop that come right behind one another: a session that has ended is not said to have ended otherwise. */
import { expect, test } from 'vitest';
import { BridgeSite } from '../support/bridge-site.ts';
import { sharedByTests } from '../support/ends-with-tests.ts';
import { PopDialogue } from '../support/pop-dialogue.ts';
import { until } from '../support/until.ts';

const shared = sharedByTests();

test.for([
  ['QUIT', 'QUIT'],
  ['', 'no QUIT'],
] as const)(
  'a session that ends by %j while \\Seen is still being stored is logged as %j, whoever waits for its maildrop',
  async ([last, outcome]) => {
    // The second session has a connection of its own, and its login is the event to wait for.
    await using site = await BridgeSite.startIn(shared, { upstream: ['connections_per_account = 2'] });
    site.deliver('INBOX', 'one');
    const stored = Promise.withResolvers<void>();
    site.imap.setScript(({ command }) => (command.includes('\\Seen') ? { after: stored.promise } : undefined));
    const first = await site.open();
    await first.retrieve(1);
    if (last !== '') expect(await first.command(last)).toBe('+OK bye');
    first.close();
    await until(() => site.imap.commands.some((command) => command.includes('\\Seen')));
    const second = await PopDialogue.connect(site.bridge.port());
    await second.command('USER alice');
    const answer = second.command('PASS secret');
    // The lock is what it asks for next.
    await site.bridge.event('upstream-connected', 2);
    stored.resolve();
    expect(await answer).toMatch(/^\+OK/);
    expect(await second.command('QUIT')).toBe('+OK bye');
    await site.bridge.event('session-end', 2);
    expect(site.bridge.events('session-end').map((line) => line['outcome'])).toEqual([outcome, 'QUIT']);
    expect(site.imap.mailbox('INBOX').messages[0]?.flags).toContain('\\Seen');
  },
);
