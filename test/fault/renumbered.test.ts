/** A server that tells of another UIDVALIDITY while the mailbox is selected has given all UIDs to other messages: none that is known counts any more. */
import { expect, test } from 'vitest';
import { allowInLog } from '../support/bridge-process.ts';
import { BridgeSite, type BridgeSiteSetup } from '../support/bridge-site.ts';
import { endsWithEachTest, sharedByTests } from '../support/ends-with-tests.ts';
import type { ImapRule } from '../support/imap-server/script.ts';
import type { Bridge } from '../support/shared-bridge.ts';

allowInLog('delete-failed', 'map-rematched', 'session-error');

const shared = sharedByTests();
const open = endsWithEachTest();

async function site(setup: Omit<BridgeSiteSetup, 'imap' | 'variables'>): Promise<BridgeSite<Bridge>> {
  const it = await BridgeSite.startIn(shared, setup);
  open.push(it);
  it.deliver('INBOX', 'one', 'two', 'three');
  return it;
}

/** The mailbox is made anew, and the next command is told of it. */
function recreated(it: BridgeSite<Bridge>): void {
  const mailbox = it.imap.mailbox('INBOX');
  mailbox.uidValidity += 1;
  const raw = `* OK [UIDVALIDITY ${mailbox.uidValidity}] recreated\r\n`;
  let isTold = false;
  const rule: ImapRule = () => {
    if (isTold) return undefined;
    isTold = true;
    return { raw, next: 'continue' };
  };
  it.imap.setScript(rule);
}

test.for([true, false])('in a session: nothing is removed, and QUIT says so (verify = %s)', async (verify) => {
  const it = await site({ tables: `[delete]\naction = "expunge"\nverify = ${verify}` });
  const client = await it.open();
  await client.command('DELE 1');
  recreated(it);
  expect(await client.command('QUIT')).toMatch(/^-ERR /);
  expect(it.upstream()).toEqual(['one', 'two', 'three']);
});

test('in a session: RETR is an error', async () => {
  const it = await site({});
  const client = await it.open();
  recreated(it);
  expect(await client.command('RETR 3')).toMatch(/^-ERR /);
  client.close();
});

test('between sessions, on a kept connection: the next login looks at the mailbox anew', async () => {
  const it = await site({ linger: '60s' });
  const first = await it.glance();
  recreated(it);
  const before = it.imap.commands.length;
  const second = await it.glance();
  expect(it.imap.commands.slice(before).filter((command) => /^(?:SELECT|EXAMINE) /.test(command))).not.toEqual([]);
  expect(second.subjects).toEqual(first.subjects);
});
