/** Commands of later versions (CONTRACT section 3). They do not exist: whoever uses one is told so by name. */
import type { Argv, CommandModule } from 'yargs';
import { UsageError } from './exit-code.ts';

const LATER_COMMANDS = ['status', 'trace', 'completion'];

/** Hidden from --help. Whatever follows the name is not looked at. */
export const laterCommand: CommandModule<unknown, unknown> = {
  command: LATER_COMMANDS.map((name) => `${name} [rest..]`),
  describe: false,
  builder: (yargs: Argv) => yargs.strict(false).help(false),
  handler: ({ _: [name] }: { readonly _: readonly (string | number)[] }) => {
    throw new UsageError(`the command "${name}" is not built yet`);
  },
};
