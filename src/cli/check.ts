/** `popbridge check`: its command line. */
import type { Argv, CommandModule } from 'yargs';
import type { CliEnvironment, GlobalOptions } from './environment.ts';

export interface CheckOptions extends GlobalOptions {
  readonly online: boolean;
  readonly user: string | undefined;
  readonly 'password-stdin': boolean;
  readonly json: boolean;
  readonly state: string | undefined;
}

export function checkCommand(environment: CliEnvironment): CommandModule<GlobalOptions, CheckOptions> {
  return {
    command: 'check',
    describe: 'Validate the configuration; --online also logs in and reports on the upstream',
    builder: (yargs: Argv<GlobalOptions>) =>
      yargs
        .option('online', { type: 'boolean', default: false, describe: 'Log in to the upstream and report what it can do' })
        .option('user', { type: 'string', requiresArg: true, describe: 'POP3 user name to log in with (asked for on a terminal)' })
        .option('password-stdin', { type: 'boolean', default: false, describe: 'Read the password from standard input' })
        .option('json', { type: 'boolean', default: false, describe: 'Print JSON' })
        .option('state', { type: 'string', requiresArg: true, describe: 'State directory, for what was learned of the upstream before' }),
    handler: async (options) => {
      const { check } = await import('./run-check.ts');
      await check(environment, options);
    },
  };
}
