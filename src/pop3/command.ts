/**
 * One command line of a client as a typed value (RFC 1939 section 3, RFC 2449 section 4). Never throws: a line that makes
 * no sense is a CommandError, which says what would be right. Which commands are legal when is decided by the table.
 */
import { MAX_CREDENTIAL_OCTETS } from './limits.ts';

export type PlainVerb = 'STAT' | 'NOOP' | 'RSET' | 'QUIT' | 'CAPA' | 'STLS' | 'LAST';

/** What a client asks for. Message numbers are as typed by the client: any positive whole number, not yet known to exist. */
export type Command =
  | { readonly verb: PlainVerb }
  | { readonly verb: 'USER'; readonly user: string }
  | { readonly verb: 'PASS'; readonly password: string }
  | { readonly verb: 'AUTH'; readonly mechanism: string | undefined; readonly initialResponse: string | undefined }
  | { readonly verb: 'RETR' | 'DELE'; readonly message: number }
  | { readonly verb: 'LIST' | 'UIDL'; readonly message: number | undefined }
  | { readonly verb: 'TOP'; readonly message: number; readonly lines: number };

export type Verb = Command['verb'];

/** A line that is no command; `problem` is fit for the client. */
export interface CommandError {
  readonly problem: string;
  /** The verb, where it was understood. */
  readonly verb?: Verb;
}

export function isCommandError(command: Command | CommandError): command is CommandError {
  return 'problem' in command;
}

type Grammar = (verb: Verb, argument: string) => Command | CommandError;

const GRAMMARS: { readonly [V in Verb]: Grammar } = {
  STAT: bare('STAT'),
  NOOP: bare('NOOP'),
  RSET: bare('RSET'),
  QUIT: bare('QUIT'),
  CAPA: bare('CAPA'),
  STLS: bare('STLS'),
  LAST: bare('LAST'),
  USER: (_, argument) => credential('user name', unblanked(argument), (user) => ({ verb: 'USER', user })),
  PASS: (_, argument) => credential('password', argument, (password) => ({ verb: 'PASS', password })),
  AUTH: (_, argument) => parseAuth(argument),
  RETR: (_, argument) => withNumber('RETR', argument, (message) => ({ verb: 'RETR', message })),
  DELE: (_, argument) => withNumber('DELE', argument, (message) => ({ verb: 'DELE', message })),
  LIST: (_, argument) => withOptionalNumber('LIST', argument),
  UIDL: (_, argument) => withOptionalNumber('UIDL', argument),
  TOP: (_, argument) => parseTop(argument),
};

/** Every verb popbridge knows, upper-case. */
export const VERBS: readonly Verb[] = Object.keys(GRAMMARS).filter(isVerb);

function isVerb(word: string): word is Verb {
  return Object.hasOwn(GRAMMARS, word);
}

/** Parses a line without its end. Verbs are taken in any case, blanks around arguments are dropped, save for PASS. */
export function parseCommand(line: Uint8Array): Command | CommandError {
  const text = decodeText(line).replace(/^[ \t]+/, '');
  const blank = text.search(/[ \t]/);
  const word = upperCase(blank < 0 ? text : text.slice(0, blank));
  if (!isVerb(word)) return { problem: word === '' ? 'empty command' : 'unknown command' };
  const command = GRAMMARS[word](word, blank < 0 ? '' : text.slice(blank + 1));
  return isCommandError(command) ? { ...command, verb: word } : command;
}

/** Without the blanks around it: SP and HTAB alone. The `trim` of JavaScript takes more, such as U+00A0, which is no blank to the client. */
export function unblanked(text: string): string {
  let [start, end] = [0, text.length];
  while (isBlank(text[start])) start += 1;
  while (end > start && isBlank(text[end - 1])) end -= 1;
  return text.slice(start, end);
}

function isBlank(character: string | undefined): boolean {
  return character === ' ' || character === '\t';
}

/** ASCII letters alone: a dotless i must not become the I of QUIT. */
function upperCase(word: string): string {
  return word.replace(/[a-z]/g, (letter) => letter.toUpperCase());
}

const UTF_8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** The octets as text: UTF-8 where they are valid UTF-8, else Latin-1, so that no octet is lost. */
export function decodeText(octets: Uint8Array): string {
  try {
    return UTF_8.decode(octets);
  } catch {
    return Buffer.from(octets.buffer, octets.byteOffset, octets.length).toString('latin1');
  }
}

/**
 * What no user name or password may hold. A password is the server's to judge, and may have any octet but those that end a line or a
 * field in some protocol on the way (RFC 3501 section 9, RFC 4616 section 2). A user name goes into logs and names of maildrops too.
 */
const FORBIDDEN = { 'user name': /[\x00-\x1f\x7f]/, password: /[\0\r\n]/ } as const;

/** Why a user name or password can't be used, or undefined when it can. What is refused here never reaches the upstream. */
export function credentialProblem(what: 'user name' | 'password', value: string): string | undefined {
  if (value === '') return `empty ${what}`;
  if (FORBIDDEN[what].test(value)) return `control character in ${what}`;
  if (Buffer.byteLength(value) > MAX_CREDENTIAL_OCTETS) return `${what} too long`;
  return undefined;
}

function credential(what: 'user name' | 'password', value: string, make: (value: string) => Command): Command | CommandError {
  const problem = credentialProblem(what, value);
  return problem === undefined ? make(value) : { problem };
}

function bare(verb: PlainVerb): Grammar {
  return (_, argument) => (unblanked(argument) === '' ? { verb } : { problem: `${verb} takes no argument` });
}

function parseNumber(text: string): number | undefined {
  return /^\d{1,15}$/.test(text) ? Number(text) : undefined;
}

function withNumber(verb: Verb, argument: string, make: (message: number) => Command): Command | CommandError {
  const message = parseNumber(unblanked(argument));
  return message === undefined ? { problem: `${verb} takes one message-number` } : make(message);
}

function withOptionalNumber(verb: 'LIST' | 'UIDL', argument: string): Command | CommandError {
  if (unblanked(argument) === '') return { verb, message: undefined };
  return withNumber(verb, argument, (message) => ({ verb, message }));
}

function parseTop(argument: string): Command | CommandError {
  const [first = '', second = '', ...more] = unblanked(argument).split(/[ \t]+/);
  const message = parseNumber(first);
  const lines = parseNumber(second);
  if (message === undefined || lines === undefined || more.length > 0) {
    return { problem: 'TOP takes a message-number and a number of lines' };
  }
  return { verb: 'TOP', message, lines };
}

function parseAuth(argument: string): Command | CommandError {
  const words = unblanked(argument).split(/[ \t]+/);
  const [mechanism = '', initialResponse, ...more] = words;
  if (more.length > 0) return { problem: 'AUTH takes a mechanism and one initial response' };
  return { verb: 'AUTH', mechanism: mechanism === '' ? undefined : upperCase(mechanism), initialResponse };
}
