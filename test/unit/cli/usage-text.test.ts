/** What whoever mistypes a command reads. */
import { expect, test } from 'vitest';
import { usageText } from '../../../src/cli/usage-text.ts';

test.for([
  [
    'Not enough non-option arguments: got 0, need at least 1',
    'account passwd',
    'an argument is missing; see popbridge account passwd --help',
  ],
  ['Missing required argument: user', 'maildrop show', '--user is missing; see popbridge maildrop show --help'],
  ['Missing required arguments: from, user', 'maildrop import', '--from, --user is missing; see popbridge maildrop import --help'],
  ['Not enough arguments following: config', 'serve --config', '--config wants a value; see popbridge serve --help'],
  ['Unknown argument: bogus', 'bogus', 'there is no command "bogus"; see popbridge --help'],
  ['Unknown argument: loud', 'check loud', '"loud" is too much; see popbridge check --help'],
  ['Unknown argument: b', 'account add a b', '"b" is too much; see popbridge account add --help'],
  [
    'Unknown arguments: config-dir, configDir',
    'account add a --config-dir=x',
    'there is no --config-dir; see popbridge account add --help',
  ],
  ['Unknown argument: bogus', 'account add a --no-bogus', 'there is no --bogus; see popbridge account add --help'],
  ['Unknown argument: x', 'serve -x', 'there is no -x; see popbridge serve --help'],
  ['Unknown argument: bogus', '--config x --bogus', 'there is no --bogus; see popbridge --help'],
  [
    'Invalid values:\n  Argument: log-level, Given: "loud", Choices: "debug", "info"',
    'check --log-level loud',
    '--log-level cannot be "loud", only one of "debug", "info"; see popbridge check --help',
  ],
  ['Did you mean serve?', 'serv', 'there is no such command; did you mean serve?'],
  ['give one of list, show', 'maildrop', 'give one of list, show'],
] as const)('%j of "popbridge %s" reads %j', ([message, line, text]) => {
  expect(usageText(message, line.split(' '))).toBe(text);
});
