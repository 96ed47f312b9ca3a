import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { holds } from '../../support/holds.ts';
import { messageIdIn } from '../../../src/maildrop/message-id.ts';

const of = (header: string): string | undefined => messageIdIn(Buffer.from(header, 'latin1'));

describe('a message is told by', () => {
  test.each([
    ['its Message-ID', 'From: a\r\nMessage-ID: <1@example.com>\r\n\r\n', '<1@example.com>'],
    ['the first of several', 'message-id:<1@a>\r\nMessage-Id: <2@a>\r\n', '<1@a>'],
    ['one that is folded', 'Message-ID:\r\n <1@a>\r\nSubject: x\r\n', '<1@a>'],
    ['one of a header with bare line feeds', 'Subject: x\nMessage-ID: <1@a>\n\n', '<1@a>'],
    ['date, sender and subject where it has none', 'Subject: s\r\nDate: d\r\n  e\r\nFrom: f\r\n', 'd e\nf\ns'],
    ['those where its Message-ID is empty', 'Message-ID: \r\nDate: d\r\n', 'd\n\n'],
    ['those where nothing stands between the brackets', 'Message-ID: <>\r\nSubject: s\r\n', '\n\ns'],
    ['those where only spaces do', 'Message-ID: <  >\r\nSubject: s\r\n', '\n\ns'],
  ])('%s', (_, header, expected) => expect(of(header)).toBe(expected));

  test.each(['', '\r\n', 'To: a\r\n', 'X-Message-ID: <1@a>\r\n'])('nothing in %j', (header) => expect(of(header)).toBeUndefined());

  test('the beginning of a Message-ID of megabytes, quickly', () => {
    expect(of(`Message-ID: <${'x'.repeat(5_000_000)}>\r\n`)).toHaveLength(4_095);
  });
});

test('what stands in for a Message-ID is never one', () => {
  holds(
    fc.property(fc.string({ unit: 'binary-ascii' }), fc.string({ unit: 'binary-ascii' }), (date, id) => {
      const standIn = of(`Date: ${date.replace(/[\r\n]/g, '')}\r\n`);
      const messageId = of(`Message-ID: <${id.replace(/[\r\n]/g, '')}>\r\n`);
      expect(standIn === undefined || standIn !== messageId).toBe(true);
    }),
  );
});
