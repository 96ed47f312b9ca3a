import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { encodedName } from '../../../src/imap/mailbox-name.ts';
import { AccountMemories, AccountMemory } from '../../../src/upstream/account-memory.ts';
import { foldersByPath } from '../../../src/upstream/folder-paths.ts';
import { uid, uidValidity } from '../../support/fake-maildrop.ts';
import { holds } from '../../support/holds.ts';

const MAX_FOLDERS = 1_000;

describe('a folder', () => {
  test.for([
    ['as every server would write it', 'Entw&APw-rfe', 'Entwürfe'],
    ['in UTF-8', 'Entw\xc3\xbcrfe', 'Entwürfe'],
    ['with the delimiter before it', '/Sent', 'Sent'],
    ['with its octets in its path', 'Entw\xc3\xbcrfe', 'Entwürfe (456e7477c3bc726665)'],
  ] as const)('that is listed %s is opened by the octets of the list', ([, octets, path]) => {
    const memory = new AccountMemory();
    memory.learnName(path, octets);
    expect(memory.octetsOf(path)).toBe(octets);
  });

  test('that was not listed is opened by what every server would have for it', () => {
    expect(new AccountMemory().octetsOf('Entwürfe')).toBe('Entw&APw-rfe');
  });

  test('is opened by the octets under which it was listed last', () => {
    const memory = new AccountMemory();
    for (const octets of ['Entw\xc3\xbcrfe', 'Entw&APw-rfe', 'Entw\xc3\xbcrfe']) {
      memory.learnName('Entwürfe', octets);
      expect(memory.octetsOf('Entwürfe')).toBe(octets);
    }
  });

  test('can be opened by its path, whatever its octets are', () => {
    const octets = fc.uint8Array({ minLength: 1, maxLength: 20 }).map((all) => Buffer.from(all).toString('latin1'));
    holds(
      fc.property(octets, fc.constantFrom('', '/', '.'), (name, delimiter) => {
        fc.pre(!/^.?inbox$/i.test(name));
        const [path = ''] = foldersByPath([{ attributes: [], delimiter, octets: name }], () => true).keys();
        const memory = new AccountMemory();
        memory.learnName(path, name);
        expect(memory.octetsOf(path)).toBe(name);
      }),
      { usual: 300, examples: [['&', '/'] as [string, string], ['/', '/'] as [string, string]] },
    );
  });
});

test('INBOX is opened as INBOX, however it is listed, and another folder that stands for it', () => {
  for (const octets of ['INBOX', 'inbox', 'Inbox', '/INBOX', '/inbox']) {
    const memory = new AccountMemory();
    memory.learnName('INBOX', octets);
    expect(memory.octetsOf('INBOX')).toBe('INBOX');
  }
});

describe('where a folder was found', () => {
  test('is remembered by the path that was asked for', () => {
    const memory = new AccountMemory();
    expect(memory.foundAt('Trash')).toBeUndefined();
    memory.noteFound('Trash', 'INBOX.Trash');
    expect([memory.foundAt('Trash'), memory.foundAt('INBOX.Trash')]).toEqual(['INBOX.Trash', undefined]);
    memory.noteFound('Trash', 'Mail.Trash');
    expect(memory.foundAt('Trash')).toBe('Mail.Trash');
  });

  test('says nothing of its octets', () => {
    const memory = new AccountMemory();
    memory.learnName('Entwürfe', 'Entw\xc3\xbcrfe');
    memory.noteFound('Drafts', 'Entwürfe');
    expect(memory.octetsOf('Drafts')).toBe('Drafts');
  });
});

describe('what is known of a mailbox', () => {
  test('is the same for all connections, and empty in the beginning', () => {
    const memory = new AccountMemory();
    const known = memory.mailbox('INBOX', uidValidity(7));
    expect([known.deleted.size, known.isolation.isCareful]).toEqual([0, false]);
    known.deleted = new Set([uid(3)]);
    expect(memory.mailbox('INBOX', uidValidity(7))).toBe(known);
    expect([...memory.mailbox('INBOX', uidValidity(7)).deleted]).toEqual([3]);
  });

  test('ends with its UIDVALIDITY, and is of no other mailbox', () => {
    const memory = new AccountMemory();
    const known = memory.mailbox('INBOX', uidValidity(7));
    known.deleted = new Set([uid(3)]);
    for (const other of [
      memory.mailbox('INBOX', uidValidity(8)),
      memory.mailbox('Sent', uidValidity(7)),
      memory.mailbox('7 INBOX', uidValidity(7)),
    ]) {
      expect([other.deleted.size, other.isolation === known.isolation]).toEqual([0, false]);
    }
  });
});

describe('the memory is bounded:', () => {
  test('of very many folders it keeps what was used last, and goes on without the rest', () => {
    const memory = new AccountMemory();
    const name = (number: number): string => `\xc3\xbc${number}`;
    for (let number = 0; number <= MAX_FOLDERS; number += 1) {
      if (number === MAX_FOLDERS) expect(memory.octetsOf('ü0')).toBe(name(0));
      memory.learnName(`ü${number}`, name(number));
    }
    const kept = Array.from({ length: MAX_FOLDERS + 1 }, (_, number) => number).filter(
      (number) => memory.octetsOf(`ü${number}`) === name(number),
    );
    expect([kept.length, kept.includes(0), kept.includes(1)]).toEqual([MAX_FOLDERS, true, false]);
    expect(memory.octetsOf('ü1')).toBe(encodedName('ü1'));
  });

  test('names that need no memory push nothing out', () => {
    const memory = new AccountMemory();
    memory.learnName('ü', '\xc3\xbc');
    for (let number = 0; number <= MAX_FOLDERS; number += 1) memory.learnName(`Folder ${number}`, `Folder ${number}`);
    expect(memory.octetsOf('ü')).toBe('\xc3\xbc');
  });

  test('of very many mailboxes and places it forgets the oldest', () => {
    const memory = new AccountMemory();
    const first = memory.mailbox('0', uidValidity(1));
    for (let number = 0; number <= MAX_FOLDERS; number += 1) {
      memory.mailbox(String(number), uidValidity(1));
      memory.noteFound(String(number), 'there');
    }
    expect(memory.mailbox('0', uidValidity(1))).not.toBe(first);
    expect([memory.foundAt('0'), memory.foundAt('1')]).toEqual([undefined, 'there']);
  });
});

test('each user has one memory, which others do not see', () => {
  const memories = new AccountMemories();
  const alice = memories.of('alice');
  alice.learnName('Entwürfe', 'Entw\xc3\xbcrfe');
  expect(memories.of('alice')).toBe(alice);
  expect(memories.of('bob').octetsOf('Entwürfe')).toBe('Entw&APw-rfe');
  expect(memories.of('Alice')).not.toBe(alice);
});

test('a user of whom nothing was learnt needs next to no room', () => {
  const USERS = 2_000;
  const before = process.memoryUsage().heapUsed;
  const memories = new AccountMemories();
  const all = Array.from({ length: USERS }, (_, number) => memories.of(String(number)));
  // Room for as many folders as are remembered at most would be 60 KB.
  expect((process.memoryUsage().heapUsed - before) / all.length).toBeLessThan(20_000);
});

test('of very many users the one who came longest ago is forgotten', () => {
  const memories = new AccountMemories();
  const [first, second] = [memories.of('user 0'), memories.of('user 1')];
  for (let number = 2; number < 10_000; number += 1) memories.of(`user ${number}`);
  expect(memories.of('user 0')).toBe(first);
  memories.of('one more');
  expect(memories.of('user 0')).toBe(first);
  expect(memories.of('user 1')).not.toBe(second);
});
