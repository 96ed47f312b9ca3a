/** Reads one whole command, its literals included (RFC 3501 sections 2.2 and 4.3; RFC 7888 for the non-synchronizing ones). */
import type { OctetReader } from './octet-reader.ts';
import { Arguments, parseArguments, type Segment, SyntaxFault } from './syntax.ts';

/** The command line limit of a widespread server; literals don't count. */
export const MAX_LINE_OCTETS = 64 * 1024;
const MAX_LITERAL_OCTETS = 256 * 1024 * 1024;

/** A command as received. `verb` is in upper case and holds the word UID where there is one. */
export interface Command {
  readonly tag: string;
  readonly verb: string;
  readonly argumentSegments: readonly Segment[];
}

export interface LiteralPolicy {
  readonly allowsNonSync: boolean;
  /** Invites the client to send its literal. */
  invite(): Promise<void>;
}

/** The segments of the next command; nothing when the input ended. A literal too large is left unread and ends the command. */
export async function readSegments(reader: OctetReader, literals: LiteralPolicy): Promise<Segment[] | undefined> {
  const segments: Segment[] = [];
  for (;;) {
    const line = (await reader.line(MAX_LINE_OCTETS))?.toString('latin1');
    if (line === undefined) return undefined;
    const announced = /\{(\d{1,10})(\+?)\}$/.exec(line);
    const size = Number(announced?.[1]);
    const isNonSync = announced?.[2] === '+';
    if (announced === null || size > MAX_LITERAL_OCTETS || (isNonSync && !literals.allowsNonSync)) return [...segments, line];
    segments.push(line.slice(0, announced.index));
    if (!isNonSync) await literals.invite();
    const octets = await reader.exactly(size);
    if (octets === undefined) return undefined;
    segments.push(octets);
  }
}

/** Splits tag and verb from the arguments; nothing when there is no tag to answer to. */
export function parseCommand(segments: readonly Segment[]): Command | undefined {
  const [first, ...later] = segments;
  const match = /^([^\s(){%*"\\+]+) +(UID +)?([^\s]+)(?: +|$)/i.exec(typeof first === 'string' ? first : '');
  if (match === null || typeof first !== 'string') return undefined;
  const [whole, tag = '', uid, word = ''] = match;
  const verb = `${uid === undefined ? '' : 'UID '}${word.toUpperCase()}`;
  return { tag, verb, argumentSegments: [first.slice(whole.length), ...later] };
}

/** The command as one line for logs and assertions: no tag, literals as their announcement, passwords as `***`. */
export function describeCommand(command: Command): string {
  const shown = command.argumentSegments.map((segment) => (typeof segment === 'string' ? segment : `{${segment.length}}`)).join('');
  if (command.verb === 'LOGIN') return `LOGIN ${loginName(command)}***`;
  if (command.verb === 'AUTHENTICATE') return `AUTHENTICATE ${shown.replace(/ .*/s, ' ***')}`;
  return shown === '' ? command.verb : `${command.verb} ${shown}`;
}

function loginName(command: Command): string {
  try {
    return `${new Arguments(parseArguments(command.argumentSegments)).text()} `;
  } catch (error) {
    if (error instanceof SyntaxFault) return '';
    throw error;
  }
}
