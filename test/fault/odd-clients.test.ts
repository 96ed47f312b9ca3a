/** Clients that send what is not in the book, and are understood: line ends, base64, passwords. */
import { describe, expect, test } from 'vitest';
import { BridgeSite } from '../support/bridge-site.ts';
import { sharedByTests } from '../support/ends-with-tests.ts';
import { DEFAULT_CAPABILITIES } from '../support/imap-server/settings.ts';
import { PopDialogue } from '../support/pop-dialogue.ts';

const shared = sharedByTests();

const READY = '+OK maildrop locked and ready';
const base64 = (text: string): string => Buffer.from(text).toString('base64');
const unpadded = (text: string): string => base64(text).replaceAll('=', '');

/** Every octet that a password may have below 0x80, and then some. */
const EVERY_OCTET = Array.from({ length: 0x80 }, (_, code) => String.fromCodePoint(code))
  .filter((octet) => !'\0\r\n'.includes(octet))
  .join('');
const PASSWORDS = ['tab\there', '\t between tabs \t', `ü${EVERY_OCTET}`];

/** The ways in which a client says who it is; each resolves with the last answer. */
const WAYS = {
  'USER and PASS': async (client: PopDialogue, password: string) => {
    await client.command('USER alice');
    return client.command(`PASS ${password}`);
  },
  'AUTH PLAIN with an initial response': (client: PopDialogue, password: string) =>
    client.command(`AUTH PLAIN ${base64(`\0alice\0${password}`)}`),
  'AUTH PLAIN with an initial response without padding': (client: PopDialogue, password: string) =>
    client.command(`AUTH PLAIN ${unpadded(`\0alice\0${password}`)}`),
  'AUTH PLAIN with an answer to the challenge without padding': async (client: PopDialogue, password: string) => {
    await client.command('AUTH PLAIN');
    return client.command(unpadded(`\0alice\0${password}`));
  },
  'AUTH LOGIN with an initial response without padding': async (client: PopDialogue, password: string) => {
    await client.command(`AUTH LOGIN ${unpadded('alice')}`);
    return client.command(unpadded(password));
  },
  'AUTH LOGIN with answers to its challenges without padding': async (client: PopDialogue, password: string) => {
    await client.command('AUTH LOGIN');
    await client.command(unpadded('alice'));
    return client.command(unpadded(password));
  },
} as const;

describe.for([
  ['AUTHENTICATE PLAIN', DEFAULT_CAPABILITIES],
  ['LOGIN', DEFAULT_CAPABILITIES.filter((name) => !name.startsWith('AUTH='))],
] as const)('before a server that takes %s', ([verb, capabilities]) => {
  test.for(PASSWORDS)('the password %j arrives there octet for octet, however the client gives it', async (password) => {
    // The server compares octets.
    await using site = await BridgeSite.startIn(shared, { server: { users: { alice: password }, capabilities }, linger: '0s' });
    const answers: Record<string, string> = {};
    for (const [way, logIn] of Object.entries(WAYS)) {
      const client = await PopDialogue.connect(site.bridge.port());
      answers[way] = await logIn(client, password);
      await client.command('QUIT');
    }
    expect(answers).toEqual(Object.fromEntries(Object.keys(WAYS).map((way) => [way, READY])));
    const used = site.imap.commands.filter((command) => /^(?:AUTHENTICATE|LOGIN)/.test(command));
    expect(used).toHaveLength(Object.keys(WAYS).length);
    for (const command of used) expect(command.startsWith(verb)).toBe(true);
  });
});

test('lines that end in any number of CRs and LF are lines, before the login, within AUTH and after it', async () => {
  await using site = await BridgeSite.startIn(shared);
  site.deliver('INBOX', 'one');
  for (const end of ['\n', '\r\n', '\r\r\n', '\r\r\r\r\n']) {
    const client = await PopDialogue.connect(site.bridge.port());
    client.send(['USER alice', 'PASS secret', 'STAT', 'NOOP', 'DELE 1', 'RSET', 'QUIT'].map((line) => line + end).join(''));
    const answers = (await client.closed()).toString().trimEnd().split('\r\n');
    expect(answers.map((answer) => answer.slice(0, 3))).toEqual(Array.from({ length: 7 }, () => '+OK'));
    const other = await PopDialogue.connect(site.bridge.port());
    for (const line of ['AUTH LOGIN', base64('alice')]) {
      other.send(line + end);
      expect(await other.line()).toMatch(/^\+ /);
    }
    other.send(base64('secret') + end);
    expect(await other.line()).toBe(READY);
    await other.command('QUIT');
  }
});
