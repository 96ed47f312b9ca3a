/** Commands that are sent to a server which a test plays, answer by answer. */
import { UpstreamError } from '../../src/errors.ts';
import { SentCommands } from '../../src/upstream/sent-commands.ts';
import { ServerHabits } from '../../src/upstream/server-habits.ts';
import { settled } from './fake-clock.ts';

/** How a server refuses what comes while it is at work. */
export const TOO_EARLY = 'BAD one command at a time, please';

/** Commands that may be sent once more. */
export const REPEATED = [
  'NOOP',
  'ID NIL',
  'NAMESPACE',
  'LIST "" "*"',
  'XLIST "" "*"',
  'SELECT INBOX',
  'FETCH 1 (UID)',
  'UID FETCH 1:9 (FLAGS)',
  'UID SEARCH DELETED',
  'UID STORE 1 +FLAGS.SILENT (\\Deleted)',
  'UID STORE 1,4:7 +FLAGS (\\Seen)',
];

interface Asked {
  /** How it was answered; undefined while it was not. */
  outcome: string | undefined;
}

interface Wire {
  readonly commands: SentCommands<string>;
  readonly habits: ServerHabits;
  /** All that was sent, in order, without line ends. */
  readonly sent: string[];
  readonly ask: (text: string) => Asked;
  /** The server says `Z1 OK done`; resolves when whoever asked knows of it. */
  readonly says: (answer: string) => Promise<void>;
}

export function wire(habits = new ServerHabits()): Wire {
  const sent: string[] = [];
  const commands = new SentCommands<string>((line) => {
    sent.push(line.replace(/\r\n$/, ''));
  }, habits);
  const ask = (text: string): Asked => {
    const asked: Asked = { outcome: undefined };
    commands.ask(text, text).then(
      ({ status, text }) => (asked.outcome = `${status} ${text}`),
      (error: unknown) => (asked.outcome = error instanceof UpstreamError ? error.kind : String(error)),
    );
    return asked;
  };
  const says = async (answer: string): Promise<void> => {
    const [tag = '', status = '', ...text] = answer.split(' ');
    commands.answered({ tag, status, text: text.join(' ') });
    await settled();
  };
  return { commands, habits, sent, ask, says };
}
