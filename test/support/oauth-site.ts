/** A provider, a Dovecot that takes its tokens, and a bridge whose accounts sign in there. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AuthorizationServer, CLIENT_SECRET, CONFIDENTIAL_CLIENT, PUBLIC_CLIENT } from './authorization-server.ts';
import { bridgeConfig } from './bridge-config.ts';
import { BridgeProcess, runBridge, type ProgramResult } from './bridge-process.ts';
import { InteractiveRun } from './interactive-run.ts';
import { Dovecot } from './peers/dovecot.ts';
import { PopDialogue } from './pop-dialogue.ts';
import { UserAgent } from './user-agent.ts';

const USERS = ['alice', 'bob', 'shared'];

export interface OAuthSiteSetup {
  /** SASL mechanisms of Dovecot besides PLAIN and LOGIN. */
  readonly mechanisms?: string;
  readonly flow?: string;
  readonly tables?: string;
}

export class OAuthSite implements AsyncDisposable {
  readonly provider: AuthorizationServer;
  readonly dovecot: Dovecot;
  bridge: BridgeProcess;
  readonly #folder: string;

  private constructor(provider: AuthorizationServer, dovecot: Dovecot, bridge: BridgeProcess, folder: string) {
    this.provider = provider;
    this.dovecot = dovecot;
    this.bridge = bridge;
    this.#folder = folder;
  }

  static async start({ mechanisms = 'xoauth2 oauthbearer', flow = 'code', tables = '' }: OAuthSiteSetup = {}): Promise<OAuthSite> {
    const provider = await AuthorizationServer.start();
    const folder = mkdtempSync(join(tmpdir(), 'popbridge-oauth-'));
    const introspection = join(folder, 'oauth2.conf');
    const settings = [
      'introspection_mode = post',
      `introspection_url = ${provider.introspectionUrl}`,
      'username_attribute = email',
      'username_format = %n',
      'active_attribute = active',
      'active_value = true',
    ];
    writeFileSync(introspection, `${settings.join('\n')}\n`, { mode: 0o644 });
    // Dovecot's workers are of another user.
    const dovecot = await Dovecot.start({
      users: Object.fromEntries(USERS.map((user) => [user, 'not by password'])),
      pop3: false,
      extra: `auth_mechanisms = plain login ${mechanisms}\npassdb {\n  driver = oauth2\n  mechanisms = xoauth2 oauthbearer\n  args = ${introspection}\n}\n`,
    });
    for (const user of USERS) await dovecot.deliver(user, [Buffer.from(`Subject: for ${user}\r\n\r\nbody\r\n`)]);
    writeFileSync(join(folder, 'client-secret'), `${CLIENT_SECRET}\n`, { mode: 0o600 });
    const isOfClient = flow === 'client-credentials';
    const bridge = await BridgeProcess.start({
      config: bridgeConfig({
        imapPort: dovecot.ports.imap,
        upstream: ['linger = "0s"', 'username = "{local}"'],
        tables: [
          '[login]\nmode = "accounts"',
          `[oauth]\nissuer = "${provider.issuer}"\nflow = "${flow}"`,
          isOfClient
            ? `client_id = "${CONFIDENTIAL_CLIENT}"\nclient_secret_file = "${join(folder, 'client-secret')}"\nscopes = ["mail"]`
            : `client_id = "${PUBLIC_CLIENT}"\nscopes = ["offline_access", "mail"]`,
          tables,
        ].join('\n'),
      }),
    });
    return new OAuthSite(provider, dovecot, bridge, folder);
  }

  get options(): string[] {
    return ['--config', join(this.bridge.folder, 'test.toml'), '--state', join(this.bridge.folder, 'state')];
  }

  account(...args: readonly string[]): Promise<ProgramResult> {
    return runBridge(['account', ...args, ...this.options]);
  }

  interactive(...args: readonly string[]): InteractiveRun {
    return new InteractiveRun(['account', ...args, ...this.options]);
  }

  /** Adds an account, signing in as that user in a browser; gives its app password. */
  async signedIn(user: string): Promise<string> {
    await using run = this.interactive('add', `${user}@example.com`);
    const page = await agentOf(user).visit(await run.says(/^ {4}(http\S+)$/m));
    const { code, stdout, stderr } = await run.ended();
    const password = /^ {4}([a-z-]{24})$/m.exec(stdout)?.[1];
    if (code !== 0 || password === undefined) throw new Error(`${code}: ${stdout}${stderr}${page.page}`);
    return password;
  }

  /** The answer to PASS, or the subjects of the maildrop. */
  async fetch(user: string, password: string): Promise<string | string[]> {
    const client = await PopDialogue.connect(this.bridge.port());
    try {
      await client.command(`USER ${user}@example.com`);
      const answer = await client.command(`PASS ${password}`);
      if (!answer.startsWith('+OK')) return answer;
      const subjects: string[] = [];
      for (const line of await client.multi('LIST')) {
        const message = await client.retrieve(Number(line.split(' ')[0]));
        subjects.push(/^Subject: (.*)\r$/m.exec(message.toString())?.[1] ?? '');
      }
      await client.command('QUIT');
      return subjects;
    } finally {
      client.close();
    }
  }

  /** Ends the daemon and starts it again on the same state. */
  async restart(signal: NodeJS.Signals): Promise<void> {
    await this.bridge.stop(signal);
    const config = readFileSync(join(this.bridge.folder, 'test.toml'), 'utf8');
    this.bridge = await BridgeProcess.start({ config, folder: this.bridge.folder });
  }

  /** All octets that the daemon keeps, and all that it logged. */
  traces(): Buffer {
    const state = join(this.bridge.folder, 'state');
    const files = readdirSync(state)
      .map((name) => join(state, name))
      .filter((path) => statSync(path).isFile());
    return Buffer.concat([...files.map((path) => readFileSync(path)), Buffer.from(JSON.stringify(this.bridge.log) + this.bridge.stderr)]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.bridge[Symbol.asyncDispose]();
    await this.dovecot[Symbol.asyncDispose]();
    await this.provider[Symbol.asyncDispose]();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** A browser in which that user signs in and agrees. */
export function agentOf(user: string, fields: Readonly<Record<string, string>> = {}): UserAgent {
  return new UserAgent({ login: user, password: 'any will do', ...fields });
}
