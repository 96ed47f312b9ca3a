import { expect, test } from 'vitest';
import { oldmailName } from '../../../src/maildrop/oldmail-name.ts';

const NAMES: readonly (readonly [name: string, account: { readonly server: string; readonly user: string } | undefined])[] = [
  ['oldmail-pop.example.com-110-alice', { server: 'pop.example.com', user: 'alice' }],
  ['oldmail-pop.example.com-995-alice@example.com', { server: 'pop.example.com', user: 'alice@example.com' }],
  ['oldmail-127.0.0.1-32943-bob', { server: '127.0.0.1', user: 'bob' }],
  ['oldmail-pop-3.example-mail.com-110-al-ice', { server: 'pop-3.example-mail.com', user: 'al-ice' }],
  ['oldmail-mail-2-110-alice', { server: 'mail-2', user: 'alice' }],
  ['oldmail-pop.example.com-110-alice-2024-x', { server: 'pop.example.com', user: 'alice-2024-x' }],
  ['oldmail-a-110-995-b', undefined],
  ['oldmail-a-1-2-b', undefined],
  ['oldmail-a-1000-b-2000-c', undefined],
  ['oldmail-imap.example.com-993-alice-INBOX', undefined],
  ['oldmail-imap.example.com-143-alice-INBOX', undefined],
  ['oldmail-a-0-b', undefined],
  ['oldmail-a-65536-b', undefined],
  ['oldmail-a-0110-b', undefined],
  ['oldmail--110-b', undefined],
  ['oldmail-a-110-', undefined],
  ['oldmail-a', undefined],
  ['oldmail-', undefined],
  ['newmail-a-110-b', undefined],
  ['', undefined],
];

test.for(NAMES)('the name %j tells %j', ([name, account]) => {
  expect(oldmailName(name)).toEqual(account);
});
