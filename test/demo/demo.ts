/**
 * `npm run demo`: a sample IMAP mailbox and the real bridge before it. With --once it fetches the mail through the bridge by POP3,
 * prints what it got and ends.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { ImapServer } from '../support/imap-server.ts';
import { PopDialogue } from '../support/pop-dialogue.ts';
import { sampleMail } from './sample-mail.ts';

const USER = 'demo';
const PASSWORD = 'sesame';
const PORT = 1110;
const PROGRAM = fileURLToPath(new URL('../../dist/main.js', import.meta.url));

const isOnce = process.argv.includes('--once');
const folder = mkdtempSync(join(tmpdir(), 'popbridge-demo-'));
const imap = await ImapServer.start({ users: { [USER]: PASSWORD } });
for (const { raw, date } of sampleMail(new Date())) imap.mailbox('INBOX', USER).append(raw, { internalDate: date });
const bridge = startBridge(imap.port, isOnce ? 0 : PORT);
let code = 1;
try {
  const port = await readyPort(bridge);
  code = isOnce ? await fetchOnce(port) : await runUntilStopped(port);
} finally {
  bridge.kill('SIGTERM');
  if (bridge.exitCode === null) await once(bridge, 'exit');
  await imap.close();
  rmSync(folder, { recursive: true, force: true });
}
process.exit(code);

function startBridge(imapPort: number, port: number): ChildProcess {
  const config = join(folder, 'demo.toml');
  const text = [
    '[upstream]',
    'host = "127.0.0.1"',
    `port = ${imapPort}`,
    'security = "none"',
    '[[listen]]',
    `address = "127.0.0.1:${port}"`,
    '[log]',
    'format = "json"',
  ];
  writeFileSync(config, `${text.join('\n')}\n`);
  const args = [PROGRAM, 'serve', '--config', config, '--state', join(folder, 'state')];
  return spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
}

/** The port of the bridge's listener; its log goes on to be shown, save with --once. */
async function readyPort(bridge: ChildProcess): Promise<number> {
  if (bridge.stdout === null) throw new Error('the bridge has no output');
  const lines = createInterface({ input: bridge.stdout });
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  let port = 0;
  lines.on('line', (line) => {
    const { event, port: listening } = JSON.parse(line) as { event: string; port?: number };
    if (event === 'listening') port = listening ?? 0;
    if (event === 'ready') resolve(port);
    else if (!isOnce && port > 0) console.log(line);
  });
  bridge.once('exit', (exit) => reject(new Error(`the bridge ended with ${exit}`)));
  return promise;
}

async function runUntilStopped(port: number): Promise<number> {
  console.log(`
popbridge is running before a sample IMAP mailbox. Try:

  curl pop3://127.0.0.1:${port}/ --user ${USER}:${PASSWORD}          list the mail
  curl pop3://127.0.0.1:${port}/1 --user ${USER}:${PASSWORD}         read the first message

or set up a mail client: POP3 server 127.0.0.1, port ${port}, no encryption, user ${USER}, password ${PASSWORD}.
Ctrl-C ends it.
`);
  await Promise.race([once(process, 'SIGINT'), once(process, 'SIGTERM')]);
  return 0;
}

async function fetchOnce(port: number): Promise<number> {
  const client = await PopDialogue.connect(port);
  await client.login(USER, PASSWORD);
  const listing = await client.multi('UIDL');
  console.log(`${listing.length} messages:\n`);
  for (const line of listing) {
    const [number = '', uniqueId = ''] = line.split(' ');
    const message = await client.retrieve(Number(number));
    console.log(`--- message ${number}, unique-id ${uniqueId}, ${message.length} octets`);
    console.log(message.toString('utf8').replaceAll('\r\n', '\n'));
  }
  await client.command('QUIT');
  client.close();
  return listing.length > 0 ? 0 : 1;
}
