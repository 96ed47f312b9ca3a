import { describe, expect, test } from 'vitest';
import { explanation } from '../../../src/daemon/maildrop-explanation.ts';
import { goneRow, messageRow } from './message-rows.ts';

describe('of a unique-id is told', () => {
  test('the message that has it', () => {
    const message = messageRow();
    expect(explanation({ messages: [messageRow({ uniqueId: 'other' }), message], gone: [] }, 'id-1')).toEqual({
      uniqueId: 'id-1',
      message,
      gone: [],
      resembles: [],
      lines: [
        'the message with UID 1 in INBOX, UIDVALIDITY 7: 100 octets, arrived 2020-01-02T03:04:05.000Z',
        'recognised by: Message-ID not looked at yet, arrival and size',
      ],
    });
  });

  test.each([
    [messageRow({ trueOctets: 104 }), '100 octets as the server says, 104 in truth'],
    [messageRow({ trueOctets: 100 }), '7: 100 octets, arrived'],
    [messageRow({ arrived: null }), 'arrived at an unknown time'],
    [messageRow({ serverIdentity: 'ex', messageId: 'my' }), "recognised by: the server's own identity, Message-ID, arrival and size"],
    [messageRow({ messageId: '' }), 'recognised by: no Message-ID, arrival and size'],
    [messageRow({ retrieved: 'T1' }), 'first retrieved T1'],
    [messageRow({ deleted: 'T1', due: 'T2' }), 'deleted by a client T1, to be removed on the server from T2'],
    [messageRow({ deleted: 'T1', due: null }), 'to be removed on the server from T1'],
    [messageRow({ deleted: 'T1', due: 'never' }), 'deleted by a client T1, hidden for good'],
  ])('%j: %s', (message, part) => expect(explanation({ messages: [message], gone: [] }, 'id-1').lines.join('\n')).toContain(part));

  test('that its message is gone, the latest first, or was missing for a while', () => {
    const gone = [goneRow({ gone: 'T2' }), goneRow({ gone: '', folder: 'Older' })];
    expect(explanation({ messages: [], gone }, 'id-9')).toMatchObject({
      message: null,
      gone,
      lines: [
        'of a message that is no longer there: last in Old, gone since T2',
        'of a message that is no longer there: last in Older, gone since the last listing',
      ],
    });
    const back = explanation({ messages: [messageRow({ uniqueId: 'id-9' })], gone: gone.slice(0, 1) }, 'id-9');
    expect(back.lines.at(-1)).toBe('was missing for a while, and came back: last in Old, gone since T2');
  });

  test('that nobody has it nor had it', () => {
    expect(explanation({ messages: [messageRow()], gone: [goneRow()] }, 'ID-1').lines).toEqual([
      'no message of this maildrop has it; those that went are known for 400 days, except those that a client deleted',
    ]);
  });

  test('which others are the same message by identity, here or gone, each once', () => {
    const messages = [
      messageRow({ messageId: 'm', serverIdentity: 'e' }),
      messageRow({ uniqueId: 'copy', messageId: 'm' }),
      messageRow({ uniqueId: 'same', serverIdentity: 'e', messageId: 'n' }),
      messageRow({ uniqueId: 'other', messageId: '', serverIdentity: '' }),
    ];
    const gone = [goneRow({ uniqueId: 'copy', messageId: 'm' }), goneRow({ uniqueId: 'went', messageId: 'm' })];
    const told = explanation({ messages, gone }, 'id-1');
    expect(told.resembles).toEqual(['copy', 'same', 'went']);
    expect(told.lines.at(-1)).toContain('copy, same, went');
  });

  test('nothing of others where a message has no identity', () => {
    const messages = ['', null].flatMap((messageId) => [messageRow({ messageId }), messageRow({ uniqueId: 'other', messageId })]);
    expect(explanation({ messages, gone: [] }, 'id-1').resembles).toEqual([]);
  });
});
