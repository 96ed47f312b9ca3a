/** What a client does in one timed run; every target knows how to do each of these its own way. */

/** Logs in, asks for STAT, UIDL and LIST, and leaves. */
export interface Poll {
  readonly do: 'poll';
  readonly user: string;
  readonly messages: number;
}

/** Lists, then reads every message, or of every message the header, one after the other. */
export interface Drain {
  readonly do: 'drain' | 'drain and delete' | 'headers';
  readonly user: string;
  readonly messages: number;
  /** Of all messages together: whoever gets fewer has not read them. */
  readonly octets: number;
}

/** Every user polls again and again, all at the same time. */
export interface Storm {
  readonly do: 'storm';
  readonly users: readonly string[];
  readonly turns: number;
  readonly messages: number;
}

export type Work = Poll | Drain | Storm;

/** What a run tells besides its time. */
export interface Outcome {
  /** Median over the messages: from the command to the first octet behind the status line. */
  readonly firstOctetMs?: number;
}

/** Whose mailboxes it reads. */
export function usersOf(work: Work): readonly string[] {
  return work.do === 'storm' ? work.users : [work.user];
}
