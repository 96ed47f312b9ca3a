/** COPY that is answered OK by a server that does not tell which messages it copied (no COPYUID): what it says is held against the folder. */
import { expect, test } from 'vitest';
import { allowInLog } from '../support/bridge-process.ts';
import { BridgeSite } from '../support/bridge-site.ts';
import { endsWithEachTest, sharedByTests } from '../support/ends-with-tests.ts';
import type { ImapRule } from '../support/imap-server/script.ts';
import { DEFAULT_CAPABILITIES } from '../support/imap-server/settings.ts';
import type { Bridge } from '../support/shared-bridge.ts';

allowInLog('delete-failed');

const SUBJECTS = ['one', 'two', 'three'];
const open = endsWithEachTest();
const shared = sharedByTests();

/** Without MOVE, as then nothing is copied by us. `text`: with what COPY is answered; `copies`: how many of the messages it really copies. */
async function site(text: string, copies: number): Promise<BridgeSite<Bridge>> {
  const capabilities = DEFAULT_CAPABILITIES.filter((name) => name !== 'MOVE');
  const folders = [{ path: 'INBOX' }, { path: 'Trash', specialUse: '\\Trash' }];
  const started = await BridgeSite.startIn(shared, { server: { capabilities, folders } });
  open.push(started);
  started.deliver('INBOX', ...SUBJECTS);
  const copied: ImapRule = ({ verb }) => {
    if (verb !== 'UID COPY') return undefined;
    for (const { raw } of started.imap.mailbox('INBOX').messages.slice(0, copies)) started.imap.mailbox('Trash').append(raw);
    return { reply: `OK ${text}` };
  };
  started.imap.setScript(copied);
  return started;
}

test('messages are removed where the folder has grown by as many', async () => {
  const it = await site('done', 2);
  expect(await it.delete('alice', 'one', 'two')).toBe('+OK bye');
  expect([it.upstream(), it.upstream('Trash')]).toEqual([['three'], ['one', 'two']]);
});

test.for([
  ['where the folder has not grown', 'done'],
  ['where the server says so in other words', 'No messages copied'],
] as const)('messages stay, and QUIT says so, %s', async ([, text]) => {
  const it = await site(text, 0);
  expect(await it.delete('alice', 'one', 'two')).toBe('-ERR [SYS/TEMP] 2 of 2 messages not deleted');
  expect(it.upstream()).toEqual(SUBJECTS);
  expect((await it.look()).subjects).toEqual(SUBJECTS);
});

test.for([
  ['the folder has grown by fewer', 'done', 1],
  ['COPYUID names fewer copies than messages', '[COPYUID 1 1:2 1] done', 1],
  ['COPYUID cannot be read', '[COPYUID 1 1:* 1:2] done', 2],
] as const)('messages stay, and QUIT calls the outcome unknown, where %s', async ([, text, copies]) => {
  const it = await site(text, copies);
  expect(await it.delete('alice', 'one', 'two')).toBe('-ERR [SYS/TEMP] 2 messages to delete, outcome unknown');
  expect(it.upstream()).toEqual(SUBJECTS);
  expect((await it.look()).subjects).toEqual(SUBJECTS);
});
