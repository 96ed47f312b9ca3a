/** The built program as a child process: exit codes, signals, restarts. */
import { spawn } from 'node:child_process';
import { connect } from 'node:net';
import { once } from 'node:events';
import { chmodSync, closeSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { bridgeConfig } from '../support/bridge-config.ts';
import { allowInLog, BridgeProcess, runBridge } from '../support/bridge-process.ts';
import { ImapServer } from '../support/imap-server.ts';
import { PopDialogue } from '../support/pop-dialogue.ts';
import { stoppingMs } from '../support/stopping-time.ts';
import { until } from '../support/until.ts';
import { patience } from '../support/patience.ts';
import { TimeMachine } from '../support/time-machine.ts';

allowInLog('login-failed', 'reload-failed');

let imap: ImapServer;
let folder: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'popbridge-process-'));
  imap = await ImapServer.start({ users: { alice: 'open sesame' } });
  for (let index = 1; index <= 3; index += 1) imap.mailbox('INBOX', 'alice').append(`Subject: ${index}\r\n\r\nbody\r\n`);
});

afterAll(async () => {
  await imap.close();
  rmSync(folder, { recursive: true, force: true });
});

const config = (tables = ''): string => bridgeConfig({ imapPort: imap.port, tables });

describe('the command line', () => {
  test('--help names every command and option, and exits 0', async () => {
    const { code, stdout } = await runBridge(['--help']);
    expect(code).toBe(0);
    for (const word of ['popbridge serve', 'popbridge check', '--config', '--log-level']) expect(stdout).toContain(word);
    const serve = await runBridge(['serve', '--help']);
    for (const word of ['--upstream', '--listen', '--state']) expect(serve.stdout).toContain(word);
    const check = await runBridge(['check', '--help']);
    for (const word of ['--online', '--user', '--password-stdin', '--json']) expect(check.stdout).toContain(word);
  });

  test('--version tells the version of package.json', async () => {
    const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string };
    expect(await runBridge(['--version'])).toMatchObject({ code: 0, stdout: `${version}\n` });
  });

  test.for([
    [[], 'give a command'],
    [['frobnicate'], 'frobnicate'],
    [['serve', '--frobnicate'], 'frobnicate'],
    [['serve', '--upstream', 'imaps://a.example', '--config', 'x.toml'], 'not both'],
    [['maildrop'], 'give one of list, show, explain, export, import, undelete'],
    [['maildrop', 'show'], 'user'],
    [['maildrop', 'undelete', '--user', 'alice', '--config', 'x.toml'], 'give unique-ids, or --all'],
    [['maildrop', 'import', '--user', 'alice', '--from', 'pop3+insecure://mail.example.com'], 'in clear'],
    [['presets', 'gmial'], 'there is no preset "gmial"; did you mean gmail?'],
    [['status', '--json'], 'not built yet'],
    [['trace', 'alice', 'on'], 'not built yet'],
    [['completion'], 'not built yet'],
    [['serve', '--log-level', 'loud'], 'log-level'],
    [['serve', '--upstream', 'http://a.example'], '--upstream'],
    [['serve', '--upstream', 'imap+insecure://a.example'], '--upstream'],
  ] as const)('%j is a wrong command line: exit 64, one line', async ([args, word]) => {
    const { code, stderr, stdout } = await runBridge(args);
    expect(code).toBe(64);
    expect(stdout).toBe('');
    expect(stderr).toMatch(/^popbridge: [^\n]+\n$/);
    expect(stderr).toContain(word);
  });

  test('begins with the line by which an installed package runs it', () => {
    expect(readFileSync(new URL('../../dist/main.js', import.meta.url), 'utf8')).toMatch(/^#!\/usr\/bin\/env node\n/);
  });

  test('an old Node is told in one line, before anything is imported: exit 78', async () => {
    const script = 'Object.defineProperty(process,"versions",{value:{...process.versions,node:"20.11.0"}})';
    const pretend = `data:text/javascript,${encodeURIComponent(script)}`;
    const { code, stderr } = await runBridge(['--help'], '', { NODE_OPTIONS: `--import=${pretend}` });
    expect(code).toBe(78);
    expect(stderr).toBe('popbridge: Node 24 or newer is needed; this is 20.11.0\n');
  });
});

describe('configuration faults', () => {
  test('five different ones are told at once, each on its own line with its place: exit 78', async () => {
    const path = join(folder, 'faulty.toml');
    writeFileSync(
      path,
      [
        '[upstream]',
        'hots = "imap.example.com"',
        'port = 70000',
        'security = "tsl"',
        'preset = "gmial"',
        '[delete]',
        'action = "shred"',
        '[limits]',
        'idle_timeout = "1m"',
        '[admin]',
        '',
      ].join('\n'),
    );
    const { code, stderr } = await runBridge(['check', '--config', path]);
    expect(code).toBe(78);
    const lines = stderr.trimEnd().split('\n');
    for (const line of lines) expect(line.startsWith(`popbridge: ${path}: `), line).toBe(true);
    for (const key of [
      'upstream.hots',
      'upstream.host',
      'upstream.port',
      'upstream.security',
      'upstream.preset',
      'delete.action',
      'limits.idle_timeout',
    ]) {
      expect(
        lines.filter((line) => line.includes(` ${key}: `)),
        key,
      ).toHaveLength(1);
    }
    expect(stderr).toContain('did you mean "host"');
    expect(stderr).toContain('not built yet');
  });

  test('a file that is not there is exit 78 too', async () => {
    const { code, stderr } = await runBridge(['check', '--config', join(folder, 'absent.toml')]);
    expect(code).toBe(78);
    expect(stderr).toContain('absent.toml');
  });

  test('a good file is said to be good', async () => {
    const path = join(folder, 'good.toml');
    writeFileSync(path, config());
    const { code, stdout } = await runBridge(['check', '--config', path]);
    expect(code).toBe(0);
    expect(stdout).toContain(`${path}: ok`);
    const json = await runBridge(['check', '--json', '--config', path]);
    expect(JSON.parse(json.stdout)).toMatchObject({ ok: true });
  });

  test('what is allowed and may yet surprise is a warning, and exit 0', async () => {
    const tables = ['[upstream]', 'preset = "gmail"', '[delete]', 'action = "expunge"', 'after = "1d"', '[login]', 'mode = "accounts"', ''];
    const path = join(folder, 'gmail.toml');
    writeFileSync(path, tables.join('\n'), { mode: 0o600 });
    expect(await runBridge(['check', '--config', path])).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/ok: [^\n]+\n[^\n]+gmail\.toml: warning: delete\.action: "expunge" leaves a message in All Mail\n$/),
    });
  });
});

describe('check --online', () => {
  test('logs in and reports what the upstream can do', async () => {
    const path = join(folder, 'online.toml');
    writeFileSync(path, config());
    const { code, stdout, stderr } = await runBridge(
      ['check', '--online', '--user', 'alice', '--password-stdin', '--config', path],
      'open sesame\n',
    );
    expect(stderr).toBe('');
    expect(code).toBe(0);
    expect(stdout).toMatch(/login: ok/);
    expect(stdout).toMatch(/mailbox: INBOX, 3 messages/);
    expect(stdout).toMatch(/sizes: RFC822.SIZE is what RETR sends for 3 of 3 messages looked at now/);
    expect(stdout).toMatch(/delete: MOVE to Trash/);
  });

  test('a refused password and an unreachable server are exit 69', async () => {
    const path = join(folder, 'refused.toml');
    writeFileSync(path, config());
    const refused = await runBridge(['check', '--online', '--user', 'alice', '--password-stdin', '--config', path], 'wrong\n');
    expect(refused.code).toBe(69);
    expect(refused.stderr).not.toContain('wrong');
    writeFileSync(path, bridgeConfig({ imapPort: 1 }));
    const unreachable = await runBridge(['check', '--online', '--user', 'alice', '--password-stdin', '--config', path], 'x\n');
    expect(unreachable.code).toBe(69);
    expect(unreachable.stderr).toMatch(/^popbridge: [^\n]+\n$/);
  });
});

describe('serve', () => {
  /** For what needs a daemon and does nothing to it. */
  let shared: BridgeProcess;
  beforeAll(async () => {
    shared = await BridgeProcess.start({ config: config('[log]\nlevel = "debug"') });
  });
  afterAll(() => shared[Symbol.asyncDispose]());

  test('--upstream needs no file', async () => {
    const state = join(folder, 'no-file');
    const child = runBridge(['serve', '--upstream', `imap+insecure://127.0.0.1:${imap.port}`, '--listen', '127.0.0.1:0', '--state', state]);
    await until(() => answers(state));
    const status = await control(state, 'status');
    const { listeners, pid } = status as { listeners: { port: number }[]; pid: number };
    const client = await PopDialogue.connect(listeners[0]?.port ?? 0);
    await client.login('alice', 'open sesame');
    expect(await client.command('STAT')).toMatch(/^\+OK 3 /);
    await client.command('QUIT');
    process.kill(pid, 'SIGTERM');
    expect((await child).code).toBe(0);
  });

  test('keeps its state for its owner alone', async () => {
    const state = join(shared.folder, 'state');
    expect(statSync(state).mode & 0o777).toBe(0o700);
    const client = await PopDialogue.connect(shared.port());
    await client.login('alice', 'open sesame');
    const names = readdirSync(state, { recursive: true, encoding: 'utf8' });
    expect(names).toEqual(expect.arrayContaining(['control.sock', 'daemon.lock', 'popbridge.sqlite', 'popbridge.sqlite-wal']));
    for (const name of names) expect(statSync(join(state, name)).mode & 0o777, name).toBe(0o600);
    await client.command('QUIT');
  });

  test('refuses a state directory that others can change, and leaves its mode alone', async () => {
    const shared = mkdtempSync(join(folder, 'shared-'));
    chmodSync(shared, 0o777);
    const { code, stderr } = await runBridge(['serve', '--upstream', 'imaps://imap.example.com', '--state', shared]);
    expect(code).toBe(64);
    expect(stderr).toContain(`others can write to the state directory ${shared}`);
    expect(statSync(shared).mode & 0o777).toBe(0o777);
    expect(readdirSync(shared)).toEqual([]);
  });

  test("does not close a folder that holds somebody's other things", async () => {
    const mixed = mkdtempSync(join(folder, 'mixed-'));
    chmodSync(mixed, 0o755);
    writeFileSync(join(mixed, 'other'), '');
    const child = runBridge(['serve', '--upstream', 'imaps://imap.example.com', '--listen', '127.0.0.1:0', '--state', mixed]);
    await until(() => answers(mixed));
    const { pid } = (await control(mixed, 'status')) as { pid: number };
    expect(statSync(mixed).mode & 0o777).toBe(0o755);
    process.kill(pid, 'SIGTERM');
    expect((await child).code).toBe(0);
  });

  test('says of a lock that is no lock what it is: exit 1, not "another daemon"', async () => {
    const state = mkdtempSync(join(folder, 'lock-'));
    writeFileSync(join(state, 'daemon.lock'), 'garbage '.repeat(1000));
    const { code, stderr } = await runBridge(['serve', '--upstream', 'imaps://imap.example.com', '--state', state]);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^popbridge: [^\n]*daemon\.lock can't be used as a lock: [^\n]+\n$/);
  });

  test('goes on where its log can no longer be written, and says so once', async () => {
    const state = join(folder, 'full');
    const full = openSync('/dev/full', 'w');
    const args = ['serve', '--upstream', `imap+insecure://127.0.0.1:${imap.port}`, '--listen', '127.0.0.1:0', '--state', state];
    const child = runBridge(args, '', {}, full);
    await until(() => answers(state));
    const { listeners, pid } = (await control(state, 'status')) as { listeners: { port: number }[]; pid: number };
    const client = await PopDialogue.connect(listeners[0]?.port ?? 0);
    await client.login('alice', 'open sesame');
    expect(await client.command('QUIT')).toBe('+OK bye');
    process.kill(pid, 'SIGTERM');
    expect(await child).toMatchObject({ code: 0, stderr: expect.stringMatching(/^popbridge: the log is lost[^\n]*ENOSPC[^\n]*\n$/) });
    closeSync(full);
  });

  test('is not held up by who connects to its control socket and asks nothing', async () => {
    await using bridge = await BridgeProcess.start({ config: config() });
    const idle = connect(join(bridge.folder, 'state', 'control.sock'));
    idle.on('error', () => {});
    await once(idle, 'connect');
    expect(await bridge.stop('SIGTERM')).toBe(0);
    idle.destroy();
  });

  test('a second daemon on the same state directory exits 75; after the first ended, even by kill -9, another starts', async () => {
    await using bridge = await BridgeProcess.start({ config: config() });
    const path = join(bridge.folder, 'test.toml');
    const second = await runBridge(['serve', '--config', path, '--state', join(bridge.folder, 'state')]);
    expect(second.code).toBe(75);
    expect(second.stderr).toContain('another daemon');
    await bridge.stop('SIGKILL');
    await using again = await BridgeProcess.start({ config: config(), folder: bridge.folder });
    expect(again.port()).toBeGreaterThan(0);
  });

  test('an address in use is exit 75', async () => {
    const path = join(folder, 'taken.toml');
    writeFileSync(path, config());
    const { code, stderr } = await runBridge([
      'serve',
      '--config',
      path,
      '--state',
      join(folder, 'taken'),
      '--listen',
      `127.0.0.1:${shared.port()}`,
    ]);
    expect(code).toBe(75);
    expect(stderr).toContain('in use');
  });

  test('SIGTERM tells waiting sessions, and the program exits 0', async () => {
    await using bridge = await BridgeProcess.start({ config: config() });
    const waiting = await PopDialogue.connect(bridge.port());
    const loggedIn = await PopDialogue.connect(bridge.port());
    await loggedIn.login('alice', 'open sesame');
    const code = bridge.stop('SIGTERM');
    expect((await waiting.closed()).toString()).toBe('-ERR [SYS/TEMP] shutting down\r\n');
    expect((await loggedIn.closed()).toString()).toBe('-ERR [SYS/TEMP] shutting down\r\n');
    expect(await code).toBe(0);
    expect(bridge.events('stopping')).toHaveLength(1);
    expect(bridge.stderr).toBe('');
  });

  test('SIGTERM cuts a message that is being sent, without another octet', async () => {
    await using long = await ImapServer.start({ users: { alice: 'open sesame' } });
    await using bridge = await BridgeProcess.start({ config: bridgeConfig({ imapPort: long.port }) });
    long.mailbox('INBOX').append(`Subject: long\r\n\r\n${`${'x'.repeat(98)}\r\n`.repeat(300_000)}`);
    const client = await PopDialogue.connect(bridge.port());
    await client.login('alice', 'open sesame');
    client.send('RETR 1\r\n');
    await client.line();
    client.socket.pause();
    const code = bridge.stop('SIGTERM');
    client.socket.resume();
    const rest = await client.closed();
    expect(rest.length).toBeLessThan(30_000_000);
    expect(rest.toString('latin1')).not.toContain('shutting down');
    expect(rest.subarray(-5).toString()).not.toBe('\r\n.\r\n');
    expect(await code).toBe(0);
  });

  test('SIGTERM lets a running UPDATE go on for 8 s, leaves it to the journal then, and exits 0 within 10 s', async () => {
    await using stuck = await ImapServer.start({ users: { alice: 'open sesame' } });
    for (const subject of ['one', 'two']) stuck.mailbox('INBOX').append(`Subject: ${subject}\r\n\r\n`);
    using time = new TimeMachine();
    await using bridge = await BridgeProcess.start({ config: bridgeConfig({ imapPort: stuck.port }), variables: time.variables });
    const client = await PopDialogue.connect(bridge.port());
    await client.login('alice', 'open sesame');
    await client.command('DELE 1');
    stuck.setScript(({ command }) => (command.startsWith('UID MOVE') ? { hang: true } : undefined));
    client.send('QUIT\r\n');
    await until(() => stuck.commands.some((command) => command.startsWith('UID MOVE')));
    const code = bridge.stop('SIGTERM');
    await bridge.event('stopping');
    await time.pass(bridge, 7);
    await time.pass(bridge, 1.5);
    expect(await code).toBe(0);
    expect(bridge.log.at(-1)).toMatchObject({ event: 'session-end', outcome: 'QUIT, deletions unknown' });
    expect(stoppingMs(bridge.log)).toBeGreaterThan(8_000);
    // What did not pass at once is the work of this machine.
    expect(stoppingMs(bridge.log)).toBeLessThan(8_500 + patience(1_500));
    expect((await client.closed()).toString()).not.toContain('+OK');
    stuck.setScript(undefined);
    await using again = await BridgeProcess.start({ folder: bridge.folder, config: bridgeConfig({ imapPort: stuck.port }) });
    const next = await PopDialogue.connect(again.port());
    await next.login('alice', 'open sesame');
    expect(await next.command('STAT')).toMatch(/^\+OK 1 /);
    expect(stuck.mailbox('Trash').messages).toHaveLength(1);
  });

  test('SIGHUP takes a new configuration without dropping a session, and keeps the old one when the new is faulty', async () => {
    await using bridge = await BridgeProcess.start({ config: config() });
    const client = await PopDialogue.connect(bridge.port());
    await client.login('alice', 'open sesame');
    bridge.configure('[upstream]\nhost = 7\n');
    bridge.kill('SIGHUP');
    await bridge.event('reload-failed');
    bridge.configure(config('[login]\ndelay = "90s"'));
    bridge.kill('SIGHUP');
    await bridge.event('reloaded');
    expect(await client.command('STAT')).toMatch(/^\+OK 3 /);
    const next = await PopDialogue.connect(bridge.port());
    expect(await next.multi('CAPA')).toContain('LOGIN-DELAY 90 USER');
    bridge.configure(config('[log]\nlevel = "error"'));
    bridge.kill('SIGHUP');
    await until(async () => !(await (await PopDialogue.connect(bridge.port())).multi('CAPA')).includes('LOGIN-DELAY 90 USER'));
    await bridge.event('reloaded');
    expect(bridge.events('reloaded')).toHaveLength(1);
    await client.command('QUIT');
  });

  test('LOGIN-DELAY is enforced for who has the password, and tells nobody else that its owner was there', async () => {
    await using bridge = await BridgeProcess.start({ config: config('[login]\ndelay = "90s"\n[views.pc]\n[views.laptop]') });
    const logIn = async (user: string, password: string): Promise<string> => {
      const client = await PopDialogue.connect(bridge.port());
      await client.command(`USER ${user}`);
      const answer = await client.command(`PASS ${password}`);
      await client.command('QUIT');
      return answer;
    };
    expect(await logIn('alice/pc', 'open sesame')).toMatch(/^\+OK/);
    expect(await logIn('alice/pc', 'open sesame')).toBe('-ERR [LOGIN-DELAY] last login was too recent, try later');
    expect(await logIn('alice/laptop', 'open sesame')).toMatch(/^\+OK/);
    expect(await logIn('alice/pc', 'a guess')).toMatch(/^-ERR \[AUTH\]/);
  });

  test('a core file would hold none of its memory', async () => {
    expect(readFileSync(`/proc/${shared.pid}/coredump_filter`, 'utf8').trim()).toBe('00000000');
  });

  test('a core file would hold nothing of a command that reads a password either', async () => {
    const child = spawn(process.execPath, [
      fileURLToPath(new URL('../../dist/main.js', import.meta.url)),
      'account',
      'hash',
      '--password-stdin',
    ]);
    await until(() => readFileSync(`/proc/${child.pid}/coredump_filter`, 'utf8').trim() === '00000000');
    child.stdin.end('hunter2-hunter2\n');
    expect(await once(child, 'exit')).toEqual([0, null]);
  });

  test('SIGUSR1 opens no door for a debugger', async () => {
    await using bridge = await BridgeProcess.start({ config: config(), variables: { NODE_OPTIONS: '--inspect-port=0' } });
    bridge.kill('SIGUSR1');
    const client = await PopDialogue.connect(bridge.port());
    await client.login('alice', 'open sesame');
    await client.multi('RETR 1');
    expect(await client.command('QUIT')).toMatch(/^\+OK/);
    // Node would announce the debugger's port on standard error.
    expect([await bridge.stop(), bridge.stderr]).toEqual([0, '']);
  });

  test('the password is nowhere in the log, however the login ends', async () => {
    const client = await PopDialogue.connect(shared.port());
    await client.login('alice', 'open sesame');
    await client.command('QUIT');
    const refused = await PopDialogue.connect(shared.port());
    await expect(refused.login('alice', 'tell nobody')).rejects.toThrow('[AUTH]');
    await shared.event('login-failed');
    const log = JSON.stringify(shared.log);
    for (const secret of ['open sesame', 'tell nobody']) {
      expect(log).not.toContain(secret);
      expect(log).not.toContain(Buffer.from(secret).toString('base64'));
    }
  });
});

/** The socket is there a moment before anybody listens on it. */
function answers(state: string): Promise<boolean> {
  return control(state, 'status').then(
    () => true,
    () => false,
  );
}

async function control(state: string, request: string): Promise<unknown> {
  const socket = connect(join(state, 'control.sock'));
  socket.write(`${JSON.stringify({ request })}\n`);
  let answer = '';
  socket.on('data', (chunk: Buffer) => (answer += chunk.toString()));
  await once(socket, 'close');
  return (JSON.parse(answer) as { result: unknown }).result;
}
