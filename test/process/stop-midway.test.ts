/** SIGTERM while sessions are in the middle of something that hangs, and nothing is being deleted: they are let go of at once. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { bridgeConfig } from '../support/bridge-config.ts';
import { allowInLog, BridgeProcess } from '../support/bridge-process.ts';
import { ImapServer } from '../support/imap-server.ts';
import { makeCertificates } from '../support/peers/certificates.ts';
import { PopDialogue } from '../support/pop-dialogue.ts';
import { stoppingMs } from '../support/stopping-time.ts';
import { until } from '../support/until.ts';

allowInLog('login-failed', 'upstream-failed');

const USERS = { alice: 'secret', bob: 'secret', carol: 'secret' };
const STOPPING = '-ERR [SYS/TEMP] shutting down\r\n';
/** Well below the eight seconds that a running UPDATE has, and far above what a busy machine needs. */
const AT_ONCE_MS = 6_000;

test('SIGTERM within a login, a listing, a message and a TLS handshake that hang ends all four at once, and the daemon with exit 0', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'popbridge-stop-'));
  const certificate = await makeCertificates(folder);
  await using imap = await ImapServer.start({ users: USERS });
  imap.mailbox('INBOX', 'carol').append('Subject: one\r\n\r\nbody\r\n');
  await using bridge = await BridgeProcess.start({ config: bridgeConfig({ imapPort: imap.port, certificate }) });
  /** Sends a line in a session of that user, and waits until the server hangs in the command it takes. */
  const hangAt = async (command: string, user: keyof typeof USERS, line: string, isLoggedIn = false): Promise<PopDialogue> => {
    const client = await PopDialogue.connect(bridge.port());
    if (isLoggedIn) await client.login(user, USERS[user]);
    else await client.command(`USER ${user}`);
    let hangs = false;
    imap.setScript((asked) => {
      if (hangs || !asked.command.startsWith(command)) return undefined;
      hangs = true;
      return { hang: true };
    });
    client.send(`${line}\r\n`);
    await until(() => hangs);
    return client;
  };
  const clients = [
    await hangAt('UID FETCH 1 ', 'carol', 'RETR 1', true),
    await hangAt('SELECT', 'bob', `PASS ${USERS.bob}`),
    await hangAt('AUTHENTICATE', 'alice', `PASS ${USERS.alice}`),
    await PopDialogue.connect(bridge.port(1)),
  ];
  expect(await clients[3]?.command('STLS')).toMatch(/^\+OK/);

  expect(await bridge.stop()).toBe(0);
  const said = await Promise.all(clients.map(async (client) => (await client.closed()).toString()));
  expect(said).toEqual(['', STOPPING, STOPPING, '']);
  expect(bridge.events('session-end').map(({ outcome }) => outcome)).toEqual(Array(4).fill('shutdown'));
  expect(bridge.stderr).toBe('');
  expect(stoppingMs(bridge.log)).toBeLessThan(AT_ONCE_MS);
  await until(() => imap.openConnections === 0);
  rmSync(folder, { recursive: true });
});
