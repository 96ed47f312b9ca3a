import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { holds } from '../../support/holds.ts';
import { everyMessageIdIn, messageIdIn, plainMessageIdIn } from '../../../src/maildrop/message-id.ts';

const of = (header: string): string | undefined => messageIdIn(Buffer.from(header, 'latin1'));
const plainOf = (header: string): string | undefined => plainMessageIdIn(Buffer.from(header, 'latin1'));

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

describe('lines end at LF alone', () => {
  test.each([
    ['a CR within a line starts no field', 'X: y\rMessage-ID: <fake@x>\r\nMessage-ID: <1@a>\r\n', '<1@a>'],
    ['nor do several', 'X: y\r\r\rMessage-ID: <fake@x>\r\nMessage-ID: <1@a>\r\n', '<1@a>'],
    ['nor at the very beginning', '\rMessage-ID: <fake@x>\r\nMessage-ID: <1@a>\r\n', '<1@a>'],
    ['it ends no value', 'Message-ID: <1\r@a>\r\nSubject: s\r\n', '<1 @a>'],
    ['nor does one before the line end', 'Message-ID: <1@a>\r\r\nSubject: s\r\n', '<1@a>'],
    ['nor does what Unicode calls a line end', 'X: y\x85Message-ID: <fake@x>\r\nMessage-ID: <1@a>\n', '<1@a>'],
    ['nor a vertical tab or form feed', 'X: y\v\fMessage-ID: <fake@x>\r\nMessage-ID: <1@a>\n', '<1@a>'],
  ])('%s', (_, header, expected) => expect(of(header)).toBe(expected));
});

describe('a header that every server reads alike tells', () => {
  test.each([
    ['its Message-ID', 'Received: by x\r\n\tfor y\r\nMessage-ID: <1@example.com>\r\nTo: \xe4\r\n', '<1@example.com>'],
    ['that, with bare line feeds', 'Message-ID:\n <1@a>\nSubject: \xe4\n', '<1@a>'],
    ['date, sender and subject where it has none', 'Subject: s\r\nDate: d\r\nFrom: f\r\n', 'd\nf\ns'],
    ['those where its Message-ID is empty', 'Message-ID: <>\r\nSubject: s\r\n', '\n\ns'],
    ['that, though other fields stand twice', 'Subject: a\r\nSubject: b\r\nMessage-ID: <1@a>\r\n', '<1@a>'],
    ['nothing where it holds none of them', 'X-A: 1\r\n', ''],
    ['nothing where it is empty', '', ''],
  ])('%s', (_, header, expected) => {
    expect(plainOf(header)).toBe(expected);
    expect(of(header) ?? '').toBe(expected);
  });

  test.each([
    ['a bare CR', 'X: y\rz\r\nMessage-ID: <1@a>\r\n'],
    ['several CRs before a line end', 'X: y\r\r\nMessage-ID: <1@a>\r\n'],
    ['a NUL', 'X: y\0z\r\nMessage-ID: <1@a>\r\n'],
    ['a second Message-ID', 'Message-ID: <1@a>\r\nmessage-id: <2@a>\r\n'],
    ['a second, empty one', 'Message-ID:\r\nMessage-ID: <2@a>\r\n'],
    ['a blank before a colon', 'Message-ID : <1@a>\r\n'],
    ['a line of an mbox', 'From a@b Thu Jan  1 00:00:00 2026\r\nMessage-ID: <1@a>\r\n'],
    ['a line without a colon', 'Message-ID: <1@a>\r\nhello world\r\n'],
    ['a fold before any field', ' x\r\nMessage-ID: <1@a>\r\n'],
    ['a fold with nothing in it', 'X: y\r\n \r\nMessage-ID: <1@a>\r\n'],
    ['a last line without an end', 'Message-ID: <1@a>'],
    ['octets of more than 7 bits in what tells', 'Subject: \xe4\r\n'],
    ['a vertical tab in what tells', 'Message-ID: <1\v@a>\r\n'],
    ['a value that is too long', `Message-ID: <${'x'.repeat(4_096)}>\r\n`],
    ['a subject that stands twice, without a Message-ID', 'Subject: a\r\nSubject: b\r\n'],
  ])('and it is left to the server where it holds %s', (_, header) => expect(plainOf(header)).toBeUndefined());
});

describe('what a message was known by before', () => {
  test.each([
    ['a bare CR once ended a line', 'X: y\rMessage-ID: <fake@x>\r\nMessage-ID: <1@a>\r\n', ['<1@a>', '<fake@x>']],
    ['and a value', 'Message-ID: <1\r@a>\r\n', ['<1 @a>', '<1']],
    ['a header without one tells but one thing', 'Message-ID:\r\n <1@a>\r\n', ['<1@a>']],
    ['or nothing', 'X: y\r\n', []],
  ])('%s', (_, header, expected) => expect(everyMessageIdIn(Buffer.from(header, 'latin1'))).toEqual(expected));
});

test('a header that every server reads alike is read alike in its fields alone, in any order of the chunks of a server', () => {
  const line = fc.oneof(
    fc.constantFrom(
      'Message-ID: <1@a>',
      'message-id:',
      'Subject: s',
      'Date: d',
      'From: f',
      'X: y',
      ' folded',
      'X: a\rMessage-ID: <2@a>',
      'From x',
    ),
    fc.string({ unit: 'binary-ascii', maxLength: 12 }).map((text) => text.replace(/[\r\n]/g, '')),
  );
  holds(
    fc.property(fc.array(line), fc.constantFrom('\r\n', '\n'), (lines, end) => {
      const header = lines.map((one) => one + end).join('');
      const plain = plainOf(header);
      if (plain === undefined) return;
      expect(of(cutByServer(header))).toBe(plain === '' ? undefined : plain);
    }),
  );
});

/** HEADER.FIELDS as a server gives it that is unfolding nothing: whole fields by name, CRLF, a blank line. */
function cutByServer(header: string): string {
  const fields = header.split(/\r?\n(?![ \t])/).filter((field) => /^(?:message-id|date|from|subject):/i.test(field));
  return `${fields.map((field) => `${field.replace(/\r?\n/g, '\r\n')}\r\n`).join('')}\r\n`;
}
