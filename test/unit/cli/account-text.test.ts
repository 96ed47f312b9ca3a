/** What `popbridge account` prints. */
import { expect, test } from 'vitest';
import { settingsLines } from '../../../src/cli/account-text.ts';

test.for([
  [{ host: '127.0.0.1', port: 1110, security: 'none' }, 'server 127.0.0.1, port 1110, no encryption'],
  [{ host: '::1', port: 110, security: 'starttls' }, 'server ::1, port 110, STARTTLS'],
  [{ host: '0.0.0.0', port: 995, security: 'tls' }, 'server the name of this machine, port 995, SSL/TLS'],
  [{ host: '::', port: 0, security: 'none' }, 'server the name of this machine, the port that the log names, no encryption'],
] as const)('the settings of a mail program are those of the address: %j', ([address, settings]) => {
  expect(settingsLines('alice@example.com', [address])).toEqual([
    `settings of the mail program: POP3, ${settings}, user name alice@example.com`,
  ]);
});
