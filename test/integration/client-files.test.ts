/** What real clients write about the mail they know, after a fetch that left it on the server: read, it is that server's UIDL. */
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parseClientFile, type ClientFileFormat } from '../../src/maildrop/client-files.ts';
import { oldmailName } from '../../src/maildrop/oldmail-name.ts';
import { Dovecot } from '../support/peers/dovecot.ts';
import { describeWithPeers } from '../support/peers/peers.ts';
import { pop3Clients, type Pop3Client } from '../support/peers/pop3-clients.ts';
import { PopDialogue } from '../support/pop-dialogue.ts';

const PASSWORD = 'secret';
const HOST = '127.0.0.1';

const CLIENTS: readonly (readonly [client: Pop3Client, format: ClientFileFormat, file: RegExp, users: readonly string[]])[] = [
  [pop3Clients.fetchmail, 'fetchids', /^fetchids$/, ['alice', 'al-ice-110@example.org', 'a b%20c']],
  [pop3Clients.mpop, 'mpop', /^uidls$/, ['alice', 'al-ice-110@example.org', 'a b%20c']],
  [pop3Clients.getmail, 'oldmail', /^oldmail-/, ['alice', 'bob_2@example.org']],
];
const USERS = [...new Set(CLIENTS.flatMap(([, , , users]) => users))];

async function uniqueIds(port: number, user: string): Promise<string[]> {
  const client = await PopDialogue.connect(port);
  await client.login(user, PASSWORD);
  const lines = await client.multi('UIDL');
  await client.command('QUIT');
  return lines.map((line) => line.replace(/^\d+ /, ''));
}

describeWithPeers(['dovecot', 'openssl'], 'the files of real clients', () => {
  let dovecot: Dovecot;
  let folder: string;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'popbridge-files-'));
    // A name may hold what a file could have escaped; none of these clients does.
    dovecot = await Dovecot.start({ users: Object.fromEntries(USERS.map((user) => [user, PASSWORD])), extra: 'auth_username_chars =\n' });
    for (const user of USERS) {
      const mail = ['one', 'two', 'three'].map((subject) => Buffer.from(`Subject: ${subject}\r\n\r\nto ${user}\r\n`));
      await dovecot.deliver(user, mail);
    }
  });

  afterAll(async () => {
    await dovecot[Symbol.asyncDispose]();
    await rm(folder, { recursive: true, force: true });
  });

  for (const [client, format, file, users] of CLIENTS) {
    describeWithPeers(['dovecot', 'openssl', ...client.needs], client.name, () => {
      test.for(users)('writes the ids that the server gave %s', async (user) => {
        const home = await mkdtemp(join(folder, 'home-'));
        const port = dovecot.ports.pop3;
        const fetched = await client.fetch({ host: HOST, port, tls: 'none', user, password: PASSWORD, keep: true, home });
        expect(fetched.exitCode, fetched.stderr).toBe(0);
        expect(fetched.messages).toHaveLength(3);

        const name = (await readdir(home)).find((entry) => file.test(entry)) ?? '';
        const octets = await readFile(join(home, name));
        const parsed = parseClientFile(octets);
        if ('problem' in parsed) throw new Error(parsed.problem);
        expect(parsed.format).toBe(format);
        const [account] = parsed.accounts;
        expect(parsed.accounts).toHaveLength(1);
        expect([...(account?.uniqueIds ?? [])].sort()).toEqual((await uniqueIds(port, user)).sort());
        expect(format === 'oldmail' ? oldmailName(name) : { server: account?.server, user: account?.user }).toEqual({ server: HOST, user });
      });
    });
  }
});
