/** What is wrong with a command line, in words that name what would be right. Pure. */
import { UsageError } from './exit-code.ts';

const COMMANDS: ReadonlySet<string> = new Set(['serve', 'check', 'maildrop', 'account', 'presets']);
const WITH_SUBCOMMANDS: ReadonlySet<string> = new Set(['maildrop', 'account']);

/** `message` is what yargs says of the command line `args`; what it says otherwise is left as it is. */
export function usageText(message: string, args: readonly string[]): string {
  const meant = /^Did you mean (.+)\?$/.exec(message)?.[1];
  if (meant !== undefined) return `there is no such command; did you mean ${meant}?`;
  const what = missingIn(message) ?? unknownIn(message, args) ?? invalidIn(message);
  return what === undefined ? message : `${what}; see ${['popbridge', ...commandIn(args), '--help'].join(' ')}`;
}

/** What may be there more than once, or holds all that is no option. */
const REPEATABLE: ReadonlySet<string> = new Set(['_', 'config', 'listen', 'unique-ids', 'uniqueIds', 'rest']);

/** For yargs: true where no other option was given twice. Throws UsageError: which of both was meant, nobody knows. */
export function refuseRepeated(given: Readonly<Record<string, unknown>>): true {
  const repeated = Object.keys(given).find((name) => Array.isArray(given[name]) && !REPEATABLE.has(name));
  if (repeated !== undefined) throw new UsageError(`${asOptions([repeated])} is given more than once`);
  return true;
}

function missingIn(message: string): string | undefined {
  if (message.startsWith('Not enough non-option arguments')) return 'an argument is missing';
  const names = /^Missing required arguments?: (.+)$/.exec(message)?.[1];
  if (names !== undefined) return `${asOptions(names.split(', '))} is missing`;
  const name = /^Not enough arguments following: (\S+)$/.exec(message)?.[1];
  return name === undefined ? undefined : `${asOptions([name])} wants a value`;
}

function unknownIn(message: string, args: readonly string[]): string | undefined {
  const names = /^Unknown arguments?: (.+)$/.exec(message)?.[1]?.split(', ');
  if (names === undefined) return undefined;
  // yargs tells of --two-words as twoWords too.
  const asTyped = names.filter((name) => !names.some((other) => other !== name && camelCase(other) === name));
  const options = asTyped.filter((name) => args.some((arg) => /^--?/.test(arg) && arg.replace(/^--?(?:no-)?/, '').split('=')[0] === name));
  if (options.length > 0) return `there is no ${asOptions(options)}`;
  return commandIn(args).length === 0 ? `there is no command "${asTyped[0]}"` : `"${asTyped.join(' ')}" is too much`;
}

function invalidIn(message: string): string | undefined {
  const [, name, given, choices] = /^Invalid values:\s*Argument: (\S+), Given: (.+), Choices: (.+)$/.exec(message) ?? [];
  return name === undefined ? undefined : `${asOptions([name])} cannot be ${given}, only one of ${choices}`;
}

/** `account add`, or as much of it as was given. */
function commandIn(args: readonly string[]): string[] {
  const [command = '', subcommand = ''] = args;
  if (!COMMANDS.has(command)) return [];
  return WITH_SUBCOMMANDS.has(command) && /^[a-z][a-z-]*$/.test(subcommand) ? [command, subcommand] : [command];
}

function asOptions(names: readonly string[]): string {
  return names.map((name) => (name.length === 1 ? `-${name}` : `--${name}`)).join(', ');
}

function camelCase(name: string): string {
  return name.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());
}
