/** The commands of the TRANSACTION state (RFC 1939 sections 5 and 7; LAST: RFC 1460). */
import type { MaildropEntry } from '../maildrop/maildrop.ts';
import type { Command } from './command.ts';
import { LISTING_CHUNK_CHARACTERS } from './limits.ts';
import { CRLF, err, ok, okLines } from './reply.ts';
import { replying, type RetrieveReply, type Step, type Transaction } from './session-state.ts';

const NO_SUCH_MESSAGE = err('no such message');

export function stat(state: Transaction): Step {
  const { count, octets } = state.maildrop.dropListing;
  return [state, [replying(ok(`${count} ${octets}`))]];
}

export function list(state: Transaction, command: Extract<Command, { verb: 'LIST' | 'UIDL' }>): Step {
  const { count, octets } = state.maildrop.dropListing;
  return listing(state, command, `${count} messages (${octets} octets)`, (entry) => `${entry.number} ${entry.octets}`);
}

export function uidl(state: Transaction, command: Extract<Command, { verb: 'LIST' | 'UIDL' }>): Step {
  return listing(state, command, 'unique-ids follow', (entry) => `${entry.number} ${entry.uniqueId}`);
}

/** One message's line, or with no number a line for every message that is not marked deleted. */
function listing(
  state: Transaction,
  { verb, message }: Extract<Command, { verb: 'LIST' | 'UIDL' }>,
  text: string,
  line: (entry: MaildropEntry) => string,
): Step {
  if (message !== undefined) {
    return withEntry(state, message, (entry) => [state, [replying(ok(line(entry)))]]);
  }
  const rendered = state.maildrop.rendered(verb, () => render(state, line));
  return [state, [replying(okLines(text, rendered))]];
}

/** The lines in pieces large enough for one write each. */
function render(state: Transaction, line: (entry: MaildropEntry) => string): Buffer[] {
  const pieces: Buffer[] = [];
  let piece = '';
  for (const entry of state.maildrop.scanListing()) {
    piece += line(entry) + CRLF;
    if (piece.length < LISTING_CHUNK_CHARACTERS) continue;
    pieces.push(Buffer.from(piece, 'latin1'));
    piece = '';
  }
  pieces.push(Buffer.from(piece, 'latin1'));
  return pieces;
}

/** RETR. Octets stand in the status line only where they are exact: some clients read just as many. */
export function retr(state: Transaction, command: Extract<Command, { verb: 'RETR' | 'DELE' }>): Step {
  return withEntry(state, command.message, (entry) => {
    if (state.maxMessageOctets > 0 && entry.octets > state.maxMessageOctets) {
      return [state, [replying(err('message is larger than the limit set here', 'SYS/PERM'))]];
    }
    return retrieving(state, entry, undefined, (octets) => ok(octets === undefined ? 'message follows' : `${octets} octets`));
  });
}

export function top(state: Transaction, command: Extract<Command, { verb: 'TOP' }>): Step {
  return withEntry(state, command.message, (entry) => retrieving(state, entry, command.lines, () => ok('top of message follows')));
}

function retrieving(before: Transaction, entry: MaildropEntry, lineCount: number | undefined, reply: RetrieveReply): Step {
  const isWhole = lineCount === undefined;
  return [{ phase: 'RETRIEVING', before, entry, isWhole }, [{ do: 'retrieve', entry, lines: lineCount, reply }]];
}

/** After the last octet: RETR counts for LAST and for \Seen, TOP for neither. */
export function retrieved(before: Transaction, entry: MaildropEntry, isWhole: boolean): Step {
  if (!isWhole) return [before, []];
  const highestRetrieved = Math.max(before.highestRetrieved, entry.number);
  return [{ ...before, highestRetrieved, maildrop: before.maildrop.withRetrieved(entry) }, []];
}

export function dele(state: Transaction, command: Extract<Command, { verb: 'RETR' | 'DELE' }>): Step {
  return withEntry(state, command.message, (entry) => {
    if (state.maildrop.isReadOnly(entry)) return [state, [replying(err('mailbox is read-only', 'SYS/PERM'))]];
    return [{ ...state, maildrop: state.maildrop.withDeleted(entry) }, [replying(ok(`message ${entry.number} deleted`))]];
  });
}

export function rset(state: Transaction): Step {
  const maildrop = state.maildrop.withoutMarks();
  const { count, octets } = maildrop.dropListing;
  return [{ ...state, maildrop, highestRetrieved: 0 }, [replying(ok(`maildrop has ${count} messages (${octets} octets)`))]];
}

export function last(state: Transaction): Step {
  return [state, [replying(ok(String(state.highestRetrieved)))]];
}

/** The only way into the UPDATE state: a complete QUIT line (RFC 1939 section 6). */
export function quitTransaction(state: Transaction): Step {
  return [{ phase: 'UPDATE' }, [{ do: 'update', plan: state.maildrop.updatePlan() }]];
}

function withEntry(state: Transaction, message: number, found: (entry: MaildropEntry) => Step): Step {
  const entry = state.maildrop.lookup(message);
  return entry === undefined ? [state, [replying(NO_SUCH_MESSAGE)]] : found(entry);
}
