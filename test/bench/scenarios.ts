/** The table of what is measured (issue 4). */
import type { MailboxKind } from './mail-spool.ts';
import type { Work } from './work.ts';

const STORM_CLIENTS = 50;
const STORM_TURNS = 8;

/** One row. */
export interface Scenario {
  readonly name: string;
  readonly mailbox: MailboxKind;
  /** `same`: always the same user; `fresh`: one that nobody has read from for each run; a number: so many at a time. */
  readonly users: 'same' | 'fresh' | number;
  /** `nothing`: a new daemon without state; `listing`: the maildrop has been polled before. */
  readonly known: 'nothing' | 'listing';
  readonly work: (users: readonly string[], octets: number) => Work;
  /** Sessions of one run. */
  readonly sessions: number;
  /** Rows that only `--full` has, or `--only` when it matches. */
  readonly isExtra?: boolean;
  /** Where a delay would make the peer take hours it is measured on mailboxes of these sizes instead. */
  readonly peerMessages?: readonly [number, number];
}

const small = (messages: number): MailboxKind => ({ kind: 'small', messages });

/** All of them, in the order of the table: a first poll leaves its users known for the warm one behind it. */
export const scenarios: readonly Scenario[] = [
  firstPoll(1000),
  warmPoll(1000),
  { ...firstPoll(10_000), isExtra: true },
  { ...warmPoll(10_000), isExtra: true },
  firstPoll(100_000),
  warmPoll(100_000),
  reading('drain of 1,000 small', small(1000), 'drain'),
  reading('drain of 500 mixed, 190 MB', { kind: 'mixed', messages: 500 }, 'drain'),
  reading('drain of 20 big, 25 MiB each', { kind: 'big', messages: 20 }, 'drain'),
  reading('TOP n 0 of 1,000', small(1000), 'headers'),
  reading('drain and delete of 1,000', small(1000), 'drain and delete'),
  {
    name: `storm of ${STORM_CLIENTS} clients polling`,
    mailbox: small(20),
    users: STORM_CLIENTS,
    known: 'listing',
    work: (users) => ({ do: 'storm', users, turns: STORM_TURNS, messages: 20 }),
    sessions: STORM_CLIENTS * STORM_TURNS,
  },
];

function firstPoll(messages: number): Scenario {
  const scaled = messages > 1000 ? { peerMessages: [100, 400] as const } : {};
  return { ...warmPoll(messages), name: `first poll of ${messages.toLocaleString('en')}`, known: 'nothing', ...scaled };
}

function warmPoll(messages: number): Scenario {
  return {
    name: `warm poll of ${messages.toLocaleString('en')}`,
    mailbox: small(messages),
    users: 'same',
    known: 'listing',
    work: ([user = '']) => ({ do: 'poll', user, messages }),
    sessions: 1,
  };
}

function reading(name: string, mailbox: MailboxKind, what: 'drain' | 'drain and delete' | 'headers'): Scenario {
  return {
    name,
    mailbox,
    users: 'fresh',
    known: 'listing',
    work: ([user = ''], octets) => ({ do: what, user, messages: mailbox.messages, octets }),
    sessions: 1,
  };
}
