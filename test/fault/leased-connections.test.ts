/** Views of one account share a connection to the server: what one session does there is never cut off because another one comes, waits or goes. */
import { afterEach, expect, test } from 'vitest';
import { allowInLog, type BridgeProcess } from '../support/bridge-process.ts';
import { BridgeSite } from '../support/bridge-site.ts';
import { PopDialogue } from '../support/pop-dialogue.ts';
import { TimeMachine } from '../support/time-machine.ts';
import { until } from '../support/until.ts';

allowInLog('login-failed', 'upstream-failed');

/** Each longer than a connection that is kept may take to show that it lives; all together shorter than a slow client may take, and the command timeout. */
const STEPS_S = [6, 6, 6, 6];
const BIG = Buffer.from(`Subject: big\r\n\r\n${`${'x'.repeat(78)}\r\n`.repeat(400_000)}`);

const open: (AsyncDisposable | Disposable)[] = [];
afterEach(async () => {
  PopDialogue.closeAll();
  for (const resource of open.splice(0).reverse()) {
    if (Symbol.asyncDispose in resource) await resource[Symbol.asyncDispose]();
    else resource[Symbol.dispose]();
  }
});

interface Site {
  readonly it: BridgeSite;
  /** Lets a while pass, in steps: what is to come about first may take its time. */
  readonly passAWhile: () => Promise<void>;
}

/** One connection for all sessions of the account. */
async function site(): Promise<Site> {
  const time = new TimeMachine();
  open.push(time);
  const it = await BridgeSite.start({
    tables: '[views.laptop]\n',
    upstream: ['connections_per_account = 1'],
    linger: '5m',
    commandTimeout: '60s',
    variables: time.variables,
  });
  open.push(it);
  it.imap.mailbox('INBOX').append(BIG);
  it.deliver('INBOX', 'small');
  const bridge: BridgeProcess = it.bridge;
  const passAWhile = async (): Promise<void> => {
    for (const seconds of STEPS_S) await time.pass(bridge, seconds);
  };
  return { it, passAWhile };
}

/** Sends a login and does not wait for the answer; resolves with it. */
async function logsIn({ bridge }: BridgeSite, user: string): Promise<{ readonly client: PopDialogue; readonly answer: Promise<string> }> {
  const client = await PopDialogue.connect(bridge.port());
  await client.command(`USER ${user}`);
  return { client, answer: client.command('PASS secret') };
}

test('a message that is being sent comes whole though another view logs in and waits meanwhile', async () => {
  const { it, passAWhile } = await site();
  const slow = await it.open();
  slow.socket.pause();
  slow.send('RETR 1\r\n');
  await until(() => it.imap.commands.some((command) => /^UID FETCH 1 .*BODY/.test(command)));
  const { client, answer } = await logsIn(it, 'alice/laptop');
  await passAWhile();
  slow.socket.resume();
  expect(await slow.line()).toMatch(/^\+OK/);
  expect((await slow.untilEnd()).length).toBe(BIG.length);
  expect(await answer).toMatch(/^\+OK/);
  expect((await client.retrieve(2)).toString()).toContain('body of small');
  for (const one of [slow, client]) expect(await one.command('QUIT')).toBe('+OK bye');
  expect(it.imap.connections).toBe(1);
});

test('a QUIT that is at work has its outcome though another view logs in and waits meanwhile', async () => {
  const { it, passAWhile } = await site();
  const first = await it.open();
  await first.command('DELE 2');
  const moves = Promise.withResolvers<void>();
  it.imap.setScript(({ verb }) => (verb === 'UID MOVE' ? { after: moves.promise } : undefined));
  first.send('QUIT\r\n');
  await until(() => it.imap.commands.some((command) => command.startsWith('UID MOVE')));
  const { client, answer } = await logsIn(it, 'alice/laptop');
  await passAWhile();
  moves.resolve();
  expect(await first.line()).toBe('+OK bye');
  expect(await answer).toMatch(/^\+OK/);
  expect(await client.command('QUIT')).toBe('+OK bye');
  expect([it.upstream(), it.upstream('Trash')]).toEqual([['big'], ['small']]);
  expect(it.imap.connections).toBe(1);
});

test('a message that is being sent comes whole though the client of another view hangs up while it logs in', async () => {
  const { it, passAWhile } = await site();
  const slow = await it.open();
  slow.socket.pause();
  slow.send('RETR 1\r\n');
  await until(() => it.imap.commands.some((command) => /^UID FETCH 1 .*BODY/.test(command)));
  const { client, answer } = await logsIn(it, 'alice/laptop');
  const gone = answer.catch(() => 'closed');
  client.close();
  expect(await gone).toBe('closed');
  await passAWhile();
  slow.socket.resume();
  expect(await slow.line()).toMatch(/^\+OK/);
  expect((await slow.untilEnd()).length).toBe(BIG.length);
  expect(await slow.command('QUIT')).toBe('+OK bye');
  expect(it.imap.connections).toBe(1);
});

test('a connection that is kept and is dead is given up after a while where nobody else uses it', async () => {
  const { it, passAWhile } = await site();
  const first = await it.open();
  await first.command('QUIT');
  await until(() => it.bridge.events('session-end').length === 1);
  const before = it.imap.commands.length;
  it.imap.setScript(({ connection }) => (connection === 1 ? { hang: true } : undefined));
  const { client, answer } = await logsIn(it, 'alice/laptop');
  await until(() => it.imap.commands.length > before);
  await passAWhile();
  expect(await answer).toMatch(/^\+OK/);
  expect(it.imap.connections).toBe(2);
  expect(await client.command('QUIT')).toBe('+OK bye');
});
