/** `popbridge maildrop`: looks into a user's UID map and repairs it (CONTRACT section 3). */
import type { ArgumentsCamelCase, Argv, CommandModule } from 'yargs';
import type { Explanation } from '../daemon/maildrop-explanation.ts';
import type { ContentsPart, MailboxRow, MaildropContents } from '../daemon/maildrop-admin.ts';
import type { ImportReport } from '../daemon/maildrop-import.ts';
import type { CliEnvironment, GlobalOptions } from './environment.ts';
import { UsageError } from './exit-code.ts';
import { importSource, readKnownIds } from './known-ids.ts';
import { contentsJson, exportLines, harmless, importLines, listLines, showLines } from './maildrop-text.ts';
import { progressBar } from './progress-bar.ts';
import { passwordLines } from './prompt.ts';
import { asked, print, type StateOptions } from './state-request.ts';

type MaildropOptions = StateOptions;

interface UserOptions extends MaildropOptions {
  readonly user: string;
}

interface ImportOptions extends UserOptions {
  readonly from: string;
  readonly format: string | undefined;
  readonly 'from-server': string | undefined;
  readonly 'from-user': string | undefined;
  readonly 'from-ca': string | undefined;
  readonly 'password-stdin': boolean;
  readonly 'dry-run': boolean;
}

interface ExplainOptions extends UserOptions {
  readonly 'unique-id': string;
}

interface UndeleteOptions extends UserOptions {
  readonly 'unique-ids': readonly string[];
  readonly all: boolean;
}

export function maildropCommand(environment: CliEnvironment): CommandModule<GlobalOptions, MaildropOptions> {
  return {
    command: 'maildrop',
    describe: "Look into users' UID maps and repair them: list, show, explain, export, import, undelete",
    builder: (yargs: Argv<GlobalOptions>) =>
      yargs
        .option('state', { type: 'string', requiresArg: true, describe: 'State directory' })
        .option('upstream', {
          type: 'string',
          requiresArg: true,
          describe: 'Id of the upstream, or its URL where serve runs without a file',
        })
        .option('json', { type: 'boolean', default: false, describe: 'Print JSON' })
        .command(part('list', 'Every maildrop there is a map of', (one) => one, list))
        .command(part('show', 'The messages of a maildrop', userOption, show))
        .command(part('explain <unique-id>', 'Which message has or had a unique-id, and why', explainOptions, explain))
        .command(part('export', 'The map as JSON lines, for import elsewhere', userOption, exportMap))
        .command(part('import', 'Take over unique-ids that clients know already', importOptions, importMap))
        .command(
          part(
            'undelete [unique-ids..]',
            'Take back what clients deleted and what is not yet removed on the server',
            undeleteOptions,
            undelete,
          ),
        )
        .demandCommand(1, 'give one of list, show, explain, export, import, undelete'),
    handler: () => {},
  };

  function part<Options extends MaildropOptions>(
    command: string,
    describe: string,
    builder: (yargs: Argv<MaildropOptions>) => Argv<Options>,
    run: (environment: CliEnvironment, options: ArgumentsCamelCase<Options>) => Promise<void>,
  ): CommandModule<MaildropOptions, Options> {
    return { command, describe, builder, handler: (options) => run(environment, options) };
  }
}

function userOption(yargs: Argv<MaildropOptions>): Argv<UserOptions> {
  return yargs.option('user', {
    type: 'string',
    requiresArg: true,
    demandOption: true,
    describe: 'User name as a client types it, with /VIEW where there are views',
  });
}

function explainOptions(yargs: Argv<MaildropOptions>): Argv<ExplainOptions> {
  return userOption(yargs).positional('unique-id', { type: 'string', demandOption: true });
}

function undeleteOptions(yargs: Argv<MaildropOptions>): Argv<UndeleteOptions> {
  return userOption(yargs)
    .positional('unique-ids', { type: 'string', array: true, default: [] })
    .option('all', { type: 'boolean', default: false, describe: 'All of it' });
}

function importOptions(yargs: Argv<MaildropOptions>): Argv<ImportOptions> {
  return userOption(yargs)
    .option('from', {
      type: 'string',
      requiresArg: true,
      demandOption: true,
      describe:
        'A file: popstate.dat, .fetchids, oldmail-…, uidls, an export; or pop3s://HOST[:PORT], pop3:// (STLS), pop3+insecure:// (loopback)',
    })
    .option('format', {
      choices: ['popstate', 'fetchids', 'oldmail', 'mpop', 'export'],
      describe: "The file's format, where its content doesn't tell",
    })
    .option('from-server', { type: 'string', requiresArg: true, describe: 'Of a file with several accounts: the server' })
    .option('from-user', {
      type: 'string',
      requiresArg: true,
      describe: 'Of a file with several accounts, or on the old server: the user; default: --user without its view',
    })
    .option('from-ca', { type: 'string', requiresArg: true, describe: 'CA certificate (PEM) of the old server' })
    .option('password-stdin', {
      type: 'boolean',
      default: false,
      describe: "Read the password, and the old server's on a second line, from standard input",
    })
    .option('dry-run', { type: 'boolean', default: false, describe: 'Only say what would be done' });
}

async function list(environment: CliEnvironment, options: MaildropOptions): Promise<void> {
  const rows = await asked<readonly MailboxRow[]>(environment, options, 'maildrop-list', {});
  print(environment, options, rows, listLines(rows));
}

async function show(environment: CliEnvironment, options: UserOptions): Promise<void> {
  const contents = await contentsOf(environment, options);
  if (options.json) for (const text of contentsJson(contents)) environment.write(text);
  else print(environment, options, undefined, showLines(contents));
}

/** The answer comes in parts. */
async function contentsOf(environment: CliEnvironment, options: UserOptions): Promise<MaildropContents> {
  const parts = await asked<readonly ContentsPart[]>(environment, options, 'maildrop-contents', target(options));
  return {
    messages: parts.flatMap(({ messages = [] }) => messages),
    gone: parts.flatMap(({ gone = [] }) => gone),
    promised: parts.flatMap(({ promised = [] }) => promised),
  };
}

async function explain(environment: CliEnvironment, options: ExplainOptions): Promise<void> {
  const params = { ...target(options), uniqueId: options['unique-id'] };
  const explanation = await asked<Explanation>(environment, options, 'maildrop-explain', params);
  print(environment, options, explanation, explanation.lines.map(harmless));
}

async function exportMap(environment: CliEnvironment, options: UserOptions): Promise<void> {
  const contents = await contentsOf(environment, options);
  for (const line of exportLines(contents)) environment.write(`${line}\n`);
}

async function undelete(environment: CliEnvironment, options: UndeleteOptions): Promise<void> {
  const { all, 'unique-ids': uniqueIds } = options;
  if (all === uniqueIds.length > 0) throw new UsageError('give unique-ids, or --all');
  const done = await asked<{ readonly restored: string[]; readonly unknown: string[] }>(environment, options, 'maildrop-undelete', {
    ...target(options),
    uniqueIds,
  });
  print(environment, options, done, [
    `restored ${done.restored.length}`,
    ...done.unknown.map((id) => `${id}: nobody deleted it here, or it is gone on the server`),
  ]);
  if (done.unknown.length > 0) throw new Error(`${done.unknown.length} of ${uniqueIds.length} were not restored`);
}

async function importMap(environment: CliEnvironment, options: ImportOptions): Promise<void> {
  const { from, format, 'from-server': server, 'from-user': fromUser, 'from-ca': caFile } = options;
  const source = importSource({ from, format, server, user: fromUser, caFile });
  // The old server knows no views.
  const oldUser = fromUser ?? options.user.replace(/\/[^/]*$/, '');
  const questions = [`password of ${options.user}: `, ...(source.kind === 'server' ? [`password of ${oldUser} on the old server: `] : [])];
  const [password = '', oldPassword = ''] = await passwordLines(environment, questions, options['password-stdin']);
  const bar = progressBar(environment.writeProgress);
  try {
    const login = { user: oldUser, password: oldPassword };
    const known = await readKnownIds(source, login, bar.progress);
    const params = { ...target(options), password, known, dryRun: options['dry-run'] };
    const report = await asked<ImportReport>(environment, options, 'maildrop-import', params);
    bar.clear();
    print(environment, options, report, importLines(report, known.length, options['dry-run']));
  } finally {
    bar.clear();
  }
}

function target({ user, upstream }: UserOptions): { readonly user: string; readonly upstream?: string } {
  return upstream === undefined || upstream.includes('://') ? { user } : { user, upstream };
}
