/** Every command the server knows, and the rule when it may be used. */
import { changeCommands } from './change-commands.ts';
import type { CommandContext, CommandRow, Completion, SessionState } from './command-context.ts';
import { fetchCommands } from './fetch-commands.ts';
import { folderCommands } from './folder-commands.ts';
import { searchCommands } from './search-commands.ts';
import { sessionCommands } from './session-commands.ts';
import type { Arguments } from './syntax.ts';

const TABLE: ReadonlyMap<string, CommandRow> = new Map(
  Object.entries({ ...sessionCommands, ...folderCommands, ...fetchCommands, ...searchCommands, ...changeCommands }),
);

/** The row of a verb, unless the server lacks the capability it comes with. */
export function findCommand(verb: string, has: (capability: string) => boolean): CommandRow | undefined {
  const row = TABLE.get(verb);
  return row?.capability === undefined || has(row.capability) ? row : undefined;
}

/** Runs a command where the state of the session allows it. */
export async function runCommand(row: CommandRow, state: SessionState, context: CommandContext, args: Arguments): Promise<Completion> {
  switch (row.in) {
    case 'any':
      return row.run(context, args);
    case 'not-authenticated':
      return state.phase === 'not-authenticated' ? row.run(context, args) : 'BAD Already authenticated.';
    case 'authenticated':
      return state.phase === 'not-authenticated' ? 'BAD Not authenticated.' : row.run(context, args, state.account);
    case 'selected':
      return state.phase === 'selected' ? row.run(context, args, state.view, state.account) : 'BAD No mailbox selected.';
  }
}
