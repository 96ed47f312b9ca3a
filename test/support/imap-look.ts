/** Looks at a mailbox behind the bridge's back, as another client would. */
import type { ImapDialogue } from './peers/imap-dialogue.ts';

/** Subjects in the order of the mailbox. */
export async function subjectsIn(dialogue: ImapDialogue, mailbox: string): Promise<string[]> {
  const answer = await rows(dialogue, mailbox, 'BODY.PEEK[HEADER.FIELDS (SUBJECT)]');
  return [...answer.matchAll(/^Subject: (.*)\r$/gm)].map((match) => match[1] ?? '');
}

/** Flags by UID, `\Recent` left out. */
export async function flagsIn(dialogue: ImapDialogue, mailbox: string): Promise<string[][]> {
  const answer = await rows(dialogue, mailbox, 'FLAGS');
  return [...answer.matchAll(/FLAGS \(([^)]*)\)/g)].map((match) =>
    (match[1] ?? '').split(' ').filter((flag) => flag !== '' && flag !== '\\Recent'),
  );
}

async function rows(dialogue: ImapDialogue, mailbox: string, items: string): Promise<string> {
  const selected = await dialogue.command(`EXAMINE "${mailbox}"`);
  return /^\* 0 EXISTS/m.test(selected) ? '' : dialogue.command(`UID FETCH 1:* (UID ${items})`);
}
