/**
 * `popbridge account add ADDRESS` where no configured upstream takes that address: finds its server, and writes a configuration file for it
 * once the user agrees. A file that does not go with the others is taken back.
 */
import { resolveSrv } from 'node:dns/promises';
import { readdirSync, rmSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { domainToASCII } from 'node:url';
import { z } from 'zod';
import { discover, type Discovered } from '../accounts/discovery/discover.ts';
import { systemClock } from '../clock.ts';
import { defaultConfigPath, loadConfig } from '../config/load.ts';
import type { BridgeConfig } from '../config/schema.ts';
import { splitUser } from '../config/user-name.ts';
import { chooseUpstream } from '../daemon/account.ts';
import { askDaemon } from '../daemon/control-client.ts';
import { CredentialsError } from '../errors.ts';
import type { CliEnvironment } from './environment.ts';
import { UsageError } from './exit-code.ts';
import { httpsText } from './https-text.ts';
import { harmless } from './maildrop-text.ts';
import { ask } from './prompt.ts';
import { enterStateDirectory } from './state-directory.ts';
import { stateDirectory, type StateOptions } from './state-request.ts';
import { writeConfigFile } from './write-config-file.ts';

export interface NewUpstreamOptions extends StateOptions {
  readonly user: string;
  readonly yes: boolean;
  readonly 'client-id': string | undefined;
  readonly 'client-secret-file': string | undefined;
}

const ROOT = 0;
/** It also names a file. */
const DOMAIN = /^[\p{L}\p{N}][\p{L}\p{M}\p{N}.-]*$/u;

/** True where a file was written; nothing is done where an upstream takes the user. Rejects with Error or ConfigError where in the end none does. */
export async function ensureUpstream(environment: CliEnvironment, options: NewUpstreamOptions): Promise<boolean> {
  const { user } = options;
  const { domain } = splitUser(user);
  if (options.upstream !== undefined || isTaken(environment, options)) return false;
  if (domain === '')
    throw new UsageError(`no upstream is configured; give a whole address in place of ${harmless(user)}, so that its server can be found`);
  if (!DOMAIN.test(domain) || domainToASCII(domain) === '')
    throw new UsageError(`${harmless(domain)} is no domain; give a whole address, such as alice@example.com`);
  const found = await discover(user, { get: httpsText, srv: resolveSrv });
  if (found === undefined) {
    throw new Error(
      `no configured upstream takes ${harmless(user)}, and nothing is known of ${domain}; write a file with [upstream] and host`,
    );
  }
  const file = fileFor(environment, options, domain);
  const pin = await pinOf(environment, found);
  for (const line of [...proposal(found, domain), ...(pin === undefined ? [] : [pin.line])])
    environment.writeQuestion(`${harmless(line)}\n`);
  const clientId = await clientIdFor(environment, options, found);
  if (!(await isAgreed(environment, options, file))) throw new Error('nothing was written');
  write(
    environment,
    options,
    file,
    textFor(found, domain, { clientId, secretFile: options['client-secret-file'], certificate: pin?.certificate }),
  );
  environment.writeQuestion(`${file} is written.\n`);
  enterStateDirectory(environment, options);
  const answer = await askDaemon(stateDirectory(environment, options), 'reload', {}, () => {});
  const { kept } = reloaded.parse(answer !== undefined && 'result' in answer ? answer.result : {});
  if (kept !== undefined) throw new Error(`the daemon goes on without that file: ${harmless(kept)}`);
  return true;
}

const reloaded = z.object({ kept: z.string().optional() });

function isTaken(environment: CliEnvironment, options: NewUpstreamOptions): boolean {
  const paths = pathsOf(environment, options);
  if (paths.every(isEmpty)) return false;
  const rules = rulesOf(loadConfig({ paths }));
  const [only, ...others] = rules;
  const { domain } = splitUser(options.user);
  // A single one takes every user who logs in; but one that names its domains is not meant for others.
  if (only !== undefined && others.length === 0) return only.takesTheRest || only.domains.length === 0 || only.domains.includes(domain);
  try {
    chooseUpstream(rules, options.user);
    return true;
  } catch (error) {
    if (error instanceof CredentialsError) return false;
    throw error;
  }
}

function rulesOf(config: BridgeConfig): Parameters<typeof chooseUpstream>[0] {
  return config.upstreams.map(({ upstream, login, views }) => {
    return { username: upstream.username, domains: login.domains, takesTheRest: login.default, views };
  });
}

function pathsOf(environment: CliEnvironment, { config }: NewUpstreamOptions): readonly string[] {
  return config.length > 0 ? config : [defaultConfigPath({ uid: environment.uid, env: environment.variables })];
}

/** Not there, or a directory without a file of ours. */
function isEmpty(path: string): boolean {
  const stat = statSync(path, { throwIfNoEntry: false });
  return stat === undefined || (stat.isDirectory() && !readdirSync(path).some((name) => name.endsWith('.toml')));
}

/** In the configuration directory; or the file itself that was named and is not there. */
function fileFor(environment: CliEnvironment, options: NewUpstreamOptions, domain: string): string {
  const [path = '', ...others] = pathsOf(environment, options);
  const isFile = statSync(path, { throwIfNoEntry: false })?.isFile() ?? path.endsWith('.toml');
  if (others.length > 0 || (isFile && !isEmpty(path))) {
    throw new Error(
      `no configured upstream takes users of ${domain}; give --config a directory, so that a file for them can be written there`,
    );
  }
  return isFile ? path : join(path, `${domain}.toml`);
}

function proposal(found: Discovered, domain: string): string[] {
  if (found.by === 'network') {
    const { host, port, security } = found.server;
    return [`${domain}: the IMAP server is ${host}, port ${port}, ${security} (says ${found.source})`];
  }
  const { preset } = found;
  return [
    `${domain} is ${found.source === undefined ? '' : 'at '}${preset.title} (preset ${preset.name}${found.source === undefined ? '' : `, says ${found.source}`}); it is logged in to with: ${preset.login}`,
    ...preset.hints.map((hint) => `- ${hint}`),
  ];
}

/** What a server on this machine shows now is believed, where nobody signs its certificate; undefined for every other server. */
async function pinOf(
  { version }: CliEnvironment,
  found: Discovered,
): Promise<{ readonly certificate: string | undefined; readonly line: string } | undefined> {
  if (found.by !== 'preset' || found.preset.quirks?.signsItself !== true) return undefined;
  const { host = '', port = 0, security = 'starttls' } = found.preset.tables.upstream;
  const { shownCertificate } = await import('../upstream/shown-certificate.ts');
  const certificate = await shownCertificate({ host, port, security, clientInfo: { name: 'popbridge', version } }, systemClock);
  const where = `${host} port ${port}`;
  const line =
    certificate === undefined
      ? `nothing at ${where} shows a certificate now: start it first, or put certificate_sha256 into the file yourself`
      : `the certificate at ${where} has SHA-256 ${certificate}, and is pinned`;
  return { certificate, line };
}

/** Where there is no other way than OAuth 2.0 a client registration is needed first. */
async function clientIdFor(environment: CliEnvironment, options: NewUpstreamOptions, found: Discovered): Promise<string | undefined> {
  const given = options['client-id'];
  if (given === undefined && options['client-secret-file'] !== undefined)
    throw new UsageError('--client-secret-file needs --client-id, the id of your own client registration');
  if (given !== undefined || found.by === 'network' || found.preset.login !== 'OAuth 2.0') return given;
  if (!environment.stdin.isTTY) throw new UsageError(`${found.preset.title} needs --client-id, the id of your own client registration`);
  const typed = (await ask(environment.stdin, 'id of your client registration: ', environment.writeQuestion)).trim();
  if (typed === '') throw new UsageError('without a client registration nobody can sign in there');
  return typed;
}

async function isAgreed(environment: CliEnvironment, { yes }: NewUpstreamOptions, file: string): Promise<boolean> {
  if (yes) return true;
  if (!environment.stdin.isTTY) throw new UsageError(`say --yes to have ${file} written`);
  const answer = await ask(environment.stdin, `Write ${file} for it? [y/N] `, environment.writeQuestion);
  return /^y(es)?$/i.test(answer.trim());
}

/** What no preset can know. */
interface Additions {
  /** Of your registration at the provider. */
  readonly clientId: string | undefined;
  readonly secretFile: string | undefined;
  /** Its SHA-256, to be pinned. */
  readonly certificate: string | undefined;
}

function textFor(found: Discovered, domain: string, { clientId, secretFile, certificate }: Additions): string {
  const quote = (text: string): string => JSON.stringify(text);
  const domains = found.by === 'preset' && found.source === undefined ? found.preset.domains : [domain];
  const { host, port, security, username } = found.by === 'preset' ? { host: '', port: 0, security: '', username: '' } : found.server;
  const flow = found.by === 'preset' && found.preset.oauth?.device !== undefined ? 'device' : 'code';
  return [
    `# Written by "popbridge account add": ${found.source === undefined ? `a preset knows ${domain}` : `${found.source} says so`}.`,
    '[upstream]',
    ...(found.by === 'preset'
      ? [`preset = ${quote(found.preset.name)}`]
      : [`host = ${quote(host)}`, `port = ${port}`, `security = ${quote(security)}`, `username = ${quote(username)}`]),
    ...(certificate === undefined ? [] : [`certificate_sha256 = ${quote(certificate)}`]),
    '',
    '[login]',
    'mode = "accounts"',
    `domains = [${domains.map(quote).join(', ')}]`,
    ...(clientId === undefined ? [] : ['', '[oauth]', `client_id = ${quote(clientId)}`, `flow = ${quote(flow)}`]),
    ...(secretFile === undefined ? [] : [`client_secret_file = ${quote(resolve(secretFile))}`]),
    '',
  ].join('\n');
}

/** Written and read as `loadConfig` does; taken back where it does not go with the others. */
function write(environment: CliEnvironment, options: NewUpstreamOptions, file: string, text: string): void {
  writeConfigFile(file, text, environment.uid === ROOT ? stateDirectory(environment, options) : undefined);
  try {
    loadConfig({ paths: pathsOf(environment, options) });
  } catch (error) {
    rmSync(file);
    throw error;
  }
}
