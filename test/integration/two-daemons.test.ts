/** Two daemons, each with a state directory of its own, before one account of a real Dovecot. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { bridgeConfig } from '../support/bridge-config.ts';
import { allowInLog, BridgeProcess } from '../support/bridge-process.ts';
import { subjectsIn } from '../support/imap-look.ts';
import { Dovecot } from '../support/peers/dovecot.ts';
import { describeWithPeers } from '../support/peers/peers.ts';
import { PopDialogue } from '../support/pop-dialogue.ts';

allowInLog('session-error');

const PASSWORD = 'secret';
const MESSAGES = 40;
const users = ['alice', 'bob', 'carol'];

describeWithPeers(['dovecot', 'openssl'], 'two daemons on one account', () => {
  let dovecot: Dovecot;
  let first: BridgeProcess;
  let second: BridgeProcess;

  beforeAll(async () => {
    dovecot = await Dovecot.start({ users: Object.fromEntries(users.map((user) => [user, PASSWORD])), pop3: false });
    const mails = Array.from({ length: MESSAGES }, (_, index) => Buffer.from(`Subject: ${index + 1}\r\n\r\nbody of ${index + 1}\r\n`));
    for (const user of users) {
      await using imap = await dovecot.imap(user);
      await imap.command('CREATE Trash');
      await dovecot.deliver(user, mails);
    }
    const config = bridgeConfig({ imapPort: dovecot.ports.imap, tables: '[delete]\naction = "trash"' });
    [first, second] = await Promise.all([BridgeProcess.start({ config }), BridgeProcess.start({ config })]);
  });

  afterAll(async () => {
    await first[Symbol.asyncDispose]();
    await second[Symbol.asyncDispose]();
    await dovecot[Symbol.asyncDispose]();
  });

  const open = async (bridge: BridgeProcess, user: string): Promise<PopDialogue> => {
    const client = await PopDialogue.connect(bridge.port());
    await client.login(user, PASSWORD);
    return client;
  };
  const inFolder = async (user: string, folder: string): Promise<number[]> => {
    await using imap = await dovecot.imap(user);
    return (await subjectsIn(imap, folder)).map(Number).toSorted((a, b) => a - b);
  };
  const numbers = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, index) => from + index);

  test('show the same mail under the same unique-ids', async () => {
    const [one, two] = [await open(first, 'alice'), await open(second, 'alice')];
    const ids = await one.multi('UIDL');
    expect(ids).toHaveLength(MESSAGES);
    expect(await two.multi('UIDL')).toEqual(ids);
    for (const client of [one, two]) await client.command('QUIT');
  });

  test('that delete at the same time, in part the same, remove all of those and no other', async () => {
    const [one, two] = [await open(first, 'bob'), await open(second, 'bob')];
    for (const number of numbers(1, 25)) expect(await one.command(`DELE ${number}`)).toMatch(/^\+OK/);
    for (const number of numbers(11, 35)) expect(await two.command(`DELE ${number}`)).toMatch(/^\+OK/);
    expect(await Promise.all([one.command('QUIT'), two.command('QUIT')])).toEqual(['+OK bye', '+OK bye']);
    expect(await inFolder('bob', 'INBOX')).toEqual(numbers(36, MESSAGES));
    // Dovecot itself may copy a message twice that two of its sessions move at once.
    expect([...new Set(await inFolder('bob', 'Trash'))]).toEqual(numbers(1, 35));
    for (const bridge of [first, second]) {
      const client = await open(bridge, 'bob');
      expect(await client.multi('LIST')).toHaveLength(MESSAGES - 35);
      await client.command('QUIT');
    }
  });

  test('what one deletes while the other has it listed keeps its number there, is an error to RETR, and no error to QUIT', async () => {
    const lasting = await open(second, 'carol');
    const ids = await lasting.multi('UIDL');
    const deleting = await open(first, 'carol');
    for (const number of [3, 4]) await deleting.command(`DELE ${number}`);
    expect(await deleting.command('QUIT')).toBe('+OK bye');
    expect(await lasting.command('RETR 3')).toMatch(/^-ERR/);
    expect((await lasting.retrieve(5)).toString()).toContain('body of 5');
    expect(await lasting.multi('UIDL')).toEqual(ids);
    for (const number of [4, 6]) expect(await lasting.command(`DELE ${number}`)).toMatch(/^\+OK/);
    expect(await lasting.command('QUIT')).toBe('+OK bye');
    expect(await inFolder('carol', 'Trash')).toEqual([3, 4, 6]);
    expect(await inFolder('carol', 'INBOX')).toEqual([1, 2, 5, ...numbers(7, MESSAGES)]);
  });
});
