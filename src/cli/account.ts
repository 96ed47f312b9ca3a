/** `popbridge account`: local accounts and their app passwords (CONTRACT section 3). */
import type { ArgumentsCamelCase, Argv, CommandModule } from 'yargs';
import { appPasswordProblem } from '../accounts/app-password.ts';
import { hashPassword } from '../accounts/password-hash.ts';
import type { TokenSet } from '../accounts/oauth/tokens.ts';
import type { OAuthFlow } from '../config/oauth-config.ts';
import type { AccountRow, Issued, ResolvedAccount } from '../daemon/account-admin.ts';
import type { AccountKey } from '../store/account-store.ts';
import { checkName } from './account-names.ts';
import { accountLines, issuedLines, settingsLines } from './account-text.ts';
import type { CliEnvironment, GlobalOptions } from './environment.ts';
import { UsageError } from './exit-code.ts';
import { passwordLines } from './prompt.ts';
import { withHints } from './preset-hints.ts';
import { enterStateDirectory } from './state-directory.ts';
import { asked, configOf, print, type StateOptions } from './state-request.ts';

interface UserOptions extends StateOptions {
  readonly user: string;
}

interface PasswordOptions extends UserOptions {
  readonly 'password-stdin': boolean;
  readonly check: boolean;
}

interface FlowOptions {
  readonly flow: OAuthFlow | undefined;
}

interface AddOptions extends PasswordOptions, FlowOptions {
  readonly 'upstream-user': string | undefined;
  readonly device: string;
  readonly oauth: boolean | undefined;
  readonly yes: boolean;
  readonly 'client-id': string | undefined;
  readonly 'client-secret-file': string | undefined;
}

interface PasswdOptions extends PasswordOptions {
  readonly device: string | undefined;
  readonly remove: boolean;
  readonly 'upstream-password': boolean;
}

const FIRST_DEVICE = 'default';
const FLOWS = ['code', 'device', 'paste'] as const;

export function accountCommand(environment: CliEnvironment): CommandModule<GlobalOptions, StateOptions> {
  return {
    command: 'account',
    describe: 'Local accounts with app passwords: add, list, passwd, signin, remove, hash, rotate-key',
    builder: (yargs: Argv<GlobalOptions>) =>
      yargs
        .option('state', { type: 'string', requiresArg: true, describe: 'State directory' })
        .option('upstream', {
          type: 'string',
          requiresArg: true,
          describe: 'Id of the upstream, where the domain of the user does not tell',
        })
        .option('json', { type: 'boolean', default: false, describe: 'Print JSON' })
        .command(
          part('add <user>', 'A new account: asks for its password upstream, or signs in, and gives it an app password', addOptions, add),
        )
        .command(part('list', 'Every account, its devices and its sign-in', (one) => one, list))
        .command(part('passwd <user>', 'Give a device an app password, or take it away', passwdOptions, passwd))
        .command(part('signin <user>', 'Sign in at the provider with OAuth 2.0, for the first time or again', signinOptions, signin))
        .command(part('remove <user>', 'Remove an account with its app passwords and all that is stored of it', userOption, remove))
        .command(part('hash', 'Print the hash of an app password, for [[account]] in a configuration file', hashOptions, hash))
        .command(part('rotate-key', 'Seal all stored secrets with a new key', (one) => one, rotateKey))
        .demandCommand(1, 'give one of add, list, passwd, signin, remove, hash, rotate-key'),
    handler: () => {},
  };

  function part<Options extends StateOptions>(
    command: string,
    describe: string,
    builder: (yargs: Argv<StateOptions>) => Argv<Options>,
    run: (environment: CliEnvironment, options: ArgumentsCamelCase<Options>) => Promise<void>,
  ): CommandModule<StateOptions, Options> {
    return { command, describe, builder, handler: (options) => run(environment, options) };
  }
}

function userOption(yargs: Argv<StateOptions>): Argv<UserOptions> {
  return yargs.positional('user', { type: 'string', demandOption: true, describe: 'User name as POP3 clients type it' });
}

function passwordOptions(yargs: Argv<StateOptions>, lines: string): Argv<PasswordOptions> {
  return userOption(yargs)
    .option('password-stdin', { type: 'boolean', default: false, describe: `Read from standard input, a line each: ${lines}` })
    .option('check', { type: 'boolean', default: true, describe: 'Log in upstream first; --no-check stores what is given' });
}

function addOptions(yargs: Argv<StateOptions>): Argv<AddOptions> {
  return passwordOptions(yargs, 'the upstream password, and the app password unless one is to be made')
    .option('upstream-user', { type: 'string', requiresArg: true, describe: 'User name upstream; default: as upstream.username makes it' })
    .option('device', {
      type: 'string',
      requiresArg: true,
      default: FIRST_DEVICE,
      describe: 'Name of the mail program that gets the app password',
    })
    .option('oauth', { type: 'boolean', describe: 'Sign in with OAuth 2.0, or with --no-oauth not; default: where the file has [oauth]' })
    .option('flow', FLOW)
    .option('yes', { type: 'boolean', default: false, describe: 'Write a file for the server that is found, without asking' })
    .option('client-id', { type: 'string', requiresArg: true, describe: 'Id of your client registration, for the file that is written' })
    .option('client-secret-file', {
      type: 'string',
      requiresArg: true,
      describe: 'A file with its secret, where it has one, for the file that is written',
    });
}

const FLOW = { choices: FLOWS, describe: 'How to sign in, instead of oauth.flow' } as const;

function signinOptions(yargs: Argv<StateOptions>): Argv<UserOptions & FlowOptions> {
  return userOption(yargs).option('flow', FLOW);
}

function passwdOptions(yargs: Argv<StateOptions>): Argv<PasswdOptions> {
  return passwordOptions(yargs, 'the password, instead of one that is made')
    .option('device', { type: 'string', requiresArg: true, describe: `Name of the mail program; default: ${FIRST_DEVICE}` })
    .option('remove', { type: 'boolean', default: false, describe: 'Take the app password of that device away' })
    .option('upstream-password', { type: 'boolean', default: false, describe: 'Change the stored password of the upstream instead' });
}

function hashOptions(yargs: Argv<StateOptions>): Argv<StateOptions & { readonly 'password-stdin': boolean }> {
  return yargs.option('password-stdin', { type: 'boolean', default: false, describe: 'Read the app password from standard input' });
}

async function add(environment: CliEnvironment, options: AddOptions): Promise<void> {
  const named = options['upstream-user'];
  checkName('the user name', options.user);
  checkName('the name of the device', options.device);
  if (named !== undefined) checkName('the user name upstream', named);
  if (options.flow === 'paste' && options['password-stdin'])
    throw new UsageError('--flow paste reads the address from standard input; leave --password-stdin out, and the app password is made');
  const { ensureUpstream } = await import('./new-upstream.ts');
  const isNew = await ensureUpstream(environment, options);
  if (!isNew && (options['client-id'] ?? options['client-secret-file']) !== undefined)
    throw new UsageError(
      '--client-id and --client-secret-file are for the file of a new upstream, and one takes that user already; see [oauth] there',
    );
  enterStateDirectory(environment, options);
  const target = await asked<ResolvedAccount>(environment, options, 'account-target', whose(options));
  if (target.exists) throw new Error(`the account ${target.user} exists already; "popbridge account passwd" changes it`);
  const upstreamUser = named ?? target.upstreamUser;
  const isOAuth = options.oauth ?? target.kind === 'oauth';
  if (!isOAuth && options.flow !== undefined)
    throw new UsageError(`--flow is for accounts that sign in with OAuth 2.0, and the upstream ${target.upstream} has no [oauth]`);
  const question = isOAuth ? [] : [`password of ${upstreamUser} on the upstream ${target.upstream}: `];
  const given = await passwordsFrom(environment, options, question);
  const [upstreamPassword, password] = isOAuth ? [undefined, given[0]] : [given[0] ?? '', given[1]];
  if (upstreamPassword === '')
    throw new UsageError(
      'the upstream password is empty; type it on a terminal, or give it as a line of standard input with --password-stdin',
    );
  // Before somebody signs in: that may be done once only.
  const problem = password === undefined ? undefined : appPasswordProblem(password);
  if (problem !== undefined) throw new UsageError(`the app password ${problem}`);
  const tokens = isOAuth ? await hinted(environment, options, () => tokensFor(environment, options, target)) : undefined;
  const account = {
    ...whose(options),
    upstreamUser,
    upstreamPassword,
    tokens,
    device: options.device,
    password,
    isUntried: !options.check,
  };
  const issued = await hinted(environment, options, () => asked<Issued>(environment, options, 'account-add', account));
  print(environment, options, issued, [...issuedLines(issued), ...settingsFor(environment, options, issued)]);
}

async function list(environment: CliEnvironment, options: StateOptions): Promise<void> {
  enterStateDirectory(environment, options);
  const rows = await asked<readonly AccountRow[]>(environment, options, 'account-list', {});
  print(environment, options, rows, accountLines(rows));
}

async function passwd(environment: CliEnvironment, options: PasswdOptions): Promise<void> {
  const { device = FIRST_DEVICE, remove: isRemoval, 'upstream-password': isUpstream, 'password-stdin': isGiven } = options;
  if (isRemoval && (isUpstream || isGiven)) throw new UsageError('--remove takes no password');
  if (isUpstream && options.device !== undefined)
    throw new UsageError('--upstream-password is the same for all devices; leave --device out');
  if (!isUpstream && !options.check)
    throw new UsageError('--no-check is for --upstream-password: app passwords are never checked upstream');
  checkName('the name of the device', device);
  enterStateDirectory(environment, options);
  if (isRemoval) {
    await asked(environment, options, 'account-remove-device', { ...whose(options), device });
    print(environment, options, { user: options.user, device, removed: true }, [`${device} of ${options.user} can no longer log in`]);
    return;
  }
  if (isUpstream) {
    const [password = ''] = await passwordsFrom(environment, options, [`password of ${options.user} upstream: `]);
    if (password === '') throw new UsageError('the password is empty');
    const request = { ...whose(options), password, isUntried: !options.check };
    await hinted(environment, options, () => asked(environment, options, 'account-set-upstream-password', request));
    print(environment, options, { user: options.user, changed: true }, [`the upstream password of ${options.user} is stored`]);
    return;
  }
  const [password] = isGiven ? await passwordsFrom(environment, options, []) : [];
  const issued = await asked<Issued>(environment, options, 'account-set-password', { ...whose(options), device, password });
  print(environment, options, issued, [...issuedLines(issued), ...settingsFor(environment, options, issued)]);
}

async function signin(environment: CliEnvironment, options: UserOptions & FlowOptions): Promise<void> {
  enterStateDirectory(environment, options);
  const target = await asked<ResolvedAccount>(environment, options, 'account-target', whose(options));
  if (!target.exists) throw new Error(`there is no account ${target.user} of the upstream ${target.upstream}`);
  if (target.kind !== 'oauth') throw new Error(`${target.user} logs in upstream with a password, not with OAuth 2.0`);
  const tokens = await tokensFor(environment, options, target);
  if (tokens === undefined) throw new Error('flow = "client-credentials" needs no sign-in: the daemon asks for tokens itself');
  await hinted(environment, options, () => asked(environment, options, 'account-signed-in', { ...whose(options), tokens }));
  print(environment, options, { user: target.user, signedIn: true }, [`${target.user} is signed in`]);
}

/** Undefined where nobody has to sign in. */
async function tokensFor(
  environment: CliEnvironment,
  options: UserOptions & FlowOptions,
  { upstream }: AccountKey,
): Promise<TokenSet | undefined> {
  const config = configOf(environment, options).upstreams.find((file) => file.upstream.id === upstream)?.oauth;
  if (config === undefined) throw new Error(`the file of ${upstream} has no table [oauth] with your client registration`);
  const flow = options.flow ?? config.flow;
  if (flow === 'client-credentials') return undefined;
  const { signIn } = await import('./sign-in.ts');
  const tokens = await signIn(environment, config, flow);
  if (tokens.refreshToken === undefined) environment.warn('the provider gave no refresh token: the sign-in ends with its access token');
  return tokens;
}

async function remove(environment: CliEnvironment, options: UserOptions): Promise<void> {
  enterStateDirectory(environment, options);
  await asked(environment, options, 'account-remove', whose(options));
  print(environment, options, { user: options.user, removed: true }, [
    `the account ${options.user} is removed; its mail and its UID map stay`,
  ]);
}

async function hash(environment: CliEnvironment, options: { readonly 'password-stdin': boolean }): Promise<void> {
  const [password = ''] = await passwordLines(environment, ['app password: '], options['password-stdin']);
  const problem = appPasswordProblem(password);
  if (problem !== undefined) throw new UsageError(`the app password ${problem}`);
  environment.write(`${await hashPassword(password)}\n`);
}

async function rotateKey(environment: CliEnvironment, options: StateOptions): Promise<void> {
  enterStateDirectory(environment, options);
  const done = await asked<{ readonly renewed: number }>(environment, options, 'account-rotate-key', {});
  print(environment, options, done, [`${done.renewed} secrets are sealed with the new key`]);
}

/** For people; none where the daemon runs from a configuration that is not to be read here. */
function settingsFor(environment: CliEnvironment, options: StateOptions, { upstream, user }: AccountKey): string[] {
  if (!environment.isTerminal) return [];
  try {
    return settingsLines(user, configOf(environment, options).upstreams.find((file) => file.upstream.id === upstream)?.listen ?? []);
  } catch {
    return [];
  }
}

/** With the hints of the upstream's preset, where it refuses. */
function hinted<T>(environment: CliEnvironment, options: UserOptions, work: () => Promise<T>): Promise<T> {
  const upstream = async (): Promise<string> =>
    (await asked<ResolvedAccount>(environment, options, 'account-target', whose(options))).upstream;
  return withHints(environment, () => configOf(environment, options), upstream, work);
}

function whose({ user, upstream }: UserOptions): { readonly user: string; readonly upstream?: string } {
  return upstream === undefined ? { user } : { user, upstream };
}

/** One is asked for on a terminal; standard input may have another. Empty lines are none. */
async function passwordsFrom(
  environment: CliEnvironment,
  options: PasswordOptions,
  questions: readonly string[],
): Promise<readonly (string | undefined)[]> {
  const isFromStdin = options['password-stdin'];
  if (questions.length === 0 && !isFromStdin) return [];
  const lines = await passwordLines(environment, isFromStdin ? [...questions, ''] : questions, isFromStdin);
  return lines.map((line) => (line === '' ? undefined : line));
}
