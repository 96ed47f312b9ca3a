/** A server that never says whose a body is: each message is known by its number, whichever way it is read. */
import { expect, test } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import { asUid } from '../../src/maildrop/numbers.ts';
import { BodyCache } from '../../src/upstream/body-cache.ts';
import { ImapflowUpstream } from '../../src/upstream/imapflow-upstream.ts';
import { NOTHING_KNOWN, type FetchRequest, type UpstreamMailbox } from '../../src/upstream/upstream.ts';
import { endsWithEachTest } from '../support/ends-with-tests.ts';
import { ImapServer } from '../support/imap-server.ts';
import { patience } from '../support/patience.ts';
import { plainEndpoint } from '../support/plain-endpoint.ts';

const UID = 3;
const MIB = 1024 * 1024;
const MESSAGE = `Subject: 3\r\n\r\n${'a line of it\r\n'.repeat((1.5 * MIB) / 14)}`;
const HEADER_OCTETS = 14;
const never = new AbortController().signal;

const open = endsWithEachTest();

/** Each body comes without a UID, behind another body of the same kind; `news` come between them. */
async function mailboxOf(news = ''): Promise<{ readonly mailbox: UpstreamMailbox; readonly asked: string[] }> {
  const imap = await ImapServer.start();
  open.push(imap);
  for (const text of ['Subject: 1\r\n\r\none\r\n', 'Subject: 2\r\n\r\ntwo\r\n', MESSAGE]) imap.mailbox('INBOX').append(text);
  const asked: string[] = [];
  imap.setScript(({ command }) => {
    if (command.startsWith('UID FETCH 3 ')) asked.push(command.replace('UID FETCH 3 ', ''));
    const [found, section = '', start, most] = /BODY\.PEEK\[(\w*)\](?:<(\d+)\.(\d+)>)?\)$/.exec(command) ?? [];
    if (found === undefined) return undefined;
    const whole = section === 'HEADER' ? MESSAGE.slice(0, HEADER_OCTETS) : MESSAGE;
    const octets = start === undefined ? whole : whole.slice(Number(start), Number(start) + Number(most));
    const item = `BODY[${section}]${start === undefined ? '' : `<${start}>`}`;
    const row = (number: number, text: string): string => `* ${number} FETCH (${item} {${text.length}}\r\n${text})\r\n`;
    const raw = `${row(1, 'Subject: 1\r\n\r\n')}${news}${row(UID, octets)}${row(2, 'Subject: 2\r\n\r\n')}$TAG OK done\r\n`;
    return { raw: Buffer.from(raw, 'latin1') };
  });
  const budget = { sessionOctets: MIB, totalOctets: 4 * MIB, used: 0 };
  const upstream = new ImapflowUpstream(plainEndpoint(imap.port, patience(5_000)), systemClock, { budget, bodies: new BodyCache(0) });
  const session = await upstream.login({ user: 'alice', password: 'secret' }, never);
  open.push({ [Symbol.asyncDispose]: () => session.logout() });
  const mailbox = await session.select('INBOX', never);
  await mailbox.list(NOTHING_KNOWN, never);
  return { mailbox, asked };
}

async function read(mailbox: UpstreamMailbox, how: Pick<FetchRequest, 'part' | 'inWindows'>): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of mailbox.fetch({ uid: asUid(UID), octets: MESSAGE.length, ...how }, never)) chunks.push(chunk);
  return Buffer.concat(chunks).toString('latin1');
}

test.for([
  ['whole', { part: 'whole' }, MESSAGE],
  ['in windows', { part: 'whole', inWindows: true }, MESSAGE],
  ['from its beginning', { part: 'beginning' }, MESSAGE],
  ['as a header', { part: 'header' }, MESSAGE.slice(0, HEADER_OCTETS)],
] as const)('a message that is read %s is given as it is, though bodies of others come with it', async ([, how, expected]) => {
  const { mailbox, asked } = await mailboxOf();
  const found = await read(mailbox, how);
  expect(found.length).toBe(expected.length);
  expect(found === expected).toBe(true);
  // Its number is asked for when the first body came without a UID, and not again for the next window.
  expect(asked.map((what) => what === '(UID)').filter(Boolean)).toHaveLength(1);
});

test.for([{ part: 'whole' }, { part: 'whole', inWindows: true }] as const)(
  'a message whose number changes while it is read cannot be read as %o',
  async (how) => {
    const { mailbox } = await mailboxOf('* 1 EXPUNGE\r\n');
    await expect(read(mailbox, how)).rejects.toMatchObject({ kind: 'message-unreadable' });
  },
);
