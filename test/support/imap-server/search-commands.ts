/** SEARCH and UID SEARCH, with the short answers of ESEARCH (RFC 4731). */
import type { CommandContext, CommandRows, Completion } from './command-context.ts';
import type { MailboxView } from './mailbox-view.ts';
import { parseSearchProgram } from './search-program.ts';
import { formatNumbers } from './sequence-set.ts';
import { Arguments, SyntaxFault } from './syntax.ts';

const RETURN_OPTIONS = ['MIN', 'MAX', 'ALL', 'COUNT'] as const;
type ReturnOption = (typeof RETURN_OPTIONS)[number];

export const searchCommands: CommandRows = {
  SEARCH: { in: 'selected', forbidsExpunge: true, run: (context, args, view) => search(context, args, view, 'sequence') },
  'UID SEARCH': { in: 'selected', run: (context, args, view) => search(context, args, view, 'uid') },
};

function search(context: CommandContext, args: Arguments, view: MailboxView, by: 'uid' | 'sequence'): Completion {
  const options = parseReturnOptions(context, args);
  if (args.keyword('CHARSET') !== undefined && !['UTF-8', 'US-ASCII'].includes(args.text().toUpperCase())) {
    return 'NO [BADCHARSET (US-ASCII UTF-8)] Unknown charset';
  }
  const test = parseSearchProgram(args, view);
  const found = view.all().filter((candidate) => !candidate.message.isExpunged && test(candidate));
  const numbers = found.map(({ sequence, message }) => (by === 'uid' ? message.uid : sequence));
  if (options === undefined) context.out.text(`* SEARCH${numbers.map((number) => ` ${number}`).join('')}\r\n`);
  else context.out.text(`* ESEARCH (TAG "${context.tag}")${by === 'uid' ? ' UID' : ''}${describe(numbers, options)}\r\n`);
  return 'OK Search completed.';
}

function parseReturnOptions(context: CommandContext, args: Arguments): readonly ReturnOption[] | undefined {
  if (!context.has('ESEARCH') || args.keyword('RETURN') === undefined) return undefined;
  const words = new Arguments([{ kind: 'list', items: args.list() }]).atoms().map((word) => word.toUpperCase());
  const known = RETURN_OPTIONS.filter((option) => words.includes(option));
  if (known.length < words.length) throw new SyntaxFault('Unknown RETURN option');
  return known.length === 0 ? ['ALL'] : known;
}

/** Without matches only COUNT says something (RFC 4731 section 3.1). */
function describe(numbers: readonly number[], options: readonly ReturnOption[]): string {
  const values = {
    MIN: numbers[0],
    MAX: numbers.at(-1),
    ALL: numbers.length > 0 ? formatNumbers(numbers) : undefined,
    COUNT: numbers.length,
  };
  return options.map((option) => (values[option] === undefined ? '' : ` ${option} ${values[option]}`)).join('');
}
