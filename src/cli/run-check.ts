/** What `popbridge check` does: validates configuration; with --online logs in and reports on the upstream. */
import { z } from 'zod';
import { systemClock } from '../clock.ts';
import { defaultConfigPath, loadConfig } from '../config/load.ts';
import { presetNamed } from '../config/presets/presets.ts';
import type { BridgeConfig, FileConfig, ViewConfig } from '../config/schema.ts';
import { chooseUpstream, imapUser, maildropName, viewNamed } from '../daemon/account.ts';
import { bindingsOf, messageMemory, serviceOf } from '../daemon/bindings.ts';
import { createLog, LiveSecrets } from '../daemon/logging.ts';
import type { UpstreamService } from '../daemon/login.ts';
import { inspectUpstream, sizesLine, type UpstreamReport } from '../daemon/inspect-upstream.ts';
import type { SizeVerdict } from '../store/store.ts';
import type { CheckOptions } from './check.ts';
import type { CliEnvironment } from './environment.ts';
import { UsageError } from './exit-code.ts';
import { askState } from './state-access.ts';
import { ask, askHidden, readAll } from './prompt.ts';
import { withHints } from './preset-hints.ts';
import { stateDirectory } from './state-request.ts';

/** Prints the report. Throws ConfigError, and with --online what the upstream or its refusal gave. */
export async function check(environment: CliEnvironment, options: CheckOptions): Promise<void> {
  const paths = options.config.length > 0 ? options.config : [defaultConfigPath({ uid: environment.uid, env: environment.variables })];
  const config = loadConfig({ paths });
  const log = createLog({ level: 'error', pretty: true, write: (line) => environment.warn(line.trimEnd()) }, new LiveSecrets());
  bindingsOf(config, { clock: systemClock, log, version: environment.version });
  const report = options.online ? await online(environment, config, options) : undefined;
  environment.write(options.json ? `${JSON.stringify({ ok: true, files: summaries(config), online: report })}\n` : text(config, report));
}

async function online(environment: CliEnvironment, config: BridgeConfig, options: CheckOptions): Promise<UpstreamReport> {
  const user = options.user ?? (environment.isTerminal ? await ask(environment.stdin, 'user name: ', environment.write) : undefined);
  if (user === undefined) throw new UsageError('--online needs --user where there is no terminal to ask on');
  const service = serviceFor(config, user, environment.version);
  const inspect = (): Promise<UpstreamReport> =>
    service.mode === 'accounts' ? inspectAccount(environment, config, options, user) : inspectAsUser(environment, options, service, user);
  const report = await withHints(
    environment,
    () => config,
    () => Promise.resolve(service.id),
    inspect,
  );
  const known = await sizesKnown(environment, config, options, service.id);
  return known === undefined ? report : { ...report, sizesBefore: known, lines: [...report.lines, sizesLine(known, 'read before')] };
}

async function inspectAsUser(
  environment: CliEnvironment,
  options: CheckOptions,
  service: UpstreamService,
  user: string,
): Promise<UpstreamReport> {
  const password = await passwordFor(environment, options);
  const name = maildropName(service, user);
  const login = { user: imapUser(service, name.user), password };
  return inspectUpstream(service, viewNamed(service.views, name), (signal) => service.upstream.login(login, signal), systemClock);
}

/** With what the account has; its credentials are with the daemon. */
async function inspectAccount(
  environment: CliEnvironment,
  config: BridgeConfig,
  options: CheckOptions,
  user: string,
): Promise<UpstreamReport> {
  const access = { environment, stateDirectory: stateDirectory(environment, options), loadConfig: () => config, progress: () => {} };
  return z.custom<UpstreamReport>().parse(await askState(access, 'account-inspect', { user }));
}

const verdict = z.object({ measured: z.number(), differing: z.number(), largest: z.number() });

/** What the daemon learned of the upstream; undefined where there is no state, or none that can be read now. */
async function sizesKnown(
  environment: CliEnvironment,
  config: BridgeConfig,
  options: CheckOptions,
  upstream: string,
): Promise<SizeVerdict | undefined> {
  const access = { environment, stateDirectory: stateDirectory(environment, options), loadConfig: () => config, progress: () => {} };
  try {
    return verdict.parse(await askState(access, 'size-verdict', { upstream }));
  } catch {
    return undefined;
  }
}

async function passwordFor(environment: CliEnvironment, options: CheckOptions): Promise<string> {
  if (options['password-stdin'] || !environment.stdin.isTTY) return (await readAll(environment.stdin)).replace(/\r?\n$/, '');
  return askHidden(environment.stdin, 'password: ', environment.write);
}

function serviceFor(config: BridgeConfig, user: string, version: string): UpstreamService {
  return chooseUpstream(
    config.upstreams.map((file) => serviceOf(file, messageMemory(config), { clock: systemClock, version, keepsConnections: false })),
    user,
  );
}

function summaries(config: BridgeConfig): Readonly<Record<string, unknown>>[] {
  return config.upstreams.map((file) => ({
    file: file.upstream.file,
    upstream: file.upstream.id,
    host: file.upstream.host,
    port: file.upstream.port,
    security: file.upstream.security,
    listen: file.listen.map((listen) => `${listen.host}:${listen.port} (${listen.security})`),
    delete: file.views.get('')?.delete.action,
    views: [...file.views.keys()].filter((name) => name !== ''),
    warnings: warningsOf(file),
  }));
}

function text(config: BridgeConfig, report: UpstreamReport | undefined): string {
  const files = config.upstreams.flatMap((file) => [
    describeFile(file),
    ...warningsOf(file).map((warning) => `${file.upstream.file}: warning: ${warning}`),
  ]);
  const lines = report === undefined ? [] : report.lines.map((line) => `  ${line}`);
  return [...files, ...lines].map((line) => `${line}\n`).join('');
}

/** What is allowed, and may yet surprise (CONTRACT section 5.2). */
function warningsOf({ views, listen, login, upstream }: FileConfig): string[] {
  const keysOf = (key: string, isMeant: (view: ViewConfig) => boolean): string =>
    [...views]
      .filter(([, view]) => isMeant(view))
      .map(([name]) => (name === '' ? `delete.${key}` : `views.${name}.${key}`))
      .join(', ');
  const delayed = login.mode === 'upstream' ? keysOf('after', (view) => view.delete.afterSeconds > 0) : '';
  const leftBehind = presetNamed(upstream.preset)?.quirks?.expungeLeaves;
  const expunging = leftBehind === undefined ? '' : keysOf('action', (view) => view.delete.action === 'expunge');
  const legacy = listen.filter((one) => one.legacy).map((one) => one.name);
  return [
    ...(delayed === '' ? [] : [`${delayed}: with login.mode = "upstream" what is due is removed at the user's next login, not before`]),
    ...(expunging === '' ? [] : [`${expunging}: "expunge" leaves a message ${leftBehind}`]),
    ...legacy.map((name) => `listen.legacy: TLS 1.0 and old ciphers are accepted on ${name}`),
  ];
}

function describeFile(file: FileConfig): string {
  const { upstream } = file;
  const listen = file.listen.map((one) => `${one.host}:${one.port} (${one.security})`).join(', ');
  return `${upstream.file}: ok: ${listen} -> ${upstream.host}:${upstream.port} (${upstream.security}), delete = ${file.views.get('')?.delete.action}`;
}
