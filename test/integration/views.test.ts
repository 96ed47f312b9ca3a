/** Folders, views and every way to delete, before a real Dovecot: what POP3 clients see, and what is on the server afterwards. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { bridgeConfig } from '../support/bridge-config.ts';
import { BridgeProcess } from '../support/bridge-process.ts';
import { flagsIn, subjectsIn } from '../support/imap-look.ts';
import { Dovecot } from '../support/peers/dovecot.ts';
import { describeWithPeers } from '../support/peers/peers.ts';
import { PopDialogue } from '../support/pop-dialogue.ts';
import { TimeMachine } from '../support/time-machine.ts';

const PASSWORD = 'secret';
const HOUR = 3_600;
const FOLDERS = ['Trash', 'Archive', 'Other', 'Lists'];

/** Users of their own, so that tests don't see each other's mail. */
const ACTIONS = ['trash', 'archive', 'move', 'expunge', 'flag', 'hide'] as const;
const DELAYED = ['trash', 'expunge'] as const;
const users = [...ACTIONS.map((action) => `now-${action}`), ...DELAYED.map((action) => `later-${action}`), 'viewer', 'reader', 'folders'];

describeWithPeers(['dovecot', 'openssl'], 'folders, views and deletion', () => {
  let dovecot: Dovecot;

  beforeAll(async () => {
    dovecot = await Dovecot.start({ users: Object.fromEntries(users.map((user) => [user, PASSWORD])), pop3: false });
    for (const user of users) {
      await using imap = await dovecot.imap(user);
      for (const folder of FOLDERS) await imap.command(`CREATE ${folder}`);
      for (const subject of ['one', 'two', 'three']) await dovecot.append(user, 'INBOX', mail(subject));
    }
  });

  afterAll(async () => {
    await dovecot[Symbol.asyncDispose]();
  });

  const start = (tables: string): Promise<BridgeProcess> =>
    BridgeProcess.start({ config: bridgeConfig({ imapPort: dovecot.ports.imap, tables }) });
  const inFolder = async (user: string, folder: string): Promise<string[]> => {
    await using imap = await dovecot.imap(user);
    return await subjectsIn(imap, folder);
  };

  const TARGETS = { trash: 'Trash', archive: 'Archive', move: 'Other', expunge: undefined, flag: undefined, hide: undefined } as const;

  test.for(ACTIONS)('"%s" does what it says, at QUIT, and POP3 shows the message no more', async (action) => {
    const user = `now-${action}`;
    await using bridge = await start(`[delete]\naction = "${action}"${action === 'move' ? '\nfolder = "Other"' : ''}`);
    expect(await remove(bridge, user, 'two')).toBe('+OK bye');
    const target = TARGETS[action];
    if (target !== undefined) expect(await inFolder(user, target)).toEqual(['two']);
    expect(await inFolder(user, 'INBOX')).toEqual(action === 'flag' || action === 'hide' ? ['one', 'two', 'three'] : ['one', 'three']);
    await using imap = await dovecot.imap(user);
    expect((await flagsIn(imap, 'INBOX')).filter((flags) => flags.includes('\\Deleted'))).toHaveLength(action === 'flag' ? 1 : 0);
    expect(await subjects(bridge, user)).toEqual(['one', 'three']);
    expect(bridge.events('delete-failed')).toEqual([]);
  });

  test.for(DELAYED)('"%s" waits for its time, across a crash, and is done at the first login after it', async (action) => {
    const user = `later-${action}`;
    using time = new TimeMachine();
    const tables = `[delete]\naction = "${action}"\nafter = "1h"`;
    await using bridge = await start(tables);
    expect(await remove(bridge, user, 'two')).toBe('+OK bye');
    expect(await subjects(bridge, user)).toEqual(['one', 'three']);
    expect(await inFolder(user, 'INBOX')).toEqual(['one', 'two', 'three']);
    await bridge.stop('SIGKILL');
    await using again = await BridgeProcess.start({
      config: bridgeConfig({ imapPort: dovecot.ports.imap, tables }),
      folder: bridge.folder,
      variables: time.variables,
    });
    expect(await subjects(again, user)).toEqual(['one', 'three']);
    expect(await inFolder(user, 'INBOX')).toEqual(['one', 'two', 'three']);
    await time.pass(again, HOUR + 1);
    expect(await subjects(again, user)).toEqual(['one', 'three']);
    expect(await inFolder(user, 'INBOX')).toEqual(['one', 'three']);
    expect(await inFolder(user, 'Trash')).toEqual(action === 'trash' ? ['two'] : []);
  });

  test('two views keep apart what was deleted in them; a message goes when both have deleted it', async () => {
    await using bridge = await start('[delete]\nwhen = "all-views"\n[views.pc]\n[views.laptop]');
    expect(await remove(bridge, 'viewer/pc', 'one', 'two')).toBe('+OK bye');
    expect(await subjects(bridge, 'viewer/pc')).toEqual(['three']);
    expect(await subjects(bridge, 'viewer/laptop')).toEqual(['one', 'two', 'three']);
    expect(await remove(bridge, 'viewer/laptop', 'two', 'three')).toBe('+OK bye');
    expect(await inFolder('viewer', 'INBOX')).toEqual(['one', 'three']);
    expect(await inFolder('viewer', 'Trash')).toEqual(['two']);
    expect([await subjects(bridge, 'viewer/pc'), await subjects(bridge, 'viewer/laptop')]).toEqual([['three'], ['one']]);
  });

  test('unread mail alone is what a view shows that wants it so; reading in it makes the message read', async () => {
    await using bridge = await start('[views.new]\nshow = "unseen"\n[retrieve]\nmark_seen = "on-quit"');
    const client = await open(bridge, 'reader/new');
    await client.multi('RETR 1');
    await client.command('QUIT');
    expect(await subjects(bridge, 'reader/new')).toEqual(['two', 'three']);
    expect(await subjects(bridge, 'reader')).toEqual(['one', 'two', 'three']);
  });

  test('three folders are one maildrop; another client empties one of them, and the others keep their unique-ids', async () => {
    await dovecot.append('folders', 'Lists', mail('four'));
    await dovecot.append('folders', 'Other', mail('five'));
    await using bridge = await start('[maildrop]\nfolders = ["INBOX", "Lists", "Other"]');
    const before = await ids(bridge, 'folders');
    expect(Object.keys(before)).toEqual(['one', 'two', 'three', 'four', 'five']);
    {
      await using imap = await dovecot.imap('folders');
      await imap.command('SELECT Lists');
      await imap.command('STORE 1:* +FLAGS (\\Deleted)');
      await imap.command('EXPUNGE');
    }
    const { four: _gone, ...left } = before;
    expect(await ids(bridge, 'folders')).toEqual(left);
    expect(await remove(bridge, 'folders', 'five', 'one')).toBe('+OK bye');
    expect([await inFolder('folders', 'INBOX'), await inFolder('folders', 'Other')]).toEqual([['two', 'three'], []]);
  });
});

function mail(subject: string): Buffer {
  return Buffer.from(`Subject: ${subject}\r\nMessage-ID: <${subject}@example.com>\r\n\r\nbody of ${subject}\r\n`);
}

async function open(bridge: BridgeProcess, user: string): Promise<PopDialogue> {
  const client = await PopDialogue.connect(bridge.port());
  await client.login(user, PASSWORD);
  return client;
}

async function ids(bridge: BridgeProcess, user: string): Promise<Record<string, string>> {
  const client = await open(bridge, user);
  const found = await idsOf(client);
  await client.command('QUIT');
  return found;
}

/** Unique-ids by subject, in the order of the maildrop. */
async function idsOf(client: PopDialogue): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for (const line of await client.multi('UIDL')) {
    const [number, id = ''] = line.split(' ');
    found[(await client.multi(`TOP ${number} 0`)).find((header) => header.startsWith('Subject: '))?.slice(9) ?? ''] = id;
  }
  return found;
}

async function subjects(bridge: BridgeProcess, user: string): Promise<string[]> {
  return Object.keys(await ids(bridge, user));
}

/** Deletes by subject; gives the answer to QUIT. */
async function remove(bridge: BridgeProcess, user: string, ...wanted: readonly string[]): Promise<string> {
  const client = await open(bridge, user);
  for (const [index, subject] of Object.keys(await idsOf(client)).entries()) {
    if (wanted.includes(subject)) await client.command(`DELE ${index + 1}`);
  }
  return client.command('QUIT');
}
