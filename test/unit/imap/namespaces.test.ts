import { describe, expect, test } from 'vitest';
import { isPersonal, isTopLevel, type Namespaces } from '../../../src/imap/namespaces.ts';

const DOVECOT: Namespaces = { personal: [''], foreign: ['Other Users/', 'Public/'] };
const CYRUS: Namespaces = { personal: ['INBOX.'], foreign: ['user.', ''] };
const SILENT: Namespaces = { personal: [''], foreign: [] };

describe('a folder (RFC 2342)', () => {
  test.for([
    ['Trash', '/', DOVECOT, true, true],
    ['Old/Trash', '/', DOVECOT, true, false],
    ['INBOX/Trash', '/', DOVECOT, true, true],
    ['Other Users/bob/Trash', '/', DOVECOT, false, false],
    ['Public/Trash', '/', DOVECOT, false, false],
    ['INBOX', '.', CYRUS, true, true],
    ['INBOX.Trash', '.', CYRUS, true, true],
    ['INBOX.Clients.Trash', '.', CYRUS, true, false],
    ['user.bob.Trash', '.', CYRUS, false, false],
    ['Trash', '.', CYRUS, false, false],
    ['inbox.Trash', '.', SILENT, true, true],
    ['[Gmail]/Bin', '/', SILENT, true, false],
    ['Trash', '', SILENT, true, true],
    ['a/Trash', null, SILENT, true, true],
  ] as const)('%s (delimiter "%s")', ([path, delimiter, namespaces, personal, topLevel]) => {
    expect({ personal: isPersonal(path, namespaces), topLevel: isTopLevel({ path, delimiter }, namespaces) }).toEqual({
      personal,
      topLevel,
    });
  });
});
