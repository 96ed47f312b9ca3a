/** `popbridge check --online` finds fault with nothing that a session copes with, and says what a session would leave out. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { bridgeConfig } from '../support/bridge-config.ts';
import { runBridge, type ProgramResult } from '../support/bridge-process.ts';
import { ImapServer } from '../support/imap-server.ts';
import type { Fault, ImapRule } from '../support/imap-server/script.ts';

const BAD_UID = '3';

let imap: ImapServer;
let folder: string;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'popbridge-checked-'));
  const folders = ['INBOX', 'Broken', 'Trash'].map((path) => ({ path, ...(path === 'Trash' ? { specialUse: '\\Trash' } : {}) }));
  imap = await ImapServer.start({ users: { alice: 'secret' }, folders });
  for (const subject of ['one', 'two', 'three', 'four', 'five']) imap.mailbox('INBOX').append(`Subject: ${subject}\r\n\r\nbody\r\n`);
});
afterEach(async () => {
  await imap.close();
  rmSync(folder, { recursive: true });
});

async function check(folders: readonly string[]): Promise<ProgramResult> {
  const path = join(folder, 'mail.toml');
  const tables = `[maildrop]\nfolders = ${JSON.stringify(folders)}`;
  writeFileSync(path, bridgeConfig({ imapPort: imap.port, tables }));
  const state = join(folder, 'state');
  return runBridge(['check', '--online', '--user', 'alice', '--password-stdin', '--config', path, '--state', state], 'secret\n');
}

/** Meets every FETCH in which the bad message is. */
const meets = (fault: Fault): ImapRule => {
  return ({ command }) => {
    const set = /^(?:UID )?FETCH (\S+) /.exec(command)?.[1] ?? '';
    const isMeant = set.split(',').some((range) => {
      const [from = '', to = from] = range.split(':');
      return Number(from) <= Number(BAD_UID) && (to === '*' || Number(BAD_UID) <= Number(to));
    });
    return isMeant ? fault : undefined;
  };
};

describe.each([
  ['NO', { reply: 'NO cannot read that' }],
  ['BAD', { reply: 'BAD internal error' }],
  ['BYE', { bye: 'internal error' }],
] as const)('a message over which the server says %s', (_, fault) => {
  test('is counted with the others, and named as one that cannot be listed', async () => {
    imap.setScript(meets(fault));
    const { code, stdout, stderr } = await check(['INBOX']);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toContain('mailbox: INBOX, 5 messages');
    expect(stdout).toContain('warning: INBOX: the server does not list 1 message; LIST gives it 0 octets, and reading it is an error');
  });
});

describe('a folder that cannot be opened', () => {
  beforeEach(() =>
    imap.setScript(({ command }) => (/^(?:SELECT|EXAMINE) "?Broken/.test(command) ? { reply: 'NO cannot open' } : undefined)),
  );

  test('and that only a pattern names is named as one that is left out', async () => {
    const { code, stdout, stderr } = await check(['INBOX', 'Brok*']);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toContain('mailbox: INBOX, 5 messages');
    expect(stdout).toContain('warning: Broken: the server does not open it, so it is left out: cannot open');
  });

  test('and that the configuration names is the error that a login would end with, with its name', async () => {
    const { code, stderr } = await check(['INBOX', 'Broken']);
    expect({ code, stderr }).toEqual({ code: 69, stderr: 'popbridge: Broken: cannot open\n' });
  });
});
