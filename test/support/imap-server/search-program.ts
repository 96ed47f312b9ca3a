/** The search keys of SEARCH (RFC 3501 section 6.4.4) as one question about a message. */
import { dayOf, parseDay } from './dates.ts';
import type { FakeMessage } from './mailbox.ts';
import type { MailboxView, NumberedMessage } from './mailbox-view.ts';
import { fieldValues, textOf } from './message-parts.ts';
import { includesNumber, isSequenceSet, resolveSequenceSet } from './sequence-set.ts';
import { Arguments, SyntaxFault } from './syntax.ts';

export type SearchTest = (candidate: NumberedMessage) => boolean;

type KeyParser = (args: Arguments, view: MailboxView) => SearchTest;

const FLAG_KEYS = ['SEEN', 'ANSWERED', 'FLAGGED', 'DELETED', 'DRAFT'];

/** All keys until the end must hold. */
export function parseSearchProgram(args: Arguments, view: MailboxView): SearchTest {
  const tests: SearchTest[] = [];
  do tests.push(parseKey(args, view));
  while (!args.isEmpty);
  return (candidate) => tests.every((test) => test(candidate));
}

function parseKey(args: Arguments, view: MailboxView): SearchTest {
  if (args.peek()?.kind === 'list') return parseSearchProgram(new Arguments(args.list()), view);
  const word = args.atom();
  if (isSequenceSet(word)) return inSet(word, 'sequence', view);
  const parser = KEYS.get(word.toUpperCase());
  if (parser === undefined) throw new SyntaxFault(`Unknown search key ${word}`);
  return parser(args, view);
}

function inSet(set: string, by: 'uid' | 'sequence', view: MailboxView): SearchTest {
  const largest = by === 'uid' ? (view.messages.at(-1)?.uid ?? 0) : view.messages.length;
  const ranges = resolveSequenceSet(set, largest);
  return ({ sequence, message }) => includesNumber(ranges, by === 'uid' ? message.uid : sequence);
}

function flagged(flag: string, isWanted: boolean): KeyParser {
  return () =>
    ({ message }) =>
      message.flags.some((each) => each.toUpperCase() === flag.toUpperCase()) === isWanted;
}

function keyworded(isWanted: boolean): KeyParser {
  return (args, view) => flagged(args.atom(), isWanted)(args, view);
}

function dated(holds: (day: number, wanted: number) => boolean): KeyParser {
  return (args) => {
    const wanted = parseDay(args.text());
    if (wanted === undefined) throw new SyntaxFault('Invalid date');
    return ({ message }) => holds(dayOf(message.internalDate), wanted);
  };
}

function sized(holds: (size: number, wanted: number) => boolean): KeyParser {
  return (args) => {
    const wanted = args.number();
    return ({ message }) => holds(message.declaredSize ?? message.raw.length, wanted);
  };
}

function containing(texts: (message: FakeMessage) => readonly string[]): KeyParser {
  return (args) => {
    const wanted = args.text().toUpperCase();
    return ({ message }) => texts(message).some((text) => text.toUpperCase().includes(wanted));
  };
}

const header = (name: string): KeyParser => containing((message) => fieldValues(message.raw, name));

const KEYS: ReadonlyMap<string, KeyParser> = new Map<string, KeyParser>([
  ['ALL', () => () => true],
  ...FLAG_KEYS.map((key): [string, KeyParser] => [key, flagged(`\\${key}`, true)]),
  ...FLAG_KEYS.map((key): [string, KeyParser] => [`UN${key}`, flagged(`\\${key}`, false)]),
  ['KEYWORD', keyworded(true)],
  ['UNKEYWORD', keyworded(false)],
  ['RECENT', () => () => false],
  ['NEW', () => () => false],
  ['OLD', () => () => true],
  ['UID', (args, view) => inSet(args.atom(), 'uid', view)],
  ['SINCE', dated((day, wanted) => day >= wanted)],
  ['BEFORE', dated((day, wanted) => day < wanted)],
  ['ON', dated((day, wanted) => day === wanted)],
  ['LARGER', sized((size, wanted) => size > wanted)],
  ['SMALLER', sized((size, wanted) => size < wanted)],
  ['HEADER', (args, view) => header(args.text())(args, view)],
  ...['FROM', 'TO', 'CC', 'BCC', 'SUBJECT'].map((name): [string, KeyParser] => [name, header(name)]),
  ['TEXT', containing((message) => [message.raw.toString('latin1')])],
  ['BODY', containing((message) => [textOf(message.raw).toString('latin1')])],
  ['NOT', parseNot],
  ['OR', parseOr],
]);

function parseNot(args: Arguments, view: MailboxView): SearchTest {
  const test = parseKey(args, view);
  return (candidate) => !test(candidate);
}

function parseOr(args: Arguments, view: MailboxView): SearchTest {
  const one = parseKey(args, view);
  const other = parseKey(args, view);
  return (candidate) => one(candidate) || other(candidate);
}
