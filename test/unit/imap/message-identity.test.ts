/** What the server calls a message, in whatever form it comes (RFC 8474 section 4): at most 255 octets. */
import { expect, test } from 'vitest';
import type { FetchRow } from '../../../src/imap/fetch-row.ts';
import { ResponseParser } from '../../../src/imap/response-parser.ts';

function rowIn(line: string): FetchRow | undefined {
  let found: FetchRow | undefined;
  const handler = {
    takesRows: true,
    forward: () => {},
    tagged: () => {},
    untagged: () => true,
    body: () => undefined,
    row: (row: FetchRow) => void (found = row),
  };
  new ResponseParser(handler, { lineOctets: 10_000, literalOctets: 10_000 }).feed(Buffer.from(`${line}\r\n* 2 EXISTS\r\n`, 'latin1'));
  return found;
}

test.for([
  ['EMAILID as a list', 'emailId', (id: string) => `EMAILID (${id})`],
  ['EMAILID as a list with blanks in it', 'emailId', (id: string) => `EMAILID (  ${id} )`],
  ['EMAILID as a word', 'emailId', (id: string) => `EMAILID ${id}`],
  ['EMAILID as a quoted string', 'emailId', (id: string) => `EMAILID "${id}"`],
  ['EMAILID as a literal', 'emailId', (id: string) => `EMAILID {${id.length}}\r\n${id}`],
  ['X-GM-MSGID', 'gmailId', (id: string) => `X-GM-MSGID ${id}`],
] as const)('%s of 255 octets is an identity, and of one more it is none, though the row is read', ([, item, write]) => {
  const longest = 'M'.repeat(255);
  expect(rowIn(`* 1 FETCH (UID 7 ${write(longest)} RFC822.SIZE 5)`)).toMatchObject({ uid: 7, octets: 5, [item]: longest });
  expect(rowIn(`* 1 FETCH (UID 7 ${write(`${longest}M`)} RFC822.SIZE 5)`)).toMatchObject({ uid: 7, octets: 5, [item]: undefined });
});
