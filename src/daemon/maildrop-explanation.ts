/** What is known of a unique-id: which message has it or had it, where it comes from, and which others it resembles. Pure. */
import type { GoneRow, MessageRow } from './maildrop-rows.ts';

export interface Explanation {
  readonly uniqueId: string;
  /** The message that has it now. */
  readonly message: MessageRow | null;
  /** Messages that had it and went, the latest first. */
  readonly gone: readonly GoneRow[];
  /** Unique-ids of messages with the same identity: copies, or what could not be told apart when UIDVALIDITY changed. */
  readonly resembles: readonly string[];
  /** The same for people. */
  readonly lines: readonly string[];
}

export function explanation(
  { messages, gone }: { readonly messages: readonly MessageRow[]; readonly gone: readonly GoneRow[] },
  uniqueId: string,
): Explanation {
  const message = messages.find((row) => row.uniqueId === uniqueId) ?? null;
  const had = gone.filter((row) => row.uniqueId === uniqueId);
  const about = message ?? had[0];
  const all = [...messages, ...gone];
  const resembles =
    about === undefined ? [] : all.filter((row) => row.uniqueId !== uniqueId && isAlike(row, about)).map((row) => row.uniqueId);
  const facts = { uniqueId, message, gone: had, resembles: [...new Set(resembles)] };
  return { ...facts, lines: linesOf(facts) };
}

/** True where an identity says that both are the same message, or copies of it. */
export function isAlike(one: MessageRow | GoneRow, other: MessageRow | GoneRow): boolean {
  if (one.serverIdentity !== '' && one.serverIdentity === other.serverIdentity) return true;
  return Boolean(one.messageId) && one.messageId === other.messageId;
}

function linesOf({ message, gone, resembles }: Omit<Explanation, 'uniqueId' | 'lines'>): string[] {
  const lines: string[] = [];
  if (message !== null) for (const line of linesOfMessage(message)) lines.push(line);
  for (const row of gone) {
    const what = message === null ? 'of a message that is no longer there' : 'was missing for a while, and came back';
    lines.push(`${what}: last in ${row.folder}, gone since ${row.gone || 'the last listing'}`);
  }
  if (message === null && gone.length === 0)
    lines.push('no message of this maildrop has it; those that went are known for 400 days, except those that a client deleted');
  if (resembles.length > 0) lines.push(`the same message by its identity, or a copy that can't be told from it: ${resembles.join(', ')}`);
  return lines;
}

function linesOfMessage(message: MessageRow): string[] {
  const { folder, uid, uidValidity, octets, trueOctets, arrived, serverIdentity, messageId, retrieved, deleted, due } = message;
  const size =
    trueOctets === null || trueOctets === octets ? `${octets} octets` : `${octets} octets as the server says, ${trueOctets} in truth`;
  const identity = serverIdentity === '' ? '' : "the server's own identity";
  const byMessageId = messageId === null ? 'Message-ID not looked at yet' : messageId === '' ? 'no Message-ID' : 'Message-ID';
  return [
    `the message with UID ${uid} in ${folder}, UIDVALIDITY ${uidValidity}: ${size}, arrived ${arrived ?? 'at an unknown time'}`,
    `recognised by: ${[identity, byMessageId, 'arrival and size'].filter((part) => part !== '').join(', ')}`,
    ...(retrieved === null ? [] : [`first retrieved ${retrieved}`]),
    ...(deleted === null
      ? []
      : [`deleted by a client ${deleted}, ${due === 'never' ? 'hidden for good' : `to be removed on the server from ${due ?? deleted}`}`]),
  ];
}
