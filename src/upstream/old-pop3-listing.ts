/** The answers to UIDL and LIST as one list of messages. Pure. */
import { UpstreamError } from '../errors.ts';
import { isForeignUniqueId } from '../maildrop/foreign-unique-id.ts';

/** A message as an old server lists it. */
export interface ListedMessage {
  /** Message-number in that session. */
  readonly number: number;
  readonly uniqueId: string;
  readonly octets: number;
}

const MAX_SHOWN_CHARACTERS = 60;

/**
 * Puts the lines of both listings together (RFC 1939 sections 5 and 7), ascending by message-number. Throws UpstreamError `protocol`
 * where a line is damaged, an id can be none, or a number or an id comes twice; `incomplete` where the two name different messages.
 */
export function joinListings(uidl: readonly string[], list: readonly string[]): ListedMessage[] {
  const ids = byNumber('UIDL', uidl, /^(\d{1,10}) +([^ ]+) *$/);
  // RFC 1939 section 5 discourages more on a line than the size, and allows it.
  const sizes = byNumber('LIST', list, /^(\d{1,10}) +(\d{1,15})(?: .*)?$/);
  const messages = [...ids].map(([number, uniqueId]): ListedMessage => {
    const octets = sizes.get(number);
    if (octets === undefined) throw new UpstreamError('incomplete', `message ${number} stands in UIDL and not in LIST`);
    return { number, uniqueId, octets: Number(octets) };
  });
  const unnamed = [...sizes.keys()].find((number) => !ids.has(number));
  if (unnamed !== undefined) throw new UpstreamError('incomplete', `message ${unnamed} stands in LIST and not in UIDL`);
  checkIds(messages);
  return messages.sort((one, other) => one.number - other.number);
}

function byNumber(command: string, lines: readonly string[], pattern: RegExp): Map<number, string> {
  const values = new Map<number, string>();
  for (const line of lines) {
    const [, digits, value] = pattern.exec(line) ?? [];
    const number = Number(digits);
    if (value === undefined || number === 0) throw new UpstreamError('protocol', `${command} has the damaged line ${shown(line)}`);
    if (values.has(number)) throw new UpstreamError('protocol', `${command} lists message ${number} twice`);
    values.set(number, value);
  }
  return values;
}

function checkIds(messages: readonly ListedMessage[]): void {
  const numbers = new Map<string, number>();
  for (const { number, uniqueId } of messages) {
    if (!isForeignUniqueId(uniqueId)) throw new UpstreamError('protocol', `${shown(uniqueId)} of message ${number} can be no unique-id`);
    const other = numbers.get(uniqueId);
    if (other !== undefined) throw new UpstreamError('protocol', `messages ${other} and ${number} share the unique-id ${shown(uniqueId)}`);
    numbers.set(uniqueId, number);
  }
}

function shown(text: string): string {
  return `"${text.slice(0, MAX_SHOWN_CHARACTERS).replace(/[^\x20-\x7e]/g, '?')}"`;
}
