/**
 * A server that hangs with its connections open, at each phase of a session, or that is not there at all. Its client hears of it at the deadline, the
 * daemon lets go of the socket whatever the server does with its end, and once the fault is over all is as before.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, test } from 'vitest';
import { allowInLog } from '../support/bridge-process.ts';
import { ImapServer, type ImapServerOptions } from '../support/imap-server.ts';
import type { Fault, ImapRule } from '../support/imap-server/script.ts';
import { makeCertificates, type Certificates } from '../support/peers/certificates.ts';
import { patienceText } from '../support/patience.ts';
import { PopDialogue } from '../support/pop-dialogue.ts';
import { SharedBridge, type Bridge, type SiteConfig } from '../support/shared-bridge.ts';
import { until } from '../support/until.ts';

allowInLog('delete-failed', 'login-failed', 'session-error', 'upstream-failed');

const [USER, PASSWORD, MESSAGES] = ['alice', 'secret', 3];
const KNOWN_NAMES = fileURLToPath(new URL('../support/known-names.cjs', import.meta.url));
const TEMPORARY = /^-ERR \[SYS\/TEMP\] [ -~]+$/;

const folder = mkdtempSync(join(tmpdir(), 'popbridge-hanging-'));
const names = join(folder, 'names');
const shared = new SharedBridge({ NODE_OPTIONS: `--require ${KNOWN_NAMES}`, KNOWN_NAMES: names });
let certificates: Certificates;

beforeAll(async () => {
  writeFileSync(names, '');
  certificates = await makeCertificates(folder);
});

afterAll(async () => {
  await shared[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});

/** A server with three messages, and the daemon before it. */
class Site implements AsyncDisposable {
  readonly imap: ImapServer;
  readonly bridge: Bridge;

  private constructor(imap: ImapServer, bridge: Bridge) {
    this.imap = imap;
    this.bridge = bridge;
  }

  static async start(server: ImapServerOptions = {}, config: Partial<SiteConfig> = {}): Promise<Site> {
    const imap = await ImapServer.start({ users: { [USER]: PASSWORD }, ...server });
    for (let index = 1; index <= MESSAGES; index += 1) imap.mailbox('INBOX').append(`Subject: ${index}\r\n\r\nbody ${index}\r\n`);
    const upstream = [`command_timeout = "${patienceText(1_000)}"`, 'linger = "0s"', ...(config.upstream ?? [])];
    return new Site(imap, await shared.add({ imapPort: imap.port, ...config, upstream }));
  }

  async pass(): Promise<{ readonly answer: string; readonly client: PopDialogue }> {
    const client = await PopDialogue.connect(this.bridge.port());
    await client.command(`USER ${USER}`);
    return { answer: await client.command(`PASS ${PASSWORD}`), client };
  }

  /** Unique-ids as a session shows them that ends well. */
  async ids(): Promise<readonly string[]> {
    const { client } = await this.pass();
    const lines = await client.multi('UIDL');
    await client.command('QUIT');
    client.close();
    return lines.map((line) => line.split(' ')[1] ?? '');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.bridge[Symbol.asyncDispose]();
    await this.imap[Symbol.asyncDispose]();
  }
}

const on = (beginning: string, fault: Fault): ImapRule => {
  return ({ command }) => (command.startsWith(beginning) ? fault : undefined);
};

describe.concurrent('a server that hangs', () => {
  const starttls = (): ImapServerOptions => {
    return { tls: { mode: 'starttls', key: readFileSync(certificates.key, 'utf8'), cert: readFileSync(certificates.certificate, 'utf8') } };
  };
  const more = '* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\n';

  test.for([
    ['instead of its greeting', 'none', { greeting: 'hang' }],
    ['within the TLS handshake', 'tls', { greeting: 'hang' }],
    ['at STARTTLS', 'starttls', { script: on('STARTTLS', { hang: true }) }],
    ['behind its answer to STARTTLS', 'starttls', { script: on('STARTTLS', { raw: '$TAG OK go\r\n', next: 'hang' }) }],
    ['having said too much at STARTTLS', 'starttls', { script: on('STARTTLS', { raw: `$TAG OK go\r\n${more}`, next: 'hang' }) }],
    ['having greeted with PREAUTH', 'none', { greeting: '* PREAUTH hi', script: on('', { hang: true }) }],
    ['before it tells what it can', 'none', { greeting: '* OK hi', script: on('CAPABILITY', { hang: true }) }],
  ] as const)('%s is let go of', async ([, security, server], { expect: expected }) => {
    await using it = await Site.start({ ...(security === 'starttls' ? starttls() : {}), ...server }, { security });
    const { answer, client } = await it.pass();
    expected(answer).toMatch(TEMPORARY);
    await until(() => it.imap.openConnections === 0);
    expected(it.imap.connections).toBe(1);
    expected(await client.command('NOOP')).toMatch(/^-ERR/);
    client.close();
  });

  const LISTING = 'UID FETCH 1:*';

  test.for([
    ['the login', 'AUTHENTICATE', false],
    ['SELECT', 'SELECT', false],
    ['the listing', LISTING, false],
    ['the search for what is deleted', 'UID SEARCH', false],
    ['RETR', 'UID FETCH 2 ', 'RETR 2'],
    ['TOP', 'UID FETCH 2 ', 'TOP 2 0'],
    ['the search for the trash', 'LIST', 'QUIT'],
    ['UPDATE', 'UID MOVE', 'QUIT'],
  ] as const)(
    'at %s is let go of at the deadline; the next session is as if nothing had been',
    async ([, asked, command], { expect: expected }) => {
      await using it = await Site.start();
      const isLogin = command === false;
      // What was never listed has nothing yet that could be forgotten.
      const before = isLogin && asked === LISTING ? undefined : await it.ids();
      await until(() => it.imap.openConnections === 0);
      const sessions = isLogin ? 0 : it.bridge.events('session-end').length;
      const hang = (): void => it.imap.setScript(on(asked, { hang: true }));
      if (isLogin) hang();
      const { answer, client } = await it.pass();
      if (isLogin) expected(answer).toMatch(TEMPORARY);
      else {
        await client.command('DELE 1');
        hang();
        expected(await client.command(command)).toMatch(TEMPORARY);
      }
      await until(() => it.imap.openConnections === 0);
      it.imap.setScript(undefined);
      client.close();
      await it.bridge.event(isLogin ? 'login-failed' : 'session-end', sessions + 1);
      const after = await it.ids();
      // What QUIT asked for, and nobody knows the outcome of, is brought about by the next login.
      const expectedIds = command === 'QUIT' ? before?.slice(1) : before;
      expected(after).toEqual(expectedIds ?? expected.objectContaining({ length: MESSAGES }));
    },
  );
});

describe.concurrent('a server that can not be reached', () => {
  test.for([
    ['because it is down', 'ECONNREFUSED', undefined],
    ['because its name can not be resolved', 'ENOTFOUND', 'name.invalid'],
  ] as const)(
    '%s is temporary and told once; unique-ids stay, and the next session is fine',
    async ([, reason, host], { expect: expected }) => {
      await using it = await Site.start({}, host === undefined ? {} : { host, upstream: ['allow_cleartext = true'] });
      if (host !== undefined) writeFileSync(names, `${host} 127.0.0.1\n`);
      const before = await it.ids();
      await until(() => it.imap.openConnections === 0);
      if (host === undefined) await it.imap.goDown();
      else writeFileSync(names, '');
      const { answer, client } = await it.pass();
      expected(answer).toBe('-ERR [SYS/TEMP] mail server cannot be reached');
      // The line may come a moment after the answer; it stands before this one.
      await it.bridge.event('login-failed');
      expected(it.bridge.events('upstream-failed').map((line) => JSON.stringify(line))).toEqual([expected.stringContaining(reason)]);
      expected(await client.command('QUIT')).toMatch(/^\+OK/);
      if (host === undefined) await it.imap.comeBack();
      else writeFileSync(names, `${host} 127.0.0.1\n`);
      expected(await it.ids()).toEqual(before);
    },
  );
});
