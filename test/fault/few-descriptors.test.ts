/** A system that gives few files and sockets: clients beyond are told so, as at any limit, and others are served. */
import { connect } from 'node:net';
import { expect, test } from 'vitest';
import { allowInLog, BridgeProcess } from '../support/bridge-process.ts';
import { bridgeConfig } from '../support/bridge-config.ts';
import { ImapServer } from '../support/imap-server.ts';
import { PopDialogue } from '../support/pop-dialogue.ts';
import { until } from '../support/until.ts';

allowInLog('connection-refused');

const CLIENTS = 150;
const LOGGED_IN = 10;

test('a daemon with few descriptors takes fewer sessions, and hangs up on nobody without a word', async () => {
  await using imap = await ImapServer.start({ users: { alice: 'secret' } });
  imap.mailbox('INBOX').append('Subject: one\r\n\r\nbody\r\n');
  const config = bridgeConfig({
    imapPort: imap.port,
    upstream: [`connections_per_account = ${LOGGED_IN}`],
    tables: '[maildrop]\nlock = "shared"\n[limits]\nsessions_per_address = 1000',
  });
  await using bridge = await BridgeProcess.start({ config, by: ['prlimit', '--nofile=160:160'] });
  expect(bridge.events('sessions-reduced')).toMatchObject([{ level: 'warn', wanted: 2_000, sessions: 30, descriptors: 160 }]);

  const users = await Promise.all(
    Array.from({ length: LOGGED_IN }, async () => {
      const client = await PopDialogue.connect(bridge.port());
      await client.login('alice', 'secret');
      return client;
    }),
  );
  const heard = Array.from({ length: CLIENTS }, () => {
    const client = { said: '', socket: connect(bridge.port(), '127.0.0.1') };
    client.socket.on('data', (octets: Buffer) => (client.said += octets.toString())).on('error', () => {});
    return client;
  });
  await until(() => heard.every(({ said }) => said !== ''));
  for (const client of users) {
    expect(await client.multi('UIDL')).toHaveLength(1);
    expect(await client.command('QUIT')).toBe('+OK bye');
  }
  for (const { said, socket } of heard) {
    expect(said).toMatch(/^(?:\+OK POP3 server ready\r\n)?(?:-ERR \[SYS\/TEMP\] [ -~]+\r\n)?$/);
    socket.destroy();
  }
});
