import { describe, expect, test } from 'vitest';
import { exportLines, importLines, listLines, showLines } from '../../../src/cli/maildrop-text.ts';
import { goneRow, messageRow } from '../daemon/message-rows.ts';

const MAILBOX = { upstream: 'mail', user: 'alice', view: '', folder: 'INBOX', uidValidity: 7, messages: 12, hidden: 3 };
const REPORT = { messages: 5, matched: 3, changed: 2, unmatched: [], ambiguous: [] };

describe('the list of mailboxes', () => {
  test('has columns as wide as they must be, and no blanks at the end', () => {
    expect(listLines([MAILBOX, { ...MAILBOX, user: 'bob@example.com', view: 'laptop', hidden: 0 }])).toEqual([
      'UPSTREAM  USER             VIEW    FOLDER  UIDVALIDITY  MESSAGES  HIDDEN',
      'mail      alice            -       INBOX   7            12        3',
      'mail      bob@example.com  laptop  INBOX   7            12        0',
    ]);
  });

  test('says where there is none', () => expect(listLines([])).toEqual(['no maildrop was ever opened with this state directory']));

  test('lets no control character act on the terminal', () => {
    expect(listLines([{ ...MAILBOX, folder: 'a\u001b[2J\u0000\u009bb' }])[1]).toContain('a?[2J??b');
  });
});

describe('the messages of a maildrop', () => {
  test('stand with what became of them, and are counted', () => {
    const messages = [
      messageRow({ arrived: null }),
      messageRow({ uniqueId: 'id-22', uid: 22, trueOctets: 104, retrieved: 'T1' }),
      messageRow({ deleted: 'T1', due: 'T2' }),
      messageRow({ deleted: 'T1', due: 'never' }),
    ];
    const lines = showLines({ messages, gone: [goneRow()], promised: [{ folder: 'INBOX', action: 'trash', uids: [1, 2] }] });
    expect(lines).toEqual([
      'UNIQUE-ID  FOLDER  UID  OCTETS  ARRIVED                   STATE',
      'id-1       INBOX   1    100     -                         new',
      'id-22      INBOX   22   104     2020-01-02T03:04:05.000Z  retrieved',
      'id-1       INBOX   1    100     2020-01-02T03:04:05.000Z  deleted T1, due T2',
      'id-1       INBOX   1    100     2020-01-02T03:04:05.000Z  hidden since T1',
      'promised and not known to be done: trash of 2 messages in INBOX',
      '4 messages, 2 of them hidden; 1 remembered that are gone',
    ]);
  });

  test('of an empty maildrop are none', () => {
    expect(showLines({ messages: [], gone: [], promised: [] }).at(-1)).toBe('0 messages, 0 of them hidden; 0 remembered that are gone');
  });

  test('let no control character of a folder act on the terminal, also where deletions are promised', () => {
    const promised = [{ folder: '\u001b[2J', action: 'trash', uids: [1] }];
    expect(showLines({ messages: [], gone: [], promised }).join('')).not.toContain('\u001b');
  });
});

test('an export is a line that says what it is, then a line for each message, those that went last', () => {
  const lines = exportLines({ messages: [messageRow()], gone: [goneRow()], promised: [] });
  expect(lines.map((line): unknown => JSON.parse(line))).toEqual([{ popbridge: 'unique-ids', version: 1 }, messageRow(), goneRow()]);
  expect(lines.join('')).not.toContain('\n');
});

describe('the report of an import', () => {
  test('tells what was matched and what was not', () => {
    expect(importLines({ ...REPORT, unmatched: ['a', 'b'], ambiguous: ['c'] }, 6, false)).toEqual([
      '6 unique-ids known to clients, 5 messages in the maildrop',
      'matched 3, 2 of them now have another unique-id than before',
      'unmatched 2: a b',
      'ambiguous 1: c',
    ]);
  });

  test('names twenty ids at most', () => {
    const ids = Array.from({ length: 22 }, (_, index) => `i${index}`);
    expect(importLines({ ...REPORT, unmatched: ids.slice(0, 20), ambiguous: ids }, 42, false).slice(2)).toEqual([
      `unmatched 20: ${ids.slice(0, 20).join(' ')}`,
      `ambiguous 22: ${ids.slice(0, 20).join(' ')} and 2 more`,
    ]);
  });

  test('says that nothing was changed where it was a trial', () => {
    expect(importLines(REPORT, 3, true)).toEqual([
      '3 unique-ids known to clients, 5 messages in the maildrop',
      'matched 3',
      'unmatched 0',
      'ambiguous 0',
      'nothing was changed (--dry-run)',
    ]);
  });
});
