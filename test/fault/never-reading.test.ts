/** Clients that ask for much and read nothing: paused, cut off in time, and never a message's worth of memory for each (SECURITY.md, fault matrix). */
import { expect, test } from 'vitest';
import { BridgeSite } from '../support/bridge-site.ts';
import { residentOctets } from '../support/process-holdings.ts';

const MIB = 1024 * 1024;
const USERS = ['alice', 'bob', 'carol', 'dave', 'erin'];
const RETRS = 20;
const LINE = `${'x'.repeat(98)}\r\n`;
/** Four times what the fault matrix asks for: what would be kept whole has to show. */
const MESSAGE = Buffer.from(`Subject: big\r\n\r\n${LINE.repeat((32 * MIB) / LINE.length)}`);

test('five of them with twenty messages of 32 MiB each cost less than 32 MiB in all', { timeout: 120_000 }, async () => {
  await using site = await BridgeSite.start({
    tables: '[limits]\nwrite_timeout = "2s"\n[retrieve]\nmark_seen = "never"\n',
    server: { users: Object.fromEntries([...USERS, 'frank'].map((user) => [user, 'secret'])) },
  });
  for (const user of [...USERS, 'frank']) site.imap.mailbox('INBOX', user).append(MESSAGE);
  // What the program needs for one client that does read, it has from now on.
  const usual = await site.open('frank');
  for (let index = 0; index < 2; index += 1) expect((await usual.retrieve(1)).length).toBe(MESSAGE.length);
  await usual.command('QUIT');
  const before = residentOctets(site.bridge.pid, 'most');
  const clients = await Promise.all(USERS.map((user) => site.open(user)));
  for (const client of clients) {
    client.socket.pause();
    client.send('RETR 1\r\n'.repeat(RETRS));
  }
  await site.bridge.event('session-end', 1 + USERS.length);
  expect(residentOctets(site.bridge.pid, 'most') - before).toBeLessThan(32 * MIB);
  for (const client of clients) client.close();
});
