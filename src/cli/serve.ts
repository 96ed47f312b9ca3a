/** `popbridge serve`: the command line of the daemon. */
import type { Argv, CommandModule } from 'yargs';
import type { CliEnvironment, GlobalOptions } from './environment.ts';

export interface ServeOptions extends GlobalOptions {
  readonly upstream: string | undefined;
  readonly listen: readonly string[];
  readonly state: string | undefined;
}

export function serveCommand(environment: CliEnvironment): CommandModule<GlobalOptions, ServeOptions> {
  return {
    command: 'serve',
    describe: 'Run the daemon: POP3 for clients, IMAP to the upstream',
    builder: (yargs: Argv<GlobalOptions>) =>
      yargs
        .option('upstream', {
          type: 'string',
          requiresArg: true,
          describe: 'No file needed: imaps://HOST[:PORT], imap:// (STARTTLS) or imap+insecure:// (loopback)',
        })
        .option('listen', {
          type: 'string',
          requiresArg: true,
          array: true,
          default: [],
          describe: 'Address to listen on instead of the configured ones',
        })
        .option('state', { type: 'string', requiresArg: true, describe: 'State directory' }),
    handler: async (options) => {
      // Other commands need not wait for the daemon's modules.
      const { serve } = await import('./run-serve.ts');
      await serve(environment, options);
    },
  };
}
