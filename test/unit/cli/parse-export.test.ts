import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { holds } from '../../support/holds.ts';
import { exportLines } from '../../../src/cli/maildrop-text.ts';
import { parseExport } from '../../../src/cli/parse-export.ts';
import { NEVER_DUE, UNTOUCHED } from '../../../src/maildrop/uid-map.ts';
import { goneRow, messageRow } from '../daemon/message-rows.ts';

const HEAD = '{"popbridge":"unique-ids","version":1}';

const problemOf = (...lines: readonly string[]): string => {
  const parsed = parseExport(lines.join('\n'));
  return 'problem' in parsed ? parsed.problem : '';
};

test('an export is read back as it was written; what was gone is passed over', () => {
  const messages = [
    messageRow({ serverIdentity: 'ex', messageId: 'my' }),
    messageRow({ uniqueId: '<{x}>', uid: 2, arrived: null, messageId: '', retrieved: '2020-01-03T00:00:00.000Z' }),
    messageRow({ uniqueId: 'id-3', uid: 3, deleted: '2020-01-03T00:00:00.000Z', due: '2020-01-04T00:00:00.000Z' }),
    messageRow({ uniqueId: 'id-4', uid: 4, deleted: '2020-01-03T00:00:00.000Z', due: 'never' }),
  ];
  const parsed = parseExport(`${exportLines({ messages, gone: [goneRow()], promised: [] }).join('\n')}\n`);
  const known = { octets: 100, isMeasured: true, arrival: 1_577_934_245 };
  const place = (uid: number): object => ({ server: 'imap.test:993', path: 'INBOX', uidValidity: 7, uid });
  expect(parsed).toEqual({
    ids: [
      { ...known, uniqueId: 'id-1', place: place(1), identity: { given: 'ex', messageId: 'my' }, state: UNTOUCHED },
      {
        ...known,
        uniqueId: '<{x}>',
        place: place(2),
        arrival: 0,
        identity: { given: '', messageId: '' },
        state: { ...UNTOUCHED, retrievedAt: 1_578_009_600 },
      },
      {
        ...known,
        uniqueId: 'id-3',
        place: place(3),
        identity: { given: '', messageId: undefined },
        state: { retrievedAt: 0, deletedAt: 1_578_009_600, dueAt: 1_578_096_000 },
      },
      {
        ...known,
        uniqueId: 'id-4',
        place: place(4),
        identity: { given: '', messageId: undefined },
        state: { retrievedAt: 0, deletedAt: 1_578_009_600, dueAt: NEVER_DUE },
      },
    ],
  });
});

test('an export of old does not say on which server a message was', () => {
  const { server: _, ...row } = messageRow();
  expect(parseExport(`${HEAD}\n${JSON.stringify(row)}\n`)).toMatchObject({ ids: [{ place: { server: '', uid: 1 } }] });
});

test('an export of an empty maildrop holds no ids', () => expect(parseExport(`${HEAD}\n`)).toEqual({ ids: [] }));

test('an export with CRLF is one', () =>
  expect(parseExport(`${HEAD}\r\n${JSON.stringify(messageRow())}\r\n`)).toMatchObject({ ids: [{ uniqueId: 'id-1' }] }));

describe('what is no export is refused:', () => {
  test.each(['{"popbridge":"unique-ids","version":2}', '{}', 'null', '[]', 'x', JSON.stringify(messageRow())])('%s', (line) => {
    expect(problemOf(line)).toBe('line 1: is no export of popbridge, or one of a newer version');
  });

  test('an empty file', () => expect(problemOf('')).toMatch(/^line 1: /));
});

describe('a line that makes no sense is named by its number', () => {
  const good = JSON.stringify(messageRow());
  test.each([
    ['no JSON', '{'],
    ['no message', '{}'],
    ['no unique-id', JSON.stringify(messageRow({ uniqueId: '' }))],
    ['a unique-id with a space', JSON.stringify(messageRow({ uniqueId: 'a b' }))],
    ['a unique-id that is too long', JSON.stringify(messageRow({ uniqueId: 'x'.repeat(256) }))],
    ['a UID that is none', JSON.stringify(messageRow({ uid: 1.5 }))],
    ['a time that is none', JSON.stringify(messageRow({ arrived: 'yesterday' }))],
    ['another word for never', JSON.stringify(messageRow({ due: 'always' }))],
  ])('%s', (_, line) => {
    const problem = problemOf(HEAD, good, line, good);
    expect(problem).toMatch(/^line 3: is no message of an export; ./);
    expect(problem).not.toContain('\n');
  });

  test('after a blank line, too', () => expect(problemOf(HEAD, '', '{')).toMatch(/^line 3: /));
});

test('no text makes it throw', () => {
  const values = fc.oneof(fc.json(), fc.string(), fc.constant(JSON.stringify(messageRow())));
  holds(fc.property(fc.array(values), (lines) => void parseExport([HEAD, ...lines].join('\n'))));
});
