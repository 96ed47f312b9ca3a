/** Rows as operators see them, for tests of what is made of them. */
import type { GoneRow, MessageRow } from '../../../src/daemon/maildrop-rows.ts';

export function messageRow(fields: Partial<MessageRow> = {}): MessageRow {
  return {
    uniqueId: 'id-1',
    server: 'imap.test:993',
    folder: 'INBOX',
    uidValidity: 7,
    uid: 1,
    octets: 100,
    trueOctets: null,
    arrived: '2020-01-02T03:04:05.000Z',
    serverIdentity: '',
    messageId: null,
    retrieved: null,
    deleted: null,
    due: null,
    ...fields,
  };
}

export function goneRow(fields: Partial<GoneRow> = {}): GoneRow {
  return {
    uniqueId: 'id-9',
    folder: 'Old',
    gone: '2020-02-03T04:05:06.000Z',
    octets: 90,
    arrived: null,
    serverIdentity: '',
    messageId: null,
    ...fields,
  };
}
